"""oauth_fresh_access_token(): asks a sidecar through shared memory, and waits for the commit
(docs/refresh-requests.md). The sidecar here is a thread; the daemon's own tests have a real one."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from datetime import datetime

import asyncpg
import psycopg
import pytest
from support.harness import DATABASE, all_of, client_bin, wait_until
from support.listener import FRESH, REFRESH, WAIT, Caller, Listener
from support.pgbouncer import PgBouncer
from support.tokens import identity, python_store

LIVES = 3600
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%%oauth_fresh_access_token%%' AND pid <> pg_backend_pid()"
REQUESTS = 86  # that a role may have, if nobody else has any
BEGIN = "SELECT outcome, fence, reason FROM oauth_refresh_begin(%s, %s, %s, %s)"
FAIL = "SELECT oauth_refresh_fail(%s, %s, %s, %s, %s, %s, 'it said no', %s)"


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(database=DATABASE, settings={"max_connections": "300", "max_prepared_transactions": "5"})


@pytest.fixture
def listen(cluster):
    def make(cluster=cluster, **kwargs):
        return Listener(cluster, **kwargs)

    yield from all_of(make, Listener.stop)


def expire(cluster, *actors, db=DATABASE, expires_in=0, refresh="refresh"):
    """Stores a token for each that has expired, or lives so long."""
    with cluster.connect(db, autocommit=True) as connection:
        for actor in actors:
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'old', %s, expires_in => %s)",
                               [*identity(actor), refresh, expires_in])


def call(cluster, actor, *args, db=DATABASE, user="postgres", **kwargs):
    return Caller(cluster.connect(db, user, autocommit=True), identity(actor), *args, **kwargs)


def fresh(cluster, actor, *args, **kwargs):
    return call(cluster, actor, *args, **kwargs).result()


def sqlstate_of(cluster, actor, *args, **kwargs):
    with pytest.raises(psycopg.Error) as caught:
        fresh(cluster, actor, *args, **kwargs)
    return caught.value.sqlstate


def sleeping(cluster, count):
    wait_until(lambda: cluster.value(SLEEPING) == count, 20, what=f"{count} sleeping callers")


def forget_listeners(cluster):
    """Until nobody counts as listening any more."""
    expire(cluster, "probe")
    wait_until(lambda: sqlstate_of(cluster, "probe", "60 s", "0") == "OT021", 20, what="the end of all listeners")


# The promise.


def test_a_caller_gets_the_new_token(cluster, listen):
    listener = listen()
    expire(cluster, "one")
    assert fresh(cluster, "one") == "fresh 1"
    assert fresh(cluster, "one") == "fresh 1"  # it is stored
    assert [taken for taken, _ in listener.taken] == [identity("one")]


def test_200_callers_cause_one_request(cluster, listen):
    go = threading.Event()

    def refresh(listener, whose):
        go.wait(30)
        listener.store(whose)

    listener = listen(refresh=refresh)
    expire(cluster, "many")
    callers = [call(cluster, "many", "60 s", "60 s") for _ in range(200)]
    sleeping(cluster, 200)
    go.set()
    assert [caller.result() for caller in callers] == ["fresh 1"] * 200
    assert len(listener.taken) == 1


def test_several_sidecars_share_the_requests(cluster, listen):
    listeners = [listen() for _ in range(3)]
    actors = [f"shared {number}" for number in range(30)]
    expire(cluster, *actors)
    callers = [call(cluster, actor) for actor in actors]
    for caller in callers:
        caller.result()
    taken = [whose[3] for listener in listeners for whose, _ in listener.taken]
    assert sorted(taken) == sorted(actors)


def test_the_longest_min_ttl_is_asked_for(cluster):
    """And one who asks for more than a listener was told asks anew, where the answer is `fresh`."""
    expire(cluster, "longer", expires_in=600)
    with cluster.connect(autocommit=True) as connection:
        connection.execute(WAIT, ["0"])
        short = call(cluster, "longer", "11 min")
        sleeping(cluster, 1)
        long = call(cluster, "longer", "20 min")
        sleeping(cluster, 2)
        (*whose, min_ttl), = connection.execute(WAIT, ["0"]).fetchall()
        assert (tuple(whose), min_ttl.total_seconds()) == (identity("longer"), 1200)
        longest = call(cluster, "longer", "30 min")
        sleeping(cluster, 3)
        connection.execute("SELECT oauth_tokens_internal.refresh_request_done(%s, %s, %s, %s, 'fresh')", whose)
        assert [short.result(), long.result()] == ["old", "old"]
        row, = connection.execute(WAIT, ["1 s"]).fetchall()
        assert row[4].total_seconds() == 1800
        connection.execute(REFRESH, [*whose, "new", 300])  # shorter than anybody wants, but replaced
        assert longest.result() == "new"


def test_any_writer_wakes_the_caller(cluster, listen):
    """Raw SQL, a prepared transaction, a change that replaces the identity, a delete."""
    listen(refresh=lambda listener, whose: None)
    expire(cluster, "source", expires_in=LIVES)
    changes = {
        "raw": "UPDATE oauth_tokens SET access_token_expires_at = now() + interval '1 day' WHERE actor_id = 'raw'",
        "copied": "UPDATE oauth_tokens t SET (encrypted_access_token, access_token_expires_at) = (SELECT"
        " s.encrypted_access_token, s.access_token_expires_at FROM oauth_tokens s WHERE s.actor_id = 'source')"
        " WHERE actor_id = 'copied'",
        "prepared": "BEGIN; UPDATE oauth_tokens SET access_token_expires_at = now() + interval '1 day'"
        " WHERE actor_id = 'prepared'; PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'",
    }
    for actor, sql in changes.items():
        expire(cluster, actor)
        caller = call(cluster, actor, "60 s", "1 h")
        sleeping(cluster, 1)
        cluster.psql(sql)
        assert caller.result() == "old"
    expire(cluster, "deleted")
    caller = call(cluster, "deleted")
    sleeping(cluster, 1)
    cluster.rows("SELECT oauth_delete(%s, %s, %s, %s)", identity("deleted"))
    assert caller.result() is None


def median_wait(cluster, end):
    """Until a caller hears of what `end` does."""
    waited = []
    with cluster.connect(autocommit=True) as connection:
        for _ in range(21):
            expire(cluster, "woken")
            caller = call(cluster, "woken", "60 s", "1 h")
            sleeping(cluster, 1)
            time.sleep(0.02)  # it may just look at the row
            end(connection)
            began = time.monotonic()
            caller.join(30)
            waited.append(time.monotonic() - began)
    return sorted(waited)[10]


def commit(connection):
    connection.execute(REFRESH, [*identity("woken"), "new", LIVES])


def commit_prepared(connection):
    """Which wakes nobody."""
    connection.execute("BEGIN")
    connection.execute(REFRESH, [*identity("woken"), "new", LIVES])
    connection.execute("PREPARE TRANSACTION 'woken'")
    connection.execute("COMMIT PREPARED 'woken'")


def fail_for_good(connection):
    _, fence, _ = connection.execute(BEGIN, identity("woken")).fetchone()
    connection.execute(FAIL, [*identity("woken"), fence, "needs_interaction", None])


def test_a_commit_wakes_at_once(cluster, listen):
    """Not the poll, which takes 125 ms more on average."""
    listen(refresh=lambda listener, whose: None)
    poll = median_wait(cluster, commit_prepared)
    assert median_wait(cluster, commit) < poll - 0.05
    assert median_wait(cluster, fail_for_good) < poll - 0.05


def test_a_request_wakes_the_sidecar(cluster):
    """Not the end of its sleep, a second after its begin."""
    waited = []
    with cluster.connect(autocommit=True) as connection:
        for number in range(5):
            expire(cluster, f"asks {number}")
            taken = []
            thread = threading.Thread(target=lambda: taken.extend(connection.execute(WAIT, ["1 s"]).fetchall()))
            thread.start()
            wait_until(lambda: cluster.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s",
                                             [connection.info.backend_pid]) == "Extension", interval=0.005)
            began = time.monotonic()
            caller = call(cluster, f"asks {number}", "60 s", "30 s")
            thread.join(30)
            waited.append(time.monotonic() - began)
            assert len(taken) == 1
            connection.execute(REFRESH, [*taken[0][:4], "new", LIVES])
            assert caller.result() == "new"
    assert sorted(waited)[2] < 0.7


# What a listener says.


@pytest.mark.parametrize("outcome, sqlstate", [
    ("needs_reauthorization", "OT019"), ("no_refresh_token", "OT020"), ("backoff", "OT022"), ("not_connected", "OT022"),
])
def test_an_answer_ends_the_wait(cluster, listen, outcome, sqlstate):
    listen(refresh=lambda listener, whose: listener.done(whose, outcome, f"the reason of {whose[3]}"))
    expire(cluster, outcome)
    with pytest.raises(psycopg.Error) as caught:
        fresh(cluster, outcome, "60 s", "1 h")
    assert caught.value.sqlstate == sqlstate
    if outcome in ("needs_reauthorization", "backoff"):
        assert f"the reason of {outcome}" in str(caught.value)


def test_an_answer_is_not_for_those_who_come_later(cluster):
    """A request that was answered is asked anew, though others have not left it yet."""
    expire(cluster, "later")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(WAIT, ["0"])
        first = call(cluster, "later")
        sleeping(cluster, 1)
        assert len(connection.execute(WAIT, ["0"]).fetchall()) == 1
        os.kill(first.connection.info.backend_pid, signal.SIGSTOP)
        try:
            connection.execute("SELECT oauth_tokens_internal.refresh_request_done(%s, %s, %s, %s, 'backoff', 'of before')",
                               identity("later"))
            second = call(cluster, "later")
            assert len(connection.execute(WAIT, ["1 s"]).fetchall()) == 1
            connection.execute(REFRESH, [*identity("later"), "new", LIVES])
            assert second.result() == "new"
        finally:
            os.kill(first.connection.info.backend_pid, signal.SIGCONT)
        assert first.result() == "new"


def test_a_fresh_token_that_has_expired(cluster, listen):
    listen(refresh=lambda listener, whose: listener.done(whose, "fresh"))
    expire(cluster, "dead", expires_in=0)
    assert sqlstate_of(cluster, "dead") == "OT022"


# What oauth_refresh_begin(), _commit() and _fail() leave.

def test_begin_and_commit(cluster, listen):
    """20 callers, one request, one attempt."""
    refreshed = []

    def refresh(listener, whose):
        with listener.connect() as connection:
            outcome, fence, _ = connection.execute(BEGIN, whose).fetchone()
            if outcome == "granted":
                refreshed.append(whose)
                connection.execute("SELECT oauth_refresh_commit(%s, %s, %s, %s, %s, 'committed', 'rotated', 3600)",
                                   [*whose, fence])
            elif outcome == "fresh":
                listener.done(whose, outcome)

    listen(refresh=refresh)
    expire(cluster, "begun")
    assert {caller.result() for caller in [call(cluster, "begun") for _ in range(20)]} == {"committed"}
    assert refreshed == [identity("begun")]


def fail(kind, retry_after=None):
    def refresh(listener, whose):
        with listener.connect() as connection:
            outcome, fence, _ = connection.execute(BEGIN, whose).fetchone()
            if outcome == "granted":
                connection.execute(FAIL, [*whose, fence, kind, retry_after])
    return refresh


@pytest.mark.parametrize("kind, retry_after, sqlstate", [("dead_grant", None, "OT019"), ("needs_interaction", None, "OT019"),
                                                         ("transient", "1 day", "OT022")])
def test_a_failure_ends_the_wait(cluster, listen, kind, retry_after, sqlstate):
    """The sidecar says nothing to the caller but by oauth_refresh_fail(). And who asks later is told
    so at once, whether anybody listens or not, until a token is stored, be it by raw SQL."""
    listener = listen(refresh=fail(kind, retry_after))
    expire(cluster, kind)
    for _ in range(2):
        with pytest.raises(psycopg.Error) as caught:
            fresh(cluster, kind, "60 s", "1 h")
        assert caught.value.sqlstate == sqlstate and f"{kind}: it said no" in str(caught.value)
    assert len(listener.taken) == 1
    listener.stop()
    forget_listeners(cluster)
    assert sqlstate_of(cluster, kind) == sqlstate
    with cluster.connect(autocommit=True) as connection:
        python_store(connection, identity(kind), "old", "another", expires_at=datetime(2001, 1, 1))
    assert sqlstate_of(cluster, kind) == "OT021"


def test_a_failure_that_is_soon_tried_again(cluster, listen):
    """Not the end: the caller waits for the next attempt."""
    tries = []

    def refresh(listener, whose):
        tries.append(whose)
        fail("transient", "1 s")(listener, whose)
        with listener.connect() as connection:
            wait_until(lambda: (answer := connection.execute(BEGIN, whose).fetchone())[0] == "granted"
                       and (connection.execute("SELECT oauth_refresh_commit(%s, %s, %s, %s, %s, 'at last', NULL, 3600)",
                                               [*whose, answer[1]])), 60, what="the second attempt")

    listen(refresh=refresh)
    expire(cluster, "retried")
    assert fresh(cluster, "retried", "60 s", "5 min") == "at last"


# Nobody, nothing, not in time.


def test_nobody_listens(cluster):
    forget_listeners(cluster)
    expire(cluster, "alone")
    assert sqlstate_of(cluster, "alone", "60 s", "1 h") == "OT021"
    assert cluster.rows(WAIT, ["0"]) == []


def test_not_in_time(cluster, listen):
    listen(refresh=lambda listener, whose: None)
    expire(cluster, "late")
    began = time.monotonic()
    assert sqlstate_of(cluster, "late", "60 s", "700 ms") == "OT022"
    assert time.monotonic() - began >= 0.7
    assert cluster.value("SELECT oauth_access_token(%s, %s, %s, %s)", identity("source")) == "old"


def test_a_long_min_ttl_and_a_long_timeout(cluster, listen):
    listen()
    expire(cluster, "century")
    assert fresh(cluster, "century", "1000000 hours", "100000 years") == "fresh 1"


# The caller ends otherwise.


def test_cancelled_callers_leave_nothing(cluster, listen):
    """More than there are requests: cancelled, timed out, in a savepoint, in an exception block,
    terminated. Then all requests are free again: as many as there are get delivered at one time."""
    listener = listen(refresh=lambda listener, whose: None)
    actors = [f"cancelled {number}" for number in range(REQUESTS + 10)]
    expire(cluster, *actors)
    with cluster.connect(autocommit=True) as connection:
        for number, actor in enumerate(actors):
            if number % 3 == 0:
                connection.execute("SET statement_timeout = 3")
                with pytest.raises(psycopg.errors.QueryCanceled):
                    connection.execute(FRESH, [*identity(actor), "60 s", "1 h"])
                connection.execute("SET statement_timeout = 0")
            elif number % 3 == 1:
                with pytest.raises(psycopg.Error) as caught, connection.transaction():
                    with connection.transaction():
                        connection.execute(FRESH, [*identity(actor), "60 s", "1 ms"])
                assert caught.value.sqlstate == "OT022"
            else:
                connection.execute(
                    f"DO $$ BEGIN PERFORM oauth_fresh_access_token('{identity()[0]}', 'google', 'user', '{actor}',"
                    " timeout => '1 ms'); EXCEPTION WHEN OTHERS THEN IF SQLSTATE <> 'OT022' THEN RAISE; END IF; END $$")
    for end in ("pg_cancel_backend", "pg_terminate_backend"):
        expire(cluster, end)
        caller = call(cluster, end, "60 s", "1 h")
        sleeping(cluster, 1)
        cluster.rows(f"SELECT {end}(%s)", [caller.connection.info.backend_pid])
        with pytest.raises(psycopg.Error):
            caller.result()
    sleeping(cluster, 0)
    before = len(listener.taken)
    with cluster.connect(autocommit=True) as connection:
        callers = [call(cluster, actor, "60 s", "1 h") for actor in actors[:REQUESTS]]
        sleeping(cluster, REQUESTS)
        wait_until(lambda: {whose[3] for whose, _ in listener.taken[before:]} >= set(actors[:REQUESTS]), what="all requests")
        for caller in callers:
            connection.execute(REFRESH, [*caller.params[:4], "new", LIVES])
        assert [caller.result() for caller in callers] == ["new"] * REQUESTS


def test_more_callers_than_requests(cluster, listen):
    """Who finds no place waits for one."""
    go = threading.Event()

    def refresh(listener, whose):
        go.wait(60)
        listener.store(whose)

    listener = listen(refresh=refresh)
    actors = [f"crowd {number}" for number in range(REQUESTS + 40)]
    expire(cluster, *actors)
    callers = [call(cluster, actor, "60 s", "60 s") for actor in actors]
    sleeping(cluster, len(actors))
    wait_until(lambda: len({whose for whose, _ in listener.taken}) == REQUESTS, 20, what="all places taken")
    with pytest.raises(psycopg.Error) as caught:
        expire(cluster, "one too many")
        fresh(cluster, "one too many", "60 s", "100 ms")
    assert caught.value.sqlstate == "OT022" and "in use" in str(caught.value)
    go.set()
    assert all(caller.result().startswith("fresh") for caller in callers)
    assert {whose[3] for whose, _ in listener.taken} == set(actors)


def test_a_caller_without_a_place_sees_the_row_too(cluster, listen):
    listen(refresh=lambda listener, whose: None)
    actors = [f"full {number}" for number in range(REQUESTS)]
    expire(cluster, *actors, "without")
    callers = [call(cluster, actor, "60 s", "60 s") for actor in actors]
    sleeping(cluster, REQUESTS)
    caller = call(cluster, "without", "60 s", "60 s")
    sleeping(cluster, REQUESTS + 1)
    cluster.rows(REFRESH, [*identity("without"), "new", LIVES])
    assert caller.result() == "new"
    cluster.rows("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%oauth_fresh_access_token%%'"
                 " AND pid <> pg_backend_pid()")
    for caller in callers:
        caller.join(30)


# The sidecar ends.


def test_a_session_that_ends_gives_back_what_it_took(cluster, listen):
    dead = cluster.connect(autocommit=True)
    dead.execute(WAIT, ["0"])
    expire(cluster, "given back")
    caller = call(cluster, "given back", "60 s", "8 s")
    sleeping(cluster, 1)
    assert len(dead.execute(WAIT, ["0"]).fetchall()) == 1
    other = listen(refresh=None)
    assert cluster.rows(WAIT, ["0"]) == []  # another works on it
    dead.close()
    assert caller.result() == "fresh 1"
    assert len(other.taken) == 1


LISTEN_FOR_EVER = """
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    while True:
        print(connection.execute("SELECT * FROM oauth_tokens_internal.refresh_requests_wait()").fetchall(), flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_sidecar_that_is_killed_while_it_listens(cluster, listen, how):
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", LISTEN_FOR_EVER,
         f"host={cluster.socket_dir} port={cluster.port} dbname={DATABASE} user=postgres"],
        stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "[]\n"
        process.send_signal(how)
        expire(cluster, "widow")
        caller = call(cluster, "widow", "60 s", "8 s")
        wait_until(lambda: cluster.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%FROM oauth_tokens_internal.refresh_requests_wait()%%'"
            " AND state = 'active' AND pid <> pg_backend_pid()") == 0, what="the end of its call")
        listener = listen()
        assert caller.result() == "fresh 1"
        assert len(listener.taken) == 1
    finally:
        process.kill()
        process.wait()


def test_a_sidecar_that_loses_a_request(cluster):
    """It is alive and calls, but never answers: the request is offered again."""
    expire(cluster, "lost")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(WAIT, ["0"])
        caller = call(cluster, "lost", "60 s", "60 s")
        sleeping(cluster, 1)
        assert len(connection.execute(WAIT, ["0"]).fetchall()) == 1
        assert connection.execute(WAIT, ["1 s"]).fetchall() == []
        wait_until(lambda: connection.execute(WAIT, ["1 s"]).fetchall(), 20, what="the second offer")
        connection.execute(REFRESH, [*identity("lost"), "new", LIVES])
        assert caller.result() == "new"


def test_the_last_sidecar_goes(cluster):
    with cluster.connect(autocommit=True) as connection:
        connection.execute(WAIT, ["0"])
        expire(cluster, "left alone")
        caller = call(cluster, "left alone", "60 s", "1 h")
        sleeping(cluster, 1)
    with pytest.raises(psycopg.Error) as caught:
        caller.result()
    assert caught.value.sqlstate == "OT021"


def occupy(cluster, db, role, count):
    """As many callers of a role as there are places for it, and five more, which sleep as well."""
    expire(cluster, *(f"{role} {number}" for number in range(count + 5)), db=db)
    return [call(cluster, f"{role} {number}", "60 s", "1 h", db=db, user=role) for number in range(count + 5)]


def test_no_role_and_no_database_takes_all_places(cluster, listen):
    """Whatever one has taken, the next finds some: another role, another database."""
    forget_listeners(cluster)
    with cluster.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE greedy LOGIN SUPERUSER")
        connection.execute("CREATE ROLE modest LOGIN SUPERUSER")
    cluster.rows("DROP DATABASE IF EXISTS other", db="postgres")
    cluster.rows(f"CREATE DATABASE other TEMPLATE {DATABASE}", db="postgres")
    ours = listen(refresh=lambda listener, whose: None)
    theirs = listen(db="other", refresh=lambda listener, whose: None)
    callers = []
    taken = {}
    for db, listener, role, count in ((DATABASE, ours, "greedy", 86), (DATABASE, ours, "modest", 28), ("other", theirs, "greedy", 48)):
        callers += occupy(cluster, db, role, count)
        sleeping(cluster, len(callers))
        wait_until(lambda: len({whose for whose, _ in listener.taken if whose[3].startswith(role)}) >= count, 20, what="the places")
        taken[db, role] = len({whose for whose, _ in listener.taken if whose[3].startswith(role)})
    assert taken == {(DATABASE, "greedy"): 86, (DATABASE, "modest"): 28, ("other", "greedy"): 48}
    # There is one left for each of the others.
    expire(cluster, "last", db="other")
    last = call(cluster, "last", "60 s", "1 h", db="other")
    wait_until(lambda: identity("last") in {whose for whose, _ in theirs.taken}, 20, what="a place for another role")
    cluster.rows("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%oauth_fresh_access_token%%'"
                 " AND pid <> pg_backend_pid()")
    for caller in [*callers, last]:
        with pytest.raises(psycopg.errors.QueryCanceled):
            caller.result()
    theirs.stop()
    cluster.rows("DROP DATABASE other WITH (FORCE)", db="postgres")
    cluster.rows("DROP ROLE greedy, modest")


def test_a_client_that_vanished(cluster, listen):
    """Its backend does not sleep on for an hour, and its place is free."""
    listen(refresh=lambda listener, whose: None)
    expire(cluster, "vanished")
    client = subprocess.Popen(
        [client_bin() / "psql", "-X", "-h", cluster.socket_dir, "-p", str(cluster.port), "-U", "postgres", "-d", DATABASE, "-c",
         f"SELECT oauth_fresh_access_token('{identity()[0]}', 'google', 'user', 'vanished', timeout => '1 h')"])
    sleeping(cluster, 1)
    client.kill()
    client.wait()
    sleeping(cluster, 0)


def test_too_many_listeners(cluster):
    forget_listeners(cluster)
    connections = [cluster.connect(autocommit=True) for _ in range(65)]
    for connection in connections[:64]:
        connection.execute(WAIT, ["0"])
    with pytest.raises(psycopg.Error) as caught:
        connections[64].execute(WAIT, ["0"])
    assert caught.value.sqlstate == "53400"
    connections[0].execute(WAIT, ["0"])
    connections[0].close()
    wait_until(lambda: _listens(connections[64]), what="a place of a session that has ended")
    for connection in connections:
        connection.close()


def _listens(connection):
    try:
        connection.execute(WAIT, ["0"])
        return True
    except psycopg.errors.ConfigurationLimitExceeded:
        return False


# Where it cannot work.


def test_two_databases(cluster, listen):
    """Nobody hears of another database's requests, and its listeners are none of ours."""
    forget_listeners(cluster)
    cluster.rows("CREATE DATABASE other TEMPLATE app", db="postgres")  # with the same oids
    stranger = listen(db="other", refresh=lambda listener, whose: None)
    expire(cluster, "same")
    expire(cluster, "same", db="other")
    assert sqlstate_of(cluster, "same") == "OT021"
    ours = listen()
    theirs = call(cluster, "same", db="other")
    sleeping(cluster, 1)
    assert fresh(cluster, "same") == "fresh 1"
    assert theirs.is_alive()
    assert cluster.value("SELECT oauth_tokens_internal.refresh_request_done(%s, %s, %s, %s, 'backoff')",
                         identity("same")) is False
    assert theirs.is_alive()
    stranger.store(identity("same"))
    assert theirs.result() == "fresh 1"
    assert len(ours.taken) == len(stranger.taken) == 1


def test_a_standby(cluster, listen):
    listen()
    expire(cluster, "on standby")
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'long', expires_in => 9000)", identity("lives"))
    standby = cluster.standby()
    try:
        assert fresh(standby, "lives") == "long"
        assert sqlstate_of(standby, "on standby") == "25006"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            standby.rows(WAIT, ["0"])
        standby.promote()
        own = listen(cluster=standby)
        assert fresh(standby, "on standby") == "fresh 1"
        assert len(own.taken) == 1
        own.stop()
    finally:
        standby.remove()


@pytest.mark.parametrize("preload", ["session", False])
def test_without_shared_preload_libraries(make_cluster, preload):
    server = make_cluster(preload=preload)
    server.fresh_database(DATABASE)
    expire(server, "lazy")
    server.rows("SELECT oauth_store(%s, %s, %s, %s, 'long', expires_in => 9000)", identity("lives"))
    assert fresh(server, "lives") == "long"
    assert sqlstate_of(server, "lazy") == "55000"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        server.rows(WAIT, ["0"])


def test_a_crash_restart(make_cluster):
    """Requests and listeners of before are gone."""
    server = make_cluster(settings={"restart_after_crash": "on"})
    server.fresh_database(DATABASE)
    expire(server, "crash")
    listener = Listener(server, refresh=lambda listener, whose: None)
    callers = [call(server, "crash", "60 s", "1 h") for _ in range(3)]
    sleeping(server, 3)
    os.kill(callers[0].connection.info.backend_pid, signal.SIGKILL)
    for caller in callers:
        with pytest.raises(psycopg.OperationalError):
            caller.result()
    listener.stopping.set()
    server.wait_ready()
    assert sqlstate_of(server, "crash") == "OT021"
    assert server.rows(WAIT, ["0"]) == []
    again = Listener(server)
    assert fresh(server, "crash") == "fresh 1"
    again.stop()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_above_read_committed(cluster, listen, level):
    listener = listen()
    expire(cluster, "repeated")
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'long', expires_in => 9000)", identity("lives"))
    with cluster.connect() as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert connection.execute(FRESH, [*identity("lives"), "60 s", "15 s"]).fetchone() == ("long",)
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute(FRESH, [*identity("repeated"), "60 s", "15 s"])
    assert listener.taken == []


def test_a_long_transaction_at_read_committed(cluster, listen):
    """It has read the row, and written others: the new one is seen by all that follows."""
    listen()
    expire(cluster, "in block", "other")
    with cluster.connect() as connection:
        assert connection.execute("SELECT oauth_access_token(%s, %s, %s, %s)", identity("in block")).fetchone()
        connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'x')", identity("other"))
        assert connection.execute(FRESH, [*identity("in block"), "60 s", "15 s"]).fetchone() == ("fresh 1",)
        assert connection.execute("SELECT oauth_access_token(%s, %s, %s, %s)", identity("in block")).fetchone() == ("fresh 1",)


@pytest.mark.parametrize("own", [
    "SELECT oauth_store('{0}', 'google', 'user', 'mine', 'mine', 'refresh', expires_in => 1)",
    "UPDATE oauth_tokens SET scopes = 'x' WHERE actor_id = 'mine'",
    "SELECT FROM oauth_tokens WHERE actor_id = 'mine' FOR UPDATE",
    "SELECT FROM oauth_tokens WHERE actor_id = 'mine' FOR SHARE",
    "LOCK oauth_tokens IN SHARE MODE",
    "LOCK oauth_tokens IN ACCESS EXCLUSIVE MODE",
])
def test_own_change(cluster, listen, own):
    """The refresh would wait for the caller's transaction, and that one for the refresh."""
    listener = listen()
    expire(cluster, "mine")
    with cluster.connect() as sharer, cluster.connect() as connection:
        if "SHARE" in own and "LOCK" not in own:  # two lockers make a multixact
            sharer.execute("SELECT FROM oauth_tokens WHERE actor_id = 'mine' FOR KEY SHARE")
        connection.execute(own.format(identity()[0]))
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute(FRESH, [*identity("mine"), "60 s", "15 s"])
    assert listener.taken == []
    with cluster.connect() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute(own.format(identity()[0]))
            connection.execute("SELECT 1 / 0")
        connection.execute("SELECT FROM oauth_tokens WHERE actor_id = 'mine' FOR KEY SHARE")
        if "LOCK" not in own:
            assert connection.execute(FRESH, [*identity("mine"), "60 s", "15 s"]).fetchone() == ("fresh 1",)


@pytest.mark.parametrize("own", [
    "UPDATE oauth_token_details SET account_label = 'x' WHERE actor_id = 'beside'",
    "SELECT FROM oauth_token_details WHERE actor_id = 'beside' FOR UPDATE",
    "DELETE FROM oauth_token_details WHERE actor_id = 'beside'",
    "LOCK oauth_token_details IN SHARE MODE",
    "TRUNCATE oauth_token_details",
    "SELECT oauth_refresh_fail('{0}', 'google', 'user', 'another', fence, 'transient')"
    " FROM oauth_refresh_begin('{0}', 'google', 'user', 'another', force => true)",
])
def test_own_change_beside_the_row(cluster, listen, own):
    """What the refresh writes beside the row counts as the row does."""
    listener = listen()
    expire(cluster, "another")
    expire(cluster, "beside")
    cluster.rows("INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id)"
                 " SELECT workspace_id, provider, actor_type, actor_id, id FROM oauth_tokens"
                 " WHERE actor_id = 'beside' ON CONFLICT DO NOTHING")
    whose = identity("beside")
    with cluster.connect() as connection:
        connection.execute(own.format(whose[0]))
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute(FRESH, [*whose, "60 s", "1 s"])
    assert listener.taken == []
    with cluster.connect() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute(own.format(whose[0]))
            connection.execute("SELECT 1 / 0")
        connection.execute("UPDATE oauth_token_details SET account_label = 'x' WHERE actor_id <> 'beside'")
        connection.execute("SELECT FROM oauth_token_details WHERE actor_id = 'beside' FOR KEY SHARE")
        assert connection.execute(FRESH, [*whose, "60 s", "15 s"]).fetchone() == ("fresh 1",)


def test_no_lock_is_held_in_the_sleep(cluster, listen):
    """Neither by the look at the index nor by the plan under row security: a migration goes on."""
    listen(refresh=lambda listener, whose: None)
    expire(cluster, "sleeper")
    with cluster.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE sleeper LOGIN")
        connection.execute("SELECT oauth_tokens_grant('sleeper', 'access')")
        connection.execute("ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY p ON oauth_tokens USING (actor_id = 'sleeper')")
        try:
            for user in ("postgres", "sleeper"):
                expire(cluster, "sleeper")
                caller = call(cluster, "sleeper", user=user)
                sleeping(cluster, 1)
                wait_until(lambda: connection.execute(
                    "SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype = 'relation'",
                    [caller.connection.info.backend_pid]).fetchone() == (0,), what="no lock")
                connection.execute("SET lock_timeout = '5 s'")
                connection.execute("ALTER TABLE oauth_tokens ADD COLUMN IF NOT EXISTS note text")
                connection.execute(REFRESH, [*identity("sleeper"), "new", LIVES])
                assert caller.result() == "new"
        finally:
            connection.execute("DROP POLICY p ON oauth_tokens")
            connection.execute("ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY")
            connection.execute("ALTER TABLE oauth_tokens DROP COLUMN IF EXISTS note")
            connection.execute("SELECT oauth_tokens_revoke('sleeper', 'all')")
            connection.execute("DROP ROLE sleeper")


def test_row_security_decides_who_asks(cluster, listen):
    """Who does not see the row gets NULL, and causes no request."""
    listener = listen()
    expire(cluster, "visible", "hidden")
    with cluster.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("SELECT oauth_tokens_grant('tenant', 'access')")
        connection.execute("ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY p ON oauth_tokens USING (actor_id = 'visible')")
        try:
            assert fresh(cluster, "hidden", user="tenant") is None
            assert listener.taken == []
            assert fresh(cluster, "visible", user="tenant") == "fresh 1"
            expire(cluster, "visible", refresh=None)
            cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'old', expires_in => 1, keep_refresh_token => false)",
                         identity("visible"))
            assert sqlstate_of(cluster, "visible", user="tenant") == "OT020"
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                cluster.rows(WAIT, ["0"], user="tenant")
        finally:
            connection.execute("DROP POLICY p ON oauth_tokens")
            connection.execute("ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY")
            connection.execute("SELECT oauth_tokens_revoke('tenant', 'all')")
            connection.execute("DROP ROLE tenant")


# By each client. node-pg and JDBC: test_drivers.py.


def test_psql(cluster, listen):
    listen()
    expire(cluster, "by psql")
    sql = f"SELECT oauth_fresh_access_token('{identity()[0]}', 'google', 'user', 'by psql');"
    assert cluster.psql(sql).stdout == "fresh 1\n"


def test_each_way_to_call_it(cluster, listen):
    """Literal, text, enum, prepared with a generic plan, in a join, in a function that is STABLE."""
    listen()
    four = f"'{identity()[0]}', 'google', %s, 'by {{}}'"
    ways = ["SELECT oauth_fresh_access_token({})".format(four % kind)
            for kind in ("'user'", "'user'::text", "'user'::actor_type_enum", "'user'::varchar")]
    ways += [
        "SELECT f FROM (VALUES ('by {}')) t (a), LATERAL oauth_fresh_access_token('%s', 'google', 'user', a) f" % identity()[0],
        "PREPARE f AS SELECT oauth_fresh_access_token($1, $2, $3, $4); SET plan_cache_mode = force_generic_plan;"
        f" EXECUTE f ({four % repr('user')})",
        "CREATE OR REPLACE FUNCTION f(a text) RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN oauth_fresh_access_token("
        f"'{identity()[0]}', 'google', 'user', a); END $$; SELECT f('by {{}}')",
        "BEGIN; DECLARE c CURSOR FOR SELECT oauth_fresh_access_token({}); FETCH c; COMMIT".format(four % "'user'"),
    ]
    for number, way in enumerate(ways):
        expire(cluster, f"by {number}")
        assert cluster.psql(way.format(number)).stdout == f"fresh {number + 1}\n"


def test_asyncpg(cluster, listen):
    listen()
    expire(cluster, "asynchronous")

    async def run():
        connection = await asyncpg.connect(host=str(cluster.socket_dir), port=cluster.port, user="postgres",
                                           database=DATABASE)
        token = await connection.fetchval("SELECT oauth_fresh_access_token($1, $2, $3, $4)", *identity("asynchronous"))
        await connection.close()
        return token

    assert asyncio.run(run()) == "fresh 1"


def test_behind_pgbouncer(cluster, listen):
    """Callers and sidecar, in transaction mode, with fewer connections to the server than clients."""
    bouncer = PgBouncer(cluster, default_pool_size=6)
    try:
        listener = listen(connect=lambda: bouncer.connect(autocommit=True, prepare_threshold=None))
        actors = [f"bounced {number}" for number in range(12)]
        for actor in actors:
            expire(cluster, actor)
            callers = [Caller(bouncer.connect(autocommit=True, prepare_threshold=None), identity(actor)) for _ in range(3)]
            assert len({caller.result() for caller in callers}) == 1
        assert {whose[3] for whose, _ in listener.taken} == set(actors)
        listener.stop()
    finally:
        bouncer.stop()
