"""Redis, PostgreSQL or a sidecar goes away and comes back, one step at a time: what is read
meanwhile is right, and afterwards the cache is in use again by itself."""

import os
import signal
import time

import pytest
from support.cached import (BOUND, PROVIDERS, Watch, cache_state, count, epoch, fill, hits, read, store_and_fill,
                            wait_cache, wait_acknowledged, wait_dropped)
from support.harness import wait_until
from support.redis_server import PREFIX, is_trusted, trusted_entry
from support.sidecar import in_parallel, someone


@pytest.fixture(scope="module")
def server(module_cluster):
    """A server of our own, which we may kill."""
    return module_cluster()


@pytest.fixture
def pair(make_cached, server, redis):
    """Two sidecars of one database and one Redis."""
    first = make_cached(redis, cluster=server)
    return first, make_cached(redis, cluster=server, db=first.db)


def token_of(sidecar, whose, may_fail=()):
    """What to watch a sidecar by: its answers, which are 200 but where the database is away."""

    def look():
        reply = sidecar.api("token", whose)
        if reply.status in may_fail:
            return None
        assert reply.status == 200, reply
        return reply.json["access_token"]

    return look


def trusted_token(redis, whose):
    """What to watch Redis by, as a reader that looks at the heartbeat does."""
    client = redis.client

    def look():
        try:
            return (trusted_entry(client, whose) or {}).get("access_token")
        except OSError:
            return None
        except Exception as error:
            if type(error).__module__.startswith("redis."):
                return None
            raise

    return look


class Watches:
    """Both sidecars and Redis itself, watched for one identity."""

    def __init__(self, sidecars, redis, whose, first, may_fail=()):
        self.whose = whose
        self.watches = [Watch(token_of(one, whose, may_fail), first) for one in sidecars]
        self.watches.append(Watch(trusted_token(redis, whose), first))

    def __enter__(self):
        for watch in self.watches:
            watch.__enter__()
        return self

    def __exit__(self, *failure):
        for watch in self.watches:
            watch.__exit__(*failure)

    def change(self, sidecar, token):
        for watch in self.watches:
            watch.announce(token)
        sidecar.store(self.whose, token)
        for watch in self.watches:
            watch.committed()


def works_again(sidecars, client, whose):
    """Each of them fills, hits, and drops within two seconds; the rest is for the machine."""
    for number, sidecar in enumerate(sidecars):
        wait_cache(sidecar)
        sidecar.store(whose, f"again {number}")
        wait_acknowledged(sidecar)
        assert fill(sidecar, client, whose) == f"again {number}"
        before = hits(sidecar)
        assert read(sidecar, whose) == f"again {number}" and hits(sidecar) == before + 1
        sidecar.store(whose, f"changed {number}")
        wait_dropped(client, whose, 2 + 3)
        assert read(sidecar, whose) == f"changed {number}"


# Redis


def kill(redis):
    redis.kill()
    return redis.start


def hang(redis):
    redis.send_signal(signal.SIGSTOP)
    return lambda: redis.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("break_it", [kill, hang])
def test_redis_goes_away(pair, redis, client, break_it):  # C3
    """Nothing changes but latency."""
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair, redis, whose, "first") as watches:
        repair = break_it(redis)
        for one in pair:
            wait_cache(one, "down")
        watches.change(pair[0], "second")
        for one in pair:
            wait_until(lambda: read(one, whose) == "second", what="the new token")
        another = someone()
        pair[0].store(another, "another's")
        assert pair[0].api("token", another, method="DELETE").json["deleted"] is True
        assert [one.api("token", another).status for one in pair] == [404, 404]
        repair()
        for one in pair:
            wait_cache(one)
    works_again(pair, client, whose)


def test_redis_is_restarted(pair, redis, client):  # C3
    whose, before = someone(), epoch(client)
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair, redis, whose, "first") as watches:
        redis.restart()
        watches.change(pair[1], "second")
        wait_until(lambda: epoch(client)[1:2] == ["ready"], 30, what="the new epoch")
        for one in pair:
            wait_cache(one)
    assert epoch(client)[0] != before[0] and epoch(client)[3] != before[3]
    works_again(pair, client, whose)


def test_redis_comes_back_with_old_values(make_cached, server, make_redis):  # C3
    """One that saves: entries, entry_metadata, even the epoch and a heartbeat stand there again, from
    before a change. Its run is another, so that nobody believes them."""
    redis = make_redis(settings={"save": '"3600 1"'})
    sidecar = make_cached(redis, cluster=server)
    whose = someone()
    with redis.client as client:
        store_and_fill(sidecar, client, whose, "old")
        client.persist(f"{PREFIX}:live")
        client.save()
        sidecar.store(whose, "new")
        wait_acknowledged(sidecar)
        with Watch(token_of(sidecar, whose), "new"):
            redis.restart()
            wait_until(lambda: epoch(client)[1:2] == ["ready"] and not (trusted_entry(client, whose) or {}).get(
                "access_token") == "old", 30, what="the old entry's end")
            wait_cache(sidecar)
        assert read(sidecar, whose) == "new" == fill(sidecar, client, whose)
        works_again([sidecar], client, whose)


@pytest.mark.parametrize("what", ["all", "epoch", "heartbeat", "epoch of nobody"])
def test_redis_loses_keys(pair, redis, client, what):  # C3
    """FLUSHALL, an eviction, or somebody's mistake."""
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair, redis, whose, "first") as watches:
        if what == "all":
            client.flushall()
        elif what == "epoch":
            client.delete(f"{PREFIX}:epoch")
        elif what == "heartbeat":
            client.delete(f"{PREFIX}:live")
        else:
            client.set(f"{PREFIX}:epoch", "what is this?")
        watches.change(pair[1], "second")
        wait_until(lambda: epoch(client)[1:2] == ["ready"] and client.exists(f"{PREFIX}:live"), 30,
                   what="the epoch")
        for one in pair:
            wait_cache(one)
    works_again(pair, client, whose)
    if what == "epoch":
        assert not [one for one in pair if "another database" in one.log()]


def test_a_hanging_redis_costs_next_to_nothing(pair, redis, client):  # C3
    """The circuit opens: most requests do not wait the 100 ms for Redis."""
    sidecar, people = pair[0], [someone() for _ in range(20)]
    for whose in people:
        sidecar.store(whose, "token")
    for whose in people:
        fill(sidecar, client, whose)
    hang(redis)
    try:
        waits = []
        for _ in range(5):
            for whose in people:
                begun = time.monotonic()
                assert read(sidecar, whose) == "token"
                waits.append(time.monotonic() - begun)
        slow = [wait for wait in waits if wait >= 0.1]
        assert len(slow) < len(waits) / 2, (len(slow), len(waits))
        # Nor do many at once.
        assert in_parallel(50, read, sidecar, people[0]) == ["token"] * 50
    finally:
        redis.send_signal(signal.SIGCONT)
    works_again(pair, client, people[0])


def refusals(client):
    """How many commands this Redis has refused for want of memory."""
    stat = client.info("errorstats").get("errorstat_OOM", "count=0")
    return stat["count"] if isinstance(stat, dict) else int(stat.removeprefix("count="))  # by redis-py's version


def test_redis_is_full(pair, redis, client):  # C3
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair, redis, whose, "first") as watches:
        client.config_set("maxmemory", "1")
        watches.change(pair[0], "second")
        another = someone()
        pair[0].store(another, "another's")
        for _ in range(10):
            assert read(pair[0], another) == "another's"
            cache_state(pair[0])
        wait_until(lambda: not is_trusted(client, whose), what="the old entry's end")
        for one in pair:
            wait_cache(one, "off")
        # It does not say the same over and over.
        before = refusals(client)
        wait_until(lambda: refusals(client) >= before + 4, 30, what="more tries")
        for one in pair:
            about = [line for line in one.log_lines() if "cache" in line["message"]]
            assert len(about) < 20, about[-20:]
        client.config_set("maxmemory", "0")
        for one in pair:
            wait_cache(one)
    works_again(pair, client, whose)


def test_redis_is_not_there_at_the_start(make_sidecar, make_redis, server):  # C3
    redis = make_redis(start=False)
    sidecar = make_sidecar(PROVIDERS, cluster=server, settings={"REDIS_URL": redis.url})
    assert cache_state(sidecar) == "down"
    whose = someone()
    sidecar.store(whose, "token")
    assert read(sidecar, whose) == "token"
    redis.start()
    with redis.client as client:
        works_again([sidecar], client, whose)


# PostgreSQL


def restart_fast(server):
    server.restart()


def restart_immediately(server):
    server.restart("immediate")


def kill_the_server(server):
    server.kill()
    server.start()


def crash_a_backend(server):
    position = server.log_position()
    with server.connect("postgres") as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
    server.wait_log("database system is ready to accept connections", 60, since=position)
    server.wait_ready()


@pytest.mark.parametrize("break_it", [restart_fast, restart_immediately, kill_the_server, crash_a_backend])
def test_postgres_comes_back(pair, server, redis, client, break_it):  # C3
    """Meanwhile a token comes from Redis or not at all; then a new epoch."""
    whose, before = someone(), epoch(client)
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair, redis, whose, "first", may_fail=(503,)) as watches:
        break_it(server)
        watches.change(pair[0], "second")
        wait_until(lambda: epoch(client)[2] != before[2] and epoch(client)[1] == "ready", 30, what="a new epoch")
        for one in pair:
            one.wait_ready()
            wait_cache(one)
            wait_until(lambda: one.api("token", whose).status == 200, what="an answer")
    assert read(pair[0], whose) == "second"
    works_again(pair, client, whose)


def test_postgres_is_away(pair, server, redis, client):  # C3
    """A cached token is served for five seconds more, and by nobody for longer."""
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    server.stop("immediate")
    stopped = time.monotonic()
    try:
        for one in pair:
            assert read(one, whose) == "first"
        wait_until(lambda: not client.exists(f"{PREFIX}:live"), BOUND + 2, what="the heartbeat's end")
        ended = time.monotonic()
        assert ended - stopped < BOUND + 1
        for one in pair:
            assert one.api("token", whose).status == 503
            # Not ready, for the database is away; but the metrics tell.
            wait_until(lambda: count(one, "cache_up") == 0, what="its end")  # noqa: B023
        assert not is_trusted(client, whose)
    finally:
        server.start()
    for one in pair:
        one.wait_ready()
    works_again(pair, client, whose)


# The sidecars


def test_one_dies_and_the_other_goes_on(pair, redis, client):  # C3
    whose, before = someone(), epoch(client)
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair[1:], redis, whose, "first") as watches:
        pair[0].kill()
        for number in range(5):
            watches.change(pair[1], f"token {number}")
            wait_acknowledged(pair[1], 2 + 3)
            assert fill(pair[1], client, whose) == f"token {number}"
    assert epoch(client) == before
    pair[0].start()
    wait_cache(pair[0])
    assert epoch(client) == before
    works_again(pair, client, whose)


def test_all_die(pair, redis, client):  # C3
    """Readers of Redis are five seconds behind at most."""
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    for one in pair:
        one.kill()
    with Watch(trusted_token(redis, whose), "first") as watch:
        watch.change(pair[0], whose, "second")
        wait_until(lambda: not client.exists(f"{PREFIX}:live"), BOUND + 2, what="the heartbeat's end")
    assert client.get(f"{PREFIX}:meta:oauth:token:fake:{whose[0]}:user:{whose[3]}")
    for one in pair:
        one.start()
        assert read(one, whose) == "second"
    works_again(pair, client, whose)


def test_all_stop_for_a_while(pair, redis, client):  # C3
    """As when a machine is suspended: the heartbeat that they find when they wake up is stale."""
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    with Watch(trusted_token(redis, whose), "first") as watch:
        for one in pair:
            one.send_signal(signal.SIGSTOP)
        try:
            watch.change(pair[0], whose, "second")
            wait_until(lambda: not client.exists(f"{PREFIX}:live"), BOUND + 2, what="the heartbeat's end")
        finally:
            for one in pair:
                one.send_signal(signal.SIGCONT)
        for one in pair:
            wait_until(lambda: fill(one, client, whose) == "second", what="the new token")
    works_again(pair, client, whose)


# A late heartbeat (C11)


def is_held_back(client):
    """Whether Redis keeps a stamp, or whatever a sidecar drops by, waiting."""
    held = [one for one in client.client_list()
            if one["name"] == "oauth-sidecar-invalidator" and "b" in one["flags"]]
    return bool(held) and all(one["cmd"] == "eval" for one in held)


def test_a_late_heartbeat_is_born_expired(pair, redis, client):  # C11
    """Redis holds back a stamp for six seconds, and the sidecars that sent it hear and send no
    more. When it is let through, it is stale: a token has changed meanwhile."""
    pair[1].kill()
    sidecar, whose = pair[0], someone()
    store_and_fill(sidecar, client, whose, "first")
    client.config_resetstat()
    done = redis.calls("eval")
    with Watch(trusted_token(redis, whose), "first") as watch:
        client.execute_command("CLIENT", "PAUSE", "6000", "WRITE")
        paused = time.monotonic()
        try:
            wait_until(lambda: is_held_back(client), 5, interval=0.005, what="a stamp that waits")
            sidecar.send_signal(signal.SIGSTOP)
            watch.change(sidecar, whose, "second")
            # By then it has been let through.
            wait_until(lambda: redis.calls("eval") > done, 20, what="the late stamp")
            assert time.monotonic() - paused >= 5.5
            until = time.monotonic() + 1
            while time.monotonic() < until:
                assert trusted_entry(client, whose) is None
        finally:
            sidecar.send_signal(signal.SIGCONT)
    wait_cache(sidecar)
    assert read(sidecar, whose) == "second"
    works_again([sidecar], client, whose)


def test_a_redis_that_says_nothing_for_six_seconds(pair, redis, client):  # C11
    """All of its clients wait, and go on; and a token has changed meanwhile."""
    whose = someone()
    store_and_fill(pair[0], client, whose, "first")
    with Watches(pair, redis, whose, "first") as watches:
        client.execute_command("CLIENT", "PAUSE", "6000", "ALL")
        watches.change(pair[0], "second")
        for one in pair:
            wait_cache(one, "down")
            assert read(one, whose) == "second"
        for one in pair:
            wait_cache(one)
    works_again(pair, client, whose)


# A crash takes back what was read (C14)


def test_a_crash_takes_back_a_cached_token(make_cluster, make_cached, redis, client):  # C14
    """Committed without a wait for the disk, read, cached, and gone with the crash: then nobody
    reads it any more."""
    server = make_cluster(settings={"synchronous_commit": "off", "wal_writer_delay": "10000",
                                    # From 17 on, 0 wakes the WAL writer at each commit.
                                    "wal_writer_flush_after": "1GB", "autovacuum": "off"})
    sidecar = make_cached(redis, cluster=server)
    whose, lost = someone(), False
    for number in range(4):
        sidecar.store(whose, "safe")
        wait_acknowledged(sidecar)
        fill(sidecar, client, whose)
        sidecar.sql("CHECKPOINT")
        before = epoch(client)
        sidecar.store(whose, f"in memory {number}")
        wait_acknowledged(sidecar)
        assert fill(sidecar, client, whose) == f"in memory {number}"
        crash_a_backend(server)
        now = sidecar.grant(whose)[0]
        lost = lost or now == "safe"
        wait_until(lambda: epoch(client)[2] != before[2] and epoch(client)[1] == "ready", 30, what="a new epoch")
        sidecar.wait_ready()
        wait_cache(sidecar)
        for _ in range(5):
            assert read(sidecar, whose) == now
        assert fill(sidecar, client, whose) == now == trusted_entry(client, whose)["access_token"]
        if lost:
            break
    assert lost, "no crash has taken anything back"
    works_again([sidecar], client, whose)
