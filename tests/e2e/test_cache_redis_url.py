"""Where Redis is, and what it is: every form of REDIS_URL, and servers that cannot serve."""

import contextlib

import pytest
import redis
from support.cached import (PROVIDERS, Watch, cache_state, epoch, fill, read, store_and_fill, wait_cache,
                            wait_acknowledged, wait_dropped)
from cryptography import x509
from support.harness import free_port, wait_until
from support.sidecar import someone

# What the sidecar needs of Redis, and no more.
RIGHTS = ("~oauth:* -@all +get +mget +set +del +unlink +scan +eval +time +info +ping +select"
          " +client|setname")


@pytest.fixture
def cached(make_sidecar):
    def make(url, **settings):
        return make_sidecar(PROVIDERS, settings={"REDIS_URL": url} | settings)

    return make


def works(sidecar, client):
    wait_cache(sidecar)
    whose = someone()
    store_and_fill(sidecar, client, whose, "token")
    sidecar.store(whose, "newer")
    wait_dropped(client, whose)
    assert read(sidecar, whose) == "newer" == fill(sidecar, client, whose)


def is_down(sidecar, why):
    """It says why, once, and serves from the database."""
    sidecar.wait_log(why)
    assert cache_state(sidecar) == "down"
    whose = someone()
    sidecar.store(whose, "token")
    for _ in range(3):
        assert read(sidecar, whose) == "token"
    lines = [line for line in sidecar.log_lines() if line["message"] == "Redis not reachable"]
    assert len(lines) == 1, lines
    assert cache_state(sidecar) == "down"


def test_the_socket(cached, make_redis):
    redis = make_redis(settings={"port": 0})
    with redis.client as client:
        works(cached(f"unix://{redis.socket}"), client)


def test_a_database_number(cached, make_redis):
    redis = make_redis(login={"db": 3})
    for url in (f"redis://localhost:{redis.port}/3", f"unix://{redis.socket}?db=3"):
        with redis.client as client:
            sidecar = cached(url)
            works(sidecar, client)
            client.select(0)
            assert client.dbsize() == 0
            client.select(3)
            sidecar.stop()
            client.flushall()


def test_a_user_with_no_more_rights_than_needed(cached, make_redis):
    """A password with every character that has to be encoded."""
    password = "p@ss:w/o?r#d%1"
    redis = make_redis(
        settings={"user": [f"sidecar on >{password} {RIGHTS}", "tests on >t ~* &* +@all", "default off"]},
        login={"username": "tests", "password": "t"})
    encoded = "".join(f"%{ord(c):02X}" if not c.isalnum() else c for c in password)
    with redis.client as client:
        sidecar = cached(f"redis://sidecar:{encoded}@127.0.0.1:{redis.port}/0")
        works(sidecar, client)
        refused = {one["object"]: one["reason"] for one in client.acl_log() if one["username"] == "sidecar"}
        assert set(refused) <= {"config|get"}, refused
        sidecar.sql("TRUNCATE oauth_tokens")
        wait_acknowledged(sidecar)
        works(sidecar, client)
        sidecar.stop()
        assert password not in sidecar.log() and encoded not in sidecar.log()
        sidecar = cached(f"redis://sidecar:wrong-passw0rd@127.0.0.1:{redis.port}")
        is_down(sidecar, "WRONGPASS")
        assert "wrong-passw0rd" not in sidecar.log()
        sidecar = cached(f"redis://127.0.0.1:{redis.port}")
        is_down(sidecar, "NOAUTH|NOPERM")


def test_tls(cached, make_redis, authority):
    certificate, key = authority.issue("redis")
    port = free_port()
    redis = make_redis(settings={
        "port": 0, "tls-port": port, "tls-cert-file": certificate, "tls-key-file": key,
        "tls-ca-cert-file": authority.ca, "tls-auth-clients": "no"})
    with redis.client as client:
        sidecar = cached(f"rediss://localhost:{port}", OAUTH_CA_FILE=authority.ca)
        works(sidecar, client)
        redis.restart()
        works(sidecar, client)
        sidecar.stop()
        client.flushall()
        # Somebody else's certificate, or one for another host, or no TLS.
        is_down(cached(f"rediss://localhost:{port}"), "TLS|certificate")
        is_down(cached(f"redis://localhost:{port}"), "Redis not reachable")
        assert client.dbsize() == 0


def test_tls_of_another_host(cached, make_redis, authority):
    certificate, key = authority.issue("other", hosts=[x509.DNSName("redis.example")])
    port = free_port()
    redis = make_redis(settings={
        "port": 0, "tls-port": port, "tls-cert-file": certificate, "tls-key-file": key,
        "tls-ca-cert-file": authority.ca, "tls-auth-clients": "no"})
    is_down(cached(f"rediss://localhost:{port}", OAUTH_CA_FILE=authority.ca), "TLS|certificate")
    with redis.client as client:
        assert client.dbsize() == 0


def test_a_cluster(cached, make_redis):
    redis = make_redis(settings={"cluster-enabled": "yes", "cluster-port": free_port()})
    sidecar = cached(redis.url)
    is_down(sidecar, "Redis Cluster")
    done = sidecar.run("--check")
    assert "Redis Cluster" in done.stdout and done.returncode == 0, done


def test_a_sentinel_without_a_name(cached, make_redis):
    is_down(cached(make_redis(sentinel=True).url), "add ?.master=NAME")


@pytest.mark.parametrize("url", [
    "http://localhost", "redis://", "localhost:6379", "redis://localhost:0", "redis://localhost/x",
    "redis://a,b", "redis://u:p@w@localhost", "redis://localhost?db=1&db=2", "unix://", "unix://host/path",
    "redis://u:p4ssw0rd#x@localhost"])
def test_what_is_no_url(make_sidecar, url):
    sidecar = make_sidecar(PROVIDERS, start=False, settings={"REDIS_URL": url})
    done = sidecar.run()
    assert done.returncode != 0 and "REDIS_URL" in done.stdout + done.stderr
    assert "p4ssw0rd" not in done.stdout + done.stderr


# Replicas and failovers


def test_a_replica_counts_as_down(cached, make_redis):
    primary = make_redis()
    replica = make_redis(settings={"replicaof": f"127.0.0.1 {primary.port}", "repl-diskless-sync-delay": "0"})
    sidecar = cached(replica.url)
    is_down(sidecar, "is a replica")
    with replica.client as client:
        client.replicaof("NO", "ONE")
        works(sidecar, client)


def test_a_primary_becomes_a_replica(cached, make_redis):
    """What it answers to writes then counts as down, too; and it comes back with old values."""
    other, redis = make_redis(), make_redis()
    sidecar, whose = cached(redis.url), someone()
    wait_cache(sidecar)
    with redis.client as client:
        store_and_fill(sidecar, client, whose, "first")

        def look():
            return sidecar.api("token", whose).json["access_token"]

        with Watch(look, "first") as watch:
            client.replicaof("127.0.0.1", other.port)
            # Its connections may stay.
            wait_until(lambda: cache_state(sidecar) != "ok", what="the cache to be left alone")
            watch.change(sidecar, whose, "second")
            wait_until(lambda: read(sidecar, whose) == "second", 10, what="the new token")
            client.replicaof("NO", "ONE")
            wait_cache(sidecar)
            wait_until(lambda: fill(sidecar, client, whose) == "second", what="the new token")
        works(sidecar, client)


@pytest.mark.parametrize("how", ["failover", "death"])
def test_sentinels(cached, make_redis, how):
    """The primary that they name; another after a failover, without what it knew."""
    first = make_redis()
    second = make_redis(settings={"replicaof": f"127.0.0.1 {first.port}", "repl-diskless-sync-delay": "0"})
    sentinel = make_redis(sentinel=True, settings={"sentinel": [
        f"monitor the-one 127.0.0.1 {first.port} 1", "down-after-milliseconds the-one 500",
        "failover-timeout the-one 5000"]})
    with first.client as old, second.client as new, sentinel.client as oracle:
        wait_until(lambda: oracle.sentinel_master("the-one")["num-slaves"] == 1, 30, what="the replica")
        # The first one named is not there: the next is asked.
        sidecar = cached(f"redis://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}?master=the-one")
        wait_cache(sidecar)
        whose = someone()
        store_and_fill(sidecar, old, whose, "first")
        before = epoch(old)

        def look():
            return sidecar.api("token", whose).json["access_token"]

        with Watch(look, "first") as watch:
            if how == "death":
                first.kill()
            else:
                oracle.execute_command("SENTINEL", "FAILOVER", "the-one")
            watch.change(sidecar, whose, "second")

            def is_primary():
                with contextlib.suppress(redis.exceptions.ConnectionError):  # it drops its clients
                    return new.info("replication")["role"] == "master"

            wait_until(is_primary, 30, what="the failover")
            wait_until(lambda: epoch(new)[0] != before[0] and epoch(new)[1:2] == ["ready"], 30, what="the epoch")
            wait_cache(sidecar)
            assert fill(sidecar, new, whose) == "second"
        works(sidecar, new)
