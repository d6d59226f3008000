"""A Redis that keeps what it is given longer than it runs, or elsewhere: a warning, a refusal, or
entries that are sealed (C4)."""

import base64
import json
import time

import pytest
import redis
from support.cached import (PROVIDERS, cache_state, metadata_of, epoch, fill, hits, read, store_and_fill, wait_cache,
                            wait_acknowledged)
from cryptography.fernet import Fernet, InvalidToken
from support.harness import wait_until
from psycopg.types.json import Jsonb
from support.redis_server import PREFIX, metadata_key, entry_key, is_trusted
from support.sidecar import someone

KEY = "5DUzFqLzE0u0hHJpGq4sCZbQF0oRr8ZgZ5m6mHf1b5Q="
OUTLIVE = "tokens in this Redis may outlive it"


def saves(make_redis):
    return make_redis(settings={"save": '"3600 1"'})


def appends(make_redis):
    return make_redis(settings={"appendonly": "yes"})


def has_a_replica(make_redis):
    redis = make_redis()
    make_redis(settings={"replicaof": f"127.0.0.1 {redis.port}", "repl-diskless-sync-delay": "0"})
    with redis.client as client:
        wait_until(lambda: client.info("replication")["connected_slaves"] == 1, 20, what="the replica")
    return redis


KEEPERS = {saves: "saves snapshots to disk", appends: "writes an append-only file", has_a_replica: "has replicas"}


@pytest.fixture(params=KEEPERS, ids=lambda keeper: keeper.__name__)
def keeper(request, make_redis):
    """A Redis that is not ephemeral, and how it is called."""
    return request.param(make_redis), KEEPERS[request.param]


def check_line(sidecar, about="cache"):
    """The lines of --check about the cache."""
    done = sidecar.run("--check")
    return [line.split(None, 2) for line in done.stdout.splitlines() if line.split(None, 2)[1] == about], done


def test_a_warning(make_cached, keeper):  # C4
    redis, how = keeper
    sidecar = make_cached(redis)
    warnings = [line for line in sidecar.log_lines() if line["message"].startswith(OUTLIVE)]
    assert [(line["level"], line["reason"]) for line in warnings] == [("warning", how)]
    with redis.client as client:
        store_and_fill(sidecar, client, someone(), "token")
    lines, done = check_line(sidecar)
    assert ["warning"] == [level for level, _, text in lines if how in text] and done.returncode == 0, done


def test_a_refusal(make_sidecar, keeper):  # C4
    redis, how = keeper
    sidecar = make_sidecar(PROVIDERS, settings={"REDIS_URL": redis.url, "OAUTH_CACHE_REQUIRE_EPHEMERAL": "on"})
    sidecar.wait_log(how)
    whose = someone()
    sidecar.store(whose, "never-in-redis")
    for _ in range(5):
        assert read(sidecar, whose) == "never-in-redis" and cache_state(sidecar) == "off"
    off = [line["reason"] for line in sidecar.log_lines() if line["level"] == "error"]
    assert len(off) == 1 and how in off[0] and "OAUTH_CACHE_REQUIRE_EPHEMERAL" in off[0], off
    assert redis.everything() == ""
    lines, done = check_line(sidecar)
    assert ["error"] == [level for level, _, text in lines if how in text] and done.returncode != 0, done


def test_nobody_knows(make_sidecar, make_cached, make_redis):  # C4
    """Managed ones refuse CONFIG; what cannot be known is not taken for granted."""
    redis = make_redis(settings={"rename-command": 'CONFIG ""'})
    settings = {"REDIS_URL": redis.url, "OAUTH_CACHE_REQUIRE_EPHEMERAL": "on"}
    refusing = make_sidecar(PROVIDERS, settings=settings)
    refusing.wait_log("CONFIG GET is refused")
    whose = someone()
    refusing.store(whose, "never-in-redis")
    assert read(refusing, whose) == "never-in-redis" and cache_state(refusing) == "off"
    assert redis.everything() == ""
    refusing.stop()
    warning = make_cached(redis)
    assert [line["reason"] for line in warning.log_lines() if line["message"].startswith(OUTLIVE)] == [
        "does not say whether it saves snapshots (CONFIG GET is refused)"]


def test_neither_where_nothing_is_kept(make_cached, make_redis):  # C4
    redis = make_redis()
    sidecar = make_cached(redis, OAUTH_CACHE_REQUIRE_EPHEMERAL="on")
    assert OUTLIVE not in sidecar.log()
    lines, done = check_line(sidecar)
    assert [level for level, _, _ in lines] == ["ok"] and done.returncode == 0, done


def test_it_comes_to_keep_them_later(make_cached, make_redis):  # C4
    """It is asked again with each connection."""
    redis = make_redis()
    sidecar = make_cached(redis, OAUTH_CACHE_REQUIRE_EPHEMERAL="on")
    redis.settings["save"] = '"3600 1"'
    redis.restart()
    sidecar.wait_log("saves snapshots to disk", 20)
    wait_cache(sidecar, "off")
    with redis.client as client:
        client.config_set("save", "")
    wait_cache(sidecar)


@pytest.fixture
def sealed(make_cached, keeper):
    redis, _ = keeper
    sidecar = make_cached(redis, OAUTH_CACHE_KEY=KEY, OAUTH_CACHE_REQUIRE_EPHEMERAL="on", OAUTH_CACHE_REFRESH_TOKEN="on")
    return sidecar, redis


def every_byte(redis):
    """Whatever it has written to its directory."""
    return b"".join(path.read_bytes() for path in redis.path.rglob("*") if path.is_file())


def test_sealed_entries_may_be_kept(sealed):  # C4
    """No warning, and no token in a value, a dump or an append-only file."""
    sidecar, redis = sealed
    assert OUTLIVE not in sidecar.log()
    whose = someone()
    with redis.client as client:
        sidecar.store(whose, "the-access-token", refresh_token="the-refresh-token", scopes="the-scope",
                      details=Jsonb({"account_label": "the-label@example.org"}))
        wait_acknowledged(sidecar)
        fill(sidecar, client, whose)
        before = hits(sidecar)
        reply = sidecar.api("token", whose).json
        assert hits(sidecar) == before + 1
        assert reply["access_token"] == "the-access-token" and "the-label@example.org" in str(reply["account"])
        client.save()
        everything = redis.everything().encode() + every_byte(redis)
        assert entry_key(whose).encode() in everything
        for secret in (b"the-access-token", b"the-refresh-token", b"the-scope", b"the-label", KEY.encode(),
                       base64.urlsafe_b64decode(KEY)):
            assert secret not in everything, secret
            assert base64.b64encode(secret)[:8] not in everything
        # Any Fernet library opens it, and finds the name of its own key in it.
        value = json.loads(Fernet(KEY).decrypt(client.get(entry_key(whose)).encode()))
        assert value.pop("fill").split()[0] == epoch(client)[0]
        assert value == {"access_token": "the-access-token", "refresh_token": "the-refresh-token",
                         "expires_at": None, "scope": "the-scope", "key": entry_key(whose)}
        with pytest.raises(InvalidToken):
            Fernet(Fernet.generate_key()).decrypt(client.get(entry_key(whose)).encode())
    lines, done = check_line(sidecar)
    assert [level for level, _, _ in lines] == ["ok"] and "sealed" in lines[0][2] and done.returncode == 0, done


@pytest.fixture
def moving(make_cached, make_redis):
    """A sidecar that seals, and two identities with entries."""
    redis = make_redis()
    sidecar = make_cached(redis, OAUTH_CACHE_KEY=KEY)
    mine, theirs = someone(), someone()
    with redis.client as client:
        store_and_fill(sidecar, client, mine, "mine")
        store_and_fill(sidecar, client, theirs, "theirs")
        yield sidecar, client, mine, theirs


def test_a_sealed_entry_cannot_be_moved(moving):  # C4
    """Not with its own entry_metadata, nor with one that is made to fit."""
    sidecar, client, mine, theirs = moving
    stolen = client.get(entry_key(theirs))
    client.set(entry_key(mine), stolen)
    client.set(metadata_key(mine), client.get(metadata_key(theirs)))
    assert not is_trusted(client, mine)
    assert read(sidecar, mine) == "mine"
    client.set(entry_key(mine), stolen)
    client.set(metadata_key(mine), metadata_of(epoch(client)[0], mine, stolen))
    assert read(sidecar, mine) == "mine" and read(sidecar, theirs) == "theirs"


@pytest.mark.parametrize("forge", [
    lambda mine: json.dumps({"access_token": "forged", "refresh_token": None, "expires_at": None, "scope": None}),
    lambda mine: Fernet(Fernet.generate_key()).encrypt(json.dumps(
        {"access_token": "forged", "key": entry_key(mine)}).encode()).decode(),
    lambda mine: Fernet(KEY).encrypt(b'{"access_token": "forged"}').decode(),
    lambda mine: Fernet(KEY).encrypt(b"nonsense").decode(),
    lambda mine: "gAAAAA",
], ids=["plain", "another key", "without a name", "no JSON", "cut off"])
def test_what_was_not_sealed_for_it(moving, forge):  # C4
    """With a entry_metadata that fits, whoever may write to Redis brings in no token without the key."""
    sidecar, client, mine, _ = moving
    value = forge(mine)
    client.mset({entry_key(mine): value, metadata_key(mine): metadata_of(epoch(client)[0], mine, value)})
    assert read(sidecar, mine) == "mine"
    # That miss fills the cache, and may do so after the answer.
    wait_until(lambda: client.get(entry_key(mine)) not in (None, value), what="the fill")
    # The entry would have been served, had it been right.
    now = int(time.time() * 1e6)
    proof = f"{epoch(client)[0]} {now} {now + 60_000_000}"
    value = Fernet(KEY).encrypt(json.dumps(
        {"access_token": "with the key", "key": entry_key(mine), "fill": proof}).encode()).decode()
    client.mset({entry_key(mine): value, metadata_key(mine): metadata_of(epoch(client)[0], mine, value)})
    assert read(sidecar, mine) == "with the key"


def copy_of(client, whose):
    return {key: client.get(key) for key in (entry_key(whose), metadata_key(whose))}


def test_a_deleted_entry_cannot_be_put_back(moving):  # C19
    """Copy, delete the token, put back, with its entry_metadata: a miss, and no expiry keeps it."""
    sidecar, client, mine, theirs = moving
    copy = copy_of(client, mine)
    assert sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s)", mine, user="app") == [(True,)]
    wait_until(lambda: not client.exists(entry_key(mine)), what="the end of the entry")
    client.mset(copy)
    assert is_trusted(client, mine)  # so do those who have no key to look into it
    assert sidecar.api("token", mine).status == 404
    wait_acknowledged(sidecar)
    client.mset(copy)
    assert sidecar.api("token", mine).status == 404 and read(sidecar, theirs) == "theirs"


def test_an_old_entry_cannot_be_put_back(moving):  # C19
    sidecar, client, mine, _ = moving
    copy = copy_of(client, mine)
    store_and_fill(sidecar, client, mine, "newer")
    client.mset(copy)
    assert read(sidecar, mine) == "newer"


def test_nor_behind_another_daemon(make_cached, make_redis):  # C19
    """Each daemon sees every change, whoever drops the entry; and one that begins believes nothing of before."""
    redis, whose = make_redis(), someone()
    first = make_cached(redis, OAUTH_CACHE_KEY=KEY)
    second = make_cached(redis, db=first.db, OAUTH_CACHE_KEY=KEY)
    with redis.client as client:
        store_and_fill(first, client, whose, "old")
        wait_until(lambda: read(second, whose) == "old")
        copy = copy_of(client, whose)
        store_and_fill(first, client, whose, "new")
        for _ in range(20):
            client.mset(copy)
            assert read(first, whose) == "new"
            client.mset(copy)
            assert read(second, whose) == "new"
        client.mset(copy)
        third = make_cached(redis, db=first.db, OAUTH_CACHE_KEY=KEY)
        client.mset(copy)
        assert read(third, whose) == "new"
        # But what is true is served by all.
        store_and_fill(third, client, whose, "newest")
        for sidecar in (first, second, third):
            before = hits(sidecar)
            assert read(sidecar, whose) == "newest" and hits(sidecar) == before + 1


def test_nor_with_its_epoch(make_cached, make_redis):  # C19
    """Every entry is dropped by way of a new epoch; somebody puts back the old one, with all that it vouched for."""
    redis_server = make_redis()
    sidecar = make_cached(redis_server, OAUTH_CACHE_KEY=KEY)
    whose = someone()
    with redis_server.client as client:
        store_and_fill(sidecar, client, whose, "old")
        copy = copy_of(client, whose)
        first, text = epoch(client)[0], client.get(f"{PREFIX}:epoch")
        sidecar.sql("TRUNCATE oauth_tokens")
        sidecar.store(whose, "new")
        wait_until(lambda: epoch(client)[0] != first and cache_state(sidecar) == "ok", what="another epoch")
        client.mset(copy)
        assert read(sidecar, whose) == "new"
        for _ in range(20):
            client.mset({**copy, f"{PREFIX}:epoch": text, f"{PREFIX}:live": first})
            assert read(sidecar, whose) == "new"
            time.sleep(0.1)


def test_an_entry_ends_by_itself(make_cached, make_redis):  # C19
    """Past its life it is no more, though somebody has taken away its expiry."""
    redis_server = make_redis()
    sidecar = make_cached(redis_server, OAUTH_CACHE_KEY=KEY, OAUTH_CACHE_MAX_TTL="6")
    whose = someone()
    with redis_server.client as client:
        store_and_fill(sidecar, client, whose, "token")
        before = hits(sidecar)
        assert read(sidecar, whose) == "token" and hits(sidecar) == before + 1
        copy = copy_of(client, whose)
        wait_until(lambda: not client.exists(entry_key(whose)), 20, what="the end of the entry")
        client.mset(copy)
        before = hits(sidecar)
        assert read(sidecar, whose) == "token" and hits(sidecar) == before


def test_a_key_and_a_shared_template(make_sidecar, make_redis):  # C4
    sidecar = make_sidecar(PROVIDERS, start=False, settings={
        "REDIS_URL": make_redis().url, "OAUTH_CACHE_KEY": KEY,
        "OAUTH_CACHE_KEY_TEMPLATE": "oauth:token:{provider}:{workspace_id}:{actor_id}"})
    done = sidecar.run()
    assert done.returncode != 0 and "OAUTH_CACHE_KEY_TEMPLATE" in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
