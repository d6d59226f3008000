"""What is read through the cache, and what stands in Redis meanwhile."""

import contextlib
import json
import socket
from datetime import datetime, timedelta, timezone

import pytest
from psycopg.types.json import Jsonb
from support.cached import (PROVIDERS, cache_state, count, epoch, fill, hits, plant, read, store_and_fill, wait_cache,
                            wait_acknowledged, wait_dropped)
from support.harness import wait_until
from support.redis_server import PREFIX, metadata_key, entry, entry_key, trusted_entry
from support.sidecar import API_TOKEN, metrics, someone
from support.tokens import python_store

DETAILS = {"account_id": "1", "account_label": "ä@example.org \\ \"", "issuer": "https://a.example",
           "extra": {"a": [1, {"b": None}], "z": "\u0007", "account": 7}, "lifetime": 3600}


@pytest.fixture(scope="module")
def redis(module_redis):
    return module_redis()


@pytest.fixture(scope="module")
def cached(module_cached, redis):
    return module_cached(redis)


@pytest.fixture(scope="module")
def plain(module_sidecar, cached):
    """One without a cache beside it."""
    return module_sidecar(PROVIDERS, db=cached.db)


def test_a_token_is_served_from_redis_until_it_changes(cached, client):
    whose = someone()
    cached.store(whose, "first")
    assert read(cached, whose) == "first"
    wait_until_filled = fill(cached, client, whose)
    assert wait_until_filled == "first" and entry(client, whose)["access_token"] == "first"
    before = hits(cached)
    assert read(cached, whose) == "first" and hits(cached) == before + 1
    cached.store(whose, "second")
    wait_dropped(client, whose)
    assert read(cached, whose) == "second"


def test_without_a_cache_nothing_is_said_of_one(plain):
    assert "cache" not in plain.get("/readyz").json
    assert "cache_up" not in plain.get("/metrics", token=API_TOKEN).text


IN_AN_HOUR = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
KINDS = {
    "bare": {},
    "scopes": {"scopes": "openid email https://example.org/a.b"},
    "no scopes": {"scopes": ""},
    "expires": {"expires_at": IN_AN_HOUR},
    "expires between two seconds": {"expires_at": IN_AN_HOUR + timedelta(microseconds=999_500)},
    "expires in": {"expires_in": 5000},
    "far": {"expires_at": datetime(9998, 12, 31, tzinfo=timezone.utc)},
    "details": {"details": DETAILS, "scopes": "a b"},
    "account alone": {"details": {"account_id": "2"}},
    "extra alone": {"details": {"extra": {"tenant": "t", "scopes": "x"}}, "expires_in": 900},
    "empty details": {"details": {}},
    "refresh token": {"refresh_token": "refresh", "expires_in": 3600},
    "quotes": {"scopes": 'a"b\\c'},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_database_s(cached, plain, client, kind):
    """Member by member, whether the token comes from Redis or not."""
    whose, parameters = someone(), dict(KINDS[kind])
    token = f'tök"en\\/\t{kind} \U0001f511'
    details = parameters.get("details")
    if details is not None:
        parameters["details"] = Jsonb(details)
    cached.store(whose, token, **parameters)

    def read_from_redis():  # a heartbeat may lapse on a machine that is busy
        fill(cached, client, whose)
        before = hits(cached)
        answer = cached.api("token", whose)
        return hits(cached) == before + 1 and answer

    hit = wait_until(read_from_redis, 20, what="a hit").json
    direct = plain.api("token", whose).json
    assert list(hit) == list(direct)
    left = [answer.pop("expires_in") for answer in (hit, direct)]
    assert hit == direct and direct["access_token"] == token
    assert left == [None, None] or abs(left[0] - left[1]) <= 5, left
    if details:
        assert direct["extra"] == details.get("extra")
        assert (direct["account"] or {}).get("id") == details.get("account_id")


def test_of_the_python_service(cached, plain, client):
    """Its rows are read as ours are, whatever wrote them."""
    whose = someone()
    with cached.cluster.connect(cached.db, autocommit=True) as connection:
        python_store(connection, whose, "python's", "its refresh", expires_at=datetime.utcnow() + timedelta(hours=2))
    assert fill(cached, client, whose) == "python's"
    hit, direct = cached.api("token", whose).json, plain.api("token", whose).json
    assert hit["expires_at"] == direct["expires_at"] and hit["scopes"] == direct["scopes"] == "openid email"


def test_large_tokens(cached, client):
    """64 KiB and more in one entry; one that is larger still is not cached, and read all the same."""
    whose = someone()
    store_and_fill(cached, client, whose, "ü" * 32_000)
    before = hits(cached)
    assert read(cached, whose) == "ü" * 32_000 and hits(cached) == before + 1
    whose, controls = someone(), "\x01" * 60_000  # six characters each in JSON
    cached.store(whose, controls)
    for _ in range(3):
        assert read(cached, whose) == controls
    assert trusted_entry(client, whose) is None
    cached.store(whose, "short")
    assert fill(cached, client, whose) == "short"


def test_deleted_here_is_gone_at_once(cached, client):
    """Whoever deletes by this sidecar reads 404 next, without waiting for anybody."""
    whose = someone()
    for number in range(20):
        store_and_fill(cached, client, whose, f"token {number}")
        assert cached.api("token", whose, method="DELETE").json["deleted"] is True
        assert cached.api("token", whose).status == 404
    assert client.get(entry_key(whose)) is None


def test_what_is_not_there_is_not_cached(cached, client):
    whose = someone()
    for _ in range(3):
        assert cached.api("token", whose).status == 404
    assert client.mget(entry_key(whose), metadata_key(whose)) == [None, None]
    # Nor does its lease stand in the way of who fills next.
    store_and_fill(cached, client, whose, "now it is")


def test_min_ttl(cached, client):
    """A cached token that lives too short is looked for in the database."""
    whose = someone()
    store_and_fill(cached, client, whose, "of the database", expires_in=600)
    soon = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=300)
    copy = {"access_token": "the copy", "refresh_token": None, "expires_at": soon.isoformat(), "scope": None}
    plant(client, whose, json.dumps(copy))
    assert read(cached, whose) == "the copy"
    assert read(cached, whose, min_ttl=120) == "the copy"
    assert read(cached, whose, min_ttl=450) == "of the database"
    # There is no better one.
    assert read(cached, whose, min_ttl=7200) == "of the database"


@pytest.mark.parametrize("value", [
    "", "null", "[]", "7", '"x"', "{", '{"access_token": null}', '{"access_token": ""}', '{"access_token": 7}',
    '{"scope": "a"}', '{"access_token": "x"} x', '{"access_token": "x", "access_token": "y"}',
    '{"access_token": "x", "expires_at": 7}', '{"access_token": "x", "expires_at": "tomorrow"}',
    '{"access_token": "x", "expires_at": "2000-01-01T00:00:00+00:00"}', '{"access_token": "x' + "x" * 300_000 + '"}',
    '{"access_token": "x", "x": ' + "[" * 100 + "]" * 100 + "}", "\x00\x01\x02",
], ids=lambda value: value[:40].replace("\x00", "NUL"))
def test_an_entry_that_is_none(cached, client, value):  # C5
    """Whatever stands there with a entry_metadata that fits, what is no entry, or an expired one, is
    answered by the database."""
    whose = someone()
    store_and_fill(cached, client, whose, "right")
    plant(client, whose, value)
    assert read(cached, whose) == "right"


def test_what_redis_says_is_of_another_type(cached, client):
    """A list or a set in the place of an entry, a entry_metadata, a lease: errors of Redis' only."""
    for name in (entry_key, metadata_key, lambda whose: f"{PREFIX}:lease:{entry_key(whose)}"):
        whose = someone()
        cached.store(whose, "right")
        client.delete(name(whose))
        client.rpush(name(whose), "a", "b")
        for _ in range(3):
            assert read(cached, whose) == "right"
        cached.store(whose, "newer")
        wait_dropped(client, whose)
        assert fill(cached, client, whose) == "newer"
    assert cache_state(cached) == "ok"


def parallel_reads(sidecars, whose, number):
    """Sends so many requests at the same moment; their answers' bodies."""
    workspace, provider, actor_type, actor_id = whose
    request = (f"GET /oauth/{provider}/token?workspace_id={workspace}&actor_type={actor_type}&actor_id={actor_id}"
               f" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_TOKEN}\r\nConnection: close\r\n\r\n")
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(sidecars[i % len(sidecars)].target(), 60))
            for i in range(number)
        ]
        for connection in connections:
            connection.sendall(request.encode())
        answers = []
        for connection in connections:
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            assert b" 200 " in head.split(b"\r\n", 1)[0], received
            answers.append(json.loads(body))
        return answers


def test_one_fill_of_500_misses(cached, client):  # C6
    whose = someone()
    read(cached, someone_with(cached, client))  # its connections are there
    for number in range(3):
        cached.store(whose, f"token {number}")
        wait_acknowledged(cached)
        before = count(cached, "cache_fills_total")
        answers = parallel_reads([cached], whose, 500)
        assert [answer["access_token"] for answer in answers] == [f"token {number}"] * 500
        fill(cached, client, whose)
        assert count(cached, "cache_fills_total") - before == 1


def test_one_fill_of_two_sidecars(cached, redis, client, make_cached):  # C6
    other = make_cached(redis, db=cached.db)
    wait_cache(other)
    both, whose = [cached, other], someone()
    cached.store(whose, "token")
    wait_acknowledged(cached)
    before = sum(count(one, "cache_fills_total") for one in both)
    answers = parallel_reads(both, whose, 300)
    assert [answer["access_token"] for answer in answers] == ["token"] * 300
    fill(cached, client, whose)
    assert sum(count(one, "cache_fills_total") for one in both) - before == 1


def someone_with(sidecar, client):
    whose = someone()
    store_and_fill(sidecar, client, whose, f"token of {whose[3]}")
    return whose


def test_metrics(cached, client):
    whose = someone_with(cached, client)
    before = {result: count(cached, "cache_reads_total", result=result) for result in ("hit", "miss", "bypass")}
    stored = count(cached, "cache_fills_total", outcome="stored")
    invalidations = count(cached, "cache_invalidations_total")
    read(cached, whose)
    cached.store(whose, "another")
    wait_dropped(client, whose)
    fill(cached, client, whose)
    assert count(cached, "cache_reads_total", result="hit") >= before["hit"] + 1
    assert count(cached, "cache_reads_total", result="miss") >= before["miss"] + 1
    assert count(cached, "cache_reads_total", result="bypass") == before["bypass"]
    assert count(cached, "cache_fills_total", outcome="stored") >= stored + 1
    assert count(cached, "cache_invalidations_total") >= invalidations + 1
    assert count(cached, "cache_lag_seconds_count") >= 1
    assert count(cached, "cache_up") == 1
    assert 0 <= count(cached, "cache_heartbeat_age_seconds") < 5
    names = {name for name, _ in metrics(cached.get("/metrics", token=API_TOKEN).text)}
    assert "oauth_sidecar_cache_pending_invalidations" in names


def test_heartbeat_and_epoch(cached, client):
    """What other readers go by: the epoch's id with at most five seconds to live, and no more."""
    for _ in range(50):
        left = client.pttl(f"{PREFIX}:live")
        assert 0 < left <= 5000, left
    assert client.get(f"{PREFIX}:live") == epoch(client)[0] and epoch(client)[1] == "ready"
    assert client.pttl(f"{PREFIX}:epoch") == -1


def test_secrets_stay_out_of_the_log(make_cached, make_redis):  # C10
    redis = make_redis(settings={"requirepass": "p4ssw0rd-of-redis"}, login={"password": "p4ssw0rd-of-redis"})
    key = "5DUzFqLzE0u0hHJpGq4sCZbQF0oRr8ZgZ5m6mHf1b5Q="
    sidecar = make_cached(redis, REDIS_URL=f"redis://:p4ssw0rd-of-redis@127.0.0.1:{redis.port}", OAUTH_CACHE_KEY=key)
    whose = someone()
    with redis.client as client:
        sidecar.store(whose, "s3cret-access", refresh_token="s3cret-refresh")
        fill(sidecar, client, whose)
        read(sidecar, whose)
        redis.kill()
        read(sidecar, whose)
        wait_cache(sidecar, "down")
        redis.start()
        wait_cache(sidecar)
        client.config_set("requirepass", "an0ther-passw0rd")
        client.client_kill_filter(_type="normal", skipme=True)
        wait_cache(sidecar, "down")
    assert read(sidecar, whose) == "s3cret-access"
    sidecar.stop()
    assert [one for one in ("s3cret", "p4ssw0rd", "an0ther", key) if one in sidecar.log()] == []
    sidecar.log_lines()
