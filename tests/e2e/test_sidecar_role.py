"""The daemon's role: with the capability `sidecar` it does all of its work, and is refused all else."""

import psycopg
import pytest
from support.sidecar import MiniBrowser, someone
from support.tokens import WORKSPACE


@pytest.fixture(scope="module")
def sidecar(sidecar):
    made = sidecar
    made.sql("CREATE TABLE other_data (secret text); INSERT INTO other_data VALUES ('not for you')")
    made.sql("CREATE SCHEMA app_schema; CREATE TABLE app_schema.users (name text)")
    assert MiniBrowser().open(made.link(someone())).query["oauth"] == "connected"
    return made


def test_it_does_its_work(sidecar):
    whose = someone()
    for confirm in (False, True):
        end = MiniBrowser().open(sidecar.link(whose, return_to="/x", confirm=confirm), until="/x?")
        assert end.query.get("oauth") == "connected" or end.query["oauth_flow"]
    assert sidecar.api("token", whose).status == 200
    assert sidecar.api("token", whose, method="DELETE").json["deleted"] is True
    assert "permission denied" not in sidecar.log() and "42501" not in sidecar.log()


def test_it_is_an_ordinary_role(sidecar):
    assert sidecar.sql("SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles"
                       " WHERE rolname = 'sidecar'") == [(False,) * 5]
    assert sidecar.sql("SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member"
                       " WHERE r.rolname = 'sidecar'") == []
    sessions = sidecar.sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database()"
                           " AND backend_type = 'client backend' AND application_name LIKE 'oauth-sidecar%%'")
    assert sessions == [("sidecar",)]


IDENTITY = f"'{WORKSPACE}', 'fake', 'user', 'x'"
REFUSED = [
    # Keys, and functions that open what they are handed
    "SELECT oauth_encrypt('x')", "SELECT oauth_decrypt('gAAAAA')",
    f"SELECT oauth_decrypt('gAAAAA', {IDENTITY}, 'encrypted_access_token')",
    f"SELECT oauth_encrypt('x', {IDENTITY}, 'encrypted_access_token')",
    f"SELECT oauth_tokens_internal.decrypt('gAAAAA', {IDENTITY}, 'encrypted_access_token')",
    "SELECT * FROM oauth_tokens_internal.decrypted()", "SELECT * FROM oauth_tokens_decrypted",
    "SELECT * FROM oauth_key_usage", "SELECT oauth_tokens_internal.key_fingerprints()",
    "SELECT * FROM oauth_tokens_damaged()", "CALL oauth_rotate_keys()",
    "SHOW oauth_tokens.key_file", "SHOW oauth_tokens.key_command",
    "SELECT pg_read_file('/proc/self/environ')", "COPY other_data FROM PROGRAM 'env'",
    "COPY other_data FROM '/etc/passwd'", "SELECT pg_ls_dir('.')",
    # Administration
    "SELECT oauth_tokens_upgrade()", "SELECT oauth_tokens_downgrade()", "SELECT oauth_tokens_downgrade(true)",
    "SELECT oauth_tokens_grant('sidecar', 'admin')", "SELECT oauth_tokens_revoke('app', 'writer')",
    "SELECT oauth_tokens_enable_row_security()", "SELECT oauth_tokens_disable_row_security()",
    "ALTER EXTENSION oauth_tokens UPDATE", "DROP EXTENSION oauth_tokens", "ALTER SYSTEM SET log_statement = 'all'",
    "SET oauth_tokens.allow_without_preload = on", "SET session_preload_libraries = ''",
    "SET log_statement = 'all'", "SET ROLE postgres", "SET SESSION AUTHORIZATION app",
    # Other people's data, and anything that makes or changes objects
    "SELECT * FROM other_data", "INSERT INTO other_data VALUES ('x')", "SELECT * FROM app_schema.users",
    "CREATE TABLE public.mine (x integer)", "CREATE SCHEMA mine", "CREATE TABLE oauth_tokens_internal.mine (x integer)",
    "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'", "CREATE EXTENSION pgcrypto",
    "ALTER TABLE oauth_tokens ADD COLUMN mine text", "DROP TABLE oauth_tokens", "TRUNCATE oauth_tokens",
    "CREATE INDEX ON oauth_tokens (scopes)", "ALTER TABLE oauth_tokens DISABLE TRIGGER ALL",
    "CREATE TRIGGER t BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE POLICY p ON oauth_tokens USING (true)", "COMMENT ON TABLE oauth_tokens IS 'mine'",
    "TRUNCATE oauth_token_details",
    "UPDATE oauth_tokens SET id = gen_random_uuid()",
    "CREATE ROLE mine", "CREATE DATABASE mine", "ALTER DATABASE {db} SET oauth_tokens.public_url = 'https://evil.example'",
    "ALTER ROLE sidecar SET oauth_tokens.public_url = 'https://evil.example'",
    "SET oauth_tokens.public_url = 'https://evil.example'",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "TRUNCATE oauth_tokens_internal.flow_links", "DROP TABLE oauth_tokens_internal.flow_links",
    "ALTER TABLE oauth_tokens_internal.flow_links DISABLE TRIGGER ALL",
    "UPDATE pg_proc SET prosrc = ''", "SELECT rolpassword FROM pg_authid", "SELECT pg_reload_conf()",
    "SELECT lo_import('/etc/passwd')", "DO LANGUAGE plpython3u ''",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_everything_else_is_refused(sidecar, statement):
    with pytest.raises(psycopg.Error) as caught:
        sidecar.sql(statement.format(db=sidecar.db), user="sidecar")
    # 42501 insufficient privilege, or it is not even there for it (or takes an admin to change).
    assert caught.value.sqlstate in ("42501", "55P02", "42704", "0A000", "42883", "58P01", "42602"), caught.value
    assert "not for you" not in str(caught.value)


FLOW_FUNCTIONS = ["publish_settings", "flow_begin", "flow_claim", "flow_store", "flow_purge"]
FLOW_TABLES = ["flow_links", "flow_attempts", "flow_confirmations"]


def test_its_functions_are_nobody_elses(sidecar):
    """Neither the application, nor a reader, nor PUBLIC may act as the daemon."""
    for role, capability in [("app", None), ("only_reads", "reader"), ("only_access", "access"), ("stranger", None)]:
        if role != "app":
            sidecar.cluster.rows(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN", db="postgres")
        if capability:
            sidecar.sql("SELECT oauth_tokens_grant(%s, %s)", [role, capability])
        for name in FLOW_FUNCTIONS:
            may = sidecar.sql(
                "SELECT bool_or(has_function_privilege(%s, p.oid, 'EXECUTE')) FROM pg_proc p JOIN pg_namespace n"
                " ON n.oid = p.pronamespace WHERE n.nspname = 'oauth_tokens_internal' AND p.proname = %s",
                [role, name])
            assert may == [(False,)], (role, name)
    held = sidecar.sql(
        "SELECT p.proname, bool_and(has_function_privilege('sidecar', p.oid, 'EXECUTE')) FROM pg_proc p"
        " JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'oauth_tokens_internal'"
        " AND p.proname = ANY (%s) GROUP BY 1", [FLOW_FUNCTIONS])
    assert dict(held) == dict.fromkeys(FLOW_FUNCTIONS, True)


def test_nobody_reads_the_flows(sidecar):
    """What lies there is hashed or sealed; and it is not to be read anyway by who has no business."""
    MiniBrowser().open(sidecar.link(someone()), until="/callback?")
    for table in FLOW_TABLES:
        with pytest.raises(psycopg.Error) as caught:
            sidecar.sql(f"SELECT * FROM oauth_tokens_internal.{table}", user="stranger")
        assert caught.value.sqlstate == "42501"


def test_under_row_security(make_sidecar, fake):
    """The daemon serves every workspace; the application is held to its own."""
    sidecar = make_sidecar({"fake": fake.settings()})
    sidecar.sql("ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;"
                "CREATE POLICY own ON oauth_tokens TO app"
                " USING (workspace_id::text = current_setting('app.workspace_id', true));"
                "CREATE POLICY every ON oauth_tokens TO sidecar USING (true)")
    whose = someone()
    with sidecar.cluster.connect(sidecar.db, "app", autocommit=True) as connection:
        ask = "SELECT oauth_authorize_url(%s, %s, %s, %s)"
        with pytest.raises(psycopg.Error):
            connection.execute("SET app.workspace_id = '33333333-3333-4333-8333-333333333333'")
            connection.execute(ask, whose)
        connection.execute("SELECT set_config('app.workspace_id', %s, false)", [str(whose[0])])
        link = connection.execute(ask, whose).fetchone()[0]
        end = MiniBrowser().open(link)
        assert end.query["oauth"] == "connected"
        assert connection.execute("SELECT count(*) FROM oauth_connections").fetchone() == (1,)
    assert sidecar.api("token", whose).status == 200
    assert sidecar.api("token", whose, method="DELETE").json["deleted"] is True
