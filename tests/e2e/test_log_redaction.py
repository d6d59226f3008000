"""What the log, the statistics views and the disk show of secrets in statements (E16)."""

import base64
import json
import os
import re
import signal
import threading
import time

import psycopg
import pytest
from support.fake_provider import Answer
from support.harness import DATABASE, wait_until
from support.sidecar import MiniBrowser, someone
from support.statement_shapes import SEEN, SETUP, SHAPES

# Everything that makes PostgreSQL write more of a statement
LOUD = {
    "logging_collector": "on",
    "log_destination": "stderr,csvlog,jsonlog",
    "log_statement": "all",
    "log_duration": "on",
    "log_min_duration_statement": "0",
    "log_min_messages": "debug5",
    "log_min_error_statement": "debug5",
    "log_error_verbosity": "verbose",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_lock_waits": "on",
    "deadlock_timeout": "100ms",
    "debug_print_parse": "on",
    "debug_print_rewritten": "on",
    "debug_print_plan": "on",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_verbose": "on",
    "auto_explain.log_nested_statements": "on",
    "pg_stat_statements.track": "all",
    "compute_query_id": "on",
    "backtrace_functions": "errfinish",
    "shared_preload_libraries": "pg_stat_statements,auto_explain",
}
# No error reaches the log, nor a hook for log records
SILENT = {"log_min_messages": "fatal"}
QUIET = {"shared_preload_libraries": "pg_stat_statements", "deadlock_timeout": "100ms"}


def forms(secret):
    """How a secret looks in a file: as text, as debug_print_parse prints bytes, in hexadecimal and in base64."""
    data = secret.encode()
    yield data
    yield b" ".join(b"%d" % byte for byte in data)
    yield data.hex().encode()
    # At each of the three places in a group of three; the ends depend on what is around.
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + data)[4 if shift else 0:-4]


class Swept:
    """A server on which each shape ran, each with a secret of its own."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.fresh_database(DATABASE)
        cluster.psql("CREATE EXTENSION pg_stat_statements;" + SETUP)
        self.secrets = {name: f"Sentinel{number:02}Zq7PkW3v" for number, name in enumerate(SHAPES)}
        self.activity = {}
        self.statements = ""
        with cluster.connect(autocommit=True) as observer:
            for name, run in SHAPES.items():
                with cluster.connect(autocommit=True) as connection:
                    try:
                        run(connection, self.secrets[name])
                    except psycopg.Error:
                        pass
                    self.activity[name] = self._seen(observer, "SELECT query FROM pg_stat_activity")
                self.statements += self._seen(observer, "SELECT query FROM pg_stat_statements")
        self._crash()

    @staticmethod
    def _seen(observer, sql):
        return "\n".join(query or "" for query, in observer.execute(sql).fetchall())

    def _crash(self):
        """Kills a session in the middle of a statement, whose text the postmaster logs."""
        secret = self.secrets["crash"] = "SentinelCrashZq7PkW3v"
        connection = self.cluster.connect(autocommit=True)
        thread = threading.Thread(target=self._ignore, args=(connection, f"SELECT oauth_encrypt('{secret}'), pg_sleep(60)"))
        thread.start()
        pid = connection.info.backend_pid
        wait_until(lambda: self.cluster.value(
            "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s", [pid]))
        os.kill(pid, signal.SIGABRT)
        thread.join()
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
        self.cluster.wait_ready()

    @staticmethod
    def _ignore(connection, sql):
        try:
            connection.execute(sql)
        except psycopg.Error:
            pass

    def leaks(self):
        """The shapes whose secrets are anywhere, with the places."""
        self.cluster.rows("CHECKPOINT")
        found = {}
        places = {str(file.relative_to(self.cluster.path)): file.read_bytes()
                  for file in self.cluster.path.rglob("*") if file.is_file()}
        places["pg_stat_statements"] = self.statements.encode()
        for name, secret in self.secrets.items():
            places["pg_stat_activity"] = (self.activity.get(name, "") + SEEN.pop(secret, "")).encode()
            for place, data in places.items():
                if any(form in data for form in forms(secret)):
                    found.setdefault(name, []).append(place)
        return found


def swept(module_cluster, preload, **settings):
    return Swept(module_cluster(preload=preload, settings=settings | {"oauth_tokens.redact_also": "save_token"}))


@pytest.fixture(scope="module")
def default(module_cluster):
    return swept(module_cluster, True, **QUIET)


@pytest.fixture(scope="module")
def loud(module_cluster):
    return swept(module_cluster, True, **LOUD)


@pytest.fixture(scope="module")
def loud_session(module_cluster):
    return swept(module_cluster, "session", **LOUD)


@pytest.fixture(scope="module")
def silent(module_cluster):
    return swept(module_cluster, True, **QUIET, **SILENT)


@pytest.mark.parametrize("server", ["default", "loud", "loud_session", "silent"])
def test_no_secret_leaks(request, server):
    swept = request.getfixturevalue(server)
    found = swept.leaks()
    if server == "loud_session":
        found.pop("crash", None)  # reported by the postmaster
    if server == "default":
        assert re.search(r"server process \(PID \d+\) was terminated by signal 6", swept.cluster.log())
    if server == "silent":
        found.pop("aborted_transaction", None)  # nothing runs at its end but what shows the next statement
    assert found == {}
    assert len(swept.secrets) > 60


def test_the_sweep_finds_leaks(module_cluster):
    """Without the hooks the same sweep finds most of them."""
    found = swept(module_cluster, False, **LOUD).leaks()
    assert len(found) > 60


# What is kept, and of whom

@pytest.fixture
def log(loud):
    """The server, and the lines of its JSON log that a call of `ran` leads to, of that session alone."""
    cluster = loud.cluster

    def ran(sql, params=None, **connecting):
        with cluster.connect(autocommit=True, **connecting) as connection:
            pid = connection.info.backend_pid
            try:
                connection.execute(sql, params)
            except psycopg.Error:
                pass
        marker = f"the end of {pid}, {time.monotonic()}"  # the collector writes in the order in which it is told
        cluster.rows(f"SELECT '{marker}'")
        files = sorted((cluster.datadir / "log").glob("*.json"))
        wait_until(lambda: any(marker in file.read_text() for file in files))
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [line for line in lines if line["pid"] == pid]

    return ran


def redacted(lines):
    return [line for line in lines if "redacted by oauth_tokens" in line["message"]]


def test_a_redacted_record_keeps_what_is_no_secret(log):
    lines = log("SELECT oauth_store(gen_random_uuid(), 'p', 'nobody', 'a', 'Sentinel')")
    error, = [line for line in redacted(lines) if line["error_severity"] == "ERROR"]
    assert error["state_code"] == "22023"
    assert error["user"] == "postgres" and error["dbname"] == DATABASE
    assert error["message"] == ("unknown actor_type (redacted by oauth_tokens: the statement names or calls"
                                " oauth_store)")
    assert error["func_name"] and error["file_line_num"]
    assert not {"statement", "detail", "hint", "context", "internal_query"} & set(error)


@pytest.mark.parametrize("sql, level, state", [
    ("DO $$ BEGIN RAISE WARNING 'oauth_store'; END $$", "WARNING", "01000"),
    ("SELECT oauth_encrypt('Sentinel'", "ERROR", "42601"),
    ("SELECT oauth_encrypt('Sentinel'), pg_terminate_backend(pg_backend_pid()), pg_sleep(9)", "FATAL", "57P01"),
])
def test_severity_and_state_are_kept(log, sql, level, state):
    assert (level, state) in {(line["error_severity"], line.get("state_code")) for line in redacted(log(sql))}


def test_a_duration_is_kept(log):
    message = [line["message"] for line in redacted(log("SELECT oauth_encrypt('Sentinel')"))]
    assert any(re.fullmatch(r"duration: [0-9.]+ ms \(redacted .*", line) for line in message)


@pytest.mark.parametrize("sql", [
    "SELECT 1",
    "SELECT 'oauth_stores', 'my_oauth_get', oauth_tokens_are_here FROM (SELECT 1) t(oauth_tokens_are_here)",
    "SELECT scopes FROM oauth_tokens WHERE provider = 'google'",
    "SELECT * FROM oauth_token_details",
    "UPDATE oauth_tokens SET scopes = 'x' WHERE provider = 'nobody'",
    "DELETE FROM oauth_tokens WHERE provider = 'nobody'",
    "SELECT nothing_of_ours(1)",
    "SELEC 1",
    'SELECT U&"\\0061" FROM (SELECT 1) t(a)',
    "PREPARE other AS SELECT $1::int; EXECUTE other(1); EXECUTE nobody",
])
def test_other_statements_are_not_touched(log, sql):
    lines = log(sql)
    assert redacted(lines) == []
    assert any(sql in line["message"] or sql in line.get("statement", "") for line in lines)


def test_the_end_of_the_session_is_not_touched(loud, log):
    loud.cluster.rows("ALTER SYSTEM SET log_disconnections = on")
    loud.cluster.reload()
    try:
        lines = log("SELECT oauth_encrypt('Sentinel')")
        assert [line for line in lines if "disconnection" in line["message"] and "user=postgres" in line["message"]]
    finally:
        loud.cluster.rows("ALTER SYSTEM RESET log_disconnections")
        loud.cluster.reload()


def test_the_next_statement_is_not_touched(log):
    lines = log("SELECT oauth_encrypt('Sentinel')"), log("SELECT 'afterwards'")
    assert redacted(lines[0]) and not redacted(lines[1])


def test_every_function_and_view_is_known(loud, log):
    """What the library takes for ours is what the catalog says."""
    names = [name for name, in loud.cluster.rows("""
        SELECT DISTINCT CASE n.nspname WHEN 'oauth_tokens_internal' THEN n.nspname ELSE p.proname END
        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oauth_tokens'
            JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
        UNION SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
            JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oauth_tokens'
        WHERE c.relkind = 'v' AND c.relnamespace = e.extnamespace""")]
    assert "oauth_store" in names and "oauth_connections" in names
    for name in names:
        assert redacted(log(f"SELECT 'x' AS {name}")), name


def test_a_cheap_statement_stays_visible(loud):
    """Without a constant there is nothing to hide in a statement's text."""
    with loud.cluster.connect(autocommit=True) as connection:
        connection.execute("SELECT oauth_access_token(%s, %s, %s, %s)", someone())
        seen = loud.cluster.rows("SELECT query FROM pg_stat_activity WHERE pid = %s", [connection.info.backend_pid])
    assert seen == [("SELECT oauth_access_token($1, $2, $3, $4)",)]


def test_the_tail_of_a_long_statement_is_overwritten(loud):
    """A shorter text in pg_stat_activity leaves the rest of the one before in shared memory."""
    cluster = loud.cluster
    with cluster.connect(autocommit=True) as connection:
        connection.execute(f"SELECT oauth_encrypt('{'x' * 600}SentinelTailZq7Pk')")
        assert b"SentinelTailZq7Pk" not in shared_memory(cluster.pid)
        connection.execute(f"SELECT '{'x' * 600}SentinelPlainZq7Pk'")
        assert b"SentinelPlainZq7Pk" in shared_memory(cluster.pid)


def shared_memory(pid):
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            if "rw-s" in line and "zero" in line:
                begin, end = (int(part, 16) for part in line.split()[0].split("-"))
                memory.seek(begin)
                found += memory.read(end - begin)
    return found


# Settings

def test_functions_named_by_the_user(loud, log):
    sql = "SELECT save_token(gen_random_uuid(), 'p', 'nobody', 'a', 'Sentinel')"
    before = "statement: %s (redacted"  # log_statement's, before anything is called
    assert any(line["message"].startswith(before) for line in log(sql))
    loud.cluster.rows("ALTER DATABASE app SET oauth_tokens.redact_also = 'app.\"Other\", another'")
    try:
        assert not any(line["message"].startswith(before) for line in log(sql))
        for name in ("other", "OTHER(", "another"):
            assert redacted(log(f"SELECT '{name}'")), name
    finally:
        loud.cluster.rows("ALTER DATABASE app RESET oauth_tokens.redact_also")
    for names in ("a b c", "a,,b", "a.", '"a-b"', "a$b", "x" * 64):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            loud.cluster.rows(f"SET oauth_tokens.redact_also = '{names}'")
    loud.cluster.rows(f"SET oauth_tokens.redact_also = '{'s' * 60}.{'f' * 63} , \"G\"'")


LITERALS = [
    "SELECT oauth_encrypt('x')",
    "SELECT oauth_encrypt('x' || 'y')",
    "SELECT oauth_encrypt(plaintext => 'x')",
    "SELECT oauth_store(gen_random_uuid(), 'p', 'user', 'a', refresh_token => 'x', access_token => NULL)",
    "SELECT (SELECT fernet_encrypt('x', fernet_generate_key()))",
    "WITH t AS (SELECT oauth_encrypt('x') AS c) SELECT c FROM t",
    "EXPLAIN SELECT oauth_encrypt('x')",
    "CREATE TABLE made_as AS SELECT oauth_encrypt('x')",
    "DECLARE c CURSOR WITH HOLD FOR SELECT oauth_encrypt('x')",
    "PREPARE p AS SELECT oauth_encrypt('x')",
    "DO $$ BEGIN PERFORM oauth_encrypt('x'); END $$",
    "INSERT INTO copies VALUES (oauth_encrypt('x'))",
]


@pytest.mark.parametrize("sql", LITERALS)
def test_literal_secrets(loud, sql):
    with loud.cluster.connect() as connection:
        notices = []
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary))
        connection.execute("SET oauth_tokens.literal_secrets = warn")
        try:
            connection.execute(sql)
        except psycopg.errors.NullValueNotAllowed:
            pass
        connection.rollback()
        assert [notice for notice in notices if "is a constant" in notice]
        connection.execute("SET oauth_tokens.literal_secrets = reject")
        with pytest.raises(psycopg.errors.InvalidParameterValue) as caught:
            connection.execute(sql)
        assert "is a constant in the statement" in caught.value.diag.message_primary


def test_parameters_are_no_literals(loud):
    with loud.cluster.connect() as connection:
        connection.execute("SET oauth_tokens.literal_secrets = reject")
        connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s, 'r' || %s)", [*someone(), "x", "y"])
        connection.execute("SELECT oauth_encrypt(value || 'x') FROM copies")
        connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s, NULL, now()::timestamptz)", [*someone(), "x"])
        connection.execute("SELECT save_token(%s, %s, %s, %s, 'x')", someone())
        connection.execute("SELECT * FROM oauth_get(%s, 'google', 'user', 'a')", someone()[:1])


def test_only_a_superuser_may_relax_it(loud):
    for setting in ("allow_without_preload = on", "redact_also = ''", "literal_secrets = allow"):
        with loud.cluster.connect() as connection:
            connection.execute("SET ROLE stranger")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SET oauth_tokens.{setting}")


# Without preload

SECRETS = [
    "SELECT oauth_store(gen_random_uuid(), 'p', 'user', 'a', 'x')", "SELECT oauth_encrypt('x')",
    "SELECT oauth_encrypt('x', gen_random_uuid(), 'p', 'user', 'a', 'encrypted_access_token')",
    "SELECT fernet_encrypt('x', fernet_generate_key())", "SELECT fernet_decrypt('x', 'y')",
    "SELECT oauth_refresh_commit(gen_random_uuid(), 'p', 'user', 'a', 1, 'x')",
    "SELECT oauth_flow_confirm(gen_random_uuid(), 'p', 'user', 'a', 'x')",
]


def test_secrets_are_refused_without_preload(make_cluster):
    cluster = make_cluster(preload=False, settings={"oauth_tokens.allow_without_preload": "off"})
    cluster.fresh_database("odd name", migrate=False)
    cluster.rows("ALTER DATABASE \"odd name\" SET session_preload_libraries = auto_explain", db="odd name")
    cluster.rows("SELECT oauth_tokens_upgrade()", db="odd name")
    for sql in SECRETS:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
            cluster.rows(sql, db="odd name")
        assert "is not preloaded" in caught.value.diag.message_primary
    # The hint is a statement that can be run as it stands.
    statement = re.search("Run (.*) as a superuser", caught.value.diag.message_hint)[1]
    cluster.rows(statement, db="odd name")
    assert cluster.value("SHOW session_preload_libraries", db="odd name") == "auto_explain, oauth_tokens"
    cluster.rows(SECRETS[0], db="odd name")


def test_reading_needs_no_preload(make_cluster):
    cluster = make_cluster(preload=False)
    cluster.fresh_database(DATABASE)
    whose = someone()
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'x')", whose)
    cluster.rows("ALTER DATABASE app SET oauth_tokens.allow_without_preload = off")
    assert cluster.value("SELECT oauth_access_token(%s, %s, %s, %s)", whose) == "x"


# The daemon

def test_what_the_daemon_says_to_its_database(loud, make_sidecar, make_provider):
    """A grant through the browser, a refresh, a read and a revocation leave nothing in the log."""
    cluster, fake = loud.cluster, make_provider()
    secrets = [f"Sentinel{number}DaemonZq7Pk" for number in range(4)]
    sidecar = make_sidecar({"fake": fake.settings()}, cluster=cluster)
    whose = someone("fake")
    fake.token_fields = {"access_token": secrets[0], "refresh_token": secrets[1], "expires_in": 1}
    MiniBrowser().open(sidecar.link(whose))
    assert sidecar.grant(whose)[:2] == (secrets[0], secrets[1])
    fake.answer = Answer({"access_token": secrets[2], "refresh_token": secrets[3], "token_type": "Bearer",
                          "expires_in": 3600})
    sidecar.sql("UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' - interval '1 s'")
    assert sidecar.api("token", whose).json["access_token"] == secrets[2]
    sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", whose)
    wait_until(lambda: fake.seen("/revoke"))
    cluster.rows("CHECKPOINT")
    for file in cluster.path.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not [secret for secret in secrets for form in forms(secret) if form in data], file
