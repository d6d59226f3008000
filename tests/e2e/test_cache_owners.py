"""Which Redis serves which database: two of either, two sidecars of one pair, and a primary that
was deposed. Nobody serves what is stale, nobody drops another's entries in a loop, and whoever
may not use the cache says why."""

import time

import pytest
from support.cached import (PROVIDERS, Watch, cache_state, epoch, fill, hits, read, store_and_fill, tries, wait_cache,
                            wait_acknowledged, wait_dropped)
from support.harness import wait_until
from support.redis_server import PREFIX, entry_key, is_trusted, trusted_entry
from support.sidecar import someone
from support.tokens import get, store

OTHER_DATABASE = "another database uses this Redis"
OTHER_REDIS = "another Redis, or one with other settings, is registered"
DEPOSED = "this Redis is the cache of a later primary"


def reasons(sidecar):
    """Why the cache was off, each time that it said so."""
    return [line["reason"] for line in sidecar.log_lines()
            if line["level"] == "error" and line["message"].startswith("the cache is off")]


def stays_off(sidecar, client, why):
    """It is off, also after two more tries with that Redis, and has said why, once."""
    wait_cache(sidecar, "off")
    sidecar.wait_log(why)
    before = tries(client)
    wait_until(lambda: cache_state(sidecar) != "off" or tries(client) >= before + 2, 30, what="two more tries")
    assert cache_state(sidecar) == "off"
    assert len([reason for reason in reasons(sidecar) if why in reason]) == 1, reasons(sidecar)


def keys(client):
    return {key: client.get(key) for key in client.scan_iter()}


def test_two_sidecars_of_one_pair(make_cached, redis, client):  # C12
    """They share an epoch, and what the one has cached is a hit for the other."""
    first = make_cached(redis)
    whose, before = someone(), epoch(client)
    store_and_fill(first, client, whose, "token")
    second = make_cached(redis, db=first.db)
    assert epoch(client) == before and is_trusted(client, whose)
    assert read(second, whose) == "token" and hits(second) == 1
    for number, (one, other) in enumerate([(first, second), (second, first)] * 3):
        one.store(whose, f"token {number}")
        wait_acknowledged(one)
        assert fill(one, client, whose) == f"token {number}" == read(other, whose)
    first.stop()
    assert epoch(client) == before and read(second, whose) == "token 5"
    second.store(whose, "new")
    wait_dropped(client, whose)
    first.start()
    wait_cache(first)
    assert epoch(client) == before and read(first, whose) == "new"


def test_two_redises_of_one_database(make_sidecar, make_cached, make_redis, redis, client):  # C12
    """The second is left alone until the first has not been heard of for thirty seconds."""
    first = make_cached(redis)
    other = make_redis()
    second = make_sidecar(PROVIDERS, db=first.db, settings={"REDIS_URL": other.url})
    with other.client as other_client:
        whose = someone()
        store_and_fill(first, client, whose, "first")
        before = epoch(client)
        stays_off(second, other_client, OTHER_REDIS)
        assert read(second, whose) == "first" and keys(other_client) == {}
        assert epoch(client) == before and cache_state(first) == "ok"
        second.store(whose, "second")
        wait_dropped(client, whose)
        assert read(first, whose) == "second" == read(second, whose)
        # The first is gone; thirty seconds are over sooner here.
        first.kill()
        wait_until(lambda: not client.exists(f"{PREFIX}:live"), what="the heartbeat's end")
        first.sql("UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '31 s'")
        wait_cache(second)
        assert fill(second, other_client, whose) == "second"
        # And what it left is not believed by anybody, nor when it comes back.
        assert not is_trusted(client, whose)
        taken = epoch(other_client)
        first.start()
        stays_off(first, client, OTHER_REDIS)
        second.store(whose, "third")
        wait_dropped(other_client, whose)
        assert read(first, whose) == "third" == fill(second, other_client, whose)
        assert epoch(other_client) == taken and not client.exists(f"{PREFIX}:live")


def test_two_prefixes_of_one_database(make_sidecar, make_cached, redis, client):  # C12
    """They are two caches, of which one would hear of no change."""
    first = make_cached(redis)
    second = make_sidecar(PROVIDERS, db=first.db, settings={"REDIS_URL": redis.url, "OAUTH_CACHE_PREFIX": "second"})
    stays_off(second, client, OTHER_REDIS)
    assert not [key for key in client.scan_iter() if key.startswith("second")]


@pytest.mark.parametrize("setting, value", [
    ("OAUTH_CACHE_KEY_TEMPLATE", "oauth:token:{provider}:{workspace_id}:{actor_id}"),
    ("OAUTH_CACHE_KEY", "5DUzFqLzE0u0hHJpGq4sCZbQF0oRr8ZgZ5m6mHf1b5Q="),
])
def test_two_templates_of_one_pair(make_sidecar, make_cached, redis, client, setting, value):  # C12
    """Each would leave what the other one keeps: a change must never leave a trusted old token."""
    first = make_cached(redis)
    second = make_sidecar(PROVIDERS, db=first.db, settings={"REDIS_URL": redis.url, setting: value})
    template = value if "TEMPLATE" in setting else None
    whose = someone()
    for number in range(10):
        first.store(whose, f"token {number}")
        wait_acknowledged(first)
        for one in (first, second):
            assert read(one, whose) == f"token {number}"
        found = trusted_entry(client, whose)
        assert found is None or found["access_token"] == f"token {number}"
        if template:
            found = trusted_entry(client, whose, template)
            assert found is None or found["access_token"] == f"token {number}"


def test_two_databases_of_one_redis(make_sidecar, make_cached, redis, client):  # C12
    """The second stays off as long as the first one's heartbeat stands, and drops nothing."""
    first = make_cached(redis)
    whose = someone()
    store_and_fill(first, client, whose, "of the first")
    before = epoch(client)
    second = make_sidecar(PROVIDERS, settings={"REDIS_URL": redis.url})
    second.store(whose, "of the second")
    stays_off(second, client, OTHER_DATABASE)
    assert epoch(client) == before and is_trusted(client, whose) and cache_state(first) == "ok"
    assert read(first, whose) == "of the first" and read(second, whose) == "of the second"
    # A change in the second one's database is no business of this Redis.
    second.store(whose, "of the second, new")
    assert read(second, whose) == "of the second, new"
    assert trusted_entry(client, whose)["access_token"] == "of the first"
    # It takes over when the first is gone, and the first stays off then.
    first.kill()
    wait_cache(second)
    assert epoch(client)[0] != before[0]
    assert read(second, whose) == "of the second, new" == fill(second, client, whose)
    taken = epoch(client)
    first.start()
    stays_off(first, client, OTHER_DATABASE)
    assert epoch(client) == taken and read(first, whose) == "of the first"
    assert trusted_entry(client, whose)["access_token"] == "of the second, new"


@pytest.mark.parametrize("settings", [{"OAUTH_CACHE_PREFIX": "second"}, {"number": 1}])
def test_two_databases_side_by_side(make_sidecar, redis, client, settings):  # C12
    """With a prefix or a database number of their own both are in use, and neither is believed
    by the other, though entries of theirs may have one key."""
    url = redis.url.replace("/0", f"/{settings.pop('number', 0)}")
    first = make_sidecar(PROVIDERS, settings={"REDIS_URL": redis.url})
    second = make_sidecar(PROVIDERS, settings={"REDIS_URL": url} | settings)
    whose = someone()
    for one, token in ((first, "of the first"), (second, "of the second")):
        wait_cache(one)
        one.store(whose, token)
    for _ in range(10):
        assert read(first, whose) == "of the first" and read(second, whose) == "of the second"
    first.store(whose, "of the first, new")
    wait_acknowledged(first)
    assert read(second, whose) == "of the second" and read(first, whose) == "of the first, new"
    assert cache_state(first) == cache_state(second) == "ok"


# A standby, and a primary that was deposed


@pytest.fixture(scope="module")
def primary(module_cluster):
    return module_cluster()


def test_a_standby_and_a_promotion(primary, make_sidecar, make_cached, redis, client):  # C12
    """The standby's sidecar never fills; promoted, it takes the Redis over at once, and the old
    primary's goes off, and neither fills nor vouches for anything more."""
    whose, another = someone(), someone()
    old = make_cached(redis, cluster=primary)
    standby = primary.standby()
    try:
        for one in (whose, another):
            store_and_fill(old, client, one, "before")
        primary.wait_for(standby)
        before = epoch(client)
        new = make_sidecar(PROVIDERS, cluster=standby, db=old.db, start=False, settings={"REDIS_URL": redis.url})
        new.start(ready=False)
        # It publishes nothing there, so that it is not ready; it reads all the same.
        wait_until(lambda: _answers(new), 20, what="the standby's sidecar")
        client.delete(entry_key(whose))
        for _ in range(20):
            assert read(new, whose) == "before"
        assert client.get(entry_key(whose)) is None and epoch(client) == before
        assert not [line for line in new.log_lines() if line["message"] == "the cache is on"]
        assert fill(old, client, whose) == "before" and cache_state(old) == "ok"

        look = lambda: (trusted_entry(client, whose) or {}).get("access_token")
        with Watch(look, "before") as watch:
            standby.promote()
            wait_until(lambda: not standby.value("SELECT pg_is_in_recovery()", db="postgres"), what="the promotion")
            watch.announce("after")
            with standby.connect(old.db, autocommit=True) as writer:
                store(writer, whose, "after")
            watch.committed()
            new.wait_ready()
            wait_cache(new)
            assert read(new, whose) == "after" == fill(new, client, whose)
            taken = epoch(client)
            assert taken[0] != before[0] and taken[4].split("/")[:2] == before[4].split("/")[:2]
            assert taken[4].split("/")[2] == "2"
            stays_off(old, client, DEPOSED)
            # The old one reads its own database, and leaves the cache as it is.
            old.store(another, "split brain")
            for _ in range(20):
                assert read(old, another) == "split brain" and read(old, whose) == "before"
            assert (trusted_entry(client, another) or {"access_token": "before"})["access_token"] != "split brain"
            assert read(new, another) == "before" == fill(new, client, another)
            assert trusted_entry(client, whose)["access_token"] == "after" and epoch(client) == taken
            # Nor when it is started anew; its DELETE drops nothing that it should not.
            old.stop()
            old.start()
            wait_cache(old, "off")
            assert old.api("token", another, method="DELETE").json["deleted"]
            assert old.api("token", another).status == 404 and read(new, another) == "before"
            assert epoch(client) == taken
        # The old primary, started later than the new one, is not the later for it.
        primary.restart()
        old.wait_ready()
        with primary.connect(old.db, autocommit=True) as connection:
            assert get(connection, whose) == ("before", None)
        for _ in range(10):
            assert cache_state(old) == "off" and read(old, whose) == "before" and read(new, whose) == "after"
            time.sleep(0.1)
        assert epoch(client) == taken and cache_state(new) == "ok"
        for one in (old, new):
            one.kill()
    finally:
        standby.remove()


def _answers(sidecar):
    try:
        return sidecar.api("token", someone()).status == 404
    except OSError:
        return False


def test_a_database_is_restored_in_its_place(make_cached, flow_cluster, redis, client):  # C12
    """The old tokens are there again, in a database of the same name: nothing of before is
    believed."""
    sidecar = make_cached(redis)
    whose = someone()
    sidecar.store(whose, "of the dump")
    dump = flow_cluster.dump("-Fc", db=sidecar.db)
    store_and_fill(sidecar, client, whose, "since")
    before = epoch(client)
    flow_cluster.rows(f'DROP DATABASE "{sidecar.db}" WITH (FORCE)', db="postgres")
    flow_cluster.rows(f'CREATE DATABASE "{sidecar.db}"', db="postgres")
    flow_cluster.restore(dump, db=sidecar.db)
    wait_until(lambda: epoch(client)[4] != before[4] and epoch(client)[1] == "ready", 30, what="the new epoch")
    sidecar.wait_ready()
    wait_cache(sidecar)
    assert read(sidecar, whose) == "of the dump" == fill(sidecar, client, whose)


def test_the_table_is_another_one(make_cached, redis, client):  # C12
    """DROP TABLE and oauth_tokens_upgrade(), as downgrade and upgrade of the migrations do."""
    sidecar = make_cached(redis)
    whose = someone()
    store_and_fill(sidecar, client, whose, "old")
    before = epoch(client)
    sidecar.sql("SELECT oauth_tokens_downgrade(true)")
    sidecar.sql("SELECT oauth_tokens_upgrade()")
    for role, capability in (("sidecar", "sidecar"), ("app", "reader"), ("app", "writer")):
        sidecar.sql(f"SELECT oauth_tokens_grant('{role}', '{capability}')")
    wait_until(lambda: sidecar.api("token", whose).status == 404, what="the end of the token")
    sidecar.wait_ready()
    wait_cache(sidecar)
    assert sidecar.api("token", whose).status == 404
    assert epoch(client)[2] != before[2]
    store_and_fill(sidecar, client, whose, "new")
