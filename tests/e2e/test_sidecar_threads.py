"""A daemon with more threads than this machine may have cores: what it answers does not depend on
which thread a connection is with, and its limits are of all threads together."""

import contextlib
import http.client
import json
import math
import os
import pathlib
import signal
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from support.cached import PROVIDERS, count, entry_key, wait_cache
from support.harness import wait_until
from support.sidecar import API_TOKEN, in_parallel, someone

THREADS = 4


@pytest.fixture(scope="module")
def redis(module_redis):
    return module_redis()


@pytest.fixture(scope="module")
def cached(module_cached, redis):
    return module_cached(redis, OAUTH_THREADS=THREADS)


@contextlib.contextmanager
def connections(sidecar, number=2 * THREADS):
    """So many that stay open, of which each thread has some."""
    made = [http.client.HTTPConnection(*sidecar.target(), timeout=30) for _ in range(number)]
    try:
        for one in made:
            assert ask(one, "GET", "/healthz") == (200, {"status": "ok"})
        yield made
    finally:
        for one in made:
            one.close()


def ask(connection, method, path):
    connection.request(method, path, headers={"Authorization": f"Bearer {API_TOKEN}"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def path_of(call, whose, **parameters):
    workspace_id, provider, actor_type, actor_id = whose
    query = {"workspace_id": workspace_id, "actor_type": actor_type, "actor_id": actor_id}
    return f"/oauth/{provider}/{call}?{urlencode(query | parameters)}"


def token(connection, whose, **parameters):
    status, body = ask(connection, "GET", path_of("token", whose, **parameters))
    return body["access_token"] if status == 200 else status


def threads(sidecar):
    return next(line["threads"] for line in sidecar.log_lines() if line["message"] == "listening")


def quota():
    """Of this machine or container, in cores; the tests' own cgroup has none."""
    for time, period in (("cpu.max", "cpu.max"), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):
            words = [pathlib.Path("/sys/fs/cgroup", name).read_text("ascii").split() for name in (time, period)]
            if int(words[0][0]) > 0:
                return math.ceil(int(words[0][0]) / int(words[1][-1]))
    return 64


def test_one_thread_a_core_unless_told_otherwise(make_sidecar):
    if "SIDECAR_THREADS" not in os.environ:
        assert threads(make_sidecar(PROVIDERS)) == min(8, quota(), len(os.sched_getaffinity(0)))
    assert threads(make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": 3})) == 3


def test_with_one_thread_none_is_started(make_sidecar):
    """But those that there were before: for the spool, and for names of hosts."""
    counts = []
    for number in (1, 3):
        made = make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": number})
        counts.append(len(list(pathlib.Path(f"/proc/{made.pid}/task").iterdir())))
    assert counts[1] - counts[0] == 2


def test_every_thread_sees_a_change(cached):
    """As soon as this daemon has answered the one who made it (a deletion), or shortly afterwards."""
    with connections(cached) as clients:
        for number in range(20):
            whose = someone()
            cached.store(whose, "first")
            assert [token(client, whose) for client in clients] == ["first"] * len(clients)
            assert ask(clients[number % len(clients)], "DELETE", path_of("token", whose, revoke="never"))[0] == 200
            assert [token(client, whose) for client in clients] == [404] * len(clients)
            cached.store(whose, "second")
            for client in clients:
                wait_until(lambda: token(client, whose) == "second", 10)


def test_every_thread_reads_from_the_cache(cached):
    whose = someone()
    cached.store(whose, "first")
    with connections(cached) as clients:
        for client in clients:
            before = count(cached, "cache_reads_total", result="hit")
            wait_until(lambda: token(client, whose) == "first"
                       and count(cached, "cache_reads_total", result="hit") > before, 10)


def test_metrics_are_of_all_threads(cached):
    def requests():
        return count(cached, "requests_total", endpoint="status", status="200")

    before = requests()
    with connections(cached, 4 * THREADS) as clients:
        for client in clients:
            assert ask(client, "GET", path_of("status", someone()))[0] == 200
        assert count(cached, "connections") == len(clients) + 1
    assert requests() == before + 4 * THREADS
    wait_until(lambda: count(cached, "connections") == 1)


def test_callers_of_all_threads_share_a_refresh(make_sidecar, make_provider):
    fake = make_provider()
    made = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_THREADS": THREADS})
    whose = someone()
    made.store(whose, "old", refresh_token="r1", expires_in=1)
    made.sql("UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' - interval '1 s'")
    with connections(made) as clients:
        free = list(clients)
        answers = in_parallel(len(clients), lambda: token(free.pop(), whose))
    assert len(set(answers)) == 1 and isinstance(answers[0], str) and answers[0] != "old", answers
    assert len(fake.token_requests) == 1


@pytest.mark.parametrize("pool", [1, 5, 16])
def test_the_pool_is_a_total(make_sidecar, pool):
    """However many statements come to however many threads."""
    made = make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": THREADS, "OAUTH_DATABASE_POOL": pool})
    whose = someone()
    made.store(whose, "first")
    # The listener's beside it; browsers, refreshes and the API have one each at least.
    most = max(pool, 3) + 1
    with connections(made, 32) as clients:
        for _ in range(5):
            free = list(clients)
            assert in_parallel(len(clients), lambda: token(free.pop(), whose)) == ["first"] * len(clients)
            open_now = made.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'sidecar' AND"
                                " datname = current_database()")[0][0]
            assert open_now <= most
    assert count(made, "database_connections", state="open") <= most


def test_every_thread_reads_if_the_database_gives_no_more_sessions(make_sidecar):
    made = make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": THREADS})
    whose = someone()
    made.store(whose, "first")
    with connections(made) as clients:
        assert token(clients[0], whose) == "first"
        made.sql("DO $$ BEGIN EXECUTE format('ALTER ROLE sidecar CONNECTION LIMIT %s', (SELECT count(*)"
                 " FROM pg_stat_activity WHERE usename = 'sidecar')); END $$")
        try:
            assert [token(client, whose) for client in clients] == ["first"] * len(clients)
        finally:
            made.sql("ALTER ROLE sidecar CONNECTION LIMIT -1")


def test_deletions_that_wait_hold_up_no_thread(make_sidecar):
    made = make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": THREADS})
    whose, locked = someone(), [someone(), someone()]
    for one in [whose, *locked]:
        made.store(one, "first")
    with made.cluster.connect(made.db) as blocker, connections(made) as clients, connections(made, 2) as extra:
        blocker.execute("SELECT FROM oauth_tokens WHERE actor_id = ANY (%s) FOR UPDATE", [[one[3] for one in locked]])
        free = list(zip(extra, locked))

        def delete():
            client, one = free.pop()
            return ask(client, "DELETE", path_of("token", one, revoke="never"))[0]

        with ThreadPoolExecutor(2) as workers:
            waiting = [workers.submit(delete) for _ in locked]
            wait_until(lambda: made.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'sidecar' AND"
                                        " wait_event_type = 'Lock'")[0][0] == 2)
            assert [token(client, whose) for client in clients] == ["first"] * len(clients)
            assert not any(one.done() for one in waiting)
            blocker.rollback()
            assert [one.result() for one in waiting] == [200, 200]


def readers_of(client):
    """The threads' connections, as Redis lists them."""
    return [one for one in client.client_list() if one["name"].startswith("oauth-sidecar-thread-")]


@contextlib.contextmanager
def invalidator_stopped(sidecar):
    """Nothing is evicted meanwhile but by the threads that answer."""
    pid = wait_until(lambda: sidecar.sql("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND"
                                         " wait_event IS NOT NULL AND state = 'active' AND"
                                         " query LIKE '%oauth_changes_wait()%'"))[0][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_no_thread_reads_what_was_deleted_if_one_has_lost_redis(make_cached, module_redis):
    """Whichever has: a deletion evicts by another connection."""
    redis = module_redis()
    made = make_cached(redis, OAUTH_THREADS=THREADS)
    with redis.client as client, connections(made) as clients:
        readers = [one["id"] for one in readers_of(client)]
        assert len(readers) == THREADS
        for reader in readers:
            whose = someone()
            made.store(whose, "first")
            client.config_set("maxclients", len(client.client_list()) - 1)
            client.execute_command("CLIENT", "KILL", "ID", reader)
            try:
                wait_until(lambda: [token(one, whose) for one in clients] and client.exists(entry_key(whose)))
                with invalidator_stopped(made):
                    assert ask(clients[0], "DELETE", path_of("token", whose, revoke="never"))[0] == 200
                    assert [token(one, whose) for one in clients] == [404] * len(clients)
            finally:
                client.config_set("maxclients", 1000)
            wait_until(lambda: len(readers_of(client)) == THREADS)


def redis_lines(sidecar):
    """What the log says about connections to Redis: the message, and whose."""
    return [(line["message"], line["connection"]) for line in sidecar.log_lines() if "connection" in line]


def test_the_log_tells_of_an_outage_once(make_cached, make_redis):
    redis = make_redis()
    made = make_cached(redis, OAUTH_THREADS=THREADS)
    for number in range(1, 3):
        redis.kill()
        wait_cache(made, "down")
        with connections(made) as clients:  # each thread has seen it before its second answer
            assert [token(client, someone()) for client in 2 * clients] == [404] * 2 * len(clients)
        redis.start()
        wait_cache(made)
        with redis.client as client:
            wait_until(lambda: len(readers_of(client)) == THREADS)
        wait_until(lambda: len(redis_lines(made)) >= 2 * number)
    assert [message for message, _ in redis_lines(made)] == 2 * ["Redis not reachable", "Redis reachable again"]


def test_the_log_names_the_thread_that_has_lost_redis(make_cached, make_redis):
    redis = make_redis()
    made = make_cached(redis, OAUTH_THREADS=THREADS)
    with redis.client as client:
        for reader in sorted(readers_of(client), key=lambda one: one["name"]):
            client.execute_command("CLIENT", "KILL", "ID", reader["id"])
            wait_until(lambda: len(readers_of(client)) == THREADS)
            wait_until(lambda: redis_lines(made)[-2:] == [("Redis not reachable", reader["name"]),
                                                          ("Redis reachable again", reader["name"])])
    assert len(redis_lines(made)) == 2 * THREADS


HARMLESS = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]


def test_signals_that_end_nothing(make_sidecar):  # C9
    """Somebody expects a reload."""
    made = make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": THREADS})
    whose = someone()
    made.store(whose, "first")
    with connections(made) as clients:
        for client in clients:
            for number in HARMLESS:
                made.send_signal(number)
            assert token(client, whose) == "first"
    for number in HARMLESS:
        made.wait_log(f"{number.name} changes nothing")
    assert made.stop() == 0


def test_signals_that_end_no_start(make_sidecar):  # C9
    """From the daemon's first steps on: it ignores SIGXFSZ next."""
    made = make_sidecar(PROVIDERS, start=False).start(ready=False)

    def has_begun():
        lines = pathlib.Path(f"/proc/{made.pid}/status").read_text("ascii").splitlines()
        words = dict(line.split(":\t", 1) for line in lines)
        return words["Name"].startswith("oauth-sidecar") and int(words["SigIgn"], 16) >> signal.SIGXFSZ - 1 & 1

    wait_until(has_begun, interval=0)
    for number in HARMLESS:
        made.send_signal(number)
    made.wait_ready()
    assert made.stop() == 0


def test_a_stop_answers_every_thread(make_sidecar):  # C9
    """Whatever its clients do: one waits for the database, one has sent half of a request, one is idle."""
    made = make_sidecar(PROVIDERS, settings={"OAUTH_THREADS": THREADS, "OAUTH_DATABASE_POOL": 4 * THREADS})
    locked = [someone() for _ in range(THREADS)]
    for one in locked:
        made.store(one, "first")
    with made.cluster.connect(made.db) as blocker, connections(made, 3 * THREADS) as clients:
        waiting, halves, idle = clients[:THREADS], clients[THREADS:2 * THREADS], clients[2 * THREADS:]
        blocker.execute("SELECT FROM oauth_tokens FOR UPDATE")
        for client, one in zip(waiting, locked):
            client.request("DELETE", path_of("token", one, revoke="never"),
                           headers={"Authorization": f"Bearer {API_TOKEN}"})
        wait_until(lambda: made.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'sidecar' AND"
                                    " wait_event_type = 'Lock'")[0][0] == THREADS)
        for client in halves:
            client.sock.sendall(b"GET /healthz HTTP/1.1\r\n")
        wait_until(lambda: made.get("/healthz").status == 200)
        made.send_signal(signal.SIGTERM)
        for client in idle:
            assert client.sock.recv(1) == b""
        for client in halves:
            client.sock.sendall(b"Host: h\r\n\r\n")
            answer = client.sock.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nConnection: close\r\n" in answer
        blocker.rollback()
        for client in waiting:
            answer = client.getresponse()
            assert answer.status == 200 and answer.getheader("Connection") == "close"
    assert made.process.wait(30) == 0


def test_threads_end_with_the_process(cached):
    with connections(cached) as clients:
        assert len(clients) == 2 * THREADS
        assert cached.stop() == 0
    assert [line["level"] for line in cached.log_lines() if line["level"] == "error"] == []
