"""Entries in Redis: their keys, their values, how long they live, and who else reads and writes
them."""

import json
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from support.cached import (PROVIDER, PROVIDERS, count, epoch, fill, hits, read, store_and_fill, wait_cache,
                            wait_acknowledged, wait_dropped)
from support.harness import wait_until
from support.redis_server import PREFIX, metadata_key, entry, entry_key, is_trusted
from support.sidecar import someone
from support.tokens import WORKSPACE

PYTHON_TEMPLATE = "oauth:token:{provider}:{workspace_id}:{actor_id}"


# How long (C5)


LIVES = {  # how the token is stored: (at least, at most) in seconds, or None
    "at once": ({"expires_in": 0}, None),
    "within the margin": ({"expires_in": 20}, None),
    "at the margin": ({"expires_in": 30}, None),
    "soon": ({"expires_in": 60}, (10, 30)),
    "late": ({"expires_in": 10_000}, (3500, 3600)),
    "within the longest": ({"expires_in": 3000}, (2900, 2970)),
    "unknown": ({}, (250, 300)),
    "long ago": ({"expires_at": datetime(2001, 1, 1, tzinfo=timezone.utc)}, None),
    "in another time zone": (
        lambda: {"expires_at": datetime.now(timezone(timedelta(hours=9))) + timedelta(seconds=1800)}, (1500, 1770)),
}


@pytest.fixture(scope="module")
def three(module_cached, module_redis):
    """The same database and Redis, with each longest life."""
    made, redis = {}, module_redis()
    for longest in (3600, 100, 86_400):
        made[longest] = module_cached(redis, db=made[3600].db if made else None, OAUTH_CACHE_MAX_TTL=longest)
    return made, redis


@pytest.mark.parametrize("longest", [3600, 100, 86_400])
@pytest.mark.parametrize("kind", LIVES)
def test_how_long_an_entry_lives(three, kind, longest):  # C5
    (made, redis), whose = three, someone()
    sidecar = made[longest]
    parameters, life = LIVES[kind]
    sidecar.store(whose, "token", **(parameters() if callable(parameters) else parameters))
    wait_acknowledged(sidecar)
    with redis.client as client:
        if life is None:
            expired = kind in ("at once", "long ago")
            for _ in range(3):
                reply = sidecar.api("token", whose)
                assert reply.status == (409 if expired else 200), reply
            assert client.mget(entry_key(whose), metadata_key(whose)) == [None, None]
            return
        fill(sidecar, client, whose)
        least, most = (min(bound, longest) for bound in life)
        if kind == "late" and longest == 86_400:
            least, most = 9900, 9970
        if longest == 100:
            least = min(least, 80)
        for key in (entry_key(whose), metadata_key(whose)):
            left = client.pttl(key)
            assert least * 1000 < left <= most * 1000, (key, left)


def test_an_entry_ends_before_its_token(make_cached, redis, client):  # C5
    """Thirty seconds before; and then nothing is cached any more."""
    sidecar, whose = make_cached(redis), someone()
    sidecar.store(whose, "token", expires_in=34)
    wait_acknowledged(sidecar)
    fill(sidecar, client, whose)
    wait_dropped(client, whose)
    for _ in range(3):
        reply = sidecar.api("token", whose).json
        assert reply["access_token"] == "token" and 20 < reply["expires_in"] <= 30
    assert client.get(entry_key(whose)) is None


# What


def test_the_value(make_cached, redis, client):
    sidecar, whose = make_cached(redis), someone()
    at = datetime(2026, 11, 22, 9, 32, 37, tzinfo=timezone.utc).replace(year=datetime.now().year + 1)
    sidecar.store(whose, 'a "quoted" tökén', refresh_token="refresh", expires_at=at, scopes="openid email")
    fill(sidecar, client, whose)
    assert entry(client, whose) == {
        "access_token": 'a "quoted" tökén', "refresh_token": None, "expires_at": f"{at.year}-11-22T09:32:37+00:00",
        "scope": "openid email"}
    whose = someone()
    store_and_fill(sidecar, client, whose, "token")
    assert entry(client, whose) == {"access_token": "token", "refresh_token": None, "expires_at": None, "scope": None}


def test_refresh_tokens_only_where_asked_for(make_cached, client, redis):
    sidecar, whose = make_cached(redis), someone()
    sidecar.store(whose, "token", refresh_token="the-refresh-token")
    fill(sidecar, client, whose)
    assert "the-refresh-token" not in redis.everything()
    sidecar.stop()
    client.flushall()
    sidecar = make_cached(redis, OAUTH_CACHE_REFRESH_TOKEN="on")
    sidecar.store(whose, "token", refresh_token="the-refresh-token")
    fill(sidecar, client, whose)
    assert entry(client, whose)["refresh_token"] == "the-refresh-token"
    # Which is nobody's business who asks the sidecar.
    before = hits(sidecar)
    assert "refresh" not in sidecar.api("token", whose).text and hits(sidecar) == before + 1
    sidecar.store(whose, "token", keep_refresh_token=False)
    wait_acknowledged(sidecar)
    fill(sidecar, client, whose)
    assert entry(client, whose)["refresh_token"] is None


# Where (C7)


def test_identities_do_not_collide(make_cached, redis, client):  # C7
    sidecar = make_cached(redis)
    other = uuid.UUID("33333333-3333-4333-8333-333333333333")
    actors = ["a:b", "a%3Ab", "a%3ab", "a%253Ab", "a", "b", "a:", ":a", ":", "::", "%", "%%", "%25", "%3A", "user:a",
              "a:user", "{actor_id}", "*", "a b", "ä:ö", "a\\b", 'a"b', "x" * 1024, f"{WORKSPACE}:user:a"]
    people = [(workspace, provider, kind, actor) for workspace in (WORKSPACE, other)
              for provider in ("fake", "fake.a") for kind in ("user", "api_key") for actor in actors]
    keys = [entry_key(whose) for whose in people]
    assert len(set(keys)) == len(people)
    for number, whose in enumerate(people):
        sidecar.store(whose, f"token {number}")
    wait_acknowledged(sidecar)
    for number, whose in enumerate(people):
        assert read(sidecar, whose) == f"token {number}"
    for number, whose in enumerate(people):
        assert fill(sidecar, client, whose) == f"token {number}"
        assert client.get(entry_key(whose)), whose
    before = hits(sidecar)
    for number, whose in enumerate(people):
        assert read(sidecar, whose) == f"token {number}"
    assert hits(sidecar) == before + len(people)
    # A change drops its own and no other.
    changed = people[::7]
    for whose in changed:
        sidecar.store(whose, "changed")
    wait_acknowledged(sidecar)
    gone = [whose for whose in people if client.get(entry_key(whose)) is None]
    assert gone == changed
    # One whose provider could not be in a path: dropped by its key all the same.
    odd = (WORKSPACE, "fake:a%", "user", "b")
    client.set(entry_key(odd), "x")
    with sidecar.cluster.connect(sidecar.db, autocommit=True) as connection:
        connection.execute("INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id,"
                           " encrypted_access_token) VALUES (%s, %s, %s, %s, 'x')", odd)
    wait_acknowledged(sidecar)
    assert client.get(entry_key(odd)) is None and "fake%3Aa%25" in entry_key(odd)


def test_two_identities_of_one_key(make_cached, redis, client):  # C7
    """A template that makes one key of them: each reads its own all the same."""
    template = "odd:{provider}{actor_id}{workspace_id}{actor_type}"
    sidecar = make_cached(redis, {"a": PROVIDER, "ab": PROVIDER}, OAUTH_CACHE_KEY_TEMPLATE=template)
    one, two = (WORKSPACE, "a", "user", "bc"), (WORKSPACE, "ab", "user", "c")
    assert entry_key(one, template) == entry_key(two, template)
    sidecar.store(one, "of one")
    sidecar.store(two, "of two")
    for _ in range(10):
        assert read(sidecar, one) == "of one"
        assert read(sidecar, two) == "of two"
    # The last read's fill may still be under way, after the answer.
    wait_until(lambda: is_trusted(client, one, template) != is_trusted(client, two, template), 5, what="the last fill")
    sidecar.store(one, "of one, newer")
    wait_acknowledged(sidecar)
    for _ in range(3):
        assert read(sidecar, two) == "of two"
        assert read(sidecar, one) == "of one, newer"


def test_a_prefix_of_ones_own(make_cached, redis, client):
    sidecar, whose = make_cached(redis, OAUTH_CACHE_PREFIX="other-app:x_1"), someone()
    sidecar.store(whose, "token")
    fill(sidecar, client, whose, prefix="other-app:x_1")
    assert epoch(client, "other-app:x_1")[1] == "ready"
    own = {key for key in client.scan_iter() if not key.startswith("oauth:token:")}
    assert own and all(key.startswith("other-app:x_1:") for key in own), own


def test_what_is_not_ours_stays(make_cached, redis, client):
    """A new epoch drops our keys and nobody else's: that Redis is shared."""
    strange = ["oauth", "oauth:cache", "oauth:caches:meta:x", "oauth:tokens:a", "xoauth:token:a:b:c:d", "session:1",
               "OAUTH:TOKEN:A:B:C:D", f"{PREFIX}", "oauth:token"]
    client.mset(dict.fromkeys(strange, "theirs"))
    client.mset({"oauth:token:fake:w:user:left": "old", f"{PREFIX}:meta:oauth:token:fake:w:user:left": "old",
                 f"{PREFIX}:lease:oauth:token:fake:w:user:left": "old"})
    sidecar = make_cached(redis)
    assert client.mget(strange) == ["theirs"] * len(strange)
    left = set(client.scan_iter()) - {*strange, f"{PREFIX}:drainer"}  # which is there for 2 s
    assert left == {f"{PREFIX}:live", f"{PREFIX}:epoch"}
    sidecar.sql("TRUNCATE oauth_tokens")
    wait_acknowledged(sidecar)
    assert client.mget(strange) == ["theirs"] * len(strange)


# The Python service's class (C16, C17)


class OAuthTokenCache:
    """As the Python service has it: it fills without a lease, and knows of no entry_metadata."""

    def __init__(self, redis):
        self.redis = redis

    def _key(self, workspace_id, provider, actor_id):
        return f"oauth:token:{provider}:{workspace_id}:{actor_id}"

    def get(self, workspace_id, provider, actor_id):
        cached = self.redis.get(self._key(workspace_id, provider, actor_id))
        if not cached:
            return None
        token = json.loads(cached)
        if token["expires_at"]:
            token["expires_at"] = datetime.fromisoformat(token["expires_at"])
        return token

    def set(self, workspace_id, provider, actor_id, access_token, refresh_token=None, expires_at=None, scope=None):
        ttl = int((expires_at - datetime.now(timezone.utc)).total_seconds()) - 30 if expires_at else 300
        self.redis.setex(self._key(workspace_id, provider, actor_id), ttl, json.dumps({
            "access_token": access_token, "refresh_token": refresh_token,
            "expires_at": expires_at.isoformat() if expires_at else None, "scope": scope}))

    def delete(self, workspace_id, provider, actor_id):
        self.redis.delete(self._key(workspace_id, provider, actor_id))


@pytest.fixture
def shared(make_cached, redis, client):
    """A sidecar, and the Python service's class beside it; each by the identity."""
    sidecar = make_cached(redis, OAUTH_CACHE_KEY_TEMPLATE=PYTHON_TEMPLATE)
    python = OAuthTokenCache(client)

    class Shared:
        def fill(self, whose):
            return fill(sidecar, client, whose, template=PYTHON_TEMPLATE)

        def get(self, whose):
            return python.get(*whose[:2], whose[3])

        def set(self, whose, *token, **more):
            python.set(*whose[:2], whose[3], *token, **more)

        def delete(self, whose):
            python.delete(*whose[:2], whose[3])

    shared = Shared()
    shared.sidecar = sidecar
    return shared


def test_the_python_service_reads_ours(shared):  # C16
    sidecar, whose = shared.sidecar, someone()
    at = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
    sidecar.store(whose, "token", expires_at=at, scopes="openid")
    shared.fill(whose)
    assert shared.get(whose) == {"access_token": "token", "refresh_token": None, "expires_at": at, "scope": "openid"}
    sidecar.store(whose, "newer")
    wait_acknowledged(sidecar)
    assert shared.get(whose) is None
    assert shared.fill(whose) == "newer" == shared.get(whose)["access_token"]
    # It may drop what it likes.
    shared.delete(whose)
    assert read(sidecar, whose) == "newer"


def test_a_late_write_of_the_python_service(shared, client):  # C16
    """Read by itself, never by us, and overwritten by our next fill."""
    sidecar, whose = shared.sidecar, someone()
    for number in range(10):
        sidecar.store(whose, f"token {number}")
        wait_acknowledged(sidecar)
        if number % 2:
            assert shared.fill(whose) == f"token {number}"
        shared.set(whose, f"late {number}", "its refresh token", scope="openid")
        assert shared.get(whose)["access_token"] == f"late {number}"
        assert read(sidecar, whose) == f"token {number}"
        assert shared.fill(whose) == f"token {number}"
        assert shared.get(whose)["access_token"] == f"token {number}"
    # A change drops what it wrote, even where we have never filled.
    whose = someone()
    shared.set(whose, "before there was one")
    assert sidecar.api("token", whose).status == 404
    sidecar.store(whose, "stored")
    wait_acknowledged(sidecar)
    assert shared.get(whose) is None
    shared.set(whose, "late")
    assert sidecar.api("token", whose, method="DELETE").json["deleted"]
    wait_acknowledged(sidecar)
    assert shared.get(whose) is None and sidecar.api("token", whose).status == 404
    shared.set(whose, "later still")
    assert sidecar.api("token", whose).status == 404


def test_a_user_and_an_api_key_of_one_id(shared, client):  # C17
    """Without {actor_type} in the template API keys are not cached, and nobody reads the other's."""
    sidecar, user = shared.sidecar, someone()
    key = (*user[:2], "api_key", user[3])
    assert entry_key(user, PYTHON_TEMPLATE) == entry_key(key, PYTHON_TEMPLATE)
    sidecar.store(key, "of the API key")
    wait_acknowledged(sidecar)
    for _ in range(3):
        assert read(sidecar, key) == "of the API key"
        assert sidecar.api("token", user).status == 404
    assert shared.get(user) is None
    sidecar.store(user, "of the user")
    wait_acknowledged(sidecar)
    bypasses = count(sidecar, "cache_reads_total", result="bypass")
    for _ in range(5):
        assert shared.fill(user) == "of the user" == shared.get(user)["access_token"]
        assert read(sidecar, key) == "of the API key"
    assert count(sidecar, "cache_reads_total", result="bypass") == bypasses + 5
    assert client.keys("*lease*") == []
    # A change of the API key may drop the user's entry, but brings nothing into it.
    sidecar.store(key, "of the API key, newer")
    wait_acknowledged(sidecar)
    assert (shared.get(user) or {"access_token": "of the user"})["access_token"] == "of the user"
    assert read(sidecar, key) == "of the API key, newer" and read(sidecar, user) == "of the user"


def test_swapped_labels(make_cached, redis, client):  # E24
    """Labels of the enum change what rows mean and touch none: what was cached under the old ones is void."""
    sidecar, user = make_cached(redis), someone()
    key = (*user[:2], "api_key", user[3])
    store_and_fill(sidecar, client, user, "was the user's")
    store_and_fill(sidecar, client, key, "was the API key's")
    for old, new in (("user", "spare"), ("api_key", "user"), ("spare", "api_key")):
        sidecar.sql(f"ALTER TYPE actor_type_enum RENAME VALUE '{old}' TO '{new}'")
    wait_until(lambda: read(sidecar, user) == "was the API key's", what="the old entry to go")
    for _ in range(20):
        assert read(sidecar, user) == "was the API key's" and read(sidecar, key) == "was the user's"
    wait_cache(sidecar)


@pytest.mark.parametrize("template", [
    "oauth:token:{provider}:{workspace_id}:{actor_type}", "oauth:token:{provider}:{actor_id}",
    "oauth:token:{workspace_id}:{actor_id}", "{provider}:{workspace_id}:{actor_id}", "t:{provider}{workspace_id}{id}",
    "oauth:cache:live:{provider}:{workspace_id}:{actor_id}"])
def test_a_template_that_cannot_be(make_sidecar, redis, template):  # C17
    sidecar = make_sidecar(PROVIDERS, start=False,
                           settings={"REDIS_URL": redis.url, "OAUTH_CACHE_KEY_TEMPLATE": template})
    done = sidecar.run()
    assert done.returncode != 0 and "OAUTH_CACHE_" in done.stderr + done.stdout


def test_a_template_without_refresh_tokens(make_sidecar, module_redis):
    """The Python service would read an entry as a grant without a refresh token, and store it so."""
    sidecar = make_sidecar(PROVIDERS, start=False, settings={
        "REDIS_URL": module_redis().url, "OAUTH_CACHE_KEY_TEMPLATE": PYTHON_TEMPLATE})
    done = sidecar.run("--check")
    warned = [line for line in done.stdout.splitlines() if "OAUTH_CACHE_REFRESH_TOKEN=on" in line]
    assert done.returncode == 0 and len(warned) == 1 and warned[0].startswith("warning"), done
    sidecar.start()
    assert [line["level"] for line in sidecar.log_lines() if "OAUTH_CACHE_REFRESH_TOKEN=on" in line["message"]] == ["warning"]
    sidecar.stop()
    sidecar.settings["OAUTH_CACHE_REFRESH_TOKEN"] = "on"
    assert "OAUTH_CACHE_REFRESH_TOKEN" not in sidecar.run("--check").stdout
