"""Invalidations of changes for caches: writers, registrars and drainers side by side, restarts and crashes."""

import contextlib
import os
import signal
import threading

import psycopg
import pytest
from support.harness import DATABASE, wait_until
from support.tokens import identity, in_background, store

REGISTRATION_ID = "SELECT oauth_tokens_internal.cache_registration_id()"
LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture(scope="module")
def server(module_cluster):
    """A server with two-phase commit and logical replication, and nobody waiting."""
    return module_cluster(database=DATABASE, settings={"max_prepared_transactions": "5", "wal_level": "logical"})


@pytest.fixture
def session(server):
    """A session of its own, with `redis` registered in an empty database."""
    with server.connect(autocommit=True) as connection:
        for (left,) in connection.execute("SELECT gid FROM pg_prepared_xacts").fetchall():
            connection.execute(f"ROLLBACK PREPARED '{left}'")
        connection.execute("SET lock_timeout = '20 s'")
        connection.execute("TRUNCATE oauth_tokens")
        connection.execute("RESET lock_timeout")
        connection.execute("DELETE FROM oauth_tokens_internal.cache_registrations")
        connection.registration_id = register(connection)
        yield connection
        connection.close()  # where the server went, its commit would fail


def register(connection, cache="redis"):
    return connection.execute("SELECT oauth_cache_register(%s)", [cache]).fetchone()[0]


def pending(connection):
    return connection.execute("SELECT * FROM oauth_changes_pending(1000000)").fetchall()


def invalidated(connection):
    """Whose tokens changed: actor ids, None for everybody's."""
    return sorted((row[4] for row in pending(connection)), key=str)


def ack(connection, ids=None, registration_id=None):
    ids = [row[0] for row in pending(connection)] if ids is None else ids
    return connection.execute(
        "SELECT oauth_changes_ack(%s, %s)", [registration_id or connection.registration_id, ids]
    ).fetchone()[0]


def begin(connection, level="READ COMMITTED"):
    connection.execute(f"BEGIN ISOLATION LEVEL {level}")


def sqlstate(connection, sql, params=None):
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql, params)
    return caught.value.sqlstate


# Registering beside writers


@pytest.mark.parametrize("prepared", [False, True])
def test_registration_waits_for_a_writer(server, session, prepared):  # C13
    """A writer that was told of no cache has ended before there is one."""
    session.execute("SELECT oauth_cache_unregister('redis')")
    with server.connect(autocommit=True) as writer:
        begin(writer)
        store(writer, identity("early"), "a")
        if prepared:
            writer.execute("PREPARE TRANSACTION 'early'")
        assert sqlstate(session, "SELECT oauth_cache_register('redis')") == "55P03"
        assert session.execute(REGISTRATION_ID).fetchone() == (None,)
        writer.execute("COMMIT PREPARED 'early'" if prepared else "COMMIT")
    assert register(session) is not None
    assert pending(session) == []


@pytest.mark.parametrize("level", LEVELS)
def test_a_writer_waits_for_a_registration(server, session, level):  # C13
    """One that comes later invalidations, whatever old snapshot it has."""
    session.execute("SELECT oauth_cache_unregister('redis')")
    with server.connect(autocommit=True) as writer:
        begin(writer, level)
        writer.execute("SELECT count(*) FROM pg_class")  # its snapshot is from here
        begin(session)
        register(session)
        with in_background(server, "SELECT oauth_store(gen_random_uuid(), 'g', 'user', 'waits', 'a')") as other:
            wait_until(lambda: session.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                                               " AND wait_event_type = 'Lock'", [other.pid]).fetchall(),
                       what="the writer to wait")
            session.execute("COMMIT")
            other.finish()
        store(writer, identity("late"), "a")
        writer.execute("COMMIT")
    assert invalidated(session) == ["late", "waits"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_registration_slips_in_after_a_savepoint(server, session, level):
    """A rollback to a savepoint lets go of the lock that kept it out."""
    session.execute("SELECT oauth_cache_unregister('redis')")
    with server.connect(autocommit=True) as writer:
        begin(writer, level)
        writer.execute("SAVEPOINT s")
        store(writer, identity("undone"), "a")
        writer.execute("ROLLBACK TO s")
        register(session)
        store(writer, identity("invalidated"), "a")
        writer.execute("COMMIT")
    assert invalidated(session) == ["invalidated"]


def test_registrars_exclude_each_other(server, session):
    session.execute("SELECT oauth_cache_unregister('redis')")
    begin(session)
    register(session, "one")
    with server.connect(autocommit=True) as other:
        # Whose turn it is not does not stand in a queue: writers would stand behind it.
        with pytest.raises(psycopg.Error, match="another session is registering a cache") as caught:
            other.execute("SELECT oauth_cache_register('two')")
        assert caught.value.sqlstate == "55P03"
        session.execute("COMMIT")
        assert sqlstate(other, "SELECT oauth_cache_register('two')") == "OT016"
    assert session.execute("SELECT count(*) FROM oauth_tokens_internal.cache_registrations").fetchone() == (1,)


def test_a_registration_does_not_hold_up_writers(server, session):
    """Behind an open writer it gives up before long, and says so."""
    session.execute("SELECT oauth_cache_unregister('redis')")
    with server.connect(autocommit=True) as writer:
        begin(writer)
        store(writer, identity("open"), "a")
        session.execute("SET lock_timeout = '1 h'")
        assert sqlstate(session, "SELECT oauth_cache_register('redis')") == "55P03"
        assert session.execute("SHOW lock_timeout").fetchone() == ("1h",)
        session.execute("RESET lock_timeout")


def test_who_is_registered_already_waits_for_no_other_registrar(server, session):
    with server.connect(autocommit=True) as other:
        begin(other)
        other.execute(
            "LOCK TABLE oauth_tokens_internal.cache_registrations IN SHARE UPDATE EXCLUSIVE MODE")
        assert register(session) == session.registration_id


# What is no longer as it was when the cache was registered


@pytest.mark.parametrize("change", [
    "ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row; UPDATE oauth_tokens SET scopes = 'x';"
    " ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_row",
    "ALTER TABLE oauth_tokens ALTER COLUMN encrypted_access_token TYPE text USING 'x'",
    "CREATE TABLE child () INHERITS (oauth_tokens); INSERT INTO child SELECT * FROM oauth_tokens",
])
def test_changes_that_leave_no_mark_end_it(server, session, change):
    """Also what another session did at one stroke, so that nobody saw it on the way."""
    store(session, identity("a"), "a")
    assert ack(session) == 1
    with server.connect(autocommit=True) as other:
        other.execute(f"BEGIN; {change}; COMMIT")
    try:
        assert session.execute(REGISTRATION_ID).fetchone() == (None,)
        assert ack(session, []) is None
    finally:
        session.execute("DROP TABLE IF EXISTS child")
    assert ack(session, []) is None
    assert register(session) != session.registration_id


# An open writer


def test_room_of_many_invalidations_is_given_back(server, session):
    """Not while a writer is under way, who is not held up, but as soon as none is."""
    size = "SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations')"
    session.execute(
        "INSERT INTO oauth_tokens_internal.cache_invalidations SELECT i, gen_random_uuid(), 'g', 'user',"
        " repeat('x', 900) FROM generate_series(1, 20000) i")
    with server.connect(autocommit=True) as writer:
        begin(writer)
        store(writer, identity("open"), "a")
        session.execute("SET lock_timeout = '1 ms'")
        assert ack(session) == 20000
        assert session.execute(size).fetchone()[0] > 2**23
        writer.execute("COMMIT")
    assert ack(session, []) == 0
    assert session.execute(size).fetchone()[0] > 2**23
    assert invalidated(session) == ["open"]
    assert ack(session) == 1
    assert session.execute(size).fetchone() == (0,)
    store(session, identity("after"), "a")
    assert invalidated(session) == ["after"]


@pytest.mark.parametrize("level", LEVELS)
def test_an_open_writer_delays_nobody(server, session, level):  # C15
    store(session, identity("before"), "a")
    with server.connect(autocommit=True) as writer:
        begin(writer, level)
        store(writer, identity("open"), "a")
        for other_level in LEVELS:
            begin(session, other_level)
            session.execute("SET LOCAL statement_timeout = '20 s'; SET LOCAL lock_timeout = '1 ms'")
            assert invalidated(session) == ["before"]
            assert ack(session) == 1
            assert register(session) == session.registration_id
            session.execute("ROLLBACK")
        # Everybody else's changes come and go.
        store(session, identity("open, too"), "a")
        assert invalidated(session) == ["before", "open, too"]
        assert ack(session) == 2
        store(writer, identity("again"), "a")
        writer.execute("COMMIT")  # no 40001
    assert invalidated(session) == ["again", "open"]


@pytest.mark.parametrize("level", LEVELS)
def test_two_who_acknowledge_at_once(server, session, level):  # C15
    for name in "abc":
        store(session, identity(name), "a")
    ids = [row[0] for row in pending(session)]
    with server.connect(autocommit=True) as other:
        begin(other, level)
        other.registration_id = session.registration_id
        assert ack(other, ids[:2]) == 2
        begin(session, level)
        session.execute("SET LOCAL lock_timeout = '1 ms'")
        assert ack(session, ids) == 1  # what the other has in hand is left to it
        session.execute("COMMIT")
        other.execute("ROLLBACK")
    assert len(pending(session)) == 2


def test_serializable_writers_beside_readers_of_invalidations(server, session):
    """Readers take no predicate locks: 40001 for no reason of the tokens' own would show here."""
    store(session, identity("before"), "a")  # an empty table has no page to read
    with server.connect(autocommit=True) as one, server.connect(autocommit=True) as other:
        for connection in (one, other):
            begin(connection, "SERIALIZABLE")
            assert invalidated(connection) == ["before"]
            connection.execute(REGISTRATION_ID)
        for connection, name in ((one, "one"), (other, "other")):
            connection.execute(
                "INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id,"
                " encrypted_access_token) VALUES (gen_random_uuid(), %s, 'user', %s, 'x')", [name, name])
        one.execute("COMMIT")
        other.execute("COMMIT")
    assert invalidated(session) == ["before", "one", "other"]


def test_writers_and_drainers_lose_nothing(server, session):
    """Every change that a drainer may have missed is still pending when the writers are done."""
    writers, changes = 4, 150
    seen, stop, faults = set(), threading.Event(), []

    def write(number):
        with server.connect(autocommit=True) as connection:
            for i in range(changes):
                if i % 3 == 0:
                    begin(connection, LEVELS[i % 2])
                store(connection, identity(f"{number}/{i}"), "a")
                if i % 3 == 0:
                    connection.execute("COMMIT")

    def drain():
        with server.connect(autocommit=True) as connection:
            connection.registration_id = session.registration_id
            while not stop.is_set():
                connection.execute("SELECT oauth_changes_wait('100 ms')")
                rows = pending(connection)
                seen.update(row[4] for row in rows)
                if ack(connection, [row[0] for row in rows]) is None:
                    faults.append("the registration is gone")

    def guarded(run, *args):
        try:
            run(*args)
        except Exception as error:  # noqa: BLE001 — a thread's own would be lost
            faults.append(error)

    drainers = [threading.Thread(target=guarded, args=(drain,)) for _ in range(2)]
    threads = [threading.Thread(target=guarded, args=(write, n)) for n in range(writers)]
    for thread in drainers + threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: not pending(session), what="the end of the invalidations")
    stop.set()
    for thread in drainers:
        thread.join()
    assert faults == []
    assert len(seen) == writers * changes


# What may be lost with the server


def test_a_crash_ends_the_registration(server, session):  # C14
    store(session, identity("a"), "a")
    with server.connect() as victim:
        pid = victim.info.backend_pid
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(psycopg.Error):
            victim.execute("SELECT pg_sleep(60)")
    server.wait_ready()
    with server.connect(autocommit=True) as after:
        assert after.execute(REGISTRATION_ID).fetchone() == (None,)
        assert after.execute(
            "SELECT cache_id, registration_id FROM oauth_tokens_internal.cache_registration()"
        ).fetchone() == (None, None)
        assert ack(after, [], session.registration_id) is None
        assert pending(after) == []
        store(after, identity("a"), "unrecorded")
        assert pending(after) == []
        assert register(after) != session.registration_id
        store(after, identity("a"), "invalidated")
        assert invalidated(after) == ["a"]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_ends_the_registration(server, session, mode):
    store(session, identity("a"), "a")
    server.restart(mode)
    with server.connect(autocommit=True) as after:
        assert after.execute(REGISTRATION_ID).fetchone() == (None,)
        assert ack(after, [], session.registration_id) is None
        store(after, identity("a"), "unrecorded")
        assert register(after, "another") != session.registration_id  # nobody's turn to wait
        assert pending(after) == []


def test_a_copy_of_the_database_has_no_cache(server, session):
    store(session, identity("a"), "a")
    session.close()
    server.rows("DROP DATABASE IF EXISTS copy", db="postgres")
    wait_until(lambda: server.value(
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = %s", [DATABASE], db="postgres"))
    server.rows(f"CREATE DATABASE copy TEMPLATE {DATABASE}", db="postgres")
    with server.connect("copy", autocommit=True) as copy:
        assert copy.execute(REGISTRATION_ID).fetchone() == (None,)
        assert ack(copy, [], session.registration_id) is None
        assert register(copy) != session.registration_id
        assert pending(copy) == []
    assert server.value(REGISTRATION_ID) == session.registration_id


def test_standby_and_promotion(server, session):
    """A standby has neither invalidations nor registration, and says so without an error."""
    store(session, identity("a"), "a")
    standby = server.standby()
    try:
        with standby.connect(autocommit=True) as replica:
            assert replica.execute(REGISTRATION_ID).fetchone() == (None,)
            cache, registration_id, system, timeline, database, _, drained = replica.execute(
                "SELECT * FROM oauth_tokens_internal.cache_registration()").fetchone()
            assert (cache, registration_id, drained) == (None, None, None)
            assert (system, timeline, database) == session.execute(
                "SELECT system_identifier, timeline, database FROM oauth_tokens_internal.cache_registration()"
            ).fetchone()
            assert pending(replica) == []
            assert replica.execute("SELECT oauth_changes_wait('10 ms')").fetchone()[0] is not None
            assert sqlstate(replica, "SELECT oauth_cache_register('redis')") == "25006"
            assert sqlstate(replica, "SELECT oauth_changes_ack(gen_random_uuid(), '{}')") == "25006"
            assert replica.execute(
                "SELECT state FROM oauth_tokens_internal.connection(%s, %s, %s, %s)", identity("a")
            ).fetchone() == ("active",)
            assert replica.execute("SELECT oauth_tokens_current()").fetchone() == ("bb51836389e7 (head)",)
        standby.promote()
        with standby.connect(autocommit=True) as promoted:
            assert promoted.execute(REGISTRATION_ID).fetchone() == (None,)
            assert promoted.execute(
                "SELECT timeline FROM oauth_tokens_internal.cache_registration()").fetchone()[0] > timeline
            assert ack(promoted, [], session.registration_id) is None
            assert register(promoted) != session.registration_id
    finally:
        standby.remove()


def test_two_phase_commit(server, session):
    with server.connect(autocommit=True) as writer:
        begin(writer)
        store(writer, identity("two"), "a")
        writer.execute("PREPARE TRANSACTION 'two'")
        assert pending(session) == []
        server.restart()  # which ends the registration, and keeps the transaction
        server.rows("COMMIT PREPARED 'two'")
    with server.connect(autocommit=True) as after:
        registration_id = register(after)
        begin(after)
        store(after, identity("two"), "b")
        after.execute("PREPARE TRANSACTION 'two'")
        store(after, identity("three"), "b")
        assert invalidated(after) == ["three"]
        after.execute("COMMIT PREPARED 'two'")
        assert invalidated(after) == ["three", "two"]
        assert ack(after, None, registration_id) == 2


def wait(connection, timeout="0"):
    return connection.execute("SELECT oauth_changes_wait(%s)", [timeout]).fetchone()[0]


def prepare(connection, actor, gid, token="a"):
    begin(connection)
    store(connection, identity(actor), token)
    connection.execute(f"PREPARE TRANSACTION '{gid}'")


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_end_of_a_prepared_transaction_wakes(server, session, end):
    """It ends in another backend, where no callback of ours hears of it."""
    with server.connect(autocommit=True) as writer:
        for heard in (True, False):  # whether the waiter looked while it was prepared
            prepare(writer, "two", "two")
            if heard:
                wait_until(lambda: not wait(session), what="nothing new")
                assert not wait(session, "20 ms") and pending(session) == []
            server.rows(f"{end} PREPARED 'two'")
            assert wait(session)
            assert invalidated(session) == (["two"] if end == "COMMIT" else [])
            ack(session)
            wait_until(lambda: not wait(session), what="nothing new")


def test_a_sleeping_waiter_is_woken_by_commit_prepared(server, session):
    def wakes(writer, gid):
        """Whether a waiter heard of it: on a busy machine its second may pass before the commit comes."""
        prepare(writer, "two", gid)
        wait_until(lambda: not wait(session), what="nothing new")
        with in_background(server, "SELECT oauth_changes_wait('0'); SELECT oauth_changes_wait('0');"
                           " DO $$ BEGIN IF NOT oauth_changes_wait('1 s') THEN RAISE 'not woken'; END IF; END $$") as other:
            pid = other.connection.info.backend_pid
            wait_until(lambda: server.rows("SELECT wait_event FROM pg_stat_activity WHERE pid = %s AND query <> ''", [pid])
                       in ([("Extension",)], [("ClientRead",)]), what="a sleep, or its end")
            server.rows(f"COMMIT PREPARED '{gid}'")
            try:
                other.finish()
                return True
            except psycopg.Error as error:
                assert "not woken" in str(error)
                return False
            finally:
                ack(session)

    with server.connect(autocommit=True) as writer:
        assert any(wakes(writer, f"two {number}") for number in range(20))


def test_prepared_transactions_of_other_databases_wake_nobody(server, session):
    server.rows("CREATE DATABASE elsewhere", db="postgres")
    try:
        with server.connect(db="elsewhere", autocommit=True) as other:
            other.execute("CREATE TABLE t (); BEGIN; INSERT INTO t DEFAULT VALUES; PREPARE TRANSACTION 'elsewhere'")
            with server.connect(autocommit=True) as writer:
                prepare(writer, "two", "two")
            wait_until(lambda: not wait(session), what="nothing new")
            other.execute("COMMIT PREPARED 'elsewhere'")
            assert not wait(session)
            server.rows("COMMIT PREPARED 'two'")
            assert wait(session) and invalidated(session) == ["two"]
    finally:
        server.rows("DROP DATABASE elsewhere", db="postgres")


def test_a_crash_with_a_prepared_transaction(server, session):  # C13, C14
    """Its invalidations are lost, so no cache is registered until it has ended."""
    with server.connect(autocommit=True) as writer:
        store(writer, identity("two"), "before")
        prepare(writer, "two", "two", "after")
    server.kill()
    server.start()
    with server.connect(autocommit=True) as after:
        assert after.execute(REGISTRATION_ID).fetchone() == (None,)
        assert sqlstate(after, "SELECT oauth_cache_register('redis')") == "55P03"
        server.rows("COMMIT PREPARED 'two'")
        assert register(after) is not None
        assert after.execute("SELECT access_token FROM oauth_get(%s, %s, %s, %s)", identity("two")).fetchone() == ("after",)



def test_logical_replication(server, session):
    """What a subscription applies leaves invalidations, as what a session does."""
    server.fresh_database("publisher")
    server.rows("CREATE PUBLICATION tokens FOR TABLE oauth_tokens", db="publisher")
    # In one server, the slot must be there before.
    server.rows("SELECT pg_create_logical_replication_slot('tokens', 'pgoutput')", db="publisher")
    session.execute(
        f"CREATE SUBSCRIPTION tokens CONNECTION 'host={server.socket_dir} port={server.port}"
        " dbname=publisher user=postgres' PUBLICATION tokens WITH (create_slot = false, slot_name = tokens)")
    try:
        with server.connect("publisher", autocommit=True) as publisher:
            store(publisher, identity("first"), "a")
            wait_until(lambda: "first" in invalidated(session), 30, what="the row")
            publisher.execute("UPDATE oauth_tokens SET actor_id = 'second'")
            wait_until(lambda: "second" in invalidated(session), 30, what="the new identity")
            publisher.execute("TRUNCATE oauth_tokens")
            wait_until(lambda: None in invalidated(session), 30, what="the invalidation for everything")
    finally:
        session.execute("ALTER SUBSCRIPTION tokens DISABLE")
        session.execute("ALTER SUBSCRIPTION tokens SET (slot_name = NONE)")
        session.execute("DROP SUBSCRIPTION tokens")
        wait_until(lambda: server.value(
            "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'tokens'"))
        server.rows("SELECT pg_drop_replication_slot('tokens')", db="publisher")


# Waiting


@pytest.fixture(scope="module", params=["shared", "session"])
def waiting(request, module_cluster):
    """Servers that wake, and that have to look."""
    made = module_cluster(preload=True if request.param == "shared" else "session")
    made.fresh_database(DATABASE)
    made.rows("SELECT oauth_cache_register('redis')")
    return made


def test_waiting(waiting):
    with waiting.connect(autocommit=True) as session:
        session.registration_id = register(session)
        ack(session)
        session.execute("SELECT oauth_changes_wait('0')")
        assert session.execute("SELECT oauth_changes_wait('0')").fetchone() == (False,)
        assert session.execute("SELECT oauth_changes_wait('50 ms')").fetchone() == (False,)
        # What came before the call, and what comes during it.
        with waiting.connect(autocommit=True) as writer:
            store(writer, identity("a"), "a")
            assert session.execute("SELECT oauth_changes_wait()").fetchone() == (True,)
            assert session.execute("SELECT oauth_changes_wait('0')").fetchone() == (False,)
            ack(session)
            begin(writer, "REPEATABLE READ")
            store(writer, identity("a"), "b")
            assert session.execute("SELECT oauth_changes_wait('50 ms')").fetchone() == (False,)
            timer = threading.Timer(0.3, lambda: writer.execute("COMMIT"))
            timer.start()
            woken = False
            for _ in range(60):
                woken = session.execute("SELECT oauth_changes_wait()").fetchone()[0]
                if woken:
                    break
            timer.join()
            assert woken
            assert invalidated(session) == ["a"]  # visible to whoever is woken
            ack(session)


def test_whoever_is_woken_sees_the_change(waiting):
    """The signal never comes before the commit."""
    with waiting.connect(autocommit=True) as session, waiting.connect(autocommit=True) as writer:
        session.registration_id = register(session)
        ack(session)
        session.execute("SELECT oauth_changes_wait('0')")
        for i in range(100):
            thread = threading.Thread(target=store, args=(writer, identity(f"{i}"), "a"))
            thread.start()
            while not session.execute("SELECT oauth_changes_wait()").fetchone()[0]:
                pass
            assert invalidated(session) == [f"{i}"]
            ack(session)
            thread.join()


def test_waiting_can_be_cancelled(waiting):
    with waiting.connect(autocommit=True) as session:
        session.execute("SELECT oauth_changes_wait('0')")
        ack_all = "SELECT oauth_changes_ack(oauth_tokens_internal.cache_registration_id(), array(SELECT id FROM oauth_changes_pending()))"
        session.execute(ack_all)
        session.execute("SELECT oauth_changes_wait('0')")
        session.execute("SET statement_timeout = '100 ms'")
        assert sqlstate(session, "SELECT oauth_changes_wait()") == "57014"
        session.execute("RESET statement_timeout")
        assert session.execute("SELECT oauth_changes_wait('0')").fetchone() == (False,)


# Dump and restore


def triggers(server, db):
    return server.rows(
        "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 'oauth_tokens'::regclass"
        " AND NOT tgisinternal ORDER BY 1", db=db)


ALWAYS = [("oauth_cache_invalidate_row", "A"), ("oauth_cache_invalidate_truncate", "A")]


def test_dump_and_restore(server, session):
    store(session, identity("a"), "a")
    for options in [(), ("-Fc",)]:
        dump = server.dump(*options)
        server.rows("DROP DATABASE IF EXISTS restored", db="postgres")
        server.rows("CREATE DATABASE restored TEMPLATE template0", db="postgres")
        server.restore(dump, db="restored")
        assert triggers(server, "restored") == ALWAYS
        assert server.value("SELECT oauth_tokens_current()", db="restored") == "bb51836389e7 (head)"
        assert server.value(REGISTRATION_ID, db="restored") is None
        assert server.rows("SELECT * FROM oauth_changes_pending()", db="restored") == []
        server.rows("DROP EXTENSION oauth_tokens", db="restored")
        assert triggers(server, "restored") == []
        assert server.value("SELECT count(*) FROM oauth_tokens", db="restored") == 1


def test_a_restore_of_data_that_disables_triggers(server, session):
    """pg_restore --disable-triggers leaves them plain; an upgrade repairs that, and the cache begins anew."""
    store(session, identity("a"), "a")
    dump = server.dump("-Fc")
    session.execute("TRUNCATE oauth_tokens, oauth_token_details")
    server.restore(dump, "--data-only", "--disable-triggers", "--table=oauth_tokens")
    assert triggers(server, DATABASE) == [(name, "O") for name, _ in ALWAYS]
    assert session.execute("SELECT oauth_tokens_current()").fetchone() == (None,)
    assert ack(session, []) is None
    session.execute("SELECT oauth_tokens_upgrade()")
    assert triggers(server, DATABASE) == ALWAYS
    assert ack(session, []) is None
    assert register(session) != session.registration_id
    store(session, identity("a"), "b")
    assert invalidated(session) == ["a"]
