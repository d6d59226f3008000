"""Nobody reads a key who must not: by SQL, by /proc, in a log, in a core file."""

import os
import resource
import shutil
import signal
import subprocess

import psycopg
import pytest
from support.harness import DATABASE, KEY, wait_until
from support.tokens import fingerprint, get, identity, key_forms, new_key, ring, store

SECOND = new_key()
AS_ROOT = os.geteuid() == 0


def holds(data, *keys):
    """The forms of the keys that `data` holds."""
    return [form for key in keys for form in key_forms(key) if form in data]


@pytest.fixture(scope="module")
def secret(module_cluster):
    """A server with two keys in its environment, a role without rights, and one of each
    kind that has some; its log says all it can."""
    cluster = module_cluster(
        key=f"{KEY},{SECOND}", database=DATABASE,
        settings={"log_min_messages": "debug1", "log_error_verbosity": "verbose"})
    cluster.rows("CREATE ROLE plain LOGIN")
    cluster.rows("CREATE ROLE monitor LOGIN IN ROLE pg_monitor")
    return cluster


@pytest.fixture(scope="module")
def filed(module_cluster):
    """The same with keys in a file, and an unused command in the settings."""
    cluster = module_cluster(
        ring=[KEY, SECOND], database=DATABASE, settings={"oauth_tokens.key_command": f"echo {SECOND}"})
    cluster.rows("CREATE ROLE plain LOGIN")
    cluster.rows("CREATE ROLE monitor LOGIN IN ROLE pg_monitor")
    return cluster


def test_the_search_finds_a_key(make_cluster):
    """Without the extension everything here must leak, or these tests prove nothing."""
    cluster = make_cluster(preload=False)
    environ = open(f"/proc/{cluster.pid}/environ", "rb").read()
    assert holds(environ, KEY)
    out = cluster.psql("CREATE TEMP TABLE t (line text); COPY t FROM PROGRAM 'env';"
                       " SELECT line FROM t", db="postgres").stdout
    assert KEY in out


# E12


def test_environment_of_every_process(secret):
    with secret.connect() as connection:
        store(connection, identity(), "x")
        pids = [secret.pid, connection.info.backend_pid]
        pids += [pid for pid, in secret.rows("SELECT pid FROM pg_stat_activity")
                 if os.path.exists(f"/proc/{pid}/environ")]
        for pid in pids:
            try:
                environ = open(f"/proc/{pid}/environ", "rb").read()
            except PermissionError:
                # A backend that opened a key is closed to its own user.
                assert not AS_ROOT and pid != secret.pid
                continue
            except ProcessLookupError:  # it has ended meanwhile
                assert pid != secret.pid
                continue
            assert not holds(environ, KEY, SECOND)
            assert b"OAUTH_ENCRYPTION_KEY" not in environ
        assert b"LC_ALL=" in open(f"/proc/{secret.pid}/environ", "rb").read()
        command_line = open(f"/proc/{secret.pid}/cmdline", "rb").read()
        assert not holds(command_line, KEY, SECOND)


@pytest.mark.parametrize("program", ["env", "cat /proc/$PPID/environ", "cat /proc/self/environ",
                                     "tr '\\0' '\\n' < /proc/{postmaster}/environ"])
def test_programs_of_a_superuser(secret, program):
    program = program.format(postmaster=secret.pid).replace("'", "''")
    out = secret.psql(
        f"SELECT oauth_encrypt('x'); CREATE TEMP TABLE t (line text);"
        f" COPY t FROM PROGRAM '({program}) | tr -d ''\\000'' | base64 -w0; echo';"
        f" SELECT convert_from(decode(line, 'base64'), 'SQL_ASCII') FROM t", check=False,
    )
    assert KEY not in out.stdout and SECOND not in out.stdout
    assert "OAUTH_ENCRYPTION_KEY" not in out.stdout


def test_superuser_settings_show_at_most_the_path(secret, filed):
    for cluster in (secret, filed):
        everything = cluster.psql(
            "SHOW ALL; TABLE pg_settings; TABLE pg_file_settings; TABLE pg_stat_activity;"
            "SELECT current_setting('oauth_tokens.key_file');"
        ).stdout
        assert "oauth_tokens.key_file" in everything
        everything = everything.replace(f"echo {SECOND}", "")  # what is in the file is there
        assert KEY not in everything and SECOND not in everything
    assert filed.value("SHOW oauth_tokens.key_file") == str(filed.path / "keys")


ORDINARY = [
    "SHOW oauth_tokens.key_file",
    "SHOW oauth_tokens.key_command",
    "SELECT current_setting('oauth_tokens.key_file')",
    "SELECT current_setting('oauth_tokens.key_command', true)",
    "SET oauth_tokens.key_file = '/tmp/mine'",
    "SET oauth_tokens.key_command = 'echo mine'",
    "SET LOCAL oauth_tokens.key_file = '/tmp/mine'",
    "ALTER ROLE plain SET oauth_tokens.key_file = '/tmp/mine'",
    "ALTER SYSTEM SET oauth_tokens.key_file = '/tmp/mine'",
    "SELECT pg_read_file('{path}')",
    "SELECT pg_read_binary_file('{path}')",
    "SELECT pg_stat_file('{path}')",
    "SELECT lo_import('{path}')",
    "COPY (SELECT 1) TO PROGRAM 'env'",
    "CREATE TEMP TABLE t (line text); COPY t FROM '{path}'",
    "CREATE TEMP TABLE t (line text); COPY t FROM PROGRAM 'env'",
    "SELECT pg_reload_conf()",
    "TABLE pg_file_settings",
    "TABLE oauth_key_usage",
    "CALL oauth_rotate_keys()",
    "SELECT oauth_encrypt('x')",
    "SELECT oauth_decrypt('x')",
    "SELECT oauth_tokens_internal.key_fingerprints()",
    "SELECT * FROM oauth_tokens_damaged()",
]


@pytest.mark.parametrize("sql", ORDINARY)
def test_ordinary_role_is_refused(filed, sql):
    with filed.connect(user="plain", autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(sql.format(path=filed.path / "keys"))
        # A setting of the server's may be set by nobody, whoever asks: 55P02.
        allowed = ("42501", "55P02") if "SET" in sql else ("42501",)
        assert caught.value.sqlstate in allowed, caught.value


def test_ordinary_and_monitoring_roles_see_nothing(filed):
    for role in ("plain", "monitor"):
        with filed.connect(user=role, autocommit=True) as connection:
            for sql in ("SHOW ALL", "TABLE pg_settings", "TABLE pg_stat_activity",
                        "TABLE pg_stat_ssl", "TABLE pg_prepared_statements"):
                shown = str(connection.execute(sql).fetchall())
                assert KEY not in shown
                if role == "plain":
                    assert SECOND not in shown and str(filed.path / "keys") not in shown


def test_log_holds_no_key(secret, filed):
    """After use, reloads, an error under a context and a restart."""
    for cluster in (secret, filed):
        with cluster.connect(autocommit=True) as connection:
            store(connection, identity("log"), "x")
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT oauth_decrypt('gAAAAA')")
        cluster.reload()
        cluster.restart()
        assert ring(cluster) == [fingerprint(KEY), fingerprint(SECOND)]
        assert not holds(cluster.log().replace(f"echo {SECOND}", "").encode(), KEY, SECOND)


def test_data_directory_holds_no_key(secret):
    with secret.connect(autocommit=True) as connection:
        store(connection, identity("disk"), "x")
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
    found = [
        file for file in secret.datadir.rglob("*")
        if file.is_file() and holds(file.read_bytes(), KEY, SECOND)
    ]
    assert found == []


@pytest.mark.parametrize("source", ["environment", "file", "command"])
def test_core_of_the_postmaster(make_cluster, tmp_path, source):
    """No form of a key is in a dump of its memory; the marker shows that it is a dump."""
    if not shutil.which("gcore"):
        pytest.skip("gdb is not installed")
    marker = "MARKER-IN-THE-ENVIRONMENT-OF-THE-SERVER"
    keys = f"{KEY},{SECOND}"
    cluster = make_cluster(key=keys if source == "environment" else None, start=False,
                           env={"OAUTH_TEST_MARKER": marker})
    if source == "file":
        cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", keys)
    elif source == "command":
        path = cluster.write_file("source", keys)
        cluster.settings["oauth_tokens.key_command"] = f"cat {path}"
    cluster.start()
    cluster.fresh_database(DATABASE)
    cluster.value("SELECT oauth_encrypt('x')")
    cluster.reload()

    def core():
        done = subprocess.run(["gcore", "-o", tmp_path / "core", str(cluster.pid)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        path = tmp_path / f"core.{cluster.pid}"
        if not path.exists():
            pytest.skip(f"gcore may not attach here: {done.stdout[-200:]}")
        data = path.read_bytes()
        path.unlink()
        return data

    dumped = core()
    assert marker.encode() in dumped
    assert holds(dumped, KEY, SECOND) == []
    if source == "file":
        third = new_key()
        cluster.write_file("keys", f"{third},{KEY}")
        cluster.reload()
        assert ring(cluster) == [fingerprint(third), fingerprint(KEY)]
        assert holds(core(), KEY, SECOND, third) == []


def test_only_backends_that_opened_a_key_are_closed(secret):
    """The kernel gives /proc/<pid> of a process that is not dumpable to root."""
    if not AS_ROOT:
        pytest.skip("the server and the test are one user")

    def owner(pid):
        return os.stat(f"/proc/{pid}/environ").st_uid

    with secret.connect(autocommit=True) as opened, secret.connect(autocommit=True) as other:
        server = os.stat(secret.datadir).st_uid
        assert server != 0
        pid = opened.info.backend_pid
        opened.execute("SELECT fernet_generate_key()")
        assert owner(pid) == server
        opened.execute("SELECT oauth_encrypt('x')")
        assert owner(pid) == 0
        assert owner(other.info.backend_pid) == server
        assert owner(secret.pid) == server
        assert get(other, identity("nobody")) is None
        store(other, identity("dumpable"), "x")
        assert owner(other.info.backend_pid) == 0
        # The server's own user, which other backends' programs run as, may not look.
        # It reads what it is sent, or its end could break the pipe.
        look = (f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; cat /proc/{pid}/mem /proc/{pid}/environ"
                f" /proc/{pid}/maps > {secret.path}/seen 2>&1; true'")
        secret.rows(look)
        seen = (secret.path / "seen").read_bytes()
        assert seen.count(b"Permission denied") == 3, seen
    assert owner(secret.pid) == server


def core_files(cluster):
    return sorted(cluster.datadir.glob("core*"))


def crash(cluster, connection, signum):
    """Ends a backend by a signal; returns when the server has recovered."""
    position = cluster.log_position()
    os.kill(connection.info.backend_pid, signum)
    cluster.wait_log("all server processes terminated; reinitializing", since=position)
    cluster.wait_ready()


@pytest.fixture
def core_limit():
    """Servers that are started meanwhile may write core files, if that can be had."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


def test_a_crash_leaves_no_core_and_keeps_the_ring(core_limit, make_cluster):
    cluster = make_cluster(key=f"{KEY},{SECOND}")
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as connection:
        store(connection, identity(), "before the crash")

    expected = [fingerprint(KEY), fingerprint(SECOND)]
    for _ in range(2):  # the ring outlives more than one
        crash(cluster, cluster.connect(), signal.SIGKILL)
        assert ring(cluster) == expected
    with cluster.connect() as connection:
        assert get(connection, identity()) == ("before the crash", None)

    # A backend without keys may dump core; one with keys may not.
    control = cluster.connect()
    crash(cluster, control, signal.SIGSEGV)
    if not core_files(cluster):
        pytest.skip("this machine writes no core files into the data directory")
    for file in core_files(cluster):
        assert holds(file.read_bytes(), KEY, SECOND) == []
        file.unlink()
    warm = cluster.connect()
    assert get(warm, identity()) == ("before the crash", None)
    crash(cluster, warm, signal.SIGSEGV)
    assert core_files(cluster) == []
    assert ring(cluster) == expected


def test_writer_of_the_ring_that_was_killed(make_cluster):
    """A backend that dies while it reloads the ring does not block later reloads."""
    cluster = make_cluster(key=None, start=False)
    path = cluster.write_file("keys", KEY)
    cluster.server_args = ["-c", f"oauth_tokens.key_file={path}"]
    cluster.start()
    cluster.fresh_database(DATABASE)
    third = new_key()
    connection = cluster.connect(autocommit=True)
    connection.execute("SELECT oauth_encrypt('x')")
    cluster.write_file("keys", third)
    cluster.reload()
    crash(cluster, connection, signal.SIGKILL)
    wait_until(lambda: ring(cluster) == [fingerprint(third)], what="the new ring")
