"""Where keys come from, what a reload does, and what a bad key does: nothing but errors."""

import concurrent.futures
import base64
import contextlib
import os
import re
import shutil

import psycopg
import pytest
from support.harness import DATABASE, KEY, SERVER_USER, wait_until
from support.tokens import fingerprint, get, identity, new_key, ring, set_ring, store

OTHER = new_key()
SENTINEL = "SENTINEL"


@pytest.fixture(scope="module")
def filed(module_cluster):
    """A server whose keys lie in a file, reloaded by set_ring()."""
    return module_cluster(ring=[KEY], database=DATABASE)


def write_ring(cluster, content):
    """Writes the key file as it is given, and reloads."""
    cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", content)
    cluster.reload()


def error_of(cluster, sql="SELECT oauth_encrypt('x')"):
    with pytest.raises(psycopg.Error) as caught:
        cluster.rows(sql)
    return caught.value


# The key file


@pytest.mark.parametrize(
    "content, keys",
    [
        (KEY, [KEY]),
        (KEY + "\n", [KEY]),
        (KEY + "\r\n", [KEY]),
        (f"{KEY},{OTHER}", [KEY, OTHER]),
        (f"{OTHER}\n{KEY}\n", [OTHER, KEY]),
        (f"{KEY}\r\n{OTHER}\r\n", [KEY, OTHER]),
        (f"\n\n {OTHER} ,\n {KEY}\n\n", [OTHER, KEY]),
    ],
    ids=["bare", "newline", "CRLF", "comma", "two lines", "two CRLF lines", "blanks"],
)
def test_key_file_forms(filed, content, keys):  # E13
    write_ring(filed, content)
    assert ring(filed) == [fingerprint(key) for key in keys]


def test_thirty_two_keys_and_one_more(filed):  # E13
    keys = [new_key() for _ in range(33)]
    set_ring(filed, *keys[:32])
    assert len(ring(filed)) == 32
    token = filed.value("SELECT fernet_encrypt('last of many', %s)", [keys[31]])
    assert filed.value("SELECT oauth_decrypt(%s)", [token]) == "last of many"
    position = filed.log_position()
    write_ring(filed, "\n".join(keys))
    filed.wait_log("more than 32 keys", since=position)
    assert len(ring(filed)) == 32
    set_ring(filed, KEY)


def test_reload_in_open_and_new_sessions(filed):
    set_ring(filed, KEY)
    with filed.connect(autocommit=True) as warm, filed.connect(autocommit=True) as cold:
        store(warm, identity("reload"), "under the first")
        warm.execute("PREPARE again AS SELECT access_token FROM oauth_get(%s, 'google', 'user', 'reload')"
                     % f"'{identity()[0]}'")
        set_ring(filed, OTHER, KEY)
        for session in (warm, cold):
            assert get(session, identity("reload")) == ("under the first", None)
            sealed, = session.execute("SELECT oauth_encrypt('x')").fetchone()
            assert filed.value("SELECT fernet_decrypt(%s, %s)", [sealed, OTHER]) == "x"
        set_ring(filed, OTHER)
        for session in (warm, cold):
            with pytest.raises(psycopg.Error) as caught:
                get(session, identity("reload"))
            assert caught.value.sqlstate == "OT003"
        with pytest.raises(psycopg.Error) as caught:
            warm.execute("EXECUTE again")
        assert caught.value.sqlstate == "OT003"
        set_ring(filed, KEY)
        assert warm.execute("EXECUTE again").fetchone() == ("under the first",)
        assert get(cold, identity("reload")) == ("under the first", None)


def test_edit_without_reload(filed):
    """What is written to the file counts from the next reload on, for whomever."""
    set_ring(filed, OTHER)
    with filed.connect(autocommit=True) as idle:
        set_ring(filed, KEY)  # heard of by the idle session with its next statement
        filed.write_file("keys", OTHER)
        for session in (filed.connect(autocommit=True), idle):
            sealed, = session.execute("SELECT oauth_encrypt('x')").fetchone()
            assert filed.value("SELECT fernet_decrypt(%s, %s)", [sealed, KEY]) == "x"
    assert ring(filed) == [fingerprint(KEY)]
    set_ring(filed, KEY)


BAD_RINGS = {
    "empty": "",
    "blank": " \n\r\n,,\n",
    "short": SENTINEL + KEY[8:43],
    "long": SENTINEL + KEY[8:] + "A",
    "unpadded": SENTINEL + KEY[8:43] + "\n",
    "standard base64": SENTINEL + "+/" + KEY[10:],
    "quoted": f'"{SENTINEL}{KEY[8:]}"',
    "assignment": f"OAUTH_ENCRYPTION_KEY={SENTINEL}{KEY[8:]}",
    "semicolon": f"{SENTINEL}{KEY[8:]};{OTHER}",
    "second is bad": f"{KEY}\n{SENTINEL}\n",
    "byte order mark": f"\ufeff{SENTINEL}{KEY[8:]}",
    "UTF-16": (SENTINEL + KEY[8:]).encode("utf-16"),
    "NUL": SENTINEL + KEY[8:43] + "\0",
    "not canonical": SENTINEL + KEY[8:42] + "5=",
    "hexadecimal": "5345" * 16 + SENTINEL,
    "binary": SENTINEL.encode() + bytes(range(128, 256)) * 4,
    "huge": (SENTINEL + "A" * 36 + "\n") * 1000,
}


@pytest.mark.parametrize("kind", BAD_RINGS)
def test_broken_file_at_reload(filed, kind):  # E13
    """One line in the log that holds no key, and the old ring stays."""
    set_ring(filed, KEY)
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(filed.connect(autocommit=True)) for _ in range(3)]
        for session in sessions:
            session.execute("SELECT oauth_encrypt('x')")
        position = filed.log_position()
        write_ring(filed, BAD_RINGS[kind])
        for session in sessions:
            sealed, = session.execute("SELECT oauth_encrypt('x')").fetchone()
            assert filed.value("SELECT fernet_decrypt(%s, %s)", [sealed, KEY]) == "x"
        assert ring(filed) == [fingerprint(KEY)]
        log = filed.log(position)
        assert log.count("was not taken over") == 1, log
    assert SENTINEL not in log and KEY[10:30] not in log


def test_a_key_in_standard_base64(filed):  # E13
    """Another alphabet, the same key: the log says what to do and never the key."""
    set_ring(filed, KEY)
    position = filed.log_position()
    standard = base64.b64encode(b"\xfb\xff" + os.urandom(30)).decode()
    write_ring(filed, standard)
    log = filed.log(position)
    assert "key 1 of the key file is in the alphabet of standard base64" in log
    assert "tr '+/' '-_'" in log and standard[4:20] not in log
    assert ring(filed) == [fingerprint(KEY)]
    urlsafe = standard.replace("+", "-").replace("/", "_")
    set_ring(filed, urlsafe)
    # What only looks so is no key in either alphabet.
    write_ring(filed, "+" + KEY[1:20] + "!" + KEY[21:])
    filed.wait_log("key 1 of the key file is not valid base64url", since=position)
    set_ring(filed, KEY)


def test_removed_file_keeps_the_ring(filed):  # E13
    set_ring(filed, KEY)
    position = filed.log_position()
    (filed.path / "keys").unlink()
    filed.reload()
    filed.wait_log("was not taken over: the key file cannot be opened", since=position)
    assert ring(filed) == [fingerprint(KEY)]
    set_ring(filed, OTHER)
    assert ring(filed) == [fingerprint(OTHER)]


@pytest.mark.parametrize("kind", ["directory", "fifo", "unreadable"])
def test_odd_files(filed, kind):  # E13
    set_ring(filed, KEY)
    path = filed.path / f"odd-{kind}"
    if kind == "directory":
        path.mkdir()
        path.chmod(0o755)
    elif kind == "fifo":
        os.mkfifo(path, 0o644)
        path.chmod(0o644)
    else:
        filed.write_file(path.name, OTHER, mode=0o000)
    position = filed.log_position()
    filed.settings["oauth_tokens.key_file"] = path
    filed.reload()
    filed.wait_log("was not taken over", since=position)
    assert ring(filed) == [fingerprint(KEY)]


OPEN_FILES = [  # mode, whether it is root's, whether it is refused: as the server's TLS key
    (0o600, False, False), (0o400, False, False), (0o644, False, True), (0o640, False, True),
    (0o602, False, True), (0o610, False, True), (0o640, True, False), (0o440, True, False),
    (0o644, True, True), (0o660, True, True), (0o650, True, True),
]


@pytest.mark.parametrize("mode, root, refused", OPEN_FILES)
def test_a_file_that_others_can_read_is_refused(filed, mode, root, refused):  # E12
    if root and os.geteuid() != 0:
        pytest.skip("takes root")
    set_ring(filed, KEY)
    position = filed.log_position()
    path = filed.write_file("keys", OTHER, mode=mode)
    if root:
        shutil.chown(path, "root", SERVER_USER)
    filed.reload()
    assert ring(filed) == [fingerprint(KEY if refused else OTHER)]
    assert (f"was not taken over: the key file has mode {mode:04o}" in filed.log(position)) == refused
    path.unlink()


@pytest.mark.parametrize("preload", [True, "session", False])
def test_a_start_with_an_open_file(make_cluster, preload):  # E12
    cluster = make_cluster(key=KEY, preload=preload, start=False)
    cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", OTHER, mode=0o644)
    cluster.start()
    cluster.fresh_database(DATABASE)
    error = error_of(cluster)
    assert error.sqlstate == "OT001" and "mode 0644" in error.diag.message_detail
    set_ring(cluster, OTHER)
    assert ring(cluster) == [fingerprint(OTHER)]


def test_a_file_of_somebody_else_is_refused(filed):  # E12
    if os.geteuid() != 0:
        pytest.skip("takes root")
    set_ring(filed, KEY)
    position = filed.log_position()
    path = filed.write_file("keys", OTHER, mode=0o604)
    shutil.chown(path, "nobody")
    filed.reload()
    assert "the key file belongs to uid" in filed.log(position)
    assert ring(filed) == [fingerprint(KEY)]
    path.unlink()


@pytest.mark.parametrize("source", ["oauth_tokens.key_file", "oauth_tokens.key_command",
                                    "OAUTH_ENCRYPTION_KEY"])
def test_a_start_tells_of_its_keys(make_cluster, source):
    """One line, with number and source, and no key; and what is set beside it is not used."""
    cluster = make_cluster(key=f"{OTHER}\n{KEY}", start=False)
    if source != "OAUTH_ENCRYPTION_KEY":
        cluster.settings["oauth_tokens.key_command"] = f"echo {KEY}"
    if source == "oauth_tokens.key_file":
        cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", f"{OTHER}\n{KEY}")
    cluster.start()
    keys = [KEY] if source == "oauth_tokens.key_command" else [OTHER, KEY]
    log = cluster.log()
    number = f"{len(keys)} encryption key{'s' if len(keys) > 1 else ''}"
    assert re.findall("LOG: +oauth_tokens has (.*)", log) == [f"{number} from {source}"]
    assert re.findall("Fingerprints, the key that encrypts first: (.*)\\.", log) == [
        ", ".join(fingerprint(key) for key in keys)]
    order = ["oauth_tokens.key_file", "oauth_tokens.key_command", "OAUTH_ENCRYPTION_KEY"]
    assert re.findall("does not use (.*): the keys come from (.*)", log) == [
        (unused, source) for unused in order[order.index(source) + 1:]]
    assert KEY[10:30] not in log and OTHER[10:30] not in log
    cluster.fresh_database(DATABASE)
    assert ring(cluster) == [fingerprint(key) for key in keys]
    assert cluster.log().count("oauth_tokens has") == 1


def test_what_a_reload_takes_over_is_told(filed):
    """Once, and only where it changed."""
    set_ring(filed, KEY)
    position = filed.log_position()
    set_ring(filed, OTHER, KEY)
    filed.reload()
    ring(filed)
    assert re.findall("LOG: +oauth_tokens took over (.*)", filed.log(position)) == [
        "2 encryption keys from oauth_tokens.key_file"]


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_an_emptied_setting_keeps_the_ring(make_cluster, how):
    """The environment's key does not come back without a restart, and the log says so, once."""
    cluster = make_cluster(key=KEY, start=False)
    set_ring(cluster, OTHER)
    cluster.start()
    cluster.fresh_database(DATABASE)
    if how == "emptied":
        cluster.settings["oauth_tokens.key_file"] = ""
    else:
        del cluster.settings["oauth_tokens.key_file"]
    for _ in range(2):
        cluster.reload()
        assert ring(cluster) == [fingerprint(OTHER)]
    log = cluster.log()
    assert log.count("oauth_tokens.key_file was emptied, which takes no effect") == 1
    assert "restart the server" in log
    cluster.restart()
    assert ring(cluster) == [fingerprint(KEY)]


def test_file_on_the_command_line(make_cluster):
    """The postmaster is not told of a reload then; sessions are."""
    cluster = make_cluster(key=None, start=False)
    path = cluster.write_file("keys", KEY)
    cluster.server_args = ["-c", f"oauth_tokens.key_file={path}"]
    cluster.start()
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as opened:
        store(opened, identity(), "before")
        cluster.write_file("keys", f"{OTHER}\n{KEY}\n")
        cluster.reload()
        wait_until(lambda: ring(cluster) == [fingerprint(OTHER), fingerprint(KEY)],
                   what="the new ring in a new session")
        fingerprints = "SELECT oauth_tokens_internal.key_fingerprints()"
        assert opened.execute(fingerprints).fetchone()[0] == ring(cluster)
        assert get(opened, identity()) == ("before", None)
        position = cluster.log_position()
        cluster.write_file("keys", SENTINEL)
        cluster.reload()
        for _ in range(3):
            assert ring(cluster) == [fingerprint(OTHER), fingerprint(KEY)]
        assert get(opened, identity()) == ("before", None)
        log = cluster.log(position)
        assert "was not taken over" in log and SENTINEL not in log


# At start


@pytest.mark.parametrize(
    "key, settings, sqlstate, line",
    [
        (None, {}, "OT001", "no key is configured"),
        ("", {}, "OT002", "holds no key"),
        (SENTINEL, {}, "OT002", "has 8 characters"),
        (SENTINEL + KEY[8:43] + "!", {}, "OT002", "not valid base64url"),
        (f"{KEY},{SENTINEL}", {}, "OT002", "key 2 of OAUTH_ENCRYPTION_KEY"),
        (KEY, {"oauth_tokens.key_file": "/nonexistent/keys"}, "OT001", "cannot be opened"),
    ],
    ids=["none", "empty", "short", "not base64url", "second is bad", "file is missing"],
)
def test_start_without_a_usable_key(make_cluster, key, settings, sqlstate, line):  # E13
    """The server starts, functions raise, and a file given later ends that."""
    cluster = make_cluster(key=key, settings=settings)
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as opened:
        for sql in ("SELECT oauth_encrypt('x')", "SELECT * FROM oauth_key_usage",
                    "CALL oauth_rotate_keys()",
                    "SELECT oauth_store(gen_random_uuid(), 'p', 'user', 'a', 'x')"):
            with pytest.raises(psycopg.Error) as caught:
                opened.execute(sql)
            assert caught.value.sqlstate == sqlstate, sql
            assert caught.value.diag.message_hint
            assert SENTINEL not in str(caught.value) + str(caught.value.diag.message_detail)
        assert opened.execute("SELECT count(*) FROM oauth_tokens").fetchone() == (0,)
        assert opened.execute("SELECT fernet_decrypt(fernet_encrypt('x', %s), %s)",
                              [KEY, KEY]).fetchone() == ("x",)
        log = cluster.log()
        assert line in log and log.count("no usable encryption key") == 1
        assert re.search("WARNING: +oauth_tokens has no usable encryption key", log)
        assert SENTINEL not in log and KEY[10:30] not in log
        # No restart is needed to have a key at last.
        set_ring(cluster, OTHER)
        opened.execute("SELECT oauth_encrypt('x')")


def test_file_wins_over_environment_and_command(make_cluster):
    cluster = make_cluster(start=False)
    cluster.settings["oauth_tokens.key_command"] = f"touch {cluster.path}/ran; echo {KEY}"
    cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", OTHER)
    cluster.start()
    cluster.fresh_database(DATABASE)
    assert ring(cluster) == [fingerprint(OTHER)]
    assert not (cluster.path / "ran").exists()


# The command


def test_command_wins_over_environment_and_runs_once(make_cluster):
    cluster = make_cluster(start=False)
    cluster.settings["oauth_tokens.key_command"] = (
        f"echo ran >> {cluster.path}/ran; env > {cluster.path}/env; printf '%s\\n%s\\n' {OTHER} {KEY}"
    )
    cluster.start()
    cluster.fresh_database(DATABASE)
    assert ring(cluster) == [fingerprint(OTHER), fingerprint(KEY)]
    cluster.reload()
    assert ring(cluster) == [fingerprint(OTHER), fingerprint(KEY)]
    assert (cluster.path / "ran").read_text() == "ran\n"
    assert KEY not in (cluster.path / "env").read_text()  # E12
    # A crash of a backend does not run it again, either.
    with contextlib.suppress(psycopg.OperationalError):
        cluster.rows("DO $$ BEGIN EXECUTE format('COPY (SELECT 1) TO PROGRAM %L',"
                     " 'kill -9 ' || pg_backend_pid()); END $$")
    cluster.wait_ready()
    assert ring(cluster) == [fingerprint(OTHER), fingerprint(KEY)]
    assert (cluster.path / "ran").read_text() == "ran\n"


@pytest.mark.parametrize(
    "command, sqlstate, line",
    [
        (f"echo {KEY}; exit 3", "OT001", "exited with 3"),
        (f"echo {KEY}; kill -9 $$", "OT001", "ended by signal 9"),
        ("/nonexistent/command", "OT001", "exited with 127"),
        (f"echo {SENTINEL} garbage", "OT002", "has 8 characters"),
        ("true", "OT002", "holds no key"),
        (f"yes {SENTINEL}", "OT002", "larger than 4096 bytes"),
        # The bound is for its output as a whole, and for its children.
        (f"echo {KEY}; sleep 3600 & sleep 3600", "OT001", "more than 10 seconds"),
    ],
    ids=["exit", "signal", "missing", "garbage", "silent", "endless", "slow"],
)
def test_failing_command(make_cluster, command, sqlstate, line):  # E13
    cluster = make_cluster(settings={"oauth_tokens.key_command": command})
    cluster.fresh_database(DATABASE)
    # Never the environment's key instead: exactly one source.
    assert error_of(cluster).sqlstate == sqlstate
    log = cluster.log()
    assert line in log and SENTINEL not in log and KEY not in log


def test_command_is_read_only_after_start(make_cluster):
    cluster = make_cluster(settings={"oauth_tokens.key_command": f"echo {OTHER}"})
    cluster.fresh_database(DATABASE)
    assert error_of(cluster, "SET oauth_tokens.key_command = 'x'").sqlstate == "55P02"
    assert error_of(cluster, "SET oauth_tokens.key_file = 'x'").sqlstate == "55P02"


# Not preloaded for all


@pytest.mark.parametrize("preload", ["session", False])
@pytest.mark.parametrize("source", ["environment", "file"])
def test_without_shared_preload(make_cluster, preload, source):
    cluster = make_cluster(key=KEY if source == "environment" else None, preload=preload, start=False)
    if source == "file":
        cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", KEY)
    cluster.start()
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as opened:
        store(opened, identity(), "lazily")
        assert get(opened, identity()) == ("lazily", None)
        assert ring(cluster) == [fingerprint(KEY)]
        cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", f"{OTHER}\n{KEY}\n")
        cluster.reload()
        expected = [fingerprint(OTHER), fingerprint(KEY)]
        fingerprints = "SELECT oauth_tokens_internal.key_fingerprints()"
        wait_until(lambda: opened.execute(fingerprints).fetchone()[0] == expected,
                   what="the new ring in the open session")
        assert ring(cluster) == expected
        assert get(opened, identity()) == ("lazily", None)


def test_reload_during_a_long_call(make_cluster):  # E14
    """Rotation counts on it: what begins after a reload encrypts under its ring."""
    cluster = make_cluster(key=None, preload="session", start=False)
    cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", KEY)
    cluster.start()
    cluster.fresh_database(DATABASE)
    cluster.rows("""
        CREATE PROCEDURE encrypt_until(key text) LANGUAGE plpgsql AS $$
        BEGIN
            FOR i IN 1..1000 LOOP
                IF (oauth_tokens_internal.key_fingerprints())[1] = key THEN RETURN; END IF;
                COMMIT;
                PERFORM pg_sleep(0.01);
            END LOOP;
            RAISE 'the ring stayed as it was';
        END $$""")
    with cluster.connect(autocommit=True) as calling, concurrent.futures.ThreadPoolExecutor() as pool:
        call = pool.submit(calling.execute, "CALL encrypt_until(%s)", [fingerprint(OTHER)])
        wait_until(lambda: cluster.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL%%'"),
                   what="the call")
        cluster.settings["oauth_tokens.key_file"] = cluster.write_file("keys", f"{OTHER}\n{KEY}\n")
        cluster.reload()
        call.result()


def test_command_needs_shared_preload(make_cluster):
    cluster = make_cluster(key=None, preload="session",
                           settings={"oauth_tokens.key_command": f"echo {KEY}"})
    cluster.fresh_database(DATABASE)
    error = error_of(cluster)
    assert error.sqlstate == "OT001"
    assert "shared_preload_libraries" in error.diag.message_detail
