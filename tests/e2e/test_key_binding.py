"""oauth_tokens.key_binding (E15) with another program, several keys, open sessions, and a daemon. What
each function does in each mode is in sql/key_binding.sql."""

import re
import uuid

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.cached import fill, read, wait_dropped
from support.fake_provider import Answer
from support.flows import DETAILS, PUBLISH, confirm, keep, ticket
from support.harness import CHECKOUT, DATABASE, KEY, wait_until
from support.sidecar import prepare_database, someone
from support.tokens import fingerprint, get, identity, in_background, new_key, set_ring, store

OLD, NEW = new_key(), new_key()
COLUMNS = ("encrypted_access_token", "encrypted_refresh_token")
USAGE = 'SELECT fingerprint, "values", shared FROM oauth_key_usage ORDER BY position'


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[OLD], database=DATABASE)


@pytest.fixture(scope="module")
def page():
    return (CHECKOUT / "docs" / "keys.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def fernet_for(page):
    """The function that docs/keys.md shows."""
    names = {}
    exec(re.search(r"^```python\n(.*?)^```$", page, re.M | re.S)[1], names)
    return names["fernet_for"]


def bind(cluster, mode, db=DATABASE):
    """For sessions to come, as an administrator does it."""
    cluster.rows(f'ALTER DATABASE "{db}" SET oauth_tokens.key_binding = {mode}', db=db)


def rotate(cluster):
    with in_background(cluster, "CALL oauth_rotate_keys()") as call:
        call.finish()
        return call.notices


def sealed(cluster, whose):
    return cluster.rows("SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens"
                        " WHERE actor_id = %s", [whose[3]])[0]


def test_the_vector_of_the_page(page, fernet_for):
    rows = dict(re.findall(r"^\| \**([\w, ]+?)\** \| (`.*`) \|$", page, re.M))
    of = {name: value.strip("`") for name, value in rows.items()}
    provider, actor_type, actor_id = rows["provider, actor_type, actor_id"].replace("`", "").split(", ")
    assert of["key"] == KEY
    fernet = fernet_for(of["key"], of["column"], uuid.UUID(of["workspace_id"]), provider, actor_type, actor_id)
    assert Fernet(of["derived key"]).decrypt(fernet.encrypt(b"x")) == b"x"


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "SQL_ASCII"])
def test_another_program(db, fernet_for, encoding):  # E15, E8
    """It opens what we have sealed, and we open what it has; of one key in every encoding."""
    name = f"binding_{encoding.lower()}"
    db.rows(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'", db="postgres")
    db.rows("CREATE EXTENSION oauth_tokens", db=name)
    db.rows("SELECT oauth_tokens_upgrade()", db=name)
    bind(db, "bound", name)
    whose = identity("José", "gôogle")
    with db.connect(name, autocommit=True, client_encoding="UTF8") as connection:
        store(connection, whose, "ours é", "our refresh token")
        values = connection.execute("SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens").fetchone()
        fernets = [fernet_for(OLD, column, *whose) for column in COLUMNS]
        assert [fernet.decrypt(value) for fernet, value in zip(fernets, values)] == ["ours é".encode(), b"our refresh token"]
        connection.execute("UPDATE oauth_tokens SET encrypted_access_token = %s, encrypted_refresh_token = %s",
                           [fernet.encrypt(b"theirs").decode() for fernet in fernets])
        assert get(connection, whose) in [("theirs", "theirs"), (b"theirs", b"theirs")]
    db.rows(f"DROP DATABASE {name}", db="postgres")


def test_bound_and_another_key_at_once(db, fernet_for):  # E14, E15, E23
    """One rotation does both, and keeps the Fernet times; so does the way back."""
    whose = identity("alice")
    with db.connect(autocommit=True) as connection:
        store(connection, whose, "access", "refresh")
        store(connection, identity("deleted"), "deleted", "deleted")
        connection.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", identity("deleted"))
        for column in COLUMNS:
            connection.execute(f"UPDATE oauth_tokens SET {column} = %s, updated_at = '2001-02-03'",
                               [Fernet(OLD).encrypt_at_time(column.encode(), 1_000_000_000).decode()])
    set_ring(db, NEW, OLD)
    assert db.rows(USAGE) == [(fingerprint(NEW), 0, 0), (fingerprint(OLD), 4, 4)]
    # Under the old key, and bound: the other order of the two.
    bind(db, "migrating")
    set_ring(db, OLD)
    assert ("INFO", "oauth_rotate_keys: 2 values re-encrypted") in rotate(db)
    assert db.rows(USAGE) == [(fingerprint(OLD), 4, 0)]
    bind(db, "shared")
    set_ring(db, NEW, OLD)
    rotate(db)
    assert db.rows(USAGE) == [(fingerprint(NEW), 4, 4), (fingerprint(OLD), 0, 0)]
    set_ring(db, OLD, NEW)
    bind(db, "migrating")
    assert rotate(db)[-1] == ("INFO", "oauth_rotate_keys: 4 values re-encrypted")
    assert db.rows(USAGE) == [(fingerprint(OLD), 4, 0), (fingerprint(NEW), 0, 0)]
    bind(db, "bound")
    set_ring(db, NEW, OLD)
    assert rotate(db)[-1] == ("INFO", "oauth_rotate_keys: 4 values re-encrypted")
    set_ring(db, NEW)
    for column, value in zip(COLUMNS, sealed(db, whose)):
        fernet = fernet_for(NEW, column, *whose)
        assert fernet.decrypt(value) == column.encode() and fernet.extract_timestamp(value) == 1_000_000_000
    assert str(db.value("SELECT updated_at FROM oauth_tokens")) == "2001-02-03 00:00:00"
    assert db.rows("SELECT refresh_token, access_token FROM oauth_tokens_internal.revocations_claim(9, '0 s')") == [
        ("deleted", "deleted")]
    # What is refused keeps its key.
    bind(db, "shared")
    with db.connect(autocommit=True) as connection:
        store(connection, identity("late"), "late")
    bind(db, "bound")
    set_ring(db, OLD, NEW)
    assert rotate(db)[-1][0] == "WARNING"
    assert db.rows(USAGE) == [(fingerprint(OLD), 4, 0), (fingerprint(NEW), 1, 1)]


def test_a_session_that_goes_on(db):
    """A reload holds from the next statement on, also within a transaction."""
    whose = identity("alice")
    with db.connect() as connection:
        for mode, opens in (("migrating", True), ("bound", True), ("shared", True), ("bound", False)):
            db.settings["oauth_tokens.key_binding"] = mode
            db.reload()
            assert connection.execute("SHOW oauth_tokens.key_binding").fetchone() == (mode,)
            if opens:
                store(connection, whose, mode)
                assert get(connection, whose) == (mode, None)
        with pytest.raises(psycopg.Error, match="oauth_tokens.key_binding = shared, and the setting is bound"):
            get(connection, whose)
    del db.settings["oauth_tokens.key_binding"]
    db.reload()


def test_the_daemon(flow_cluster, make_provider, make_cached, redis, client):  # E15
    """Connect, read, cache, refresh, revoke: the daemon knows nothing of it."""
    db = prepare_database(flow_cluster, "bound")
    bind(flow_cluster, "bound", db)
    fake = make_provider()
    sidecar = make_cached(redis, {"fake": fake.settings()}, db=db)
    whose = someone()
    sidecar.store(whose, "first", refresh_token="refresh 1", expires_in=3600)
    assert read(sidecar, whose) == fill(sidecar, client, whose) == "first"

    fake.answer = Answer({"access_token": "second", "token_type": "Bearer", "expires_in": 3600,
                          "refresh_token": "refresh 2"})
    sidecar.sql("UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC'")
    wait_dropped(client, whose)
    assert read(sidecar, whose) == "second"
    assert fake.token_requests[-1].form["refresh_token"] == "refresh 1"
    assert sidecar.grant(whose)[:2] == ("second", "refresh 2")
    assert sidecar.sql("SELECT sum(shared), sum(\"values\") FROM oauth_key_usage")[0] == (0, 2)

    other = someone()
    texts = ", ".join(f"'{part}'" for part in other)
    sidecar.sql(f"SET oauth_tokens.key_binding = shared; SELECT oauth_store({texts}, 'pasted')")
    assert sidecar.api("token", other).status == 500
    (told,) = [line for line in sidecar.log_lines() if line.get("sqlstate") == "OT003"]
    assert "oauth_rotate_keys()" in told["hint"] and other[3] not in str(told), told

    assert sidecar.api("token", whose, method="DELETE").json["revocation"] == "queued"
    wait_until(lambda: sidecar.count("oauth_tokens_internal.oauth_revocations") == 0)
    assert [request.form["token"] for request in fake.seen("/revoke")] == ["refresh 2"]


def test_an_identity_that_utf8_has_not(db):
    """It has no key of its own, so nothing is sealed for it; and it is in no reader's way."""
    db.rows("CREATE DATABASE binding_odd TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C'", db="postgres")
    db.rows("CREATE EXTENSION oauth_tokens", db="binding_odd")
    db.rows("SELECT oauth_tokens_upgrade()", db="binding_odd")
    with db.connect("binding_odd", autocommit=True, client_encoding="EUC_JP") as connection:
        whose = rf"'{uuid.UUID(int=7)}', 'google', 'user', E'\xa9\xa1'"
        connection.execute(f"SELECT oauth_store({whose}, 'shared')")
        connection.execute("SET oauth_tokens.key_binding = migrating")
        assert connection.execute(f"SELECT oauth_access_token({whose})").fetchone() == ("shared",)
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(f"SELECT oauth_store({whose}, 'x')")
        assert caught.value.sqlstate == "22021" and f"{whose})" in str(caught.value).replace("E'google', E'user'", "'google', 'user'")
        # Nor has one of two that are one in UTF-8, or a value of the one would open for the other.
        connection.execute(f"SELECT oauth_store('{uuid.UUID(int=7)}', 'google', 'user', E'\\xa2\\xe2', 'x')")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(f"SELECT oauth_store('{uuid.UUID(int=7)}', 'google', 'user', E'\\xad\\xf0', 'x')")
        assert caught.value.sqlstate == "22021"
        connection.execute("SET oauth_tokens.key_binding = bound")
        assert connection.execute("SELECT count(*) FROM oauth_tokens_damaged()").fetchone() == (1,)
        with pytest.raises(psycopg.Error, match="encrypted_access_token cannot be decrypted"):
            connection.execute(f"SELECT oauth_access_token({whose})")
    db.rows("DROP DATABASE binding_odd", db="postgres")


def test_dump_and_restore(db):
    """Identity and key are the same, so that it opens; also where the setting is not restored."""
    bind(db, "bound")
    with db.connect(autocommit=True) as connection:
        store(connection, identity("dumped"), "access", "refresh")
    db.rows("CREATE DATABASE restored", db="postgres")
    db.restore(db.dump(), db="restored")
    for mode in (None, "bound"):
        if mode:
            bind(db, mode, "restored")
        with db.connect("restored") as connection:
            assert get(connection, identity("dumped")) == ("access", "refresh")
    db.rows("DROP DATABASE restored", db="postgres")


def test_flows(db):
    """Tokens that come by a flow, at once or after a confirmation."""
    bind(db, "bound")
    db.rows(PUBLISH)
    with db.connect(autocommit=True) as connection:
        assert keep(connection, ticket(connection, identity("alice")))[0] == "connected"
        code = keep(connection, ticket(connection, identity("bob"), confirm=True))[1]
        assert confirm(connection, code, identity("bob"))
        assert get(connection, identity("alice")) == get(connection, identity("bob")) == ("access", "refresh")
        # Who connects again without a refresh token keeps the one of the same account.
        keep(connection, ticket(connection, identity("alice")), "later", None)
        assert get(connection, identity("alice")) == ("later", "refresh")
    assert db.value("SELECT sum(shared) FROM oauth_key_usage") == 0


def test_a_token_that_does_not_open_is_kept(db):
    """Who connects again loses no refresh token because the setting refuses it, or its key is away."""
    whose = identity("alice")
    db.rows(PUBLISH)
    with db.connect(autocommit=True) as connection:
        keep(connection, ticket(connection, whose))
        connection.execute("SET oauth_tokens.key_binding = bound")
        keep(connection, ticket(connection, whose), "flow", None)
        connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'stored', details => %s)", (*whose, DETAILS))
        connection.execute("SET oauth_tokens.key_binding = shared")
        assert get(connection, whose) == ("stored", "refresh")
        set_ring(db, NEW)
        keep(connection, ticket(connection, whose), "other key", None)
        set_ring(db, NEW, OLD)
        keep(connection, ticket(connection, whose), "both keys", None)
        assert get(connection, whose) == ("both keys", "refresh")
        # One that something else has put there is of no known account.
        connection.execute("UPDATE oauth_tokens SET encrypted_refresh_token = oauth_encrypt('planted')")
        keep(connection, ticket(connection, whose), "last", None)
        assert get(connection, whose) == ("last", None)
