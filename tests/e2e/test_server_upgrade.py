"""pg_upgrade carries the extension to another server, as docs/install.md, "Upgrading", says. Of one major version
here: what it does to our objects is the same."""

import subprocess

import psycopg
import pytest
from support.harness import DATABASE, as_server, clean_environment, client_bin, new_directory, server_bin
from support.tokens import get, identity, store

DUE = "SELECT actor_id FROM oauth_tokens_internal.refresh_due(100)"


@pytest.fixture
def programs():
    """The private tree's, and for the rest Debian's, in one directory, as pg_upgrade wants them."""
    path = new_directory("bin")
    for source in (server_bin(), client_bin()):
        for program in source.iterdir():
            if not (path / program.name).exists():
                (path / program.name).symlink_to(program)
    return path


def upgrade(programs, old, new):
    done = subprocess.run(
        as_server(programs / "pg_upgrade", "--old-bindir", programs, "--new-bindir", programs, "--username", "postgres",
                  "--old-datadir", old.datadir, "--new-datadir", new.datadir, "--socketdir", new.path, "--no-sync"),
        cwd=new.path, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    logs = [path.read_text() for path in new.path.rglob("*.log") if path != new.logfile]
    assert done.returncode == 0, "\n".join([done.stdout, *logs])[-4000:]


@pytest.mark.parametrize("preload", [True, False])
def test_pg_upgrade(make_cluster, programs, preload):
    """Neither server has the key meanwhile: what is upgraded is ciphertext, grants, policies and triggers."""
    # The second one has a system identifier of its own, as no copy of a template has.
    old, new = make_cluster(), make_cluster(preload=preload, initdb_args=["--no-sync"])
    old.fresh_database(DATABASE)
    with old.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE app LOGIN")
        connection.execute("SELECT oauth_tokens_grant('app', 'reader'), oauth_tokens_grant('app', 'writer')")
        connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'the token', 'the refresh token', details => %s)",
                           [*identity(), '{"account_id": "7"}'])
        store(connection, identity("bob"), "bob's token")
        connection.execute("SELECT oauth_tokens_enable_background_refresh()")
        connection.execute("""SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600}}')""")
        connection.execute("ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY mine ON oauth_tokens USING (actor_id = 'alice')")
        connection.execute("CREATE VIEW connected AS SELECT actor_id, details FROM oauth_connections")
        ids = connection.execute("SELECT id, encrypted_access_token FROM oauth_tokens ORDER BY 1").fetchall()
    old.stop()
    new.stop()
    upgrade(programs, old, new)
    new.preload = True
    new.start()
    with new.connect(autocommit=True) as connection:
        assert connection.execute("SELECT oauth_tokens_current()").fetchone() == ("bb51836389e7 (head)",)
        assert connection.execute("SELECT id, encrypted_access_token FROM oauth_tokens ORDER BY 1").fetchall() == ids
        if not preload:
            notices = []
            connection.add_notice_handler(notices.append)
            connection.execute("SELECT oauth_tokens_upgrade()")
            assert notices == []
        store(connection, identity("carol"), "carol's token")
    with new.connect(user="app", autocommit=True) as connection:
        assert get(connection, identity())[:2] == ("the token", "the refresh token")
        assert get(connection, identity("bob")) is None  # of the policy
        store(connection, identity(), "another token")
        [[whose, details]] = connection.execute("SELECT actor_id, details FROM oauth_connections").fetchall()
        assert whose == "alice" and details["account_id"] == "7"
    with new.connect(autocommit=True) as connection:
        begin = "SELECT outcome FROM oauth_refresh_begin(%s, %s, %s, %s, force => true)"
        with pytest.raises(psycopg.Error) as refusal:
            connection.execute(begin, identity("bob"))
        assert refusal.value.sqlstate == "OT017"  # the old cluster may still refresh
        with pytest.raises(psycopg.Error) as refusal:
            connection.execute(DUE)
        assert refusal.value.sqlstate == "OT017"
        connection.execute("SELECT oauth_tokens_adopt_cluster()")
        connection.execute("UPDATE oauth_tokens SET access_token_expires_at = now() - interval '1 h' WHERE actor_id = 'alice'")
        assert connection.execute(DUE).fetchall() == [("alice",)]
        assert connection.execute(begin, identity("bob")).fetchone() == ("no_refresh_token",)
        assert connection.execute("SELECT count(*) FROM connected").fetchone() == (3,)
        connection.execute("DROP VIEW connected")
        connection.execute("DROP EXTENSION oauth_tokens")  # the policies of details go with it
        assert connection.execute("SELECT count(*) FROM oauth_tokens").fetchone() == (3,)
