"""E23: what depends on a key beside the two ciphertexts. After a rotation the old key may go, and
every feature works once more; oauth_key_usage says when that is."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.flows import PUBLISH, begin, claim, confirm, keep, ticket
from support.harness import DATABASE, wait_until
from support.tokens import fingerprint, get, identity, in_background, new_key, set_ring

OLD, MIDDLE, NEW = new_key(), new_key(), new_key()
USAGE = 'SELECT fingerprint, "values" FROM oauth_key_usage ORDER BY position'


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[OLD], database=DATABASE, settings={"max_connections": "80"})


@pytest.fixture
def db(db):
    db.rows(PUBLISH)
    return db


def rotate(cluster, user="postgres"):
    with in_background(cluster, "CALL oauth_rotate_keys()", user) as call:
        call.finish()
        return [text for _, text in call.notices]


def open_flows(connection):
    """One of each kind under way: a stored grant, an attempt, a grant that waits."""
    keep(connection, ticket(connection, identity("alice")))
    link = ticket(connection, identity("bob"))
    attempt = begin(connection, link)
    code = keep(connection, ticket(connection, identity("carol"), confirm=True))[1]
    return link, attempt, code


def use_each_feature(connection, link, attempt, code):
    keep(connection, ticket(connection, identity("alice")), "later", None)
    assert get(connection, identity("alice")) == ("later", "refresh")
    assert claim(connection, attempt) == attempt[2:]
    assert keep(connection, link) == ("connected", None)
    assert get(connection, identity("bob")) == ("access", "refresh")
    assert confirm(connection, code, identity("carol"))
    assert get(connection, identity("carol")) == ("access", "refresh")


@pytest.mark.parametrize("role", ["postgres", "owner"])
def test_every_feature_once_after_the_old_key_has_gone(db, role):  # E23
    if role == "owner":  # an admin that is no superuser
        for statement in (
            "DROP ROLE IF EXISTS owner", "CREATE ROLE owner LOGIN",
            "ALTER TABLE oauth_tokens OWNER TO owner",
            "ALTER TABLE oauth_token_details OWNER TO owner",
            "SELECT oauth_tokens_grant('owner', 'admin')",
        ):
            db.rows(statement)
    with db.connect(autocommit=True) as connection:
        flows = open_flows(connection)
        set_ring(db, NEW, MIDDLE, OLD)
        assert db.rows(USAGE) == [(fingerprint(NEW), 0), (fingerprint(MIDDLE), 0), (fingerprint(OLD), 4)]
        assert "oauth_rotate_keys: 4 values re-encrypted" in rotate(db, role)
        assert db.rows(USAGE) == [(fingerprint(NEW), 4), (fingerprint(MIDDLE), 0), (fingerprint(OLD), 0)]
        assert db.value("SELECT values_rotated FROM oauth_tokens_internal.key_rotations") == 4
        set_ring(db, NEW)
        use_each_feature(connection, *flows)
    if role == "owner":
        db.rows("DROP OWNED BY owner")


def test_usage_counts_what_lives(db):  # E23
    """Also where there is no token yet. What has expired needs no key."""
    with db.connect(autocommit=True) as connection:
        attempt = begin(connection, ticket(connection))
        code = keep(connection, ticket(connection, identity("bob"), confirm=True))[1]
        set_ring(db, NEW, OLD)
        usage = db.rows("SELECT fingerprint, position, \"values\", oldest BETWEEN now() - interval"
                        " '1 min' AND now() FROM oauth_key_usage ORDER BY position")
        assert usage == [(fingerprint(NEW), 1, 0, None), (fingerprint(OLD), 2, 2, True)]
        for table, left in (("flow_attempts", 1), ("flow_confirmations", 0)):
            db.rows(f"UPDATE oauth_tokens_internal.{table} SET expires_at = now()")
            assert db.rows(USAGE)[1] == (fingerprint(OLD), left)
        assert claim(connection, attempt) is None
        assert code


def test_the_timestamp_stays(db):
    with db.connect(autocommit=True) as connection:
        open_flows(connection)
    oldest = "SELECT min(oldest) FROM oauth_key_usage"
    before = db.value(oldest)
    wait_until(lambda: db.value("SELECT now() > %s + interval '1 s'", [before]))
    set_ring(db, NEW, OLD)
    rotate(db)
    assert db.value(oldest) == before


def test_many_rows(db):
    """More than one page of each table."""
    with db.connect(autocommit=True) as connection:
        attempts = [begin(connection, ticket(connection, identity(str(n)))) for n in range(110)]
        codes = [keep(connection, ticket(connection, identity(str(n)), confirm=True), f"a{n}")[1]
                 for n in range(50)]
        set_ring(db, NEW, OLD)
        assert "oauth_rotate_keys: 160 values re-encrypted" in rotate(db)
        set_ring(db, NEW)
        assert [claim(connection, one) for one in attempts] == [one[2:] for one in attempts]
        for n, code in enumerate(codes):
            confirm(connection, code, identity(str(n)))
            assert get(connection, identity(str(n))) == (f"a{n}", "refresh")


@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("what", ["claim", "confirm"])
def test_beside_one_that_is_being_used_up(db, what, end):  # E23, E14
    """Rotation waits for its end, and looks again."""
    with db.connect(autocommit=True) as connection:
        _, attempt, code = open_flows(connection)
        set_ring(db, NEW, OLD)

        def use(by):
            if what == "claim":
                assert claim(by, attempt) == attempt[2:]
            else:
                confirm(by, code, identity("carol"))

        with db.connect() as holder:
            use(holder)
            with in_background(db, "CALL oauth_rotate_keys()") as call:
                # For the row, or for the lock of a transaction that may have sealed.
                wait_until(lambda: any("other transactions hold" in text for _, text in call.notices)
                           or db.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", [call.pid]))
                getattr(holder, end)()
                call.finish()
        assert db.rows(USAGE)[1] == (fingerprint(OLD), 0)
        set_ring(db, NEW)
        if end == "rollback":
            use(connection)


@pytest.mark.parametrize("what", ["begin", "store"])
def test_beside_one_that_is_being_made(db, what):  # E23, E14
    """A transaction that sealed under the old key commits while the rotation runs."""
    with db.connect(autocommit=True) as connection, db.connect() as holder:
        link = ticket(connection, confirm=what == "store")
        if what == "begin":
            made = begin(holder, link)
        else:
            made = keep(holder, link)[1]
        set_ring(db, NEW, OLD)
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            wait_until(lambda: db.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", [call.pid]))
            holder.commit()
            call.finish()
        assert db.rows(USAGE)[1] == (fingerprint(OLD), 0)
        set_ring(db, NEW)
        if what == "begin":
            assert claim(connection, made) == made[2:]
        else:
            assert confirm(connection, made)


def test_flows_go_on_beside_rotations(db):  # E23, E14
    """Attempts are claimed and grants confirmed while rotations run, are killed and run again:
    each is found once, with what was sealed."""
    with db.connect(autocommit=True) as connection:
        attempts = [begin(connection, ticket(connection, identity(str(n)))) for n in range(400)]
        codes = [keep(connection, ticket(connection, identity(str(n)), confirm=True), f"a{n}")[1]
                 for n in range(400)]
    set_ring(db, NEW, OLD)

    def use(numbers):
        with db.connect(autocommit=True) as connection:
            for n in numbers:
                assert claim(connection, attempts[n]) == attempts[n][2:]
                confirm(connection, codes[n], identity(str(n)))
                assert get(connection, identity(str(n))) == (f"a{n}", "refresh")

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(use, range(first, 300, 4)) for first in range(4)]
        for _ in range(5):
            with in_background(db, "CALL oauth_rotate_keys(1)") as call:
                wait_until(lambda: call.notices or not call.running, interval=0.001)
                db.rows("SELECT pg_terminate_backend(%s)", [call.pid])
        for user in users:
            user.result(60)
    rotate(db)
    assert db.rows(USAGE)[1] == (fingerprint(OLD), 0)
    set_ring(db, NEW)
    use(range(300, 400))


def queue_revocations(cluster, count=1):
    with cluster.connect(autocommit=True) as connection:
        for n in range(count):
            keep(connection, ticket(connection, identity(f"deleted-{n}")), f"a{n}", f"r{n}")
            connection.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", identity(f"deleted-{n}"))


CLAIMED = ("SELECT refresh_token, access_token FROM oauth_tokens_internal.revocations_claim(1000, '0 s')"
           " ORDER BY length(refresh_token), refresh_token")


def test_revocations_after_the_old_key_has_gone(db):  # E23
    """They lie in the table of tokens no more, and are as sealed as there. More than one page."""
    queue_revocations(db, 120)
    set_ring(db, NEW, OLD)
    assert db.rows(USAGE) == [(fingerprint(NEW), 0), (fingerprint(OLD), 240)]
    oldest = db.value("SELECT min(oldest) FROM oauth_key_usage")
    wait_until(lambda: db.value("SELECT now() > %s + interval '1 s'", [oldest]))
    assert "oauth_rotate_keys: 240 values re-encrypted" in rotate(db)
    assert db.rows(USAGE) == [(fingerprint(NEW), 240), (fingerprint(OLD), 0)]
    assert db.value("SELECT min(oldest) FROM oauth_key_usage") == oldest
    set_ring(db, NEW)
    assert db.rows(CLAIMED) == [(f"r{n}", f"a{n}") for n in range(120)]


def test_a_token_that_is_deleted_during_a_rotation_is_rotated_where_it_goes(db):  # E23, E14
    with db.connect(autocommit=True) as connection:
        keep(connection, ticket(connection, identity("alice")), "access", "refresh")
    set_ring(db, NEW, OLD)
    with db.connect(autocommit=False) as deleting:
        deleting.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", identity("alice"))
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            wait_until(lambda: any("waiting for" in text for _, text in call.notices))
            deleting.commit()
            call.finish()
    set_ring(db, NEW)
    assert db.rows(CLAIMED) == [("refresh", "access")]
