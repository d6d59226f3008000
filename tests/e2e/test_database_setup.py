"""A database that is not set up as the daemon needs it: what still works is served, and what does not is a 503
whose cause and remedy stand in /readyz, in the log and in --check."""

import pytest
from support.cached import PROVIDERS
from support.harness import KEY, wait_until
from support.sidecar import prepare_database, someone

CALLS = [("token", "GET"), ("status", "GET"), ("authorize", "GET"), ("token", "DELETE")]


def ask_all(sidecar, whose):
    return [sidecar.api(call, whose, method=method).status for call, method in CALLS]


def check(sidecar):
    """The levels and texts of --check about the database, and its exit status."""
    done = sidecar.run("--check", timeout=60)
    lines = [line.split(None, 2) for line in done.stdout.splitlines()]
    return [(level, text) for level, what, text in lines if what == "database"], done.returncode


@pytest.fixture
def sidecar(make_sidecar):
    return make_sidecar(PROVIDERS)


@pytest.mark.parametrize("harm", [
    "DROP INDEX idx_oauth_tokens_workspace_id",
    "ALTER TABLE oauth_tokens ALTER created_at DROP DEFAULT",
    "ALTER TABLE oauth_tokens DISABLE TRIGGER USER",
])
def test_what_fails_nothing_is_a_warning(sidecar, harm):
    whose = someone()
    sidecar.store(whose, "token")
    assert "warning" not in sidecar.get("/readyz").json
    sidecar.sql(harm)
    reply = sidecar.get("/readyz")
    assert reply.status == 200 and "oauth_tokens_upgrade()" in reply.json["warning"], reply
    assert ask_all(sidecar, whose) == [200] * 4
    (database,), _ = check(sidecar)
    assert database == ("warning", reply.json["warning"])
    told = [line for line in sidecar.log_lines() if line.get("reason") == reply.json["warning"]]
    assert [line["level"] for line in told] == ["warning"]  # once
    sidecar.get("/readyz")
    sidecar.sql("SELECT oauth_tokens_upgrade()")
    assert "warning" not in sidecar.get("/readyz").json


def test_secrets_are_no_constants(sidecar):
    """The daemon's own statements pass where constants are rejected."""
    whose = someone()
    sidecar.store(whose, "token")
    sidecar.sql(f"ALTER DATABASE {sidecar.db} SET oauth_tokens.literal_secrets = reject")
    sidecar.stop()
    sidecar.start()
    assert ask_all(sidecar, whose) == [200] * 4
    (database,), status = check(sidecar)
    assert database[0] == "ok" and status == 0, database


# What is done, the calls that fail then, and what is said of it.
HARMS = [
    ("ALTER TABLE oauth_tokens RENAME TO elsewhere", 4, "OT004", "oauth_tokens_upgrade()"),
    ("ALTER TABLE oauth_tokens RENAME scopes TO parked", 2, "OT005", "scopes"),
    ("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity", 0, "OT005", "oauth_tokens_upgrade()"),
    ("REVOKE SELECT ON oauth_tokens FROM sidecar", 2, "42501", "oauth_tokens"),
    ("REVOKE USAGE ON SCHEMA oauth_tokens_internal FROM sidecar", 2, "42501", "oauth_tokens_internal"),
    ("SET allow_system_table_mods = on; CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL);"
     "INSERT INTO pg_catalog.pg_dist_partition VALUES ('oauth_tokens')", 4, "OT005", "undistribute_table"),
    ("DROP EXTENSION oauth_tokens CASCADE", 4, "42704", "CREATE EXTENSION oauth_tokens"),
]


@pytest.mark.parametrize("harm, failing, state, remedy", HARMS, ids=[harm[0] for harm in HARMS])
def test_what_fails_requests(sidecar, harm, failing, state, remedy):
    whose = someone()
    sidecar.store(whose, "token")
    sidecar.sql(harm)
    # Anybody may ask, so that what only a rehearsal finds takes its time.
    wait_until(lambda: sidecar.get("/readyz").status == 503, 90, what="/readyz to tell")
    sidecar.get("/readyz")  # may find only that the functions are not where they were
    answers = ask_all(sidecar, whose)
    assert set(answers) <= {200, 404, 503} and answers.count(503) >= failing, answers
    reply = sidecar.get("/readyz")
    assert reply.status == 503, reply.text
    reason = reply.json["reason"]
    assert state in reason and remedy in reason, reason
    lines, status = check(sidecar)
    assert ("error", reason) in lines and status == 1, lines
    log = sidecar.log_lines()
    assert any(line["message"] == "not ready" and line["reason"] == reason for line in log)
    if failing:
        refused = [line for line in log if line["message"] == "the database refused"]
        assert any(line["sqlstate"] in (state, "42883", "3F000", "42P01") for line in refused), refused


def test_without_a_key(make_sidecar, make_cluster):
    """A token that is stored, and a server that was started without its key."""
    cluster = make_cluster(settings={"max_connections": "100"})
    sidecar = make_sidecar(PROVIDERS, cluster=cluster)
    whose = someone()
    sidecar.store(whose, "token")
    for key, state in ((None, "OT001"), ("nonsense", "OT002")):
        cluster.key = key
        cluster.restart()
        cluster.wait_ready()
        wait_until(lambda: sidecar.api("status", whose).status == 200, what="the database")
        reply = sidecar.api("token", whose)
        assert reply.status == 503 and reply.json["error"] == "unavailable", reply
        refused = [line for line in sidecar.log_lines() if line.get("sqlstate") == state]
        assert refused and any(line["detail"] for line in refused), refused
        assert sidecar.api("status", whose).status == 200
        wait_until(lambda: state in sidecar.get("/readyz").json.get("reason", ""), 90, what="/readyz to tell")
        lines, status = check(sidecar)
        assert status == 1 and any(state in text for level, text in lines if level == "error"), lines
    cluster.key = KEY
    cluster.restart()
    sidecar.wait_ready()
    assert sidecar.api("token", whose).status == 200


@pytest.mark.parametrize("url, sign", [
    ("postgresql://sidecar:hunter2@no-such-host.invalid/app", "correct the host"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/nowhere", "3D000"),
    ("postgresql://nobody:hunter2@127.0.0.1:{port}/app", "28000"),
    ("postgresql://locked:hunter2@127.0.0.1:{port}/app", "28P01"),
    ("postgresql://locked@127.0.0.1:{port}/app", "put a password"),
    ("postgresql://sidecar:hunter2@127.0.0.1:1/app", "is the server running"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/app?sslmode=require", "sslmode in DATABASE_URL asks for TLS"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/app?sslrootcert=/no/ca.pem", "sslrootcert in it names a file"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/app?schema=public", "the parameter schema"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/app?sslmode=on", "sslmode in it must be one of"),
    ("postgresql://sidecar:hunter2@127.0.0.1:port/app", "the port in it must be a number"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/app?options=-c%20role%3Dlocked", "leave the role out"),
    ("postgresql://sidecar:hunter2@127.0.0.1:{port}/app?replication=database", "leave replication out"),
    ("postgresql://sidecar:hunter2@h@127.0.0.1:{port}/app", "percent-encoded"),
])
def test_why_there_is_no_connection(make_sidecar, module_cluster, url, sign, tmp_path, _tcp=[]):
    """Each cause has a message of its own, at --check and in the log, without the password."""
    if not _tcp:
        cluster = module_cluster(settings={"listen_addresses": "127.0.0.1"}, initdb_args=["--auth-host=trust"])
        prepare_database(cluster, "app")
        cluster.rows("CREATE ROLE locked LOGIN PASSWORD 'another'", db="postgres")
        rules = cluster.datadir / "pg_hba.conf"
        rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
        cluster.rows("SELECT pg_reload_conf()", db="postgres")
        _tcp.append(cluster)
    sidecar = make_sidecar(PROVIDERS, cluster=_tcp[0], db="app", start=False, settings={
        "DATABASE_URL": url.format(port=_tcp[0].port), "HOME": tmp_path})
    done = sidecar.run("--check", timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and sign in done.stdout + done.stderr, said
    sidecar.start(ready=False)
    sidecar.wait_log(sign.replace("(", "\\("))
    assert "hunter2" not in said + sidecar.log()

    def answer():
        try:
            return sidecar.get("/readyz")
        except OSError:
            return not sidecar.running and "none"

    reply = wait_until(answer, what="an answer, or the daemon's end")
    if reply != "none":  # and nobody else hears more than that
        assert reply.status == 503 and "127.0.0.1" not in reply.text and "sidecar" not in reply.text
