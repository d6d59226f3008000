"""What an ordinary role plants in a schema where it may create: before CREATE EXTENSION, and
around every call. It is refused, or changes nothing."""

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.harness import DATABASE, KEY
from support.tokens import get, identity, store

WHOSE = identity("victim")


@pytest.fixture
def db(cluster):
    """A database where `mallory` may create in public, without the extension."""
    cluster.rows("DROP DATABASE IF EXISTS app WITH (FORCE)", db="postgres")
    for role in ("mallory", "owner_of_tokens"):
        cluster.rows(f"DROP ROLE IF EXISTS {role}", db="postgres")
        cluster.rows(f"CREATE ROLE {role} LOGIN", db="postgres")
    cluster.rows(f"CREATE DATABASE {DATABASE}", db="postgres")
    cluster.rows("GRANT CREATE ON SCHEMA public TO mallory; GRANT CREATE ON DATABASE app TO mallory")
    cluster.rows("CREATE TABLE loot (what text); GRANT INSERT ON loot TO PUBLIC")
    return cluster


def assert_nothing_taken(cluster):
    assert cluster.rows("SELECT what FROM loot") == []
    assert cluster.rows("SELECT rolname FROM pg_roles WHERE rolname = 'mallory' AND rolsuper") == []


# Takes what it is given and who calls.
STEAL = """
    BEGIN
        INSERT INTO public.loot VALUES (current_user);
        IF pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on' THEN
            EXECUTE 'ALTER ROLE mallory SUPERUSER';
        END IF;
"""


@pytest.mark.parametrize("plant", [
    "CREATE FUNCTION oauth_tokens_upgrade() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "CREATE FUNCTION fernet_generate_key() RETURNS text LANGUAGE sql AS $$ SELECT 'known' $$",
    "CREATE FUNCTION oauth_decrypt(token text) RETURNS text LANGUAGE sql AS 'SELECT token'",
    "CREATE FUNCTION oauth_get(workspace_id uuid, provider text, actor_type text, actor_id text)"
    " RETURNS TABLE (access_token text, refresh_token text, scopes text, expires_at timestamptz,"
    " updated_at timestamptz) LANGUAGE sql AS 'SELECT NULL, NULL, NULL, NULL::timestamptz, NULL::timestamptz'",
    "CREATE VIEW oauth_connections AS SELECT 1 AS x",
    "CREATE TABLE oauth_key_usage (x integer)",
    "CREATE TABLE oauth_tokens_decrypted (x integer)",
    "CREATE SCHEMA oauth_tokens_internal",
    "CREATE PROCEDURE oauth_rotate_keys(batch_size bigint) LANGUAGE sql AS 'SELECT 1'",
])
def test_objects_of_our_names_stop_the_installation(db, plant):  # E1
    """They are never taken over as members, nor left in place of ours."""
    db.rows(plant, user="mallory")
    with pytest.raises(psycopg.Error) as caught:
        db.rows("CREATE EXTENSION oauth_tokens")
    assert caught.value.sqlstate in ("42710", "42723", "42P07", "42P06", "55000"), caught.value
    assert db.rows("SELECT 1 FROM pg_extension WHERE extname = 'oauth_tokens'") == []
    assert_nothing_taken(db)


def test_only_a_superuser_installs(db):  # E1
    for role in ("mallory", "owner_of_tokens"):
        with pytest.raises(psycopg.Error) as caught:
            db.rows("CREATE EXTENSION oauth_tokens", user=role)
        assert caught.value.sqlstate == "42501"


# More fitting than the catalog's, for whoever resolves names in public first.
TRAPS = [
    f"CREATE FUNCTION {name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS"
    f" $$ {STEAL} RETURN {value}; END $$"
    for name, arguments, result, value in [
        ("timezone", "text, timestamp without time zone", "timestamptz", "pg_catalog.now()"),
        ("now", "", "timestamptz", "'epoch'::pg_catalog.timestamptz"),
        ("gen_random_uuid", "", "uuid", "'00000000-0000-4000-8000-000000000000'::pg_catalog.uuid"),
        ("clock_timestamp", "", "timestamptz", "'epoch'::pg_catalog.timestamptz"),
        ("statement_timestamp", "", "timestamptz", "'epoch'::pg_catalog.timestamptz"),
        ("jsonb_build_object", "VARIADIC text[]", "jsonb", "'{}'::jsonb"),
        ("jsonb_strip_nulls", "jsonb", "jsonb", "'{}'::jsonb"),
        ("date_part", "text, interval", "double precision", "0"),
        ("count", "text", "bigint", "0"),
        ("uuid_eq", "uuid, uuid", "boolean", "true"),
        ("eq_any", "uuid, uuid", "boolean", "true"),
        ("eq_any", "text, text", "boolean", "true"),
        ("eq_any", "bigint, bigint", "boolean", "true"),
        ("eq_any", "integer, integer", "boolean", "true"),
        ("eq_any", "integer, bigint", "boolean", "true"),
        ("eq_any", "timestamptz, timestamptz", "boolean", "true"),
        ("eq_any", "anyenum, anyenum", "boolean", "true"),
        ("eq_any", "anyenum, text", "boolean", "true"),
    ]
] + [
    f"CREATE OPERATOR public.{name} (FUNCTION = public.eq_any, LEFTARG = {left}, RIGHTARG = {right})"
    for left, right in [("uuid", "uuid"), ("text", "text"), ("bigint", "bigint"),
                        ("integer", "integer"), ("integer", "bigint"), ("anyenum", "anyenum"),
                        ("anyenum", "text"), ("timestamptz", "timestamptz")]
    for name in ("=", "<>", "<=", "<")
]
SHADOWS = """
    CREATE TYPE public.text AS ENUM ('user', 'api_key');
    CREATE TYPE public.timestamptz AS (x integer);
    CREATE DOMAIN public.uuid AS pg_catalog.text;
    CREATE TABLE public.pg_extension (oid oid, extname name);
    CREATE TABLE public.pg_type (oid oid, typname name, typowner oid);
    CREATE TABLE public.unnest (x integer);
"""
PATHS = ["public, pg_catalog", "pg_temp, public, pg_catalog", "public", '"$user", public']


def plant(cluster):
    for sql in TRAPS:
        cluster.rows(sql, user="mallory")
    cluster.rows(SHADOWS, user="mallory")


def exercise(cluster, path):
    """Every function and view, by a superuser whose search_path begins with the traps."""
    with cluster.connect(autocommit=True, options=f"-c search_path={path.replace(' ', '')}") as session:
        session.execute("CREATE TEMP TABLE oauth_tokens (LIKE public.oauth_tokens)")
        session.execute("CREATE TEMP TABLE oauth_token_details (x integer)")
        session.execute("CREATE TEMP TABLE key_rotations (x integer)")
        call = "pg_catalog.uuid '11111111-1111-4111-8111-111111111111', 'google', 'user', 'victim'"
        session.execute(f"SELECT public.oauth_store({call}, 'access', 'refresh', expires_in => 3600,"
                        " details => '{\"account_label\": \"x\", \"lifetime\": 60}')")
        rows = []
        for sql in (
            f"SELECT access_token, refresh_token FROM public.oauth_get({call})",
            f"SELECT public.oauth_access_token({call}, '1 minute')",
            "SELECT actor_id, access_token FROM public.oauth_tokens_decrypted",
            "SELECT actor_id, state, details OPERATOR(pg_catalog.->>) 'account_label'"
            " FROM public.oauth_connections",
            "SELECT position, \"values\" FROM public.oauth_key_usage",
            "SELECT * FROM public.oauth_tokens_damaged()",
            "SELECT public.oauth_tokens_current()",
            "SELECT public.oauth_decrypt(public.oauth_encrypt('x'))",
        ):
            rows.append(session.execute(sql).fetchall())
        assert rows == [
            [("access", "refresh")], [("access",)], [("victim", "access")],
            [("victim", "active", "x")], [(1, 2)], [], [("bb51836389e7 (head)",)], [("x",)],
        ]
        session.execute("CALL public.oauth_rotate_keys()")
        session.execute("SELECT public.oauth_tokens_upgrade()")
        session.execute("SELECT public.oauth_tokens_grant('owner_of_tokens', 'admin')")
        session.execute("SELECT public.oauth_tokens_revoke('owner_of_tokens', 'admin')")
        session.execute("DELETE FROM pg_temp.oauth_tokens")
        assert session.execute(f"SELECT public.oauth_delete({call})").fetchone() == (True,)


@pytest.mark.parametrize("path", PATHS)
def test_planted_before_installation(db, path):  # E1
    plant(db)
    with db.connect(autocommit=True, options=f"-c search_path={path.replace(' ', '')}") as session:
        session.execute("CREATE EXTENSION oauth_tokens SCHEMA public")
        session.execute("SELECT public.oauth_tokens_upgrade()")
    exercise(db, path)
    assert_nothing_taken(db)


@pytest.mark.parametrize("path", PATHS)
def test_planted_before_an_update(db, path):  # E1, E27
    db.rows("CREATE EXTENSION oauth_tokens VERSION '0.1.0'")
    db.rows("SELECT oauth_tokens_upgrade()")
    plant(db)
    with db.connect(autocommit=True, options=f"-c search_path={path.replace(' ', '')}") as session:
        session.execute("ALTER EXTENSION oauth_tokens UPDATE")
    exercise(db, path)
    assert_nothing_taken(db)


@pytest.mark.parametrize("path", PATHS)
def test_planted_afterwards(db, path):  # E1
    db.rows("CREATE EXTENSION oauth_tokens")
    db.rows("SELECT oauth_tokens_upgrade()")
    plant(db)
    exercise(db, path)
    assert_nothing_taken(db)


def test_the_traps_work(db):
    """They spring where a name is not qualified, or these tests prove nothing."""
    plant(db)
    with db.connect(autocommit=True, options="-c search_path=public,pg_catalog") as session:
        session.execute("SELECT clock_timestamp()")
        session.execute("SELECT 1 WHERE 'a'::pg_catalog.text = 'b'::pg_catalog.text")
    assert len(db.rows("SELECT what FROM loot")) == 2
    db.rows("ALTER ROLE mallory NOSUPERUSER")


@pytest.mark.parametrize("trap", ["table", "details", "enum"])
def test_planted_table_is_not_adopted(db, trap):  # E1
    """Its owner could run code with the rights of whoever uses it, a superuser not excepted."""
    db.rows("CREATE EXTENSION oauth_tokens")
    if trap == "enum":
        db.rows("CREATE TYPE actor_type_enum AS ENUM ('user', 'api_key')", user="mallory")
    elif trap == "details":
        db.rows("CREATE TABLE oauth_token_details (x integer)", user="mallory")
    else:
        db.rows("CREATE TABLE oauth_tokens (x integer)", user="mallory")
        db.rows(f"CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS $$ {STEAL} RETURN NEW; END $$",
                user="mallory")
        db.rows("CREATE TRIGGER t BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION steal()",
                user="mallory")
    with pytest.raises(psycopg.Error) as caught:
        db.rows("SELECT oauth_tokens_upgrade()")
    assert caught.value.sqlstate == "42501"
    assert_nothing_taken(db)


def test_temporary_objects_of_the_caller(db):  # E1
    """A table in pg_temp is found first by every search_path; never by us."""
    db.rows("CREATE EXTENSION oauth_tokens")
    db.rows("SELECT oauth_tokens_upgrade()")
    with db.connect(autocommit=True) as session:
        store(session, WHOSE, "access")
        session.execute("CREATE TEMP TABLE oauth_tokens (LIKE public.oauth_tokens INCLUDING ALL)")
        session.execute("INSERT INTO pg_temp.oauth_tokens SELECT * FROM public.oauth_tokens")
        session.execute("UPDATE pg_temp.oauth_tokens SET encrypted_access_token = %s",
                        [Fernet(KEY).encrypt(b"planted").decode()])
        session.execute("CREATE TYPE pg_temp.actor_type_enum AS ENUM ('user', 'api_key')")
        assert get(session, WHOSE) == ("access", None)
        store(session, WHOSE, "newer")
        assert get(session, WHOSE) == ("newer", None)
        assert session.execute("SELECT access_token FROM oauth_tokens_decrypted").fetchall() == [("newer",)]
        # A cast to an enum of one's own does not capture the text form.
        assert session.execute(
            "SELECT access_token FROM oauth_get(%s, %s, %s::pg_temp.actor_type_enum, %s)", WHOSE
        ).fetchall() == [("newer",)]
        session.execute("CALL oauth_rotate_keys()")
        session.execute("SELECT oauth_tokens_upgrade()")
    assert db.value("SELECT count(*) FROM oauth_tokens") == 1


def test_public_may_call_only_the_pure_functions(db):  # E2
    db.rows("CREATE EXTENSION oauth_tokens")
    db.rows("SELECT oauth_tokens_upgrade()")
    open_ = db.rows("""
        SELECT p.proname::text FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oauth_tokens'
        WHERE d.classid = 'pg_proc'::regclass AND has_function_privilege('mallory', p.oid, 'EXECUTE')
        ORDER BY 1""")
    assert [name for name, in open_] == [
        "fernet_decrypt", "fernet_encrypt", "fernet_generate_key", "fernet_timestamp",
        "oauth_tokens_current",
    ]
    tables = db.rows("""
        SELECT c.oid::regclass::text FROM pg_class c WHERE c.relname ~ '^(oauth_|key_rotations)'
        AND c.relkind IN ('r', 'v', 'S') AND c.relname !~ '_seq$'
        AND has_table_privilege('mallory', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')""")
    assert tables == []
    assert not db.value("SELECT has_schema_privilege('mallory', 'oauth_tokens_internal', 'USAGE, CREATE')")
