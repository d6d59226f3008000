"""Whoever owns what is called oauth_tokens, oauth_token_details or their enum can plant code there:
each function, view and procedure of ours, called by somebody who is more, runs none of it with the
caller's rights (E20)."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.harness import DATABASE, KEY, wait_until
from support.tokens import WORKSPACE, identity, new_key, python_store, store

NEW = new_key()
WHOSE = identity("victim")
BASE = "base"  # the database that each test's is a copy of

# What was planted tells in a sequence that somebody else than mallory ran it: that no rollback
# takes back, and it needs no right that the caller may lack.
SETUP = """
    CREATE SEQUENCE stolen;
    CREATE SEQUENCE ran;
    GRANT ALL ON SEQUENCE stolen, ran TO PUBLIC;
    CREATE FUNCTION steal() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            PERFORM pg_catalog.nextval('public.ran');
            IF current_user <> 'mallory' THEN
                PERFORM pg_catalog.nextval('public.stolen');
            END IF;
            RETURN true;
        END $$;
    CREATE FUNCTION lie(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM public.steal(); RETURN $1; END $$;
    CREATE FUNCTION lies(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN RETURN public.steal(); END $$;
    CREATE FUNCTION rows_of_lies(text) RETURNS SETOF integer LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM public.steal(); RETURN NEXT 1; END $$;
    CREATE FUNCTION label(actor_type_enum) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM public.steal(); RETURN 'user'; END $$;
    CREATE FUNCTION steal_trigger() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.steal(); RETURN COALESCE(NEW, OLD); END $$;
    CREATE FUNCTION differ(integer, integer) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM public.steal(); RETURN $1 - $2; END $$;
    CREATE TYPE span AS RANGE (subtype = integer, subtype_diff = differ);
    CREATE DOMAIN checked AS text CHECK (lies(VALUE) OR VALUE IS NULL);
"""


def view(relation, condition="", more=""):
    return (f"ALTER TABLE {relation} RENAME TO hidden; "
            f"CREATE VIEW {relation} AS SELECT h.* FROM hidden h{more} {condition}; "
            f"GRANT ALL ON {relation} TO PUBLIC")


PLANTS = {
    "view": view("oauth_tokens", "WHERE steal()"),
    "view over a constant": view("oauth_tokens", "WHERE lies('x')"),
    "view over a set": view("oauth_tokens", more=", rows_of_lies('x')"),
    "view of details": view("oauth_token_details", "WHERE steal()"),
    "view of details over a constant": view("oauth_token_details", "WHERE lies('x')"),
    "index expression": "CREATE INDEX ON oauth_tokens (lie(encrypted_access_token))",
    "constant index expression": "CREATE INDEX ON oauth_tokens (lie('x'), workspace_id)",
    "partial index": "CREATE INDEX ON oauth_tokens (workspace_id) WHERE lies(encrypted_access_token)",
    "partial index over a constant": "CREATE INDEX ON oauth_tokens (workspace_id) WHERE lies('x')",
    "partial identity": """ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity;
        CREATE UNIQUE INDEX ON oauth_tokens (workspace_id, provider, actor_type, actor_id) WHERE lies('x')""",
    "index of details": "CREATE INDEX ON oauth_token_details (lie('x'), lie(actor_id))",
    "range index": "ALTER TABLE oauth_tokens ADD COLUMN s span DEFAULT '[1,3)';"
                   " CREATE INDEX ON oauth_tokens USING gist (s)",
    "generated column": "ALTER TABLE oauth_tokens ADD COLUMN g text GENERATED ALWAYS AS (lie(actor_id)) STORED",
    "generated detail": "ALTER TABLE oauth_token_details ADD COLUMN g text GENERATED ALWAYS AS (lie('x')) STORED",
    "check": "ALTER TABLE oauth_tokens ADD CHECK (lies(actor_id))",
    "check over a constant": "ALTER TABLE oauth_tokens ADD CHECK (lies('x'))",
    "check of details": "ALTER TABLE oauth_token_details ADD CHECK (lies(actor_id))",
    # The function is PostgreSQL's own, and runs what it is given.
    "check that runs a query": "ALTER TABLE oauth_tokens ADD CHECK"
                               " (query_to_xml('SELECT public.steal()', true, true, '') IS NOT NULL)",
    "default": "ALTER TABLE oauth_tokens ADD COLUMN d text DEFAULT steal()::text",
    "default of details": "ALTER TABLE oauth_token_details ADD COLUMN d text DEFAULT steal()::text",
    "domain": "ALTER TABLE oauth_tokens ADD COLUMN d checked",
    "statistics": "CREATE STATISTICS s ON (lie('x')), (lie(actor_id)), workspace_id FROM oauth_tokens",
    "statistics of details": "CREATE STATISTICS s ON (lie('x')), (lie(actor_id)), workspace_id"
                             " FROM oauth_token_details",
    "trigger": "CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON oauth_tokens"
               " FOR EACH ROW EXECUTE FUNCTION steal_trigger()",
    "trigger of details": "CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON oauth_token_details"
                          " FOR EACH ROW EXECUTE FUNCTION steal_trigger()",
    "trigger's condition": "CREATE TRIGGER a BEFORE UPDATE ON oauth_tokens FOR EACH ROW WHEN (steal())"
                           " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "rules": "CREATE RULE a AS ON DELETE TO oauth_tokens DO ALSO SELECT steal();"
             " CREATE RULE b AS ON UPDATE TO oauth_token_details DO ALSO SELECT steal();"
             " CREATE RULE c AS ON UPDATE TO oauth_tokens DO ALSO SELECT steal()",
    "policy": "ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
              " CREATE POLICY p ON oauth_tokens USING (steal())",
    "policy over a constant": "ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
                              " CREATE POLICY p ON oauth_tokens USING (lies('x'))",
    "policy of details": "ALTER TABLE oauth_token_details ENABLE ROW LEVEL SECURITY;"
                         " CREATE POLICY p ON oauth_token_details USING (steal())",
    "child": "CREATE TABLE child () INHERITS (oauth_tokens); CREATE INDEX ON child (lie('x'))",
    "partition": """CREATE TABLE parent (LIKE oauth_tokens) PARTITION BY LIST (lie(actor_id));
        ALTER TABLE parent ATTACH PARTITION oauth_tokens FOR VALUES IN ('victim', 'other')""",
    "foreign key": """CREATE TABLE types (name text PRIMARY KEY); INSERT INTO types VALUES ('user'), ('api_key');
        CREATE CAST (actor_type_enum AS text) WITH FUNCTION label(actor_type_enum) AS IMPLICIT;
        ALTER TABLE oauth_tokens ADD FOREIGN KEY (actor_type) REFERENCES types""",
    "cast": "CREATE CAST (actor_type_enum AS text) WITH FUNCTION label(actor_type_enum)",
    "implicit cast": "CREATE CAST (actor_type_enum AS text) WITH FUNCTION label(actor_type_enum) AS IMPLICIT",
    "column of details": """CREATE TYPE trap AS ENUM ('user');
        CREATE FUNCTION as_json(trap) RETURNS json LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN PERFORM public.steal(); RETURN '1'; END $$;
        CREATE CAST (trap AS json) WITH FUNCTION as_json(trap);
        ALTER TABLE oauth_token_details ALTER COLUMN account_label TYPE trap USING 'user'""",
}

IDENTITY = f"'{WORKSPACE}', 'google', 'user', 'victim'"
OTHER = f"'{WORKSPACE}', 'google', 'user', 'other'"

# Every function, view and procedure that looks at the tables.
CALLS = [
    f"SELECT * FROM oauth_get({IDENTITY})",
    f"SELECT oauth_access_token({IDENTITY})",
    "SELECT * FROM oauth_connections",
    "SELECT count(*) FROM oauth_connections WHERE actor_type = 'user'",
    "SELECT * FROM oauth_tokens_decrypted",
    "EXPLAIN SELECT * FROM oauth_tokens_decrypted",
    "SELECT * FROM oauth_key_usage",
    "SELECT * FROM oauth_tokens_damaged()",
    f"SELECT * FROM oauth_tokens_internal.connection({IDENTITY})",
    f"SELECT oauth_encrypt('x', {IDENTITY}, 'encrypted_access_token')",
    "SELECT oauth_tokens_current()",
    "SELECT oauth_tokens_upgrade()",
    "CALL oauth_rotate_keys()",
    f"SELECT oauth_store({IDENTITY}, 'new', 'refresh', details => '{{\"account_label\": \"x\"}}')",
    f"SELECT oauth_store({IDENTITY}, 'new', details =>"
    " '{\"account_id\": \"x\", \"issuer\": \"x\", \"client_id\": \"x\"}')",
    f"SELECT oauth_store({OTHER}, 'new')",
    f"SELECT oauth_authorize_url({IDENTITY}, return_to => '/')",
    f"SELECT oauth_flow_confirm({IDENTITY}, 'none')",
    "SELECT oauth_tokens_internal.flow_store(sha256('ticket'), 'new', 'refresh', 60, NULL, '{}')",
    "SELECT oauth_tokens_internal.flow_purge()",
    "SELECT oauth_cache_register('cache')",
    "SELECT * FROM oauth_changes_pending()",
    "SELECT * FROM oauth_tokens_internal.cache_registration()",
    "SELECT oauth_cache_unregister('cache')",
    f"SELECT oauth_refresh_begin({IDENTITY}, force => true)",
    f"SELECT oauth_refresh_commit({IDENTITY}, 1, 'new', 'refresh', 60, 'x', '{{\"account_label\": \"x\"}}')",
    f"SELECT oauth_refresh_begin({IDENTITY}, force => true)",
    f"SELECT oauth_refresh_fail({IDENTITY}, 2, 'no_answer')",
    f"SELECT oauth_refresh_replay({IDENTITY}, 2, 'x')",
    "SELECT oauth_tokens_internal.refresh_purge()",
    f"SELECT oauth_fresh_access_token({IDENTITY}, timeout => '0')",
    f"SELECT oauth_move({IDENTITY}, {OTHER})",
    f"SELECT oauth_move({OTHER}, {IDENTITY})",
    f"SELECT oauth_delete({OTHER}, revoke => true)",
    f"SELECT oauth_store({OTHER}, 'new', details => '{{\"account_id\": \"1\", \"client_id\": \"c\"}}')",
    f"SELECT oauth_tokens_internal.delete_token({OTHER}, 'auto')",
    "SELECT * FROM oauth_tokens_internal.revocations_claim(10, '1 s')",
    f"SELECT oauth_delete({IDENTITY})",
    "SELECT oauth_tokens_grant('somebody', 'admin')",
    "SELECT oauth_tokens_revoke('somebody', 'admin')",
    "SELECT oauth_tokens_downgrade()",
    "SELECT oauth_tokens_downgrade(true)",
]
# What may come of a call: done, refused, or impossible with what was planted.
ALLOWED = {"42501", "OT003", "OT004", "OT005", "OT011", "OT012", "23505", "2BP01", "42809", "42P10",
           "42725", "OT018", "OT021", "OT022"}


@pytest.fixture(scope="module")
def server(module_cluster):
    """Where mallory owns both tables and the enum, and a row is under the second key."""
    cluster = module_cluster(key=f"{NEW},{KEY}")
    for role in ("mallory", "somebody", "clerk", "app_owner", "app"):
        cluster.rows(f"CREATE ROLE {role} LOGIN", db="postgres")
    cluster.fresh_database(BASE)
    with cluster.connect(BASE, autocommit=True) as session:
        session.execute("GRANT CREATE ON SCHEMA public TO mallory, app_owner")
        session.execute("SELECT oauth_tokens_internal.publish_settings('https://x.example', '600 s', '{}', '{google}')")
        store(session, WHOSE, "access", "refresh")
        session.execute("SELECT oauth_store(%s, %s, %s, %s, 'access', 'refresh', details => '{\"account_id\": \"1\"}')",
                        WHOSE)
        python_store(session, WHOSE, "access", "refresh", key=KEY)
        session.execute("SELECT oauth_tokens_grant('clerk', 'admin'), oauth_tokens_grant('clerk', 'sidecar')")
        session.execute(f"INSERT INTO oauth_tokens_internal.flow_links SELECT sha256('ticket'), {IDENTITY}, NULL,"
                        " NULL, false, 600, now(), now() + '1 h', now() + '1 h'")
    return cluster


def copy(cluster):
    cluster.rows(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", db="postgres")
    cluster.rows(f"CREATE DATABASE {DATABASE} TEMPLATE {BASE}", db="postgres")
    cluster.rows("SELECT oauth_tokens_adopt_cluster()")


@pytest.fixture
def db(server):
    """A database where mallory owns both tables and the enum."""
    copy(server)
    server.rows("ALTER TABLE oauth_tokens OWNER TO mallory; ALTER TABLE oauth_token_details OWNER TO mallory;"
                " ALTER TYPE actor_type_enum OWNER TO mallory; GRANT CREATE ON SCHEMA public TO mallory")
    server.rows(SETUP, user="mallory")
    return server


def state_of(cluster, user, sql, options=""):
    """The SQLSTATE of a statement, None where it was done."""
    with cluster.connect(user=user, autocommit=True, options=options) as session:
        try:
            session.execute(sql)
        except psycopg.Error as error:
            return error.sqlstate
    return None


def is_called(cluster, sequence):
    return cluster.value(f"SELECT is_called FROM {sequence}")


ROTATED = ["index expression", "constant index expression", "partial index", "partial index over a constant",
           "range index", "generated column", "check", "trigger", "domain", "statistics", "policy", "cast"]


# Of an ordinary user a policy hides rows, so that the rotation refuses.
@pytest.mark.parametrize("plant, user", [(plant, user) for plant in ROTATED for user in ("postgres", "clerk")
                                         if (plant, user) != ("policy", "clerk")])
def test_rotation_has_the_owners_rights_over_rows(db, plant, user):  # E20
    """It works over whatever the owner has there; what runs, runs as the owner."""
    db.rows(PLANTS[plant], user="mallory")
    with db.connect(user=user, autocommit=True) as session:
        session.execute("CALL oauth_rotate_keys()")
        assert session.execute("SELECT current_user").fetchone() == (user,)
    assert not is_called(db, "stolen")
    row = db.rows("SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens", user="mallory")[0]
    assert [Fernet(NEW).decrypt(value.encode()) for value in row] == [b"access", b"refresh"]
    assert db.rows("SELECT finished_at IS NOT NULL FROM oauth_tokens_internal.key_rotations") == [(True,)]


def test_rotation_keeps_the_callers_settings(db):  # E20
    """What the owner's code sets is gone when the caller's rights are back; and names in it do not
    resolve by the caller's search_path."""
    db.rows("""CREATE FUNCTION helper() RETURNS void LANGUAGE sql AS 'SELECT';
        CREATE FUNCTION setting(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
            IF current_user <> session_user THEN
                PERFORM pg_catalog.set_config('search_path', 'nowhere', false);
                PERFORM pg_catalog.set_config('work_mem', '64kB', false);
            END IF;
            RETURN $1; END $$;
        ALTER TABLE oauth_tokens ADD COLUMN g text GENERATED ALWAYS AS (setting(actor_id)) STORED""",
            user="mallory")
    with db.connect(autocommit=True) as session:
        before = session.execute("SELECT current_setting('search_path'), current_setting('work_mem')").fetchone()
        session.execute("CALL oauth_rotate_keys()")
        assert session.execute("SELECT current_setting('search_path'), current_setting('work_mem')").fetchone() == before
    db.rows("""CREATE FUNCTION unqualified(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
            IF current_user <> session_user THEN PERFORM helper(); END IF; RETURN $1; END $$;
        ALTER TABLE oauth_tokens ADD COLUMN h text GENERATED ALWAYS AS (unqualified(actor_id)) STORED""",
            user="mallory")
    with db.connect(autocommit=True) as session:
        python_store(session, identity("another"), "access", key=KEY)
        with pytest.raises(psycopg.errors.UndefinedFunction):
            session.execute("CALL oauth_rotate_keys()")
        assert session.execute("SELECT current_user").fetchone() == ("postgres",)
@pytest.mark.parametrize("user", ["postgres", "clerk"])
@pytest.mark.parametrize("plant", PLANTS)
def test_what_the_owner_planted_gets_no_rights(db, plant, user):  # E20
    db.rows(PLANTS[plant], user="mallory")
    assert not is_called(db, "stolen"), "the plant itself has nothing to steal"
    options = "-c constraint_exclusion=on" if "check" in plant else ""
    stolen = []
    with db.connect(autocommit=True) as watcher:
        def count():
            return watcher.execute("SELECT last_value + is_called::int FROM stolen").fetchone()

        for sql in CALLS:  # each in a session of its own, which has nothing in its caches
            before = count()
            state = state_of(db, user, sql, options)
            if count() != before:
                stolen.append(sql)
            assert state is None or state in ALLOWED, sql
    assert stolen == []


# What holds a superuser's store up half-way, and what mallory makes meanwhile: CONCURRENTLY does
# not wait for the store before the index is in the catalog.
MEANWHILE = {
    "a row, index of details": (
        "SELECT FROM oauth_tokens WHERE actor_id = 'victim' FOR UPDATE",
        "CREATE INDEX CONCURRENTLY planted ON oauth_token_details (lie('x'), lie(actor_id))"),
    "an index, index of tokens": (
        "ALTER INDEX uq_oauth_tokens_identity SET TABLESPACE pg_default",
        "CREATE INDEX CONCURRENTLY planted ON oauth_tokens (lie('x'), lie(actor_id))"),
}


@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_what_the_owner_plants_meanwhile_gets_no_rights(db, meanwhile, is_warm):  # E20
    hold, plant = MEANWHILE[meanwhile]
    with (db.connect(user="mallory") as holder, db.connect(user="mallory", autocommit=True) as planter,
          db.connect(autocommit=True) as victim, ThreadPoolExecutor(2) as threads):
        if is_warm:
            victim.execute(WRITES[0])
        holder.execute(hold)
        stored = threads.submit(victim.execute, WRITES[0])
        wait_until(lambda: db.value("SELECT wait_event_type = 'Lock' FROM pg_stat_activity"
                                    f" WHERE pid = {victim.info.backend_pid}"))
        planted = threads.submit(planter.execute, plant)
        wait_until(lambda: db.value("SELECT count(*) FROM pg_class WHERE relname = 'planted'"))
        holder.rollback()
        try:
            stored.result()
        except psycopg.errors.InsufficientPrivilege:
            pass
        planted.result()
    assert not is_called(db, "stolen")


# What is legitimate goes on.

TOUCHED = """
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.updated_at := '2001-01-01'; RETURN NEW; END $$;
    CREATE TRIGGER touch BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION touch();
"""
READS = [f"SELECT * FROM oauth_get({IDENTITY})", f"SELECT oauth_access_token({IDENTITY})",
         "SELECT * FROM oauth_connections", f"SELECT * FROM oauth_tokens_internal.connection({IDENTITY})"]
WRITES = [f"SELECT oauth_store({IDENTITY}, 'new', 'refresh', details => '{{\"account_label\": \"x\"}}')",
          f"SELECT oauth_move({IDENTITY}, {OTHER})", f"SELECT oauth_move({OTHER}, {IDENTITY})"]
ADMIN_READS = ["SELECT * FROM oauth_tokens_decrypted", "SELECT * FROM oauth_key_usage",
               "SELECT * FROM oauth_tokens_damaged()", "SELECT oauth_tokens_current()"]


@pytest.fixture
def adopted(server):
    """A database where app_owner owns both tables, and app reads and writes."""
    copy(server)
    server.rows("ALTER TABLE oauth_tokens OWNER TO app_owner; ALTER TABLE oauth_token_details OWNER TO app_owner;"
                "SELECT oauth_tokens_grant('app', 'reader'), oauth_tokens_grant('app', 'writer')")
    return server


def done(cluster, user, calls):
    return {sql: state for sql in calls if (state := state_of(cluster, user, sql)) is not None}


def test_an_owner_with_the_capability_is_trusted(adopted):  # E20
    """Its trigger and policies hold for those who are no superuser, as docs/security.md says."""
    adopted.rows(TOUCHED, user="app_owner")
    assert state_of(adopted, "app", WRITES[0]) == "42501"
    adopted.rows("SELECT oauth_tokens_grant('app_owner', 'admin')")
    assert done(adopted, "app", READS + WRITES) == {}
    assert adopted.value("SELECT updated_at FROM oauth_tokens", user="app_owner").year == 2001
    adopted.rows("""ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
        CREATE FUNCTION visible(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT $1 <> 'hidden' $$;
        CREATE POLICY p ON oauth_tokens USING (visible(actor_id))""", user="app_owner")
    assert done(adopted, "app", READS + WRITES) == {}
    assert done(adopted, "app_owner", READS + WRITES) == {}
    # A superuser is more, whatever the owner was granted.
    assert state_of(adopted, "postgres", WRITES[0]) == "42501"
    with adopted.connect(autocommit=True) as session:
        session.execute("SET ROLE app_owner")
        session.execute(WRITES[0])


def test_a_superuser_uses_an_ordinary_table(adopted):  # E20
    """What is built in does no harm: neither in an index nor in a constraint or a default."""
    adopted.rows("""CREATE INDEX ON oauth_tokens (lower(provider));
        CREATE INDEX ON oauth_tokens (workspace_id) WHERE encrypted_refresh_token IS NOT NULL;
        ALTER TABLE oauth_tokens ADD CHECK (provider <> '' AND length(actor_id) < 1000),
            ADD COLUMN note text DEFAULT 'none', ADD COLUMN seen timestamptz DEFAULT now(),
            ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY,
            ADD COLUMN l text GENERATED ALWAYS AS (lower(provider)) STORED;
        CREATE STATISTICS s ON workspace_id, provider FROM oauth_tokens;
        CREATE TABLE users (id uuid PRIMARY KEY); ALTER TABLE oauth_tokens ADD COLUMN u uuid REFERENCES users
        """, user="app_owner")
    for user in ("postgres", "app"):
        assert done(adopted, user, READS + WRITES) == {}
    assert done(adopted, "postgres", ADMIN_READS + ["CALL oauth_rotate_keys()"]) == {}


def test_a_superusers_own_table_may_hold_anything(server):  # E20
    copy(server)
    server.rows(TOUCHED)
    server.rows("CREATE FUNCTION mine(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1 $$;"
                " CREATE INDEX ON oauth_tokens (mine(actor_id))")
    assert done(server, "postgres", READS + WRITES + ADMIN_READS) == {}
    server.rows("SELECT oauth_tokens_grant('app', 'reader'), oauth_tokens_grant('app', 'writer')")
    assert done(server, "app", READS + WRITES) == {}


def test_what_is_trusted_is_asked_anew(adopted):  # E20
    """In one session, and in a plan that is kept: a new owner, a new trigger, another role."""
    with adopted.connect(autocommit=True) as session:
        session.execute("PREPARE shown AS SELECT * FROM oauth_connections")
        for _ in range(7):
            session.execute("EXECUTE shown")
        session.execute(WRITES[0])
        adopted.rows(TOUCHED, user="app_owner")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(WRITES[0])
        session.execute("EXECUTE shown")
        adopted.rows("CREATE FUNCTION f(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1 $$;"
                     " CREATE INDEX ON oauth_tokens (f(actor_id))", user="app_owner")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("EXECUTE shown")
        session.execute("ALTER TABLE oauth_tokens OWNER TO postgres")
        session.execute("EXECUTE shown")
        session.execute(WRITES[0])


def test_the_views_are_scans_of_the_table(server):  # E20
    """The guard is a one-time filter, asks no process twice, and forbids no parallel scan."""
    copy(server)
    plan = "\n".join(line for line, in server.rows("EXPLAIN SELECT access_token FROM oauth_tokens_decrypted"))
    assert "One-Time Filter: oauth_tokens_internal.guard('public'::text)" in plan and "Seq Scan on oauth_tokens" in plan
    with server.connect(autocommit=True) as session:
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            session.execute(f"SET {setting} = 0")
        plan = "\n".join(
            line for line, in session.execute("EXPLAIN SELECT access_token FROM oauth_tokens_decrypted").fetchall())
        assert "Parallel Seq Scan on oauth_tokens" in plan
        assert session.execute("SELECT count(access_token) FROM oauth_tokens_decrypted").fetchone() == (1,)
