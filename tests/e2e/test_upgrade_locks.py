"""What waits while oauth_tokens_upgrade() adopts a table (E26)."""

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.harness import CHECKOUT, DATABASE, wait_until
from support.tokens import WORKSPACE, get, identity, store

# As the Python service made it: no unique constraint, no index but the primary key's, no defaults.
TABLE = """CREATE TYPE actor_type_enum AS ENUM ('user', 'api_key');
    CREATE TABLE oauth_tokens (id uuid PRIMARY KEY, workspace_id uuid NOT NULL,
    actor_type actor_type_enum NOT NULL, actor_id text NOT NULL, provider text NOT NULL, scopes text,
    encrypted_access_token text NOT NULL, encrypted_refresh_token text, access_token_expires_at timestamptz,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)"""
WHOLE = """ALTER TABLE oauth_tokens ALTER id SET DEFAULT gen_random_uuid(), ALTER created_at SET DEFAULT now(),
    ALTER updated_at SET DEFAULT now(), ADD CONSTRAINT uq_oauth_tokens_identity
    UNIQUE (workspace_id, provider, actor_type, actor_id)"""
READ = "SELECT count(*) FROM oauth_tokens"
WRITE = "DELETE FROM oauth_tokens WHERE actor_id = 'nobody'"
HOLD = 4711  # advisory lock


@pytest.fixture
def adopted(cluster):
    """With such a table, one row in it, and no other of ours."""
    cluster.fresh_database(DATABASE, migrate=False)
    cluster.rows(TABLE)
    cluster.rows("INSERT INTO oauth_tokens VALUES (gen_random_uuid(), %s, 'user', 'alice', 'google', NULL,"
                 " oauth_encrypt('access'), NULL, NULL, now(), now())", [WORKSPACE])
    return cluster


def waits(cluster, connection):
    return cluster.value("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s",
                         [connection.info.backend_pid])


def locks(cluster, connection):
    """Those on the two tables that are there or asked for."""
    return {mode for mode, in cluster.rows(
        "SELECT mode FROM pg_locks WHERE pid = %s AND relation = 'oauth_tokens'::regclass",
        [connection.info.backend_pid])}


@contextlib.contextmanager
def upgrade(cluster, statement="SELECT oauth_tokens_upgrade()"):
    """In a session of its own, with what it says; ended before the test ends."""
    with cluster.connect(autocommit=True) as connection, ThreadPoolExecutor(1) as pool:
        said = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
        call = pool.submit(lambda: connection.execute(statement).fetchone()[0])
        try:
            yield connection, call, said
        finally:
            cluster.rows("SELECT pg_cancel_backend(%s)", [connection.info.backend_pid])


@contextlib.contextmanager
def held_after_an_index(cluster):
    """Each CREATE INDEX stays in its transaction until the returned function is called."""
    cluster.rows(f"""CREATE FUNCTION hold() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared({HOLD}); END $$;
        CREATE EVENT TRIGGER hold ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION hold()""")
    with cluster.connect(autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [HOLD])
        yield lambda: holder.execute("SELECT pg_advisory_unlock(%s)", [HOLD])


def test_what_lacks_nothing_is_adopted_beside_a_long_reader(adopted):  # E26
    adopted.rows(WHOLE)
    with adopted.connect() as reader, adopted.connect(autocommit=True) as session:
        reader.execute(READ)
        session.execute("SET lock_timeout = '5s'")
        session.execute("SELECT oauth_tokens_upgrade()")
        assert reader.execute(READ).fetchone() == (1,)
        assert get(session, identity()) == ("access", None)


def test_what_is_made_beforehand(adopted):  # E26
    """The recipe, as printed."""
    page = (CHECKOUT / "docs/adopting.md").read_text(encoding="utf-8")
    recipe, = re.findall(r"```sql\n(CREATE UNIQUE INDEX CONCURRENTLY.*?)```", page, re.DOTALL)
    adopted.psql(recipe)
    with adopted.connect() as reader, adopted.connect(autocommit=True) as session:
        reader.execute(READ)
        session.execute("SET lock_timeout = '5s'")
        assert session.execute("SELECT oauth_tokens_upgrade()").fetchone() == ("bb51836389e7 (head)",)
    with adopted.connect(autocommit=True) as session:
        store(session, identity(), "another")
        assert get(session, identity()) == ("another", None)


def test_an_index_is_built_beside_readers(adopted):  # E26
    with held_after_an_index(adopted) as release, upgrade(adopted) as (session, call, _):
        wait_until(lambda: waits(adopted, session), what="the built index")
        assert "AccessExclusiveLock" not in locks(adopted, session)
        with adopted.connect(autocommit=True) as reader:
            reader.execute("SET lock_timeout = '5s'")
            assert reader.execute(READ).fetchone() == (1,)
        release()
        assert call.result() == "bb51836389e7 (head)"
    assert adopted.rows("SELECT conname, contype::text FROM pg_constraint WHERE conrelid = 'oauth_tokens'::regclass"
                        " AND contype IN ('p', 'u') ORDER BY 1") == [
        ("oauth_tokens_pkey", "p"), ("uq_oauth_tokens_identity", "u")]


def test_readers_do_not_wait_behind_a_long_one(adopted):  # E26
    """The lock is asked for again and again, and never waits long at a time."""
    with adopted.connect() as long:
        long.execute(READ)
        with upgrade(adopted) as (_, call, said), adopted.connect(autocommit=True) as reader:
            wait_until(lambda: "waiting for transactions that use oauth_tokens" in said, what="the notice")
            reader.execute("SET lock_timeout = '5s'")
            for _ in range(20):
                reader.execute(READ)
            assert not call.done()
            long.commit()
            assert call.result() == "bb51836389e7 (head)"


@pytest.mark.parametrize("statement", [
    "SELECT oauth_tokens_enable_row_security()",
    "SELECT oauth_tokens_disable_row_security()",
    "SELECT oauth_tokens_grant('pg_monitor', 'sidecar')",
])
def test_nor_behind_other_changes(adopted, statement):  # E26
    adopted.rows(WHOLE)
    adopted.rows("SELECT oauth_tokens_upgrade()")
    if "enable" not in statement:
        adopted.rows("SELECT oauth_tokens_enable_row_security()")
    with adopted.connect() as long:
        long.execute(READ)
        with upgrade(adopted, statement) as (_, call, said), adopted.connect(autocommit=True) as reader:
            wait_until(lambda: "waiting for transactions that use oauth_tokens" in said, what="the notice")
            reader.execute("SET lock_timeout = '5s'")
            for _ in range(20):
                reader.execute(READ)
            assert not call.done()
            long.commit()
            call.result()


def test_writers_do_not_wait_behind_a_long_one(adopted):  # E26
    with adopted.connect() as long:
        long.execute(WRITE)
        with upgrade(adopted) as (_, call, said), adopted.connect(autocommit=True) as writer:
            wait_until(lambda: "waiting for transactions that use oauth_tokens" in said, what="the notice")
            writer.execute("SET lock_timeout = '5s'")
            for _ in range(20):
                writer.execute(WRITE)
            assert not call.done()
            long.commit()
            assert call.result() == "bb51836389e7 (head)"


def test_readers_of_one_table_do_not_wait_for_those_of_the_other(adopted):  # E26
    """If both differ, none is locked before all can be."""
    adopted.rows(WHOLE)
    adopted.rows("SELECT oauth_tokens_upgrade(), oauth_tokens_enable_row_security()")
    adopted.rows("CREATE POLICY oauth_tokens_sidecar ON oauth_tokens TO pg_monitor USING (true) WITH CHECK (true)")
    adopted.rows("ALTER TABLE oauth_token_details NO FORCE ROW LEVEL SECURITY")
    with adopted.connect() as long:
        long.execute(READ)
        with upgrade(adopted) as (_, call, said), adopted.connect(autocommit=True) as reader:
            wait_until(lambda: "waiting for transactions that use oauth_tokens" in said, what="the notice")
            reader.execute("SET lock_timeout = '5s'")
            for _ in range(20):
                reader.execute("SELECT count(*) FROM oauth_token_details")
            assert not call.done()
            long.commit()
            assert call.result() == "bb51836389e7 (head)"


def test_what_takes_long_comes_before_readers_wait(adopted):  # E26
    """There may be a role for each tenant, whose rights are looked at; also those on a column that is to be added."""
    adopted.rows(WHOLE)
    adopted.rows("SELECT oauth_tokens_upgrade()")
    adopted.rows("SELECT oauth_tokens_grant('pg_monitor', 'writer')")
    adopted.rows("ALTER TABLE oauth_tokens DROP scopes")
    with adopted.connect() as long:
        long.execute(READ)
        with upgrade(adopted) as (_, call, said):
            wait_until(lambda: "waiting for transactions that use oauth_tokens" in said, what="the notice")
            assert "role pg_monitor has capability writer but no UPDATE on oauth_tokens" in said
            long.commit()
            assert call.result() == "bb51836389e7 (head)"


def test_one_that_reads_both_in_the_other_order(adopted):  # E26
    """Nothing is kept between two tries: it goes on, and so does the upgrade."""
    adopted.rows(WHOLE)
    adopted.rows("SELECT oauth_tokens_upgrade()")
    adopted.rows("ALTER TABLE oauth_tokens ALTER id DROP DEFAULT; ALTER TABLE oauth_token_details ALTER token_id DROP NOT NULL")
    with adopted.connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK oauth_token_details IN ACCESS SHARE MODE")
        with upgrade(adopted) as (session, call, said):
            wait_until(lambda: "AccessExclusiveLock" in locks(adopted, session), interval=0.001, what="a try")
            pool.submit(other.execute, READ).result(timeout=20)
            other.commit()
            assert call.result() == "bb51836389e7 (head)"


def test_an_autovacuum_does_not_stop_it(adopted):  # E26
    """PostgreSQL ends one for those alone who wait as long as deadlock_timeout."""
    adopted.rows("ALTER TABLE oauth_tokens SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,"
                 " autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)")
    adopted.rows("INSERT INTO oauth_tokens SELECT gen_random_uuid(), workspace_id, actor_type, n::text, provider, NULL,"
                 " 'x', NULL, NULL, now(), now() FROM oauth_tokens, generate_series(1, 3000) n")
    adopted.rows("DELETE FROM oauth_tokens WHERE actor_id <> 'alice'")
    adopted.rows("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    try:
        adopted.reload()
        wait_until(lambda: adopted.value("SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                                         " WHERE l.relation = 'oauth_tokens'::regclass AND l.granted"
                                         " AND a.backend_type = 'autovacuum worker'"), timeout=60, what="autovacuum")
        with adopted.connect(autocommit=True) as session:
            session.execute("SET lock_timeout = '5s'")
            assert session.execute("SELECT oauth_tokens_upgrade()").fetchone() == ("bb51836389e7 (head)",)
    finally:
        adopted.rows("ALTER SYSTEM RESET autovacuum_naptime")
        adopted.reload()


def test_another_table_comes_by_its_name(adopted):
    """What the upgrade looked at, it changes, or nothing."""
    with adopted.connect() as other:
        other.execute("ALTER TABLE oauth_tokens RENAME TO before")
        other.execute("CREATE TABLE oauth_tokens (LIKE before)")
        with upgrade(adopted) as (session, call, _):
            wait_until(lambda: waits(adopted, session), what="the wait")
            other.commit()
            with pytest.raises(psycopg.errors.ObjectInUse):
                call.result()


@pytest.mark.parametrize("statement", [
    "SELECT oauth_tokens_upgrade()",
    "SELECT oauth_tokens_enable_row_security()",
    "SELECT oauth_tokens_grant('pg_monitor', 'sidecar')",
])
def test_its_schema_gets_another_name(adopted, statement):
    """Nothing is done to what has its name by now."""
    adopted.rows(WHOLE)
    adopted.rows("SELECT oauth_tokens_upgrade()")
    if "grant" in statement:
        adopted.rows("SELECT oauth_tokens_enable_row_security()")
    adopted.rows("ALTER TABLE oauth_tokens ALTER id DROP DEFAULT")
    with adopted.connect() as long:
        long.execute(READ)
        with upgrade(adopted, statement) as (_, call, said):
            wait_until(lambda: "waiting for transactions that use oauth_tokens" in said, what="the notice")
            adopted.rows("ALTER SCHEMA public RENAME TO before; CREATE SCHEMA public;"
                         " CREATE TABLE public.oauth_tokens (LIKE before.oauth_tokens)")
            long.commit()
            with pytest.raises(psycopg.errors.ObjectInUse):
                call.result()


def test_it_waits_no_longer_than_the_callers_timeout(adopted):  # E26
    began = adopted.log_position()
    with adopted.connect() as long, adopted.connect(autocommit=True) as session:
        long.execute(READ)
        session.execute("SET log_lock_waits = on")
        session.execute("SET lock_timeout = '600ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            session.execute("SELECT oauth_tokens_upgrade()")
        assert session.execute("SHOW lock_timeout").fetchone() == ("600ms",)
    assert adopted.value("SELECT oauth_tokens_current()") is None
    assert "still waiting" not in adopted.log(began)  # a line for each try


@pytest.mark.parametrize("written", ["oauth_tokens", "oauth_token_details"])
def test_one_that_has_read_waits_to_write(adopted, written):  # E26
    """Each would wait for the other: the upgrade gives up, and the other one goes on."""
    if written == "oauth_token_details":
        adopted.rows("SELECT oauth_tokens_upgrade()")
        adopted.rows("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity")
    with adopted.connect() as other, ThreadPoolExecutor(1) as pool, held_after_an_index(adopted) as release:
        other.execute("SET deadlock_timeout = '1h'")  # or it may be the one that gives up
        other.execute(READ)
        with upgrade(adopted) as (session, call, _):
            wait_until(lambda: waits(adopted, session), what="the built index")
            write = pool.submit(other.execute, f"LOCK {written} IN ROW EXCLUSIVE MODE")
            wait_until(lambda: waits(adopted, other), what="the writer's wait")
            release()
            with pytest.raises(psycopg.errors.DeadlockDetected) as caught:
                call.result()
            assert "CONCURRENTLY" in caught.value.diag.message_hint
            write.result()
    assert adopted.value("SELECT oauth_tokens_current()") is None


def test_one_that_has_read_waits_for_a_writer(adopted):  # E26
    """The same as a circle of three."""
    adopted.rows("CREATE TABLE other ()")
    with adopted.connect() as reader, adopted.connect() as writer, ThreadPoolExecutor(2) as pool, \
            held_after_an_index(adopted) as release:
        for session in reader, writer:  # which would look for a deadlock between two of our tries
            session.execute("SET deadlock_timeout = '1h'")
            session.execute("SET lock_timeout = '30s'")
        reader.execute(READ)
        writer.execute("LOCK other")
        with upgrade(adopted) as (session, call, _):
            wait_until(lambda: waits(adopted, session), what="the built index")
            read = pool.submit(reader.execute, "LOCK other")
            write = pool.submit(writer.execute, "LOCK oauth_tokens IN ROW EXCLUSIVE MODE")
            wait_until(lambda: waits(adopted, reader) and waits(adopted, writer), what="their waits")
            release()
            with pytest.raises(psycopg.errors.DeadlockDetected):
                call.result(timeout=15)
            write.result()
            writer.commit()
            read.result()
    assert adopted.value("SELECT oauth_tokens_current()") is None


def test_a_large_table_is_not_looked_through_beside_readers(adopted):  # E26
    """The hint's statements, each in its own transaction, and readers wait for none of them."""
    adopted.rows(WHOLE)
    adopted.rows("ALTER TABLE oauth_tokens ALTER provider DROP NOT NULL, ALTER encrypted_access_token DROP NOT NULL,"
                 " SET (fillfactor = 10)")
    adopted.rows("INSERT INTO oauth_tokens (workspace_id, actor_type, actor_id, provider, encrypted_access_token)"
                 " SELECT gen_random_uuid(), 'user', n, 'google', repeat('x', 700) FROM generate_series(1, 1100) n")
    assert adopted.value("SELECT pg_relation_size('oauth_tokens') / 8192 > 1024")
    with adopted.connect(autocommit=True) as session:
        with pytest.raises(psycopg.Error) as caught:
            session.execute("SELECT oauth_tokens_upgrade()")
        assert caught.value.sqlstate == "OT005"
        statements = re.findall(r"(?:SET lock_timeout =|ALTER TABLE) [^;]+", caught.value.diag.message_hint)
        assert len(statements) == 5
        for statement in statements:
            session.execute(statement)
        session.execute("SELECT oauth_tokens_upgrade()")
        assert session.execute("SELECT oauth_tokens_current()").fetchone() == ("bb51836389e7 (head)",)
    assert adopted.value("SELECT count(*) FROM pg_constraint WHERE conname = 'oauth_not_null'") == 0
