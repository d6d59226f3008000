"""What oauth_doctor() finds of keys, preload, standbys and daemons; sql/doctor.sql has the rest."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.harness import DATABASE, KEY, wait_until
from support.tokens import fingerprint, get, identity, key_forms, new_key, set_ring, store

ITEMS = 31

LOG_HOOK = r"""
#include "postgres.h"
#include "fmgr.h"
#include "utils/elog.h"
PG_MODULE_MAGIC;
static void see(ErrorData *record) {}
void _PG_init(void);
void _PG_init(void) { emit_log_hook = see; }
"""


def doctor(cluster, user="postgres", db=DATABASE):
    """Its rows by item: lists of (status, detail, hint). None of them shows a key or where it is."""
    rows = cluster.rows("SELECT item, status, detail, hint FROM oauth_doctor()", user=user, db=db)
    for key in [KEY, *(cluster.ring or [])]:
        assert not any(form.decode("latin-1") in str(rows) for form in key_forms(key))
    assert str(cluster.path) not in str(rows)
    found = {}
    for item, *finding in rows:
        found.setdefault(item, []).append(tuple(finding))
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), key=["error", "warning", "ok"].index)
    assert len(found) == ITEMS, sorted(found)
    return found


def wrong(cluster, **kwargs):
    """The status and detail of what is not well, by item."""
    return {item: [finding[:2] for finding in findings if finding[0] != "ok"]
            for item, findings in doctor(cluster, **kwargs).items()
            if any(finding[0] != "ok" for finding in findings)}


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[new_key()], database=DATABASE)


def fill(cluster, many=3):
    with cluster.connect(autocommit=True) as connection:
        for i in range(many):
            store(connection, identity(f"a{i}"), f"access-{i}", f"refresh-{i}")


def test_nothing_is_wrong(db):
    fill(db)
    assert wrong(db) == {}


def test_a_key_file_that_the_next_start_refuses(db):  # E13
    path = db.path / "keys"
    key = db.ring[0]
    for mode, said in ((0o644, "has mode 0644"), (0o640, "has mode 0640"), (0o600, None)):
        path.chmod(mode)
        found = wrong(db)
        if said is None:
            assert found == {}
        else:
            (status, detail), = found.pop("source of the key")
            assert status == "error" and said in detail and found == {}
    db.write_file("keys", "no key\n")
    (status, detail), = wrong(db)["source of the key"]
    assert status == "error" and "the next start has no key" in detail
    db.write_file("keys", f"{new_key()}\n{key}\n")
    assert wrong(db) == {"source of the key": [("warning", "the key file was changed after it was loaded")]}
    db.write_file("keys", f"{key}\n")
    assert wrong(db) == {}


def test_keys_and_values(db):  # E14
    old, new = db.ring[0], new_key()
    fill(db)
    set_ring(db, new, old)
    found = doctor(db)["values and keys"]
    assert found == [
        ("warning", f"key 2 ({fingerprint(old)}) is an old one that still opens 6 values", "CALL public.oauth_rotate_keys();"),
        ("ok", f"key 1 ({fingerprint(new)}) encrypts, and opens 0 values", None),
        ("ok", "key_binding = shared: 6 of 6 values are bound to no row", None),
    ]
    # Taken out too early: it was in the ring when the table was made.
    set_ring(db, new)
    (status, detail, _), *_ = doctor(db)["values and keys"]
    assert (status, detail) == ("error", "no key opens 6 of 6 values. A key is missing, if one of these:"
                                         f" {fingerprint(old)}; or they are damaged")
    set_ring(db, new, old)
    with db.connect(autocommit=True) as connection:
        connection.execute("CALL oauth_rotate_keys()")
    assert wrong(db) == {}
    assert ("ok", f"key 2 ({fingerprint(old)}) opens no value of this database: see the others before you remove it", None) in doctor(db)["values and keys"]
    # The rotation has recorded the new one, which a restored dump needs.
    set_ring(db, old)
    assert fingerprint(new) in doctor(db)["values and keys"][0][1]


def test_every_value_is_opened_in_a_parallel_scan(make_cluster):
    """The server tells of each worker at this level, and of whom it works for."""
    cluster = make_cluster(settings={"log_min_messages": "debug1", "max_parallel_workers_per_gather": "2"},
                           database=DATABASE)
    cluster.ring = None
    fill(cluster)
    with cluster.connect(autocommit=True) as connection:
        for setting in ("min_parallel_table_scan_size", "parallel_setup_cost", "parallel_tuple_cost"):
            connection.execute(f"SET {setting} = 0")
        said = connection.execute("SELECT detail FROM oauth_doctor() WHERE item = 'values and keys'").fetchall()
        assert said[0] == (f"key 1 ({fingerprint(KEY)}) encrypts, and opens 6 values",)
        cluster.wait_log(f'starting background worker process "parallel worker for PID {connection.info.backend_pid}"')


@pytest.mark.parametrize("key, said", [(None, "there is no encryption key"), ("no key", "the encryption key is malformed")])
def test_without_a_key(make_cluster, key, said):
    cluster = make_cluster(key=key, database=DATABASE)
    found = doctor(cluster)
    status, detail, hint = found["encryption key"][0]
    assert status == "error" and detail.startswith(said) and hint
    assert found["values and keys"] == [("ok", "not checked: there is no usable key", None)]
    assert list(wrong(cluster)) == ["encryption key"]


def test_a_key_command(make_cluster):
    cluster = make_cluster(key=None, settings={"oauth_tokens.key_command": f"echo {KEY}"}, database=DATABASE)
    rows = cluster.rows("SELECT item, status, detail FROM oauth_doctor() WHERE status <> 'ok'")
    assert rows == [("source of the key", "warning", "the text of oauth_tokens.key_command holds a key, and SHOW shows it")]
    set_ring(cluster, KEY)
    cluster.settings["oauth_tokens.key_command"] = "cat /nowhere"
    cluster.restart()
    rows = cluster.rows("SELECT item, status, detail FROM oauth_doctor() WHERE status <> 'ok'")
    assert rows == [("source of the key", "warning", "oauth_tokens.key_command is not used, because key_file is set")]


def test_without_preload(make_cluster):  # E16
    """Its key is in the environment."""
    cluster = make_cluster(preload=False, database=DATABASE)
    cluster.rows(f"ALTER DATABASE {DATABASE} SET oauth_tokens.allow_without_preload = off")
    found = wrong(cluster)
    assert {item: findings[0][0] for item, findings in found.items()} == {
        "preload": "error", "log": "warning", "literal secrets": "warning", "source of the key": "warning"}
    assert "log_min_error_statement = error" in found["log"][0][1]
    cluster.rows(f"ALTER DATABASE {DATABASE} SET oauth_tokens.allow_without_preload = on")
    cluster.rows(f"ALTER DATABASE {DATABASE} SET oauth_tokens.literal_secrets = reject")
    cluster.rows(f"ALTER DATABASE {DATABASE} SET log_statement = 'all'")
    found = wrong(cluster)
    assert {item: findings[0][0] for item, findings in found.items()} == {
        "preload": "error", "log": "error", "allow_without_preload": "error", "source of the key": "warning"}
    assert "log_statement = all" in found["log"][0][1]
    cluster.rows(f"ALTER DATABASE {DATABASE} SET session_preload_libraries = auto_explain, pg_stat_statements")
    hint = doctor(cluster)["preload"][0][2]
    assert hint.split(" SET ")[1] == ("session_preload_libraries = 'auto_explain', 'pg_stat_statements', oauth_tokens;"
                                      " -- or shared_preload_libraries, and restart")
    cluster.rows(hint)
    assert cluster.rows("SHOW session_preload_libraries") == [("auto_explain, pg_stat_statements, oauth_tokens",)]
    cluster.rows(f"ALTER DATABASE {DATABASE} SET oauth_tokens.allow_without_preload = off")
    found = wrong(cluster)
    assert {item: findings[0][0] for item, findings in found.items()} == {"preload": "warning", "source of the key": "warning"}


def test_another_library_sees_the_log_first(make_cluster):  # E16
    cluster = make_cluster(start=False)
    source = cluster.path / "hook.c"
    source.write_text(LOG_HOOK, encoding="utf-8")
    headers = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--includedir-server"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{headers}", "-o", source.with_suffix(".so"), source], check=True)
    cluster.settings["shared_preload_libraries"] = str(source.with_suffix(".so"))  # behind ours
    cluster.start()
    cluster.fresh_database(DATABASE)
    assert wrong(cluster) == {"log": [("warning", "another library sees log records before they are redacted")]}
    cluster.preload = False
    cluster.settings["shared_preload_libraries"] = f"{source.with_suffix('.so')},oauth_tokens"
    cluster.settings["oauth_tokens.allow_without_preload"] = "off"
    cluster.restart()
    assert wrong(cluster) == {}


def test_the_hint_sets_redact_also(db):  # E16
    """For every function at once, and keeps what is set."""
    db.rows(f"ALTER DATABASE {DATABASE} SET oauth_tokens.redact_also = '\"it''s\".of, \"Mine\"'")
    for name in ("one", '"Two"', '"select"'):
        db.rows(f"CREATE FUNCTION public.{name}(token text) RETURNS text LANGUAGE sql AS 'SELECT public.oauth_encrypt(token)'")
    try:
        (_, detail, hint), = doctor(db)["functions of yours"]
        assert detail.endswith(" and 2 more, which call ours")
        db.rows(hint)
        assert wrong(db) == {}
        assert db.rows("SHOW oauth_tokens.redact_also") == [('"it\'s".of, "Mine", one, select, two',)]
    finally:
        db.rows(f"ALTER DATABASE {DATABASE} RESET oauth_tokens.redact_also")


def test_a_superuser_is_not_sent_to_a_superuser(db):  # E20
    db.rows("CREATE ROLE planter")
    db.rows("GRANT CREATE ON SCHEMA public TO planter")
    db.rows("ALTER TABLE oauth_tokens OWNER TO planter")
    db.rows("CREATE FUNCTION public.planted(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'")
    db.rows("ALTER FUNCTION public.planted(text) OWNER TO planter")
    db.rows("CREATE INDEX ON oauth_tokens (public.planted(provider))")
    hints = [hint for findings in doctor(db).values() for _, detail, hint in findings if "with your rights" in detail]
    assert set(hints) == {"SET ROLE planter, and try again."}


def test_a_standby(db):
    fill(db)
    standby = db.standby()
    standby.ring = db.ring
    try:
        db.wait_for(standby)
        assert wrong(standby) == {}
        with standby.connect() as connection:
            assert get(connection, identity("a1")) == ("access-1", "refresh-1")
        assert doctor(standby)["values and keys"][0][1].endswith("opens 6 values")
    finally:
        standby.remove()


def test_a_locked_table_hides_no_other_item(db):
    """It is named, with its holder. The checks together wait hardly longer than one does."""
    db.rows("INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, paused_until, reason, updated_at)"
            " VALUES ('google', 'c', now() + interval '1 h', 'invalid_client', now())")
    with db.connect() as holder, db.connect(autocommit=True) as connection:
        holder.execute("LOCK TABLE oauth_tokens, oauth_tokens_internal.flow_links")
        connection.execute("SET lock_timeout = '50ms'")
        found = connection.execute("SELECT item, status, detail, hint FROM oauth_doctor() WHERE status <> 'ok'").fetchall()
        assert {row[:2] for row in found} >= {("values and keys", "warning"), ("tables", "warning"), ("paused clients", "warning")}
        pid = holder.info.backend_pid
        assert ("tables", "warning", "not checked: locked: oauth_tokens_internal.flow_links, public.oauth_tokens"
                f" by process {pid}", f"SELECT * FROM pg_catalog.pg_stat_activity WHERE pid IN ({pid});") in found


def test_a_timeout_hides_nothing_that_was_found(db):
    """The scan is last. A cancelled statement is no finding, but ends."""
    asked = "SELECT item, status, detail FROM oauth_doctor() WHERE status <> 'ok'"
    with db.connect() as holder, db.connect(autocommit=True) as connection, db.connect(autocommit=True) as other:
        holder.execute("LOCK TABLE oauth_tokens_internal.flow_links")
        connection.execute("CREATE FUNCTION pg_temp.save(token text) RETURNS text LANGUAGE sql AS 'SELECT public.oauth_encrypt(token)'")
        connection.execute("SET statement_timeout = '1500ms'")
        found = connection.execute(asked).fetchall()
        assert [row[0] for row in found] == ["functions of yours", "flows", "values and keys"]
        assert {row[2] for row in found[1:]} == {"not checked: statement_timeout"}
        connection.execute("SET statement_timeout = 0")
        with ThreadPoolExecutor() as pool:
            running = pool.submit(connection.execute, asked)
            wait_until(lambda: other.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s",
                                             [connection.info.backend_pid]).fetchone()[0], what="a check that waits")
            connection.cancel()
            with pytest.raises(psycopg.errors.QueryCanceled):
                running.result()


def test_a_daemon(make_cached, redis):
    daemon = make_cached(redis)

    def found():
        return {item: (status, detail) for item, status, detail in
                daemon.sql("SELECT item, status, detail FROM oauth_doctor() WHERE item IN ('daemon', 'cache')")}

    wait_until(lambda: found()["daemon"] == ("ok", "one is listening"), what="a listening daemon")
    assert found()["cache"][0] == "ok" and found()["cache"][1].startswith("changes waiting: 0; ")
    assert wrong_for(daemon, "sidecar") == []
    daemon.kill()
    wait_until(lambda: found()["daemon"][0] == "warning", what="a daemon that is silent")


def wrong_for(daemon, user):
    return daemon.sql("SELECT item, status, detail FROM oauth_doctor() WHERE status <> 'ok' OR detail LIKE 'not checked%'"
                      " AND item <> 'values and keys'", user=user)


def checked(daemon, code):
    """The lines of the doctor in what --check prints."""
    done = daemon.run("--check")
    assert done.returncode == code, done.stdout + done.stderr
    return [line.split(None, 2)[::2] for line in done.stdout.splitlines() if line.split()[1:2] == ["doctor"]]


def test_check_prints_what_it_finds(make_sidecar, fake):  # T14
    daemon = make_sidecar({"fake": fake.settings()}, start=False)
    well = checked(daemon, 0)
    assert well == [["ok", "values and keys: not checked: it needs the capability admin"],
                    ["ok", f"items that are well: {ITEMS} of {ITEMS}"]]
    daemon.sql("GRANT SELECT ON oauth_connections TO PUBLIC")
    daemon.sql("ALTER TABLE oauth_tokens ADD extra text")
    daemon.sql("CREATE INDEX broken ON oauth_tokens (extra)")
    daemon.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass")
    found = checked(daemon, 1)
    assert found[:2] == [
        ["error", "rights of PUBLIC: PUBLIC has SELECT on public.oauth_connections."
                  " REVOKE SELECT ON TABLE public.oauth_connections FROM PUBLIC;"],
        ["warning", "indexes: index public.broken is not valid. REINDEX INDEX CONCURRENTLY public.broken;"]]
    daemon.sql("REVOKE ALL ON oauth_connections FROM PUBLIC")
    daemon.sql("UPDATE oauth_tokens_internal.cluster SET id = '7/7'")
    assert checked(daemon, 1)[0][1].startswith("cluster: this database is a copy")


def test_check_of_a_database_without_a_doctor(make_sidecar, fake):
    daemon = make_sidecar({"fake": fake.settings()}, start=False)
    daemon.sql("REVOKE EXECUTE ON FUNCTION oauth_doctor() FROM sidecar")
    (level, text), = checked(daemon, 0)
    assert level == "warning" and "permission denied for function oauth_doctor (SQLSTATE 42501)" in text
    daemon.sql("ALTER EXTENSION oauth_tokens DROP FUNCTION oauth_doctor()")
    daemon.sql("DROP FUNCTION oauth_doctor()")
    (level, text), = checked(daemon, 0)
    assert level == "warning" and "ALTER EXTENSION oauth_tokens UPDATE" in text
