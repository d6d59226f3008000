"""Indexes and tables in a state that PostgreSQL allows and that a look below SQL must know
(E21, E25)."""

import threading

import psycopg
import pytest
from support.harness import DATABASE
from support.tokens import get, identity, store

WHOSE = identity("indexed")


@pytest.fixture
def session(cluster):
    cluster.wait_ready()
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("how", [
    "ALTER TABLE oauth_tokens ADD CONSTRAINT uq_oauth_tokens_identity"
    " UNIQUE (workspace_id, provider, actor_type, actor_id)",
    "SELECT oauth_tokens_upgrade()",
])
def test_constraint_built_under_an_old_snapshot(cluster, session, how):
    """E21: indcheckxmin makes no store fail, neither beside the old snapshot nor after it."""
    store(session, WHOSE, "first", "refresh")
    session.execute("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity")
    with cluster.connect() as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        session.execute("UPDATE oauth_tokens SET scopes = 'changed'")  # HOT
        session.execute(how)
        assert session.execute(
            "SELECT indcheckxmin FROM pg_index"
            " WHERE indexrelid = 'uq_oauth_tokens_identity'::regclass").fetchone() == (True,)
        store(session, WHOSE, "second", "refresh")
        assert get(session, WHOSE) == ("second", "refresh")
    with cluster.connect(autocommit=True) as other:
        store(other, WHOSE, "third", "refresh")
        assert get(other, WHOSE) == ("third", "refresh")
    assert get(session, WHOSE) == ("third", "refresh")


def test_an_error_while_an_index_is_built(cluster, session):
    """E21, E7: the session is as after any other error, also within an exception block."""
    session.execute("CREATE UNIQUE INDEX second ON oauth_tokens (workspace_id, provider, actor_type, actor_id)")
    session.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'second'::regclass")
    session.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    session.execute("CREATE TRIGGER refuse BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION refuse()")
    with cluster.connect(autocommit=True) as other:
        for _ in range(3):
            with pytest.raises(psycopg.errors.RaiseException):
                store(other, WHOSE, "x")
            assert other.execute("SELECT 1").fetchone() == (1,)
        other.execute("CREATE TEMP TABLE outcome (state text)")
        other.execute(f"""DO $$ BEGIN
            INSERT INTO outcome VALUES ('before');
            BEGIN PERFORM oauth_store('{WHOSE[0]}', 'google', 'user', 'x', 'x');
            EXCEPTION WHEN raise_exception THEN INSERT INTO outcome VALUES ('caught'); END;
            INSERT INTO outcome VALUES ('after');
        END $$""")
        assert other.execute("SELECT string_agg(state, ' ') FROM outcome").fetchone() == ("before caught after",)


@pytest.mark.parametrize("sql", [
    "REINDEX INDEX CONCURRENTLY uq_oauth_tokens_identity",
    "CREATE UNIQUE INDEX CONCURRENTLY second ON oauth_tokens (workspace_id, provider, actor_type, actor_id)",
])
def test_stores_go_on_while_an_index_is_built(cluster, session, sql):
    """E21: two who store one new identity beside REINDEX or CREATE INDEX CONCURRENTLY get no 23505."""
    errors, stop = [], threading.Event()

    def write(number):
        with cluster.connect(autocommit=True) as connection:
            count = 0
            while not stop.is_set():
                count += 1
                whose = identity(f"shared-{count % 3}")
                try:
                    store(connection, whose, f"{number}-{count}", "refresh")
                    if count % 2:
                        connection.execute("SELECT oauth_delete(%s, %s, %s, %s)", whose)
                    token = get(connection, whose)
                    assert token is None or token[1] == "refresh"
                except Exception as error:  # for the main thread
                    errors.append(error)
                    return

    writers = [threading.Thread(target=write, args=[number]) for number in range(6)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(40):
            session.execute(sql)
            session.execute("DROP INDEX IF EXISTS second")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert errors == []


CITUS = """
    SET allow_system_table_mods = on;
    CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL);
    INSERT INTO pg_catalog.pg_dist_partition VALUES ('public.{}')"""


@pytest.mark.parametrize("table", ["oauth_tokens", "oauth_token_details"])
def test_distributed_by_citus(cluster, session, table):
    """E25: a distributed table is refused by name, in sessions that were open, too."""
    store(session, WHOSE, "access", "refresh")
    cluster.psql(CITUS.format(table))
    calls = ("SELECT oauth_tokens_current()", "SELECT oauth_tokens_upgrade()",
             "SELECT oauth_tokens_downgrade(true)", "CALL oauth_rotate_keys()",
             "SELECT oauth_cache_register('one')",
             "SELECT * FROM oauth_get('{0}', '{1}', '{2}', '{3}')".format(*WHOSE),
             "SELECT oauth_access_token('{0}', '{1}', '{2}', '{3}')".format(*WHOSE),
             "SELECT oauth_store('{0}', '{1}', '{2}', '{3}', 'x')".format(*WHOSE),
             "SELECT oauth_delete('{0}', '{1}', '{2}', '{3}')".format(*WHOSE))
    for call in calls:
        with pytest.raises(psycopg.Error, match=f"{table} is distributed by Citus") as caught:
            session.execute(call)
        assert caught.value.sqlstate == "OT005", call
        assert "undistribute_table" in caught.value.diag.message_hint


def test_distributed_while_a_session_is_open(cluster, session):
    """E25: the catalog of Citus was there, and then names the table."""
    cluster.psql(CITUS.format("unrelated").replace("'public.unrelated'", "0"))
    store(session, WHOSE, "access", "refresh")
    cluster.psql("SET allow_system_table_mods = on;"
                 "INSERT INTO pg_catalog.pg_dist_partition VALUES ('public.oauth_tokens')")
    for sql in ("SELECT oauth_access_token('{0}', '{1}', '{2}', '{3}')".format(*WHOSE),
                "SELECT * FROM oauth_connections", "SELECT * FROM oauth_tokens_decrypted",
                "SELECT * FROM oauth_key_usage", "SELECT * FROM oauth_tokens_damaged()"):
        with pytest.raises(psycopg.Error, match="oauth_tokens is distributed by Citus"):
            session.execute(sql)


@pytest.mark.parametrize("made, why", [
    ("CREATE VIEW oauth_tokens AS SELECT * FROM moved", "a view"),
    ("CREATE MATERIALIZED VIEW oauth_tokens AS SELECT * FROM moved", "a materialized view"),
    ("CREATE TABLE oauth_tokens (LIKE moved) PARTITION BY LIST (provider)", "a partitioned table"),
    ("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
     "CREATE FOREIGN TABLE oauth_tokens (id uuid) SERVER s", "a foreign table"),
])
def test_what_is_no_table_of_ours(cluster, session, made, why):
    """E25: refused by name by every way in, and never read as if it were empty."""
    store(session, WHOSE, "access", "refresh")
    session.execute("ALTER TABLE oauth_tokens RENAME TO moved")
    session.execute(made)
    whose = "'{0}', '{1}', '{2}', '{3}'".format(*WHOSE)
    for sql in (f"SELECT * FROM oauth_get({whose})", f"SELECT oauth_store({whose}, 'x')",
                f"SELECT oauth_delete({whose})", "SELECT * FROM oauth_connections",
                "SELECT * FROM oauth_tokens_decrypted", "SELECT * FROM oauth_key_usage",
                "SELECT * FROM oauth_tokens_damaged()", "CALL oauth_rotate_keys()",
                "SELECT oauth_tokens_downgrade(true)", "SELECT oauth_tokens_upgrade()"):
        with pytest.raises(psycopg.Error) as caught:
            session.execute(sql)
        assert caught.value.sqlstate == "OT005" and why in caught.value.diag.message_detail, sql
    assert session.execute("SELECT oauth_tokens_current()").fetchone() == (None,)


def test_other_access_method_and_rules(cluster, session):
    """E25: refused by name, and right again afterwards."""
    store(session, WHOSE, "access", "refresh")
    session.execute("CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler")
    for before, named, after in (
            ("ALTER TABLE oauth_tokens SET ACCESS METHOD other", "access method other",
             "ALTER TABLE oauth_tokens SET ACCESS METHOD heap"),
            ("CREATE RULE r AS ON DELETE TO oauth_tokens DO INSTEAD NOTHING", "it has rules",
             "DROP RULE r ON oauth_tokens")):
        session.execute(before)
        with pytest.raises(psycopg.Error) as caught:
            get(session, WHOSE)
        assert caught.value.sqlstate == "OT005" and named in caught.value.diag.message_detail
        session.execute(after)
        assert get(session, WHOSE) == ("access", "refresh")
