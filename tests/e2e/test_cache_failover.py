"""Redis is another one of a sudden (C12)."""

import shutil
import time

import pytest
from support.cached import cache_state, epoch, read, store_and_fill, tries, wait_cache, wait_acknowledged
from support.forward import Forward
from support.harness import all_of
from support.redis_server import PREFIX, trusted_entry
from support.sidecar import someone


@pytest.fixture
def make_forward():
    yield from all_of(lambda redis: Forward(redis.port), Forward.close)


def test_one_of_two_is_led_elsewhere(make_cached, make_redis, make_forward):  # C12
    """Whoever still works with the first Redis keeps the cache, and nobody takes it away in turn."""
    first, second = make_redis(), make_redis()
    forward = make_forward(first)
    stays = make_cached(first)
    moves = make_cached(forward, db=stays.db)
    whose = someone()
    with first.client as client, second.client as others:
        store_and_fill(stays, client, whose, "token 0")
        before = epoch(client)
        forward.move(second.port, keep_connections=False)
        number = 0
        # One a second: more than the seven without an answer after which a cache could be taken away.
        while tries(others) < 10:
            number += 1
            stays.store(whose, f"token {number}")
            wait_acknowledged(stays)
            for one in (stays, moves):
                assert read(one, whose) == f"token {number}"
        assert epoch(client) == before and cache_state(stays) == "ok"
        assert cache_state(moves) == "off"
    assert second.everything() == ""
    # Without the first sidecar the first Redis has no heartbeat any more.
    stays.kill()
    wait_cache(moves, timeout=40)
    with second.client as client:
        store_and_fill(moves, client, whose, "in the second")


def test_a_proxy_leads_to_a_copy(make_cached, make_redis, make_forward):  # C12
    """Behind connections that stay open: one that lacks the last deletions, with the same epoch."""
    first, second = make_redis({"dbfilename": "dump.rdb"}), make_redis(start=False)
    forward = make_forward(first)
    sidecar = make_cached(forward)
    whose = someone()
    with first.client as client:
        store_and_fill(sidecar, client, whose, "old")
        client.save()
        shutil.copy(first.path / "dump.rdb", second.path / "dump.rdb")
        sidecar.store(whose, "new")
        wait_acknowledged(sidecar)
    second.start()
    with second.client as client:
        last = client.execute_command("PEXPIRETIME", f"{PREFIX}:live")
        forward.move(second.port, keep_connections=True)
        end = time.monotonic() + 6
        while time.monotonic() < end:
            if client.execute_command("PEXPIRETIME", f"{PREFIX}:live") > max(last, 0):
                token = (trusted_entry(client, whose) or {}).get("access_token")
                assert token != "old", "vouched for what was deleted"
            time.sleep(0.01)
    wait_cache(sidecar, timeout=40)
    assert read(sidecar, whose) == "new"


def planted(client, change):
    """The epoch in Redis, changed by somebody; with no sidecar alive that keeps its heartbeat."""
    words = epoch(client)
    system, database, timeline, start = words[4].split("/")
    words[2] = "99999999-9999-4999-8999-999999999999"
    words[4] = "/".join([system, database, *change(int(timeline), int(start))])
    client.delete(f"{PREFIX}:live")
    client.set(f"{PREFIX}:epoch", " ".join(words))


def test_a_clock_was_ahead(make_cached, make_redis):  # C12
    """The same line of the same database, which seems to have started later: nobody else is there."""
    redis = make_redis()
    sidecar = make_cached(redis)
    sidecar.stop()
    with redis.client as client:
        planted(client, lambda timeline, start: (str(timeline), str(start + 24 * 3600 * 10**6)))
        sidecar.start()
        wait_cache(sidecar, timeout=40)
        store_and_fill(sidecar, client, someone(), "token")


def test_a_later_line_of_the_database_was_here(make_cached, make_redis):  # C12
    """Even where it is silent; somebody who knows better may delete the epoch, as the log says."""
    redis = make_redis()
    sidecar = make_cached(redis)
    sidecar.stop()
    with redis.client as client:
        planted(client, lambda timeline, start: (str(timeline + 1), str(start)))
        before = epoch(client)
        sidecar.start()
        sidecar.wait_log("deposed")
        assert cache_state(sidecar) == "off" and epoch(client) == before
        assert f"DEL {PREFIX}:epoch" in sidecar.log()
        client.delete(f"{PREFIX}:epoch")
        wait_cache(sidecar, timeout=40)
