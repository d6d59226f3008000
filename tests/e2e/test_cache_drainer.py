"""One of several daemons drains the invalidations, and the others look on (C22)."""

import os
import signal

import pytest
from support.cached import cache_state, count, read, store_and_fill, wait_acknowledged, wait_cache, wait_dropped
from support.forward import Forward
from support.harness import all_of, free_port, wait_until
from support.redis_server import PREFIX
from support.sidecar import someone


@pytest.fixture
def make_forward():
    yield from all_of(lambda redis: Forward(redis.port), Forward.close)


@pytest.fixture
def trio(make_cached, make_forward, redis):
    """Three daemons of one database and one Redis, each with a way of its own to it."""
    sidecars = []
    for _ in range(3):
        forward = make_forward(redis)
        sidecars.append(make_cached(forward, db=sidecars[0].db if sidecars else None))
        sidecars[-1].forward = forward
    return sidecars


def drainers(sidecars):
    return [one for one in sidecars if count(one, "cache_draining") == 1]


def wait_drainer(sidecars):
    """The one of them that drains, from when it is one alone."""
    return wait_until(lambda: len(found := drainers(sidecars)) == 1 and found[0], 30, what="one drainer")


def test_one_drains(trio):
    """It is woken by each change. The others meet a change now and then, and evict it, too."""
    drainer = wait_drainer(trio)
    before = {one: count(one, "cache_invalidations_total") for one in trio}
    whose = someone()
    for number in range(100):
        drainer.store(whose, f"token {number}")
        wait_acknowledged(drainer)
    evicted = {one: count(one, "cache_invalidations_total") - before[one] for one in trio}
    assert sum(evicted.values()) - evicted[drainer] < evicted[drainer], evicted


def kill(drainer, redis):
    drainer.kill()
    return drainer.start


def hang(drainer, redis):
    drainer.send_signal(signal.SIGSTOP)
    return lambda: drainer.send_signal(signal.SIGCONT)


def cut_off_from_redis(drainer, redis):
    drainer.forward.move(free_port(), keep_connections=False)
    return lambda: drainer.forward.move(redis.port, keep_connections=False)


def cut_off_from_postgres(drainer, redis):
    """Its session never answers: only a drainer sleeps in this statement."""
    found = wait_until(lambda: drainer.cluster.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND query LIKE '%%oauth_changes_wait()%%'"
        " AND state = 'active' AND wait_event_type = 'Extension'", [drainer.db], db="postgres"), what="its session")
    os.kill(found[0][0], signal.SIGSTOP)
    return lambda: os.kill(found[0][0], signal.SIGCONT)


@pytest.mark.parametrize("break_it", [kill, hang, cut_off_from_redis, cut_off_from_postgres])
def test_the_drainer_fails(trio, redis, client, break_it):  # C22
    """Changes are evicted meanwhile, and then another one drains."""
    whose = someone()
    store_and_fill(trio[0], client, whose, "first")
    drainer = wait_drainer(trio)
    others = [one for one in trio if one is not drainer]
    repair = break_it(drainer, redis)
    try:
        others[0].store(whose, "second")
        wait_dropped(client, whose)
        assert [read(one, whose) for one in others] == ["second", "second"]
        wait_drainer(others)
        assert [cache_state(one) for one in others] == ["ok", "ok"]
    finally:
        repair()
    for one in trio:
        wait_cache(one)
    wait_drainer(trio)
    store_and_fill(others[0], client, whose, "third")
    assert [read(one, whose) for one in trio] == ["third"] * 3


def test_the_drainer_stops(trio, redis, client):  # C22
    """It gives the role back at once."""
    drainer = wait_drainer(trio)
    others = [one for one in trio if one is not drainer]
    name = wait_until(lambda: client.get(f"{PREFIX}:drainer"), what="its name")
    assert drainer.stop() == 0
    assert client.get(f"{PREFIX}:drainer") != name
    wait_drainer(others)
    whose = someone()
    store_and_fill(others[0], client, whose, "first")
    assert [read(one, whose) for one in others] == ["first", "first"]


def test_a_stranger_drains(trio, client):  # C22
    """Somebody who can write to Redis says so: all look on, which is enough."""
    whose = someone()
    store_and_fill(trio[0], client, whose, "token 0")
    wait_drainer(trio)
    client.set(f"{PREFIX}:drainer", "a stranger")
    wait_until(lambda: drainers(trio) == [], 30, what="nobody who drains")
    for number in range(1, 4):
        trio[0].store(whose, f"token {number}")
        wait_dropped(client, whose)
        store_and_fill(trio[0], client, whose, f"token {number}")
    assert [cache_state(one) for one in trio] == ["ok"] * 3
    client.delete(f"{PREFIX}:drainer")
    wait_drainer(trio)
