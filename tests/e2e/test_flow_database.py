"""Flows in the database: many at once, killed at any step, under a changing key ring, and
nothing left of them where they must not be."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.flows import DETAILS, PUBLISH, begin, claim, confirm, keep, sha, ticket
from support.harness import DATABASE, wait_until
from support.tokens import get, identity, new_key, set_ring

OLD, NEW, THIRD = new_key(), new_key(), new_key()
FLOWS = ("flow_links", "flow_attempts", "flow_confirmations")


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[OLD], database=DATABASE, settings={"max_connections": "80"})


@pytest.fixture
def db(db):
    db.rows(PUBLISH)
    return db


def count(cluster, table):
    return cluster.value(f"SELECT count(*) FROM oauth_tokens_internal.{table}")


def at_once(cluster, call, times):
    """What `call` returned, or the error, from so many connections at the same moment."""
    start = threading.Barrier(times)

    def one(number):
        with cluster.connect(autocommit=True) as connection:
            connection.execute("SELECT oauth_tokens_internal.flow_purge()")
            start.wait(60)
            try:
                return call(connection, number)
            except psycopg.Error as error:
                return error.sqlstate

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_a_state_is_redeemed_once(db):  # F2
    with db.connect(autocommit=True) as connection:
        link = ticket(connection)
        attempt = begin(connection, link)
    claimed = at_once(db, lambda connection, _: claim(connection, attempt), 50)
    assert [one for one in claimed if one] == [attempt[2:]]


def test_one_attempt_of_a_link_wins(db):
    with db.connect(autocommit=True) as connection:
        link = ticket(connection)
    answers = at_once(db, lambda connection, n: keep(connection, link, f"a{n}", f"r{n}"), 20)
    winners = [n for n, answer in enumerate(answers) if answer == ("connected", None)]
    assert len(winners) == 1 and answers.count(("expired", None)) == 19
    with db.connect() as connection:
        assert get(connection, identity()) == (f"a{winners[0]}", f"r{winners[0]}")


def test_a_code_confirms_once(db):
    with db.connect(autocommit=True) as connection:
        outcome, code = keep(connection, ticket(connection, confirm=True))
        assert outcome == "confirm"
        for other in (identity("bob"), identity(provider="google.work")):  # F15
            with pytest.raises(psycopg.errors.Error) as error:
                confirm(connection, code, other)
            assert error.value.sqlstate == "OT012"
    answers = at_once(db, lambda connection, _: confirm(connection, code), 20)
    assert answers.count("OT012") == 19
    assert count(db, "flow_confirmations") == 0


def test_limits_hold_side_by_side(db):  # F16
    links = at_once(db, lambda connection, _: ticket(connection), 40)
    with db.connect(autocommit=True) as connection:
        opened = [link for link in links if begin(connection, link)]
        # Links of transactions that could not see each other: the newest 20 are open,
        # and the next call clears the others away.
        assert len(opened) <= 20
        links.append(ticket(connection))
        assert count(db, "flow_links") == 20
    last = links[-1]
    attempts = at_once(db, lambda connection, _: begin(connection, last), 30)
    assert all(attempts) and len(set(attempts)) == 30
    assert db.value("SELECT count(*) FROM oauth_tokens_internal.flow_attempts "
                    "WHERE ticket_hash = %s", (sha(last),)) == 5
    with db.connect(autocommit=True) as connection:
        assert sum(claim(connection, attempt) is not None for attempt in attempts) == 5


def test_nobody_waits_to_make_a_link(db):
    """Not even beside a transaction that has made, swept and trimmed the same ones."""
    db.rows("SELECT count(oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', "
            "'user', 'alice')) FROM generate_series(1, 20)")
    db.rows("INSERT INTO oauth_tokens_internal.flow_links "
            "SELECT sha256(n::text::bytea), gen_random_uuid(), 'google', 'user', 'old', NULL, NULL,"
            " false, 600, now(), now(), now() FROM generate_series(1, 30) n")
    with db.connect() as slow, db.connect(autocommit=True) as other:
        ticket(slow)
        other.execute("SET lock_timeout = '2s'")
        link = ticket(other)
        other.execute("SELECT oauth_tokens_internal.flow_purge()")
        assert begin(other, link)
        slow.commit()
        ticket(other)
    assert count(db, "flow_links") == 20


def test_a_killed_backend_changes_nothing(db):
    with db.connect(autocommit=True) as connection:
        link = ticket(connection, confirm=True)
        attempt = begin(connection, link)

    def killed_after(step):
        connection = db.connect()
        step(connection)
        db.rows("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        wait_until(lambda: not db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s",
                                       (connection.info.backend_pid,)))
        connection.close()

    killed_after(lambda connection: claim(connection, attempt))
    killed_after(lambda connection: keep(connection, link))
    with db.connect(autocommit=True) as connection:
        assert claim(connection, attempt) == attempt[2:]
        outcome, code = keep(connection, link)
    killed_after(lambda connection: confirm(connection, code))
    with db.connect(autocommit=True) as connection:
        assert get(connection, identity()) is None
        assert confirm(connection, code)
        assert get(connection, identity()) == ("access", "refresh")


def test_a_late_refresh_token_is_not_taken_over(db):  # F17, T7
    """Whose refresh token may be kept is decided under the row's lock: here, only after
    another account's grant, which the first could not see, has been stored."""
    with db.connect(autocommit=True) as connection:
        first = ticket(connection)
        keep(connection, first, "a1", "r1")
        again, other = ticket(connection), ticket(connection)
    with db.connect() as holder, db.connect(autocommit=True) as waiter:
        keep(holder, other, "b1", "of another", DETAILS.replace('"1"', '"2"'))
        call = threading.Thread(target=keep, args=(waiter, again, "a2", None), daemon=True)
        call.start()
        wait_until(lambda: db.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s",
                                   (waiter.info.backend_pid,)))
        holder.commit()
        call.join(30)
        assert get(waiter, identity()) == ("a2", None)


def test_a_kept_refresh_token_survives_every_new_key(db):  # F17, E23
    """No key is needed to tell whose it is: of nobody but who connected, after any rotation."""
    with db.connect(autocommit=True) as connection:
        for name in ("alice", "bob"):
            keep(connection, ticket(connection, identity(name)))
        for ring in ((NEW, OLD), (THIRD, NEW)):
            set_ring(db, *ring)
            connection.execute("CALL oauth_rotate_keys()")
            set_ring(db, ring[0])
            keep(connection, ticket(connection), "later", None)
            assert get(connection, identity()) == ("later", "refresh")
        keep(connection, ticket(connection, identity("bob")), "last", None)
        assert get(connection, identity("bob")) == ("last", "refresh")
        keep(connection, ticket(connection), "of another", None, DETAILS.replace('"1"', '"2"'))
        assert get(connection, identity()) == ("of another", None)


def test_what_ties_a_refresh_token_to_its_account(db):
    salts = set()
    with db.connect(autocommit=True) as connection:
        for _ in range(2):
            keep(connection, ticket(connection), refresh="größer")
            token_id, digest = db.rows("SELECT token_id, refresh_token_digest FROM oauth_token_details")[0]
            salts.add(digest[:16])
            assert digest[16:] == hashlib.sha256(digest[:16] + token_id.bytes + "größer".encode()).digest()
    assert len(salts) == 2


def expire(cluster, rows, of_ticket):
    """So many links and confirmations, and attempts at one link that lives on."""
    cluster.rows("""WITH l AS (INSERT INTO oauth_tokens_internal.flow_links
            SELECT sha256(n::text::bytea), gen_random_uuid(), 'google', 'user', 'old', NULL, NULL,
                false, 600, now(), now(), now() FROM generate_series(1, %s) n),
        c AS (INSERT INTO oauth_tokens_internal.flow_confirmations
            SELECT sha256(n::text::bytea), gen_random_uuid(), 'google', 'user', 'old', 'x', now()
            FROM generate_series(1, %s) n)
        INSERT INTO oauth_tokens_internal.flow_attempts
            SELECT sha256(n::text::bytea), sha256('x'), %s, NULL, 'x', 'x', 'x', now(), now()
            FROM generate_series(1, %s) n""", (rows, rows, sha(of_ticket), rows))


def test_a_backlog_goes_piece_by_piece(db):
    """However much has expired, no call runs for long."""
    with db.connect(autocommit=True) as connection:
        left = ticket(connection)
        expire(db, 7000, left)
        for purged, remaining in ((15000, 2000), (6000, 0), (0, 0)):
            assert connection.execute(
                "SELECT oauth_tokens_internal.flow_purge()").fetchone() == (purged,)
            assert [count(db, table) for table in FLOWS] == [1 + remaining, remaining, remaining]
        assert begin(connection, left)


def test_a_purge_asks_no_policy(db):
    """What has expired is nobody's; what has not is out of a tenant's sight."""
    for statement in (
        "DROP ROLE IF EXISTS tenant", "CREATE ROLE tenant LOGIN",
        "SELECT oauth_tokens_grant('tenant', 'sidecar')",
        "ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON oauth_tokens USING (workspace_id = "
        "'11111111-1111-4111-8111-111111111111')",
    ):
        db.rows(statement)
    with db.connect(autocommit=True) as connection:
        other = ticket(connection, ("22222222-2222-4222-8222-222222222222", *identity()[1:]))
    expire(db, 300, other)
    with db.connect(user="tenant") as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM oauth_tokens_internal.flow_links")
        connection.rollback()
        assert connection.execute(
            "SELECT oauth_tokens_internal.flow_purge()").fetchone() == (900,)
        dummies = connection.execute(
            "SELECT pg_stat_get_xact_tuples_inserted('oauth_tokens'::regclass)").fetchone()
        connection.commit()
        assert dummies == (0,)
    assert count(db, "flow_links") == 1


def test_flows_survive_a_new_key(db):
    with db.connect(autocommit=True) as connection:
        link = ticket(connection)
        attempt = begin(connection, link)
        _, code = keep(connection, ticket(connection, identity("bob"), confirm=True), "waiting")
        set_ring(db, NEW, OLD)
        later = begin(connection, link)
        connection.execute("CALL oauth_rotate_keys()")
        assert claim(connection, attempt) == attempt[2:]
        assert confirm(connection, code, identity("bob"))
        # Under the new key, and so not in the old one's care.
        set_ring(db, NEW)
        assert get(connection, identity("bob")) == ("waiting", "refresh")
        assert claim(connection, later) == later[2:]
        # Without its key, a flow is as good as expired.
        stale = begin(connection, link)
        _, code = keep(connection, ticket(connection, identity("bob"), confirm=True))
        set_ring(db, OLD)
        assert claim(connection, stale) is None
        with pytest.raises(psycopg.errors.Error) as error:
            confirm(connection, code, identity("bob"))
        assert error.value.sqlstate == "OT012"


@pytest.mark.parametrize("binding", ["none", "broken"])
def test_a_link_needs_a_key(make_cluster, binding):
    keyless = make_cluster(key=None if binding == "none" else "broken")
    keyless.fresh_database(DATABASE)
    with keyless.connect(autocommit=True) as connection:
        connection.execute("SET oauth_tokens.public_url = 'https://oauth.example.com'")
        with pytest.raises(psycopg.errors.Error) as error:
            ticket(connection)
    assert error.value.sqlstate == {"none": "OT001", "broken": "OT002"}[binding]


@pytest.mark.parametrize("options", ["-c TimeZone=Asia/Kolkata -c DateStyle=German",
                                     "-c TimeZone=America/Sao_Paulo -c DateStyle=German"])
def test_times_are_points_in_time(db, options):  # T9
    """What one zone makes is good in another, for as long."""
    with db.connect(autocommit=True, options=options) as here, \
            db.connect(autocommit=True) as there:
        link = ticket(here, confirm=True)
        attempt = begin(there, link)
        assert claim(here, attempt)
        _, code = keep(there, link)
        assert confirm(here, code)
        left = there.execute("SELECT extract(epoch FROM expires_at - now())::int FROM "
                             "oauth_get(%s, %s, %s, %s)", identity()).fetchone()[0]
        assert 3590 <= left <= 3600


def test_nothing_of_a_flow_lies_in_clear(db):
    sentinel = "sentinel-of-a-flow"
    with db.connect(autocommit=True) as connection:
        link = ticket(connection, confirm=True)
        attempt = begin(connection, link)
        _, code = keep(connection, ticket(connection, confirm=True), sentinel, sentinel,
                       '{"account_label": "%s"}' % sentinel)
    secrets = [sentinel, link, code, *attempt]
    kept = "".join(str(db.rows(f"SELECT t::text FROM oauth_tokens_internal.{t} t")) for t in FLOWS)
    dumped = db.dump()
    for secret in secrets:
        assert secret not in kept and secret.encode().hex() not in kept
        assert secret not in dumped
    assert not any(f"oauth_tokens_internal.{t}" in dumped for t in FLOWS)
    # Nor in the files and the WAL of the server.
    db.rows("CHECKPOINT")
    for file in [*db.datadir.glob("base/*/*"), *db.datadir.glob("pg_wal/0*")]:
        content = file.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, file
    # A dump restores without them, and with the extension empty.
    db.fresh_database("restored")
    assert all(db.rows(f"SELECT count(*) FROM oauth_tokens_internal.{t}", db="restored") == [(0,)]
               for t in FLOWS)


def test_on_a_standby_nothing_begins(db):
    with db.connect(options="-c default_transaction_read_only=on", autocommit=True) as connection:
        for call in (lambda: ticket(connection), lambda: confirm(connection, "x"),
                     lambda: begin(connection, "x"), lambda: keep(connection, "x")):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                call()
