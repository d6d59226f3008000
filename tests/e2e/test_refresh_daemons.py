"""What goes wrong while daemons refresh a token (T2 to T12), before a provider that rotates
and ends a grant whose refresh token is used twice. The SQL functions by themselves are in
test_refresh_faults.py, what the API answers is in test_refresh.py."""

import asyncio
import json
import os
import signal
import threading
from urllib.parse import urlencode

import pytest
from support.boot_clock import BootClock
from support.cached import BOUND, fill, wait_cache
from support.harness import all_of, wait_until
from support.interrupting_proxy import InterruptingProxy
from support.openid import LIFE
from support.sidecar import API_TOKEN, Sidecar, is_sanitized, someone

ROTATION = {"openid": "strict", "graceful": "grace:60"}


class Site:
    """A database, the proxy before its provider, daemons, and accounts whose token has expired."""

    def __init__(self, cluster, openid, provider="openid", plan=()):
        self.cluster, self.openid, self.provider = cluster, openid, provider
        self.proxy = InterruptingProxy(openid.issuer, plan)
        self.daemons = []
        self.db = None

    def daemon(self, **settings):
        providers = {self.provider: self.openid.settings(
            rotation=ROTATION[self.provider], refresh_endpoint=self.proxy.url + "/token")}
        made = Sidecar(self.cluster, providers, db=self.db, settings=settings)
        self.db = made.db
        self.daemons.append(made)
        return made.start()

    def connect(self, expires_in=0):
        whose = someone(self.provider)
        grant = self.openid.grant(whose[3])
        self.daemons[0].store(whose, grant["access_token"], refresh_token=grant["refresh_token"],
                              expires_in=expires_in, details=json.dumps({"lifetime": LIFE}))
        self.asked, self.refused = self.openid.token_requests("refresh_token"), len(self.openid.errors())
        return whose

    def sql(self, statement, params=None):
        return self.cluster.rows(statement, params, db=self.db)

    def expire(self, whose):
        self.sql("UPDATE oauth_tokens SET access_token_expires_at = updated_at - interval '1 s' WHERE actor_id = %s", [whose[3]])

    def end_lease(self, ago="1 ms"):
        """Of the attempt that is under way, which began so long ago at least."""
        assert self.sql("UPDATE oauth_tokens_internal.refresh_attempts SET lease_until = clock_timestamp(),"
                        " began_at = least(began_at, now() - %s::interval) RETURNING 1", [ago])
        self.end_back_off()

    def end_back_off(self):
        self.sql("UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")

    def stored(self, whose):
        """(access token, refresh token), or None."""
        rows = self.sql("SELECT access_token, refresh_token FROM oauth_get(%s, %s, %s, %s)", whose)
        return rows[0] if rows else None

    def requests(self):
        """How many refreshes came to the provider since connect(), and what it has refused."""
        assert not [line for line in self.openid.lines if line.startswith("revoke")]  # T15
        return self.openid.token_requests("refresh_token") - self.asked, self.openid.errors()[self.refused:]

    def redeems(self, whose):
        return self.openid.redeems(self.stored(whose)[1])

    def close(self):
        for daemon in self.daemons:
            daemon.end()
        self.proxy.close()


@pytest.fixture
def make_site(flow_cluster):
    def make(openid, *args, cluster=flow_cluster, **kwargs):
        return Site(cluster, openid, *args, **kwargs)

    yield from all_of(make, Site.close)


class Reader:
    """GET …/token in a thread."""

    def __init__(self, daemon, whose, **parameters):
        self._thread = threading.Thread(target=self._run, args=(daemon, whose), kwargs=parameters, daemon=True)
        self._reply = None
        self._thread.start()

    def _run(self, daemon, whose, **parameters):
        try:
            self._reply = daemon.api("token", whose, **parameters)
        except OSError as error:  # the daemon was killed
            self._reply = error

    def reply(self):
        self._thread.join(60)
        assert not self._thread.is_alive(), "no answer"
        return self._reply

    def token(self):
        reply = self.reply()
        assert reply.status == 200, reply
        return reply.json["access_token"]


def spool(daemon):
    return [name for name in os.listdir(daemon.path / "spool") if name.endswith(".spool")]


# Many callers.


class Connection:
    """A caller that keeps its connection."""

    def __init__(self, daemon, whose):
        workspace_id, provider, actor_type, actor_id = whose
        query = urlencode({"workspace_id": workspace_id, "actor_type": actor_type, "actor_id": actor_id})
        self._target, self._writer = daemon.target("api"), None
        self._request = (f"GET /oauth/{provider}/token?{query} HTTP/1.1\r\nHost: localhost:{daemon.port}\r\n"
                         f"Authorization: Bearer {API_TOKEN}\r\n\r\n").encode()

    async def open(self):
        self._reader, self._writer = await asyncio.open_connection(*self._target)

    async def ask(self):
        self._writer.write(self._request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
        answer = json.loads(await self._reader.readexactly(length))
        return answer.get("access_token", head)

    def close(self):
        if self._writer:
            self._writer.close()


def test_exactly_one_refresh_for_each_expiry(make_site, openid):  # T2
    """Three daemons, 200 callers at each of them."""
    site = make_site(openid)
    daemons = [site.daemon() for _ in range(3)]
    whose = site.connect()
    seen = []

    async def storm():
        callers = [Connection(daemon, whose) for daemon in daemons for _ in range(200)]
        try:
            for caller in callers:
                await caller.open()
            for _ in range(20):
                site.expire(whose)
                tokens = set(await asyncio.gather(*[caller.ask() for caller in callers]))
                assert tokens == {site.stored(whose)[0]}
                seen.extend(tokens)
        finally:
            for caller in callers:
                caller.close()

    asyncio.run(asyncio.wait_for(storm(), 120))
    assert len(set(seen)) == 20
    assert site.requests() == (20, [])
    assert site.redeems(whose)


# A daemon that is stopped.


def test_a_daemon_that_sleeps_past_its_lease_stores_nothing(make_site, graceful):  # T3
    site = make_site(graceful, "graceful", ["hold_answer"])
    first, second = site.daemon(), site.daemon()
    whose = site.connect()
    reader = Reader(first, whose)
    site.proxy.wait_processed(1)
    first.send_signal(signal.SIGSTOP)
    site.end_lease()
    assert Reader(second, whose).token() == site.stored(whose)[0]
    stored = site.stored(whose)
    site.proxy.release()
    first.send_signal(signal.SIGCONT)
    assert reader.token() == stored[0]
    wait_until(lambda: not spool(first), what="the end of the first attempt")
    assert site.stored(whose) == stored
    assert site.requests() == (2, [])
    assert site.redeems(whose)


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer wants to be the first that is preloaded")
def test_a_daemon_that_sleeps_before_the_call_sends_nothing(make_site, openid):  # T11
    """It is stopped when the database has granted it the refresh, and does not know it yet."""
    clock = BootClock()
    site = make_site(openid)
    first, second = site.daemon(**clock.settings), site.daemon()
    whose = site.connect()
    with site.cluster.connect(site.db) as lock:
        lock.execute("SELECT 1 FROM oauth_tokens FOR UPDATE")
        reader = Reader(first, whose)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
        wait_until(lambda: site.sql(waiting, [site.db]) == [(1,)], what="the begin that waits")
        first.send_signal(signal.SIGSTOP)
    wait_until(lambda: site.sql("SELECT 1 FROM oauth_tokens_internal.refresh_attempts"), what="the grant")
    site.end_lease(ago="1 h")
    assert Reader(second, whose).token() == site.stored(whose)[0]
    clock.move_on(46)
    first.send_signal(signal.SIGCONT)
    assert reader.token() == site.stored(whose)[0]
    [line] = [line for line in first.log_lines() if line["message"] == "a refresh has ended"]
    assert (line["outcome"], line["reason"]) == ("not_sent", "the lease is nearly over")
    assert (site.proxy.arrived, site.requests()) == (["pass"], (1, []))
    assert site.redeems(whose)


# No answer.


@pytest.mark.parametrize("step", ["drop_answer", "cut_answer"])
def test_no_answer_of_a_strict_provider(make_site, openid, step):  # T12
    """The old token is served while it lives, and nobody asks again before two minutes are over."""
    site = make_site(openid, plan=[step])
    daemons = [site.daemon(), site.daemon()]
    whose = site.connect(expires_in=60)
    stored = site.stored(whose)
    for daemon in daemons * 2:
        assert Reader(daemon, whose, min_ttl=120).token() == stored[0]
        site.end_back_off()  # what holds them off is the doubt
    site.expire(whose)
    for daemon in daemons:
        assert Reader(daemon, whose).reply().status in (409, 503)
    assert (site.proxy.arrived, site.requests()) == ([step], (1, []))
    site.end_lease(ago="121 s")
    reply = Reader(daemons[0], whose).reply()
    assert (reply.status, reply.json["error"]) == (409, "reauthorization_required")
    assert site.requests() == (2, ["invalid_grant"])
    assert site.stored(whose) == stored


@pytest.mark.parametrize("step", ["drop_answer", "cut_answer"])
def test_no_answer_of_a_graceful_provider(make_site, graceful, step):  # T12
    site = make_site(graceful, "graceful", [step])
    daemon = site.daemon()
    whose = site.connect()
    assert Reader(daemon, whose).token() == site.stored(whose)[0]
    assert (site.proxy.arrived, site.requests()) == ([step, "pass"], (2, []))
    assert site.redeems(whose)


def test_a_daemon_that_is_killed_before_the_provider_hears_of_it(make_site, openid):
    site = make_site(openid, plan=["hold"])
    first, second = site.daemon(), site.daemon()
    whose = site.connect()
    reader = Reader(first, whose)
    site.proxy.wait_arrived(1)
    first.kill()
    reader.reply()
    site.end_lease()
    assert Reader(second, whose).reply().status in (409, 503)  # in doubt
    site.end_lease(ago="121 s")
    assert Reader(second, whose).token() == site.stored(whose)[0]
    assert site.requests() == (1, [])
    assert site.redeems(whose)


# Between answer and commit.


@pytest.fixture(scope="module")
def mortal(module_cluster):
    """A server that flushes no commit by itself."""
    return module_cluster(settings={
        "synchronous_commit": "off", "wal_writer_delay": "10s", "bgwriter_delay": "10s", "autovacuum": "off"})


@pytest.mark.parametrize("victims", ["server", "server and daemon"])
def test_death_between_answer_and_commit(make_site, openid, mortal, victims):  # T4
    site = make_site(openid, plan=["hold_answer"] * 2, cluster=mortal)
    daemon = site.daemon(OAUTH_PROVIDER_TIMEOUT_SECONDS=30)
    whose = site.connect()
    for count in range(1, 3):
        site.expire(whose)
        site.sql("CHECKPOINT")
        before = site.stored(whose)
        reader = Reader(daemon, whose)
        site.proxy.wait_processed(count)
        mortal.kill()
        site.proxy.release()
        wait_until(lambda: spool(daemon), what="the answer in the spool")
        if victims != "server":
            daemon.kill()
        mortal.start()
        if victims != "server":
            daemon.start()
        reader.reply()
        wait_until(lambda: site.stored(whose)[1] != before[1], 20, what="the new tokens")
        wait_until(lambda: not spool(daemon), what="the spool's end")
        after = site.stored(whose)
        mortal.kill()
        mortal.start()
        assert site.stored(whose) == after
        daemon.wait_ready()
    assert site.requests() == (2, [])
    assert site.redeems(whose)


def test_a_daemon_that_is_killed_while_it_commits(make_site, openid):  # T4
    """The one that is started next hands the answer in."""
    site = make_site(openid, plan=["hold_answer"])
    daemon = site.daemon()
    whose = site.connect()
    before = site.stored(whose)
    reader = Reader(daemon, whose)
    site.proxy.wait_processed(1)
    with site.cluster.connect(site.db) as lock:
        lock.execute("SELECT 1 FROM oauth_tokens FOR UPDATE")
        site.proxy.release()
        waiting = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
        ((commit,),) = wait_until(lambda: site.sql(waiting, [site.db]), what="the commit that waits")
        daemon.kill()
        site.sql("SELECT pg_terminate_backend(%s, 10000)", [commit])
        assert site.stored(whose) == before
        assert len(spool(daemon)) == 1
    reader.reply()
    daemon.start()
    wait_until(lambda: not spool(daemon), what="the spool's end")
    assert site.stored(whose)[1] != before[1]
    assert Reader(daemon, whose).token() == site.stored(whose)[0]
    assert site.requests() == (1, [])
    assert site.redeems(whose)


@pytest.mark.parametrize("kind", ["kill", "stop"])
def test_redis_goes_away_during_a_refresh(make_site, openid, make_redis, kind):
    """The refreshed token is answered and stored, and no reader sees the old one afterwards."""
    redis = make_redis()
    site = make_site(openid, plan=["hold_answer"])
    daemons = [site.daemon(REDIS_URL=redis.url) for _ in range(2)]
    for daemon in daemons:
        wait_cache(daemon)
    whose = site.connect(expires_in=LIFE)
    fill(daemons[1], redis.client, whose)
    reader = Reader(daemons[0], whose, force="true")
    site.proxy.wait_processed(1)
    redis.kill() if kind == "kill" else redis.send_signal(signal.SIGSTOP)
    site.proxy.release()
    token = reader.token()
    assert token == site.stored(whose)[0]
    redis.start() if kind == "kill" else redis.send_signal(signal.SIGCONT)
    for daemon in daemons:
        wait_until(lambda: Reader(daemon, whose).token() == token, BOUND, what="the new token")
        wait_cache(daemon)
    assert {Reader(daemon, whose).token() for daemon in daemons * 3} == {token}
    assert site.requests() == (1, [])
