"""ALTER EXTENSION UPDATE makes of each release what CREATE EXTENSION makes now, object by object, and leaves tokens,
grants and what is under way as they are."""

import re
import shutil
import subprocess

import psycopg
import pytest
from support.catalog import describe, differences
from support.harness import CHECKOUT
from support.tokens import WORKSPACE, get, identity, store

RELEASED = sorted(found[1] for path in (CHECKOUT / "extension/releases").iterdir()
                  if (found := re.fullmatch(r"oauth_tokens--([0-9.]+)\.sql", path.name)))
ROLES = ("app", "sidecar", "keeper", "narrow", "other")
OTHERS = "22222222-2222-4222-8222-222222222222"
# Of a database, what these need; the extension's tables have nothing else that an update could change.
TABLES = """SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind IN ('r', 'S') AND (c.relnamespace = 'oauth_tokens_internal'::regnamespace
    OR c.oid::regclass::text IN ('oauth_tokens', 'oauth_token_details')) ORDER BY 1"""


@pytest.fixture(scope="module")
def server(module_cluster):
    server = module_cluster()
    for role in ROLES:
        server.rows(f"CREATE ROLE {role} LOGIN", db="postgres")
    return server


def empty(server, name):
    server.rows(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", db="postgres")
    server.rows(f"CREATE DATABASE {name} TEMPLATE template0", db="postgres")
    return name


def install(server, name, version=None, schema="public"):
    """A database that would give new objects away, with the extension."""
    empty(server, name)
    server.rows("ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO other; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO other;"
                " ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO other", db=name)
    if schema != "public":
        server.rows(f"CREATE SCHEMA {schema}", db=name)
    server.rows(f"CREATE EXTENSION oauth_tokens SCHEMA {schema}" + (f" VERSION '{version}'" if version else ""), db=name)
    return name


def description(server, name):
    with server.connect(name, autocommit=True) as connection:
        return describe(connection)


@pytest.mark.parametrize("schema", ["public", '"of Tokens"'])
@pytest.mark.parametrize("version", RELEASED)
def test_an_update_makes_what_an_installation_makes(server, version, schema):  # E27
    install(server, "old", version, schema)
    server.rows("ALTER EXTENSION oauth_tokens UPDATE", db="old")
    install(server, "new", schema=schema)
    assert differences(description(server, "old"), description(server, "new")) == []


TAMPERED = [
    "ALTER FUNCTION oauth_get(uuid, text, text, text) COST 7",
    "ALTER FUNCTION oauth_get(uuid, text, text, text) VOLATILE",
    "ALTER FUNCTION oauth_tokens_damaged() RESET row_security",
    "ALTER FUNCTION oauth_encrypt(text) OWNER TO other",
    "GRANT EXECUTE ON FUNCTION oauth_encrypt(text) TO other",
    "COMMENT ON FUNCTION oauth_encrypt(text) IS 'another'",
    "ALTER EXTENSION oauth_tokens DROP FUNCTION oauth_encrypt(text)",
    "CREATE OR REPLACE FUNCTION oauth_tokens_internal.utc(moment timestamptz) RETURNS timestamptz"
    " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT  moment'",
    "CREATE OR REPLACE VIEW oauth_connections WITH (security_invoker, security_barrier) AS"
    " SELECT * FROM oauth_tokens_internal.connections(true)",
    "ALTER VIEW oauth_connections RESET (security_barrier)",
    "ALTER TABLE oauth_tokens_internal.refresh_clients ADD COLUMN more text",
    "ALTER TABLE oauth_tokens_internal.refresh_clients ALTER COLUMN pauses SET DEFAULT 1",
    "ALTER TABLE oauth_tokens_internal.refresh_clients ALTER COLUMN pauses DROP NOT NULL",
    "ALTER TABLE oauth_tokens_internal.refresh_states DROP CONSTRAINT refresh_states_reason_check",
    "ALTER TABLE oauth_tokens_internal.oauth_revocations ALTER encrypted_refresh_token SET STORAGE MAIN",
    "ALTER TABLE oauth_tokens_internal.cache_invalidations RESET (vacuum_truncate)",
    "ALTER TABLE oauth_tokens_internal.cluster ENABLE ROW LEVEL SECURITY",
    "ALTER INDEX oauth_tokens_internal.flow_links_identity SET (fillfactor = 50)",
    "CREATE INDEX more ON oauth_tokens_internal.flow_links (provider)",
    "ALTER SEQUENCE oauth_tokens_internal.refresh_fences INCREMENT 2",
    "ALTER TYPE oauth_tokens_internal.connection RENAME ATTRIBUTE since TO more",
    "CREATE TRIGGER more BEFORE INSERT ON oauth_tokens_internal.cluster FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change()",
    "UPDATE pg_extension SET extconfig = extconfig[2:], extcondition = extcondition[2:] WHERE extname = 'oauth_tokens'",
    "UPDATE pg_init_privs SET initprivs = initprivs || 'other=X/postgres'::aclitem WHERE objoid = 'oauth_tokens_current'::regproc",
    "DELETE FROM pg_init_privs WHERE objoid = 'oauth_get(uuid, text, text, text)'::regprocedure",
]


def test_every_difference_is_seen(server):
    """Or the other tests prove nothing."""
    install(server, "new")
    with server.connect("new") as connection:
        before = describe(connection)
        assert len(before) > 1000
        for tampering in TAMPERED:
            with connection.transaction(force_rollback=True):
                connection.execute("SET allow_system_table_mods = on")
                connection.execute(tampering)
                assert differences(before, describe(connection)) != [], tampering
        assert differences(before, describe(connection)) == []


def use(server, name):
    """What a database in use has: tokens, grants, policies, a cache, and things under way."""
    with server.connect(name, autocommit=True) as connection:
        connection.execute("SELECT oauth_tokens_upgrade()")
        for role, capability in [("app", "reader"), ("app", "writer"), ("sidecar", "sidecar"), ("keeper", "admin"),
                                 ("narrow", "access"), ("narrow", "refresher")]:
            connection.execute("SELECT oauth_tokens_grant(%s::regrole, %s)", [role, capability])
        connection.execute("SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}')")
        connection.execute("""SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600}}')""")
        for i in range(5):
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s, 'refresh', details => %s)",
                               [*identity(f"a{i}"), f"token {i}", '{"account_id": "7", "client_id": "client"}'])
        store(connection, identity("theirs", workspace_id=OTHERS), "their token")
        store(connection, identity("deleted"), "deleted", "refresh")
        connection.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", identity("deleted"))
        connection.execute("SELECT oauth_authorize_url(%s, %s, %s, %s)", identity("linked"))
        connection.execute("SELECT oauth_tokens_enable_background_refresh(), oauth_tokens_enable_row_security()")
        for who in ("a1", "a2"):
            [fence] = connection.execute("SELECT fence FROM oauth_refresh_begin(%s, %s, %s, %s, force => true)", identity(who)).fetchone()
        connection.execute("SELECT oauth_refresh_fail(%s, %s, %s, %s, %s, 'dead_grant')", [*identity("a2"), fence])
        connection.execute("CALL oauth_rotate_keys()")
        connection.execute("SELECT oauth_cache_register('the cache')")
        store(connection, identity("a0"), "token 0", "refresh")
        connection.execute("CREATE VIEW connected AS SELECT actor_id, state FROM oauth_connections")
        connection.execute("GRANT SELECT ON connected TO app; GRANT EXECUTE ON FUNCTION oauth_tokens_current() TO other")
    return name


def contents(server, name):
    """Every row of the tables, and what a superuser sees of them."""
    tables = [table for table, in server.rows(TABLES, db=name)]
    assert len(tables) > 15
    rows = {table: sorted(map(str, server.rows(f"SELECT * FROM {table}", db=name))) for table in tables}
    for table in ("oauth_tokens", "refresh_attempts", "refresh_states", "oauth_revocations", "cache_invalidations", "flow_links",
                  "cache_registrations", "used_keys", "key_rotations", "cluster", "refresh_rules"):
        assert any(rows.get(prefix + table) for prefix in ("", "oauth_tokens_internal.")), table
    for sql in ("SELECT * FROM oauth_tokens_decrypted", "SELECT * FROM oauth_connections", "SELECT * FROM connected",
                "SELECT oauth_tokens_internal.cache_registration_id()", "SELECT * FROM oauth_key_usage"):
        rows[sql] = sorted(map(str, server.rows(sql, db=name)))
    return rows


def complete(server, name):
    """As docs/install.md says: the migration, and the grants that it names."""
    notices = []
    with server.connect(name, autocommit=True) as connection:
        connection.add_notice_handler(lambda diag: notices.append(diag.message_hint or ""))
        connection.execute("SELECT oauth_tokens_upgrade()")
        for grant in filter(None, (re.search(r"SELECT \S*oauth_tokens_grant\(.*\);", hint) for hint in notices)):
            connection.execute(grant[0])
        assert connection.execute("SELECT detail FROM oauth_doctor() WHERE status = 'error' AND item IN"
                                  " ('versions', 'capabilities', 'rights of PUBLIC', 'foreign objects', 'row security')").fetchall() == []
    return name


def works(server, name):
    """Who could do something before the update can do it afterwards, and nobody else."""
    with server.connect(name, user="app", autocommit=True) as connection:
        assert get(connection, identity("a0")) is None
        connection.execute("SELECT set_config('oauth_tokens.workspace_id', %s, false)", [str(WORKSPACE)])
        assert get(connection, identity("a0")) == ("token 0", "refresh")
        store(connection, identity("new"), "a new token")
        assert connection.execute("SELECT state FROM connected WHERE actor_id = 'a2'").fetchone() == ("needs_reauthorization",)
        assert get(connection, identity("theirs", workspace_id=OTHERS)) is None
    with server.connect(name, user="sidecar", autocommit=True) as connection:
        assert get(connection, identity("theirs", workspace_id=OTHERS)) == ("their token", None)
        assert connection.execute("SELECT count(*) FROM oauth_changes_pending()").fetchone()[0] >= 1
    for role, sql in [("other", "SELECT * FROM oauth_connections"), ("other", "SELECT oauth_encrypt('x')"),
                      ("app", "SELECT oauth_decrypt('x')"), ("app", "SELECT * FROM oauth_tokens_decrypted")]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            server.rows(sql, db=name, user=role)


@pytest.mark.parametrize("version", RELEASED)
def test_a_database_in_use(server, version):  # E6, E27
    """Nothing that it has gets lost, and it is what a new one in the same use is; so are the copies that are made of its dumps,
    from before the update and from afterwards."""
    use(server, install(server, "new"))
    use(server, install(server, "old", version))
    dump = server.dump(db="old")
    before = contents(server, "old")
    server.rows("ALTER EXTENSION oauth_tokens UPDATE", db="old")
    assert contents(server, "old") == before
    complete(server, "old")
    assert differences(description(server, "old"), description(server, "new")) == []
    works(server, "old")

    expected = None
    for name, made in [("new", None), ("old", None), ("old_dump", dump)]:
        server.restore(made or server.dump(db=name), db=empty(server, "copy"))
        found = description(server, complete(server, "copy"))
        expected = expected or found
        assert differences(found, expected) == [], name


@pytest.mark.parametrize("version", RELEASED)
def test_before_the_update(server, version):
    """The library serves objects of the release until they are updated, and says that they should be."""
    use(server, install(server, "old", version))
    works(server, "old")
    found = server.rows("SELECT status, hint FROM oauth_doctor() WHERE item = 'versions'", db="old")
    current = server.value("SELECT default_version FROM pg_available_extensions WHERE name = 'oauth_tokens'", db="old")
    assert version == current or found[0][0] == "error" and "ALTER EXTENSION oauth_tokens UPDATE" in found[0][1]


def test_the_library_before(server):
    """What a server without a restart tells of objects that were made for a later library."""
    install(server, "new")
    server.rows("UPDATE pg_extension SET extversion = '99.0.0' WHERE extname = 'oauth_tokens'", db="new")
    assert server.rows("SELECT status, hint FROM oauth_doctor() WHERE item = 'versions'", db="new") == [("error", "Restart the server.")]


def test_no_change_without_a_version(tmp_path):  # E27
    """What scripts/check-releases refuses, after a release of this version."""
    for folder in ("extension/sql", "extension/releases"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    (tmp_path / "scripts").mkdir()
    for name in ("oauth_tokens.control", "scripts/common.sh", "scripts/check-releases", "scripts/freeze"):
        shutil.copy(CHECKOUT / name, tmp_path / name)
    releases, control = tmp_path / "extension/releases", tmp_path / "oauth_tokens.control"

    def script(name):
        done = subprocess.run([tmp_path / "scripts" / name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout

    def changed(path, text):
        before = path.read_text("utf-8") if path.exists() else None
        path.write_text((before or "") + text, "utf-8")
        found = script("check-releases")
        path.write_text(before, "utf-8") if before else path.unlink()
        return found

    version = re.search(r"default_version = '(.*)'", control.read_text())[1]
    if version not in RELEASED:
        assert script("freeze")[0] == 0
    assert script("check-releases") == (0, "") and script("freeze")[0] == 1
    for path, text, complaint in [
        (tmp_path / "extension/sql/85_doctor.sql", "-- more\n", f"was changed since release {version}"),
        (releases / f"oauth_tokens--{version}.sql", "-- more\n", "never changes"),
        (releases / "oauth_tokens--0.1.0--0.2.0.sql", "-- more\n", "never changes"),
        (releases / "oauth_tokens--0.1.0--9.0.0.sql", "-- more\n", "neither in SHA256SUMS"),
        (control, "default_version = '99.0.0'\n", f"oauth_tokens--{version}--99.0.0.sql"),
    ]:
        if path == control:
            control.write_text(control.read_text().replace("default_version", "#"))
        status, said = changed(path, text)
        assert status == 1 and complaint in said, (path, said)


def test_only_a_superuser_updates(server):
    install(server, "old", RELEASED[0])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.rows("ALTER EXTENSION oauth_tokens UPDATE", db="old", user="other")
