"""The recipes of docs/adopting.md, as printed."""

import re

import pytest
from cryptography.fernet import Fernet, MultiFernet
from support.harness import CHECKOUT, DATABASE, KEY
from support.tokens import WORKSPACE, get, identity, new_key, set_ring

OLD, OLDER = new_key(), new_key()
TABLE = """CREATE TYPE actor_type_enum AS ENUM ('user', 'api_key');
    CREATE TABLE oauth_tokens (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), workspace_id uuid NOT NULL,
    actor_type actor_type_enum NOT NULL, actor_id text NOT NULL, provider text NOT NULL, scopes text,
    encrypted_access_token {type} NOT NULL, encrypted_refresh_token {type}, access_token_expires_at timestamp,
    created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
    CONSTRAINT uq_oauth_tokens_identity UNIQUE (workspace_id, provider, actor_type, actor_id))"""


def recipe(text):
    """The SQL block of docs/adopting.md that contains this text."""
    blocks = re.findall(r"```sql\n(.*?)```", (CHECKOUT / "docs/adopting.md").read_text(encoding="utf-8"), re.DOTALL)
    found = [block for block in blocks if text in block]
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[KEY], database=DATABASE)


@pytest.fixture
def db(db):
    """Without the table."""
    db.fresh_database(DATABASE, migrate=False)
    return db


def fill(cluster, rows, type="text"):
    cluster.rows(TABLE.format(type=type))
    for actor, access, refresh in rows:
        cluster.rows("INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token,"
                     " encrypted_refresh_token) VALUES (%s, 'google', 'user', %s, %s, %s)",
                     (WORKSPACE, actor, access, refresh))


def adopt(cluster):
    """The first recipe, as its owner; in a database that has the extension by now."""
    script = recipe("-- if it contained plaintext until now")
    cluster.rows("DROP ROLE IF EXISTS app_owner")
    cluster.rows("CREATE ROLE app_owner")
    cluster.rows("ALTER TABLE oauth_tokens OWNER TO app_owner")
    cluster.rows("ALTER TYPE actor_type_enum OWNER TO app_owner")
    try:
        return cluster.psql(script.replace("CREATE EXTENSION oauth_tokens;", "DROP EXTENSION IF EXISTS oauth_tokens;"
                                           " CREATE EXTENSION oauth_tokens;"), check=False)
    finally:
        cluster.rows("REASSIGN OWNED BY app_owner TO postgres")
        cluster.rows("DROP OWNED BY app_owner")
        cluster.rows("DROP ROLE app_owner")


def test_plaintext(db):
    """In clear, sealed already, empty and NULL refresh tokens, all in one UPDATE."""
    sealed = Fernet(KEY).encrypt(b"sealed").decode()
    fill(db, [("alice", "in clear", "refresh"), ("bob", sealed, sealed), ("carol", "a", ""), ("dave", "a", None),
              ("erin", sealed, "r"), ("frank", "a", sealed)])
    done = adopt(db)
    assert done.returncode == 0, done.stderr
    assert "bb51836389e7 (head)" in done.stdout
    with db.connect() as connection:
        assert [get(connection, identity(actor)) for actor in ("alice", "bob", "carol", "dave", "erin", "frank")] == [
            ("in clear", "refresh"), ("sealed", "sealed"), ("a", None), ("a", None), ("sealed", "r"), ("a", "sealed")]
    assert db.value("SELECT encrypted_access_token FROM oauth_tokens WHERE actor_id = 'bob'") == sealed


def test_a_row_that_stops_it_is_named(db):
    fill(db, [("alice", "in clear", "refresh"), ("bob", "", None)])
    done = adopt(db)
    assert done.returncode != 0
    assert "access_token is empty" in done.stderr and f"({WORKSPACE}, google, user, bob)" in done.stderr
    assert db.value("SELECT encrypted_access_token FROM oauth_tokens WHERE actor_id = 'alice'") == "in clear"


def test_from_pgcrypto(db):
    db.rows("SELECT oauth_tokens_upgrade()")
    db.rows("CREATE EXTENSION pgcrypto")
    db.rows("CREATE TABLE old_connections (workspace_id uuid, provider text, user_id int, access_token bytea,"
            " refresh_token bytea, expires_at timestamptz, scopes text)")
    for user, access, refresh in ((1, "a1", "r1"), (2, "a2", ""), (3, "a3", None)):
        db.rows("INSERT INTO old_connections VALUES (%s, 'google', %s, pgp_sym_encrypt(%s, 'secret'),"
                " pgp_sym_encrypt(%s, 'secret'), '2131-01-01 00:00+00', 'mail')", (WORKSPACE, user, access, refresh))
    done = db.client("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", DATABASE, input=recipe("pgp_sym_decrypt"),
                     env={"PASSPHRASE": "secret"})
    assert done.stdout == "3\n"
    with db.connect() as connection:
        assert [get(connection, identity(str(user))) for user in (1, 2, 3)] == [
            ("a1", "r1"), ("a2", None), ("a3", None)]
    assert db.value("SELECT count(*) FROM oauth_connections WHERE expires_at = '2131-01-01 00:00+00' AND scopes = 'mail'") == 3


@pytest.mark.parametrize("first", ["new key", "old key"])
def test_from_fernet_fields(db, first):
    """Values of a MultiFernet, in bytea, under keys that are taken out afterwards."""
    fields = MultiFernet([Fernet(OLD), Fernet(OLDER)])
    fill(db, [("alice", fields.encrypt(b"a1"), fields.encrypt(b"r1")),
              ("bob", Fernet(OLDER).encrypt(b"a2"), None)], "bytea")
    ring = [KEY, OLD, OLDER] if first == "new key" else [OLD, OLDER]
    set_ring(db, *ring)
    db.psql(recipe("convert_from(encrypted_access_token"))
    set_ring(db, ring[0])
    with db.connect() as connection:
        assert get(connection, identity()) == ("a1", "r1")
        assert get(connection, identity("bob")) == ("a2", None)
