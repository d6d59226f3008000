"""Dump and restore in one transaction, fresh and adopted tables; DROP EXTENSION keeps rows."""

import psycopg
import pytest
from support.harness import DATABASE
from support.tokens import get, identity, python_store, store

# As the Python service's Alembic migration made it, and what users put around it.
ADOPTED = """
    CREATE TYPE actor_type_enum AS ENUM ('user', 'api_key');
    CREATE TABLE oauth_tokens (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        workspace_id uuid NOT NULL,
        actor_type actor_type_enum NOT NULL,
        actor_id text NOT NULL,
        provider text NOT NULL,
        scopes text,
        encrypted_access_token text NOT NULL,
        encrypted_refresh_token text,
        access_token_expires_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        note text DEFAULT 'a column of their own',
        CONSTRAINT uq_oauth_tokens_identity UNIQUE (workspace_id, provider, actor_type, actor_id)
    );
    CREATE INDEX idx_oauth_tokens_workspace_id ON oauth_tokens (workspace_id);
    CREATE TABLE audit (actor_type actor_type_enum, seen timestamptz DEFAULT now());
    INSERT INTO audit (actor_type) VALUES ('user'), ('api_key');
"""
AROUND = """
    CREATE INDEX by_updated ON oauth_tokens (updated_at) WHERE scopes IS NOT NULL;
    CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.scopes := coalesce(NEW.scopes, '') || '+'; RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION touched();
    ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER touched;
    CREATE POLICY own ON oauth_tokens USING (actor_id = current_user);
    ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
    COMMENT ON TABLE oauth_tokens IS 'their own words';
"""
OBJECTS = """
    SELECT 'index', indexdef FROM pg_indexes WHERE tablename LIKE 'oauth_token%'
    UNION ALL SELECT 'constraint', conname || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid::regclass::text ~ 'oauth_token'
    UNION ALL SELECT 'trigger', tgname || tgenabled::text || pg_get_triggerdef(oid) FROM pg_trigger
        WHERE tgrelid::regclass::text ~ 'oauth_token' AND NOT tgisinternal
    UNION ALL SELECT 'policy', polname FROM pg_policy
    UNION ALL SELECT 'column', attrelid::regclass || attname || format_type(atttypid, atttypmod)
            || attnotnull || attstorage::text FROM pg_attribute
        WHERE attrelid::regclass::text ~ 'oauth_token_?' AND attnum > 0 AND attrelid::regclass::text !~ '_internal'
    UNION ALL SELECT 'options', relname || reloptions::text || relrowsecurity FROM pg_class
        WHERE relname LIKE 'oauth_token%' AND reloptions IS NOT NULL
    UNION ALL SELECT 'comment', obj_description(oid, 'pg_class') FROM pg_class
        WHERE relname = 'oauth_tokens'
    UNION ALL SELECT 'acl', relname || relacl::text FROM pg_class WHERE relname ~ '^oauth_token'
    ORDER BY 1, 2
"""
SECRETS = ("SENTINEL-access", "SENTINEL-refresh")


def make_source(cluster, kind, schema):
    """A database with rows of ours and of Python's in a fresh or an adopted table."""
    name = cluster.fresh_database("source", schema=schema, migrate=False)
    with cluster.connect(name, autocommit=True) as connection:
        if schema:
            connection.execute(f"SET search_path = {schema}, public")
        if kind == "adopted":
            connection.execute(ADOPTED)
        connection.execute("SELECT oauth_tokens_upgrade()")
        if kind == "fresh":
            connection.execute("CREATE TABLE audit (actor_type actor_type_enum)")
            connection.execute("INSERT INTO audit VALUES ('user'), ('api_key')")
        for i in range(20):
            store(connection, identity(f"ours-{i}"), f"{SECRETS[0]}-{i}", f"{SECRETS[1]}-{i}")
            python_store(connection, identity(f"theirs-{i}"), f"{SECRETS[0]}-é🔑-{i}")
        connection.execute(
            "SELECT oauth_store(%s, %s, %s, %s, %s, details => %s::jsonb)",
            (*identity("with details"), SECRETS[0], '{"account_label": "a@example.org"}'),
        )
        store(connection, identity("large"), SECRETS[0] * 4000)
        store(connection, identity("deleted"), *SECRETS)
        connection.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", identity("deleted"))
        connection.execute(AROUND)
        connection.execute("SELECT oauth_tokens_grant('reader_of_tokens', 'reader')")
    return name


def contents(cluster, db, schema):
    path = f"-c search_path={schema or 'public'},pg_catalog"
    with cluster.connect(db, options=path) as connection:
        return {
            sql: connection.execute(sql).fetchall()
            for sql in (
                "SELECT * FROM oauth_tokens ORDER BY id",
                "SELECT * FROM oauth_token_details ORDER BY token_id",
                "SELECT * FROM oauth_tokens_decrypted ORDER BY id",
                "SELECT * FROM oauth_connections ORDER BY workspace_id, actor_id",
                "SELECT actor_type::text FROM audit ORDER BY 1",
                "SELECT oauth_tokens_current()",
                OBJECTS,
            )
        }


@pytest.fixture(scope="module")
def server(cluster):
    cluster.rows("CREATE ROLE reader_of_tokens LOGIN")
    return cluster


@pytest.mark.parametrize("schema", [None, "vault"])
@pytest.mark.parametrize("kind", ["fresh", "adopted"])
@pytest.mark.parametrize("form", ["plain", "custom"])
def test_dump_and_restore(server, form, kind, schema):  # E6
    source = make_source(server, kind, schema)
    before = contents(server, source, schema)
    assert len(before["SELECT * FROM oauth_tokens ORDER BY id"]) == 42
    queue = "SELECT * FROM oauth_tokens_internal.oauth_revocations"
    to_be_revoked = server.rows(queue, db=source)
    assert len(to_be_revoked) == 1
    assert before["SELECT oauth_tokens_current()"] == [("bb51836389e7 (head)",)]

    dump = server.dump(*(["-Fc"] if form == "custom" else []), db=source)
    text = dump if form == "plain" else server.client("pg_restore", "-f", "-", input=dump, text=False).stdout.decode()
    assert "gAAAAA" in text
    assert "SENTINEL" not in text  # ciphertext only

    server.rows("DROP DATABASE IF EXISTS target", db="postgres")
    server.rows("CREATE DATABASE target TEMPLATE template0", db="postgres")
    server.restore(dump, db="target")
    assert contents(server, "target", schema) == before
    assert server.rows(queue, db="target") == to_be_revoked
    # It is whole: nothing to repair, and it is used at once.
    path = f"-c search_path={schema or 'public'},pg_catalog"
    with server.connect("target", autocommit=True, options=path) as connection:
        connection.execute("SELECT oauth_tokens_upgrade()")
        assert get(connection, identity("ours-1")) == (f"{SECRETS[0]}-1", f"{SECRETS[1]}-1")
        store(connection, identity("ours-1"), "after the restore")
        assert get(connection, identity("ours-1"))[0] == "after the restore"
        changed = contents(server, "target", schema)
    assert changed[OBJECTS] == before[OBJECTS]


def test_the_dump_of_the_dump_is_the_same(server):  # E6
    source = make_source(server, "adopted", None)
    first = server.dump(db=source)
    server.rows("DROP DATABASE IF EXISTS target", db="postgres")
    server.rows("CREATE DATABASE target TEMPLATE template0", db="postgres")
    server.restore(first, db="target")
    second = server.dump(db="target")

    def lines(dump):  # but for those that hold a random word
        return [line for line in dump.splitlines() if "restrict " not in line]

    assert lines(second) == lines(first)


def test_data_only_with_triggers_disabled(server):  # E6
    """pg_restore --disable-triggers leaves triggers plain; upgrade() makes the table whole."""
    source = make_source(server, "fresh", None)
    dump = server.dump("-Fc", "-t", "oauth_tokens", "-t", "oauth_token_details", db=source)
    rows = server.rows("SELECT * FROM oauth_tokens ORDER BY id", db=source)
    server.fresh_database("target")
    server.client("pg_restore", "-d", "target", "--data-only", "--disable-triggers", "-e",
                  input=dump, text=False)
    with server.connect("target", autocommit=True) as connection:
        connection.execute("SELECT oauth_tokens_upgrade()")
        assert connection.execute("SELECT oauth_tokens_current()").fetchone() == ("bb51836389e7 (head)",)
        assert get(connection, identity("ours-3")) == (f"{SECRETS[0]}-3", f"{SECRETS[1]}-3")
        # Triggers that are the user's own stay as they are left.
        assert connection.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'A'"
            " AND tgname LIKE 'oauth%'"
        ).fetchall() == []
    assert server.rows("SELECT * FROM oauth_tokens ORDER BY id", db="target") == rows


@pytest.mark.parametrize("cascade", ["", " CASCADE"])
@pytest.mark.parametrize("kind", ["fresh", "adopted"])
def test_drop_extension_keeps_every_token(server, kind, cascade):  # E6
    source = make_source(server, kind, None)
    before = contents(server, source, None)
    if cascade:
        server.rows("CREATE VIEW depends AS SELECT * FROM oauth_connections", db=source)
    with server.connect(source, autocommit=True) as opened:
        assert get(opened, identity("ours-1"))
        server.rows(f"DROP EXTENSION oauth_tokens{cascade}", db=source)
        assert server.rows("SELECT * FROM oauth_tokens ORDER BY id", db=source) \
            == before["SELECT * FROM oauth_tokens ORDER BY id"]
        assert len(server.rows("SELECT 1 FROM oauth_token_details", db=source)) == 1
        with pytest.raises(psycopg.Error) as caught:
            get(opened, identity("ours-1"))
        assert caught.value.sqlstate == "42883"
        server.rows("CREATE EXTENSION oauth_tokens", db=source)
        server.rows("SELECT oauth_tokens_upgrade()", db=source)
        server.rows("SELECT oauth_tokens_grant('reader_of_tokens', 'reader')", db=source)
        assert contents(server, source, None) == before
        assert get(opened, identity("ours-1")) == (f"{SECRETS[0]}-1", f"{SECRETS[1]}-1")


def test_restore_without_the_key(server, make_cluster):  # E6
    """A dump can be restored where there is no key; it opens with it."""
    source = make_source(server, "adopted", None)
    dump = server.dump(db=source)
    other = make_cluster(key=None)
    other.rows("CREATE ROLE reader_of_tokens LOGIN", db="postgres")
    other.rows(f"CREATE DATABASE {DATABASE} TEMPLATE template0", db="postgres")
    other.restore(dump)
    with other.connect() as connection, pytest.raises(psycopg.Error) as caught:
        get(connection, identity("ours-1"))
    assert caught.value.sqlstate == "OT001"
    other.key = server.key
    other.restart()
    with other.connect() as connection:
        assert get(connection, identity("ours-1")) == (f"{SECRETS[0]}-1", f"{SECRETS[1]}-1")


def test_dump_as_the_owner(server):  # E6
    """pg_dump as an ordinary role that owns the table, and has nothing else."""
    server.fresh_database("owned", migrate=False)
    server.rows("DROP ROLE IF EXISTS owner_of_tokens", db="postgres")
    server.rows("CREATE ROLE owner_of_tokens LOGIN", db="postgres")
    server.rows("GRANT CREATE ON SCHEMA public TO owner_of_tokens", db="owned")
    server.rows("GRANT USAGE ON SCHEMA oauth_tokens_internal TO owner_of_tokens", db="owned")
    server.rows("GRANT EXECUTE ON FUNCTION oauth_tokens_upgrade(), oauth_tokens_internal.record_change(),"
                " oauth_tokens_enable_background_refresh() TO owner_of_tokens", db="owned")
    server.rows("SELECT oauth_tokens_upgrade()", db="owned", user="owner_of_tokens")
    server.rows("SELECT oauth_tokens_enable_background_refresh()", db="owned", user="owner_of_tokens")
    server.rows("SELECT oauth_tokens_grant('owner_of_tokens', 'writer')", db="owned")
    with server.connect("owned", user="owner_of_tokens", autocommit=True) as connection:
        store(connection, identity("owned"), "owned")
    done = server.client("pg_dump", "-d", "owned", "-U", "owner_of_tokens", check=False)
    assert done.returncode == 0, done.stderr
    assert "gAAAAA" in done.stdout
    server.rows("DROP DATABASE IF EXISTS target", db="postgres")
    server.rows("CREATE DATABASE target TEMPLATE template0", db="postgres")
    server.restore(done.stdout, db="target")  # by who may create the extension
    assert server.rows(REFRESHED, db="target") == INDEXES
    assert server.rows("SELECT oauth_tokens_current()", db="target") == [("bb51836389e7 (head)",)]
    server.rows("DROP DATABASE target", db="postgres")
    server.rows("DROP DATABASE owned", db="postgres")


def backlog(server, db):
    """What a look hands out, once the copy may refresh."""
    server.rows("SELECT oauth_tokens_adopt_cluster()", db=db)
    return sorted(actor for actor, in server.rows("SELECT actor_id FROM oauth_tokens_internal.refresh_due(100)", db=db))


REFRESHED = "SELECT indexname FROM pg_indexes WHERE indexname ~ '^idx_oauth_token.*_refresh$' ORDER BY 1"
INDEXES = [("idx_oauth_token_details_refresh",), ("idx_oauth_tokens_refresh",)]
DUE = [f"due-{i}" for i in range(5)]


def make_background(server, kind="fresh"):
    source = make_source(server, kind, None)
    server.rows("DROP TRIGGER touched ON oauth_tokens", db=source)
    server.rows("SELECT oauth_tokens_enable_background_refresh()", db=source)
    server.rows("""SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 1000}}')""",
                db=source)
    with server.connect(source, autocommit=True) as connection:
        for actor in DUE:
            store(connection, identity(actor), *SECRETS)
        connection.execute("UPDATE oauth_tokens SET access_token_expires_at = now() - interval '1 h' WHERE actor_id LIKE 'due-%'")
    return source


@pytest.mark.parametrize("kind", ["fresh", "adopted"])
@pytest.mark.parametrize("form", ["plain", "custom"])
def test_background_refresh_is_restored(server, form, kind):
    """Its indexes, and its rules; nothing is due until the copy is adopted, and then the same."""
    source = make_background(server, kind)
    dump = server.dump(*(["-Fc"] if form == "custom" else []), db=source)
    server.rows("DROP DATABASE IF EXISTS target", db="postgres")
    server.rows("CREATE DATABASE target TEMPLATE template0", db="postgres")
    server.restore(dump, db="target")
    assert server.rows("SELECT oauth_tokens_current()", db="target") == [("bb51836389e7 (head)",)]
    assert server.rows(REFRESHED, db="target") == INDEXES
    server.rows("UPDATE oauth_tokens_internal.cluster SET id = 'of the source''s server'", db="target")
    with pytest.raises(psycopg.Error) as refusal:
        server.rows("SELECT oauth_tokens_internal.refresh_due(100)", db="target")
    assert refusal.value.sqlstate == "OT017"
    assert backlog(server, "target") == DUE


def test_background_refresh_and_disabled_triggers(server):
    """Indexes are of the schema's part; what a data-only restore leaves, an upgrade repairs."""
    source = make_background(server)
    dump = server.dump("-Fc", "-t", "oauth_tokens", "-t", "oauth_token_details", db=source)
    server.fresh_database("target")
    server.rows("SELECT oauth_tokens_enable_background_refresh()", db="target")
    server.rows("""SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 1000}}')""",
                db="target")
    server.client("pg_restore", "-d", "target", "--data-only", "--disable-triggers", "-e", input=dump, text=False)
    server.rows("SELECT oauth_tokens_upgrade()", db="target")
    assert server.rows("SELECT oauth_tokens_current()", db="target") == [("bb51836389e7 (head)",)]
    assert server.rows(REFRESHED, db="target") == INDEXES
    assert backlog(server, "target") == DUE


def test_background_refresh_and_the_extension(server):
    """DROP EXTENSION keeps the indexes with the tables: the next one takes them. A downgrade drops all; an upgrade makes none."""
    source = make_background(server)
    server.rows("DROP EXTENSION oauth_tokens", db=source)
    assert server.rows(REFRESHED, db=source) == INDEXES
    server.rows("CREATE EXTENSION oauth_tokens", db=source)
    server.rows("SELECT oauth_tokens_upgrade()", db=source)
    assert server.rows("SELECT oauth_tokens_current()", db=source) == [("bb51836389e7 (head)",)]
    server.rows("""SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 1000}}')""",
                db=source)
    assert backlog(server, source) == DUE
    server.rows("SELECT oauth_tokens_downgrade(discard_tokens => true)", db=source)
    assert server.rows(REFRESHED, db=source) == []
    server.rows("SELECT oauth_tokens_upgrade()", db=source)
    assert server.rows("SELECT oauth_tokens_current()", db=source) == [("bb51836389e7 (head)",)]
    assert server.rows(REFRESHED, db=source) == []
    assert backlog(server, source) == []
    server.rows("SELECT oauth_tokens_enable_background_refresh()", db=source)
    assert server.rows(REFRESHED, db=source) == INDEXES
