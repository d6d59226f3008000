"""The table is altered behind the back of a session that holds everything cached: at its
next call it sees that, and gives the right answer or a clear error."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.harness import DATABASE, KEY, wait_until
from support.tokens import get, identity, store

WHOSE = identity("behind")
# A foreign table cannot be made LIKE another.
COLUMNS = """id uuid, workspace_id uuid, provider text, actor_type actor_type_enum, actor_id text,
    scopes text, encrypted_access_token text, encrypted_refresh_token text,
    access_token_expires_at timestamp, created_at timestamp, updated_at timestamp"""


@pytest.fixture
def opened(cluster):
    """A session that has read, written and prepared by each of the functions."""
    cluster.wait_ready()  # where a test before has ended it
    cluster.fresh_database(DATABASE)
    connection = cluster.connect(autocommit=True, prepare_threshold=0)
    store(connection, WHOSE, "access", "refresh")
    for _ in range(2):
        assert get(connection, WHOSE) == ("access", "refresh")
    access(connection)
    store(connection, WHOSE, "access")
    connection.execute("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)", (*WHOSE, *WHOSE))
    connection.execute("SELECT oauth_delete(%s, %s, %s, 'nobody')", WHOSE[:3])
    connection.execute("SELECT * FROM oauth_connections").fetchall()
    connection.execute("SELECT * FROM oauth_tokens_decrypted").fetchall()
    yield connection
    connection.close()


def access(connection):
    return connection.execute("SELECT oauth_access_token(%s, %s, %s, %s)", WHOSE).fetchone()[0]


def works(connection, expected):
    """Reads what is expected, and every other function does its part."""
    assert get(connection, WHOSE) == expected
    assert access(connection) == (expected and expected[0])
    store(connection, WHOSE, "new access", "new refresh")
    assert get(connection, WHOSE) == ("new access", "new refresh")
    there = (*WHOSE[:3], "elsewhere")
    move = "SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)"
    assert connection.execute(move, (*WHOSE, *there)).fetchone() == (True,)
    assert get(connection, WHOSE) is None
    assert get(connection, there) == ("new access", "new refresh")
    assert connection.execute("SELECT oauth_delete(%s, %s, %s, %s)", there).fetchone() == (True,)
    assert get(connection, there) is None
    assert connection.execute("SELECT count(*) FROM oauth_connections").fetchone() == (0,)


def fails(connection, sqlstate, rotation=True):
    """Each function raises it, and the session lives."""
    pid = connection.info.backend_pid
    calls = [
        lambda: get(connection, WHOSE),
        lambda: access(connection),
        lambda: store(connection, WHOSE, "x"),
        lambda: connection.execute("SELECT oauth_delete(%s, %s, %s, %s)", WHOSE),
    ]
    if rotation:
        calls.append(lambda: connection.execute("CALL oauth_rotate_keys()"))
    for call in calls:
        with pytest.raises(psycopg.Error) as caught:
            call()
        assert caught.value.sqlstate == sqlstate, caught.value
        if caught.value.sqlstate.startswith("OT"):
            assert caught.value.diag.message_hint
    assert connection.execute("SELECT pg_backend_pid()").fetchone() == (pid,)


def test_dropped_and_made_again(cluster, opened):
    cluster.rows("DROP TABLE oauth_tokens")
    fails(opened, "OT004")
    assert opened.execute("SELECT oauth_tokens_current()").fetchone() == (None,)
    cluster.rows("SELECT oauth_tokens_upgrade()")
    works(opened, None)


def test_details_dropped(cluster, opened):
    cluster.rows("DROP TABLE oauth_token_details")
    fails(opened, "OT004")
    cluster.rows("SELECT oauth_tokens_upgrade()")
    works(opened, ("access", "refresh"))


def test_downgraded_and_upgraded(cluster, opened):
    cluster.rows("SELECT oauth_tokens_downgrade(true)")
    fails(opened, "OT004")
    cluster.rows("SELECT oauth_tokens_upgrade()")
    works(opened, None)


CALLS = {
    "get": "SELECT oauth_get(%s, %s, %s, %s)",
    "store": "SELECT oauth_store(%s, %s, %s, %s, 'x')",
    "delete": "SELECT oauth_delete(%s, %s, %s, %s)",
    "begin": "SELECT oauth_refresh_begin(%s, %s, %s, %s)",
    "current": "SELECT oauth_tokens_current(), %s, %s, %s, %s",
    "upgrade": "SELECT oauth_tokens_upgrade(), %s, %s, %s, %s",
    "downgrade": "SELECT oauth_tokens_downgrade(true), %s, %s, %s, %s",
}


@pytest.mark.parametrize("table", ["oauth_tokens", "oauth_token_details"])
@pytest.mark.parametrize("call", CALLS)
def test_dropped_while_a_new_session_waits(cluster, opened, call, table):  # E25
    """Between its look at the name and its lock: nothing internal comes out."""
    with cluster.connect() as dropper, cluster.connect(autocommit=True) as session:
        dropper.execute(f"DROP TABLE {table}")
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(lambda: session.execute(CALLS[call], WHOSE).fetchone())
            wait_until(lambda: cluster.value(
                "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
                [session.info.backend_pid]) == "Lock", what="the wait")
            dropper.commit()
            try:
                answer = waits.result()
            except psycopg.Error as error:
                assert error.sqlstate == ("55006" if call == "upgrade" else "OT004"), error
            else:
                assert call == "downgrade" or (call, answer[0]) == ("current", None)


def test_locks_are_taken_in_one_order(cluster, opened):  # E25
    """Whoever drops both tables, that of the tokens first, finds a waiting session without the other."""
    with cluster.connect() as dropper, cluster.connect(autocommit=True) as session:
        dropper.execute("LOCK oauth_tokens IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(get, session, WHOSE)
            wait_until(lambda: cluster.value(
                "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
                [session.info.backend_pid]) == "Lock", what="the wait")
            try:
                dropper.execute("LOCK oauth_token_details IN ACCESS EXCLUSIVE MODE NOWAIT")
            finally:
                dropper.rollback()
            assert waits.result() == ("access", "refresh")


@pytest.mark.parametrize("change, difference", [
    ("ADD COLUMN note text NOT NULL",
     "extra column note is NOT NULL and has no default"),
    ("ALTER COLUMN issuer SET NOT NULL", "column issuer is NOT NULL, and must allow null"),
    ("DROP COLUMN extra, ADD COLUMN extra jsonb GENERATED ALWAYS AS (NULL) STORED",
     "column extra is generated"),
    ("DROP CONSTRAINT oauth_token_details_pkey", "the primary key is not the identity"),
])
def test_details_that_cannot_be_written(cluster, opened, change, difference):
    cluster.rows(f"ALTER TABLE oauth_token_details {change}")
    assert opened.execute("SELECT oauth_tokens_current()").fetchone() == (None,)
    with pytest.raises(psycopg.Error) as caught:
        opened.execute("SELECT oauth_tokens_upgrade()")
    assert caught.value.sqlstate == "OT005" and difference in caught.value.diag.message_detail
    works(opened, ("access", "refresh"))


def test_details_without_their_constraint(cluster, opened):
    cluster.rows("ALTER TABLE oauth_token_details DROP CONSTRAINT oauth_token_details_pkey")
    with pytest.raises(psycopg.Error) as caught:
        opened.execute("SELECT oauth_store(%s, %s, %s, %s, 'x', details => '{}')", WHOSE)
    assert caught.value.sqlstate == "OT005" and caught.value.diag.message_hint
    assert get(opened, WHOSE) == ("access", "refresh")
    cluster.rows("ALTER TABLE oauth_token_details ADD UNIQUE (workspace_id, provider, actor_type, actor_id)")
    opened.execute("SELECT oauth_store(%s, %s, %s, %s, 'x', details => '{}')", WHOSE)


def test_renamed_table(cluster, opened):
    cluster.rows("ALTER TABLE oauth_tokens RENAME TO parked")
    fails(opened, "OT004")
    cluster.rows("ALTER TABLE parked RENAME TO oauth_tokens")
    works(opened, ("access", "refresh"))


def test_exchanged_table(cluster, opened):
    """Another table takes the name, with its columns in another order and of other types."""
    cluster.rows("ALTER TABLE oauth_tokens RENAME TO parked")
    cluster.rows("ALTER TABLE parked RENAME CONSTRAINT uq_oauth_tokens_identity TO parked_identity")
    cluster.rows("""
        CREATE TABLE oauth_tokens (
            updated_at timestamptz NOT NULL DEFAULT now(), extra text,
            encrypted_refresh_token text, encrypted_access_token text NOT NULL, scopes text,
            actor_id text NOT NULL, provider text NOT NULL, actor_type actor_type_enum NOT NULL,
            workspace_id uuid NOT NULL, access_token_expires_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            UNIQUE (workspace_id, provider, actor_type, actor_id))
    """)
    cluster.rows("INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id,"
                 " encrypted_access_token) SELECT workspace_id, provider, actor_type, actor_id, %s"
                 " FROM parked", [Fernet(KEY).encrypt(b"exchanged").decode()])
    works(opened, ("exchanged", None))


def test_renamed_columns(cluster, opened):
    cluster.rows("ALTER TABLE oauth_tokens RENAME encrypted_refresh_token TO parked")
    fails(opened, "OT005")
    # Swapped: not a difference that anybody could see, so the values do as told.
    cluster.rows("ALTER TABLE oauth_tokens RENAME encrypted_access_token TO encrypted_refresh_token")
    cluster.rows("ALTER TABLE oauth_tokens RENAME parked TO encrypted_access_token")
    assert get(opened, WHOSE) == ("refresh", "access")


def test_dropped_column(cluster, opened):
    cluster.rows("ALTER TABLE oauth_tokens DROP COLUMN scopes")
    fails(opened, "OT005")
    cluster.rows("SELECT oauth_tokens_upgrade()")
    works(opened, ("access", "refresh"))


@pytest.mark.parametrize("column, type_", [
    ("access_token_expires_at", "timestamptz USING access_token_expires_at AT TIME ZONE 'UTC'"),
    ("updated_at", "timestamptz USING updated_at AT TIME ZONE 'UTC'"),
])
def test_altered_type_that_is_as_good(cluster, opened, column, type_):  # T9
    opened.execute("SET TimeZone = 'Asia/Kolkata'")
    opened.execute("SELECT oauth_store(%s, %s, %s, %s, 'access', expires_at => '2031-02-03 04:05:06+00')",
                   WHOSE)
    times = "SELECT expires_at, updated_at FROM oauth_get(%s, %s, %s, %s)"
    before = opened.execute(times, WHOSE).fetchone()
    cluster.rows(f"ALTER TABLE oauth_tokens ALTER COLUMN {column} TYPE {type_}")
    assert opened.execute(times, WHOSE).fetchone() == before
    works(opened, ("access", "refresh"))


@pytest.mark.parametrize("column, type_", [
    ("encrypted_access_token", "bytea USING encrypted_access_token::bytea"),
    ("encrypted_refresh_token", "varchar(4000)"),
    ("access_token_expires_at", "date"),
    ("updated_at", "text"),
    ("workspace_id", "text"),
    ("actor_type", "text"),
    ("actor_id", "varchar"),
])
def test_altered_type(cluster, opened, column, type_):
    cluster.rows(f"ALTER TABLE oauth_tokens ALTER COLUMN {column} DROP DEFAULT")
    cluster.rows(f"ALTER TABLE oauth_tokens ALTER COLUMN {column} TYPE {type_}")
    fails(opened, "OT005")


def test_enum_altered(cluster, opened):
    cluster.rows("ALTER TYPE actor_type_enum ADD VALUE 'robot'")
    cluster.rows("ALTER TYPE actor_type_enum RENAME TO kind_of_actor")
    opened.execute("SELECT oauth_store(%s, %s, 'robot', 'r', 'beep')", WHOSE[:2])
    assert opened.execute("SELECT access_token FROM oauth_get(%s, %s, 'robot', 'r')",
                          WHOSE[:2]).fetchone() == ("beep",)
    cluster.rows("DELETE FROM oauth_tokens WHERE actor_type = 'robot'")
    works(opened, ("access", "refresh"))


def test_enum_value_renamed(cluster, opened):
    cluster.rows("ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person'")
    fails(opened, "22023", rotation=False)  # which does not look at it
    cluster.rows("ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user'")
    works(opened, ("access", "refresh"))


def test_dropped_identity(cluster, opened):
    """Without the constraint reading goes on by a plan, and storing says what is missing."""
    cluster.rows("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity")
    assert get(opened, WHOSE) == ("access", "refresh")
    assert access(opened) == "access"
    with pytest.raises(psycopg.Error) as caught:
        store(opened, WHOSE, "x")
    assert caught.value.sqlstate == "OT005"
    cluster.rows("SELECT oauth_tokens_upgrade()")
    works(opened, ("access", "refresh"))


def test_reindexed_and_rebuilt(cluster, opened):
    for sql in ("REINDEX TABLE oauth_tokens", "VACUUM FULL oauth_tokens",
                "CLUSTER oauth_tokens USING uq_oauth_tokens_identity",
                "REINDEX INDEX CONCURRENTLY uq_oauth_tokens_identity"):
        cluster.rows(sql)
        assert get(opened, WHOSE) == ("access", "refresh"), sql
        store(opened, WHOSE, "access", "refresh")
    cluster.rows("CREATE UNIQUE INDEX CONCURRENTLY other ON oauth_tokens"
                 " (workspace_id, provider, actor_type, actor_id)")
    cluster.rows("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity")
    works(opened, ("access", "refresh"))


def test_identity_in_another_order(cluster, opened):
    cluster.rows("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity,"
                 " ADD UNIQUE (actor_id, actor_type, provider, workspace_id)")
    # ON CONFLICT finds it; whether our own index scan does is a matter of speed.
    assert get(opened, WHOSE) == ("access", "refresh")
    try:
        store(opened, WHOSE, "new", "new")
        assert get(opened, WHOSE) == ("new", "new")
    except psycopg.Error as error:
        assert error.sqlstate == "OT005"


def test_added_column_and_moved_rows(cluster, opened):
    cluster.rows("ALTER TABLE oauth_tokens ADD COLUMN note text NOT NULL DEFAULT 'x'")
    cluster.rows("ALTER TABLE oauth_tokens ADD COLUMN n integer GENERATED ALWAYS AS"
                 " (length(provider)) STORED")
    works(opened, ("access", "refresh"))


def test_child_table(cluster, opened):
    """A child's row is part of the table; an index scan of the parent would miss it."""
    cluster.rows("CREATE TABLE child () INHERITS (oauth_tokens)")
    cluster.rows("INSERT INTO child (workspace_id, provider, actor_type, actor_id,"
                 " encrypted_access_token) VALUES (%s, %s, %s, 'in the child', %s)",
                 [*WHOSE[:3], Fernet(KEY).encrypt(b"child").decode()])
    assert get(opened, identity("in the child")) == ("child", None)
    assert get(opened, WHOSE) == ("access", "refresh")
    opened.execute("SELECT * FROM oauth_key_usage").fetchall()
    cluster.rows("DROP TABLE child")
    works(opened, ("access", "refresh"))


@pytest.mark.parametrize("kind", ["view", "partitioned table", "foreign table", "sequence"])
def test_replaced_by_another_kind(cluster, opened, kind):
    """An honest answer or a clear error, from every function: never a crash."""
    cluster.rows("ALTER TABLE oauth_tokens RENAME TO parked")
    cluster.rows({
        "view": "CREATE VIEW oauth_tokens AS SELECT * FROM parked",
        "partitioned table": "CREATE TABLE oauth_tokens (LIKE parked INCLUDING DEFAULTS,"
            " UNIQUE (workspace_id, provider, actor_type, actor_id)) PARTITION BY HASH (workspace_id)",
        "foreign table": "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
            f" CREATE FOREIGN TABLE oauth_tokens ({COLUMNS}) SERVER s",
        "sequence": "CREATE SEQUENCE oauth_tokens",
    }[kind])
    if kind == "partitioned table":
        cluster.rows("CREATE TABLE part PARTITION OF oauth_tokens FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        cluster.rows("INSERT INTO oauth_tokens SELECT * FROM parked")
    pid = opened.info.backend_pid
    for sql in ("SELECT * FROM oauth_get(%s, %s, %s, %s)",
                "SELECT oauth_access_token(%s, %s, %s, %s)",
                "SELECT oauth_store(%s, %s, %s, %s, 'x')",
                "SELECT oauth_delete(%s, %s, %s, %s)"):
        try:
            opened.execute(sql, WHOSE)
        except psycopg.Error as error:
            assert error.sqlstate, f"{sql} ended the server: {error}"
    for sql in ("CALL oauth_rotate_keys()", "SELECT oauth_tokens_upgrade()", "TABLE oauth_key_usage",
                "SELECT oauth_tokens_current()", "SELECT * FROM oauth_tokens_damaged()",
                "SELECT oauth_tokens_downgrade()", "SELECT oauth_tokens_grant('pg_monitor', 'admin')"):
        try:
            opened.execute(sql)
        except psycopg.Error as error:
            assert error.sqlstate, f"{sql} ended the server: {error}"
    assert opened.execute("SELECT pg_backend_pid()").fetchone() == (pid,)
    assert cluster.value("SELECT count(*) FROM parked") == 1


def test_moved_schema(cluster, opened):
    cluster.rows("CREATE SCHEMA elsewhere")
    cluster.rows("ALTER TABLE oauth_tokens SET SCHEMA elsewhere")
    fails(opened, "OT004")
    cluster.rows("ALTER TABLE elsewhere.oauth_tokens SET SCHEMA public")
    works(opened, ("access", "refresh"))


def test_renamed_schema(cluster, opened):
    opened.execute("SET search_path = renamed, public")
    cluster.rows("ALTER SCHEMA public RENAME TO renamed")
    # The bodies of the views name the schema, as every SQL function's do.
    assert get(opened, WHOSE) == ("access", "refresh")
    store(opened, WHOSE, "renamed")
    assert get(opened, WHOSE) == ("renamed", "refresh")
    cluster.rows("ALTER SCHEMA renamed RENAME TO public")
    works(opened, ("renamed", "refresh"))


def test_extension_in_another_schema(cluster, opened):
    cluster.rows("DROP EXTENSION oauth_tokens")
    cluster.rows("CREATE SCHEMA vault")
    cluster.rows("CREATE EXTENSION oauth_tokens SCHEMA vault")
    opened.execute("SET search_path = vault, public")
    fails(opened, "OT004")
    cluster.rows("SELECT vault.oauth_tokens_upgrade()")
    works(opened, None)
    assert cluster.value("SELECT count(*) FROM public.oauth_tokens") == 1


def test_within_one_transaction(cluster, opened):
    """The session's own DDL, and what a rollback takes back."""
    opened.execute("BEGIN")
    opened.execute("ALTER TABLE oauth_tokens RENAME encrypted_access_token TO parked")
    opened.execute("SAVEPOINT s")
    with pytest.raises(psycopg.Error) as caught:
        get(opened, WHOSE)
    assert caught.value.sqlstate == "OT005"
    opened.execute("ROLLBACK TO s")
    opened.execute("ALTER TABLE oauth_tokens RENAME parked TO encrypted_access_token")
    assert get(opened, WHOSE) == ("access", "refresh")
    opened.execute("DROP TABLE oauth_tokens")
    opened.execute("SELECT oauth_tokens_upgrade()")
    assert get(opened, WHOSE) is None
    store(opened, WHOSE, "only here")
    opened.execute("ROLLBACK")
    works(opened, ("access", "refresh"))


def test_rights_taken_away(cluster, opened):
    """Cached plans check the caller's rights each time."""
    cluster.rows("DROP ROLE IF EXISTS passing")
    cluster.rows("CREATE ROLE passing")
    cluster.rows("SELECT oauth_tokens_grant('passing', 'reader')")
    cluster.rows("SELECT oauth_tokens_grant('passing', 'writer')")
    opened.execute("SET ROLE passing")
    assert get(opened, WHOSE) == ("access", "refresh")
    store(opened, WHOSE, "access")
    cluster.rows("REVOKE ALL ON oauth_tokens FROM passing")
    for column, in cluster.rows("SELECT attname FROM pg_attribute WHERE attnum > 0"
                                " AND attrelid = 'oauth_tokens'::regclass"):
        cluster.rows(f"REVOKE ALL ({column}) ON oauth_tokens FROM passing")
    for call in (lambda: get(opened, WHOSE), lambda: access(opened),
                 lambda: store(opened, WHOSE, "x")):
        with pytest.raises(psycopg.Error) as caught:
            call()
        assert caught.value.sqlstate == "42501"
    opened.execute("RESET ROLE")
    works(opened, ("access", "refresh"))


def test_row_security_switched_on(cluster, opened):  # E5
    cluster.rows("DROP ROLE IF EXISTS tenant")
    cluster.rows("CREATE ROLE tenant")
    cluster.rows("SELECT oauth_tokens_grant('tenant', 'reader')")
    opened.execute("SET ROLE tenant")
    assert get(opened, WHOSE) == ("access", "refresh")
    cluster.rows("ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY")
    assert get(opened, WHOSE) is None
    assert access(opened) is None
    cluster.rows("CREATE POLICY p ON oauth_tokens USING (actor_id = current_setting('app.actor', true))")
    opened.execute("SET app.actor = 'behind'")
    assert get(opened, WHOSE) == ("access", "refresh")
    opened.execute("SET app.actor = 'other'")
    assert get(opened, WHOSE) is None
    cluster.rows("ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY")
    assert get(opened, WHOSE) == ("access", "refresh")


def test_replaced_plans_are_freed(opened):
    """A column of another type takes new plans; the old ones go when the transaction ends."""

    def change_often(times):
        for _ in range(times):
            for kind in ("timestamptz", "timestamp"):
                opened.execute(f"ALTER TABLE oauth_tokens ALTER COLUMN access_token_expires_at TYPE {kind}")
                store(opened, WHOSE, "access", "refresh")
                works(opened, ("access", "refresh"))
                store(opened, WHOSE, "access", "refresh")
        return opened.execute(
            "SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'SPI Plan'").fetchone()[0]

    opened.prepare_threshold = None  # these texts' own plans are none of ours
    assert change_often(3) == change_often(10)


def test_a_null_in_the_identity(opened):
    """Where NOT NULL was taken away, such a row is of nobody; its values count for the keys, and
    rotation, oauth_key_usage and oauth_tokens_damaged() agree on them."""
    for column in ("workspace_id", "provider", "actor_id"):
        opened.execute(f"ALTER TABLE oauth_tokens ALTER COLUMN {column} DROP NOT NULL")
        opened.execute(f"UPDATE oauth_tokens SET {column} = NULL, encrypted_refresh_token = 'damaged'")
        assert opened.execute('SELECT "column" FROM oauth_tokens_damaged()').fetchall() == [
            ("encrypted_refresh_token",)]
        assert opened.execute('SELECT fingerprint IS NOT NULL, "values" FROM oauth_key_usage ORDER BY 1').fetchall() == [
            (False, 1), (True, 1)]
        notices = []
        opened.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        opened.execute("CALL oauth_rotate_keys()")
        assert "1 value opens under no key of the ring" in notices
        opened.execute("UPDATE oauth_tokens SET encrypted_refresh_token = NULL")
        assert opened.execute("SELECT access_token FROM oauth_tokens_decrypted").fetchall() == [("access",)]
        assert get(opened, WHOSE) is None
