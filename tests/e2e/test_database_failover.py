"""The primary is another server than before: the daemon finds it, however the old one went (C20)."""

import contextlib
import os
import signal
import threading

import pytest
from support.cached import PROVIDERS
from support.forward import Forward
from support.harness import _children, wait_until
from support.sidecar import prepare_database, someone

TCP = {"listen_addresses": "127.0.0.1", "max_connections": "100"}


class Pair:
    """A primary and its standby, both reached by TCP."""

    def __init__(self, make_cluster):
        self.primary = make_cluster(settings=TCP)
        prepare_database(self.primary, "app")
        self.standby = self.primary.standby()
        self.stopped = []

    def stop_primary(self):
        """Its sockets go on to accept, and nothing answers."""
        for pid in [self.primary.pid, *_children(self.primary.pid)]:
            os.kill(pid, signal.SIGSTOP)
            self.stopped.append(pid)

    def promote(self):
        self.standby.promote()
        wait_until(lambda: not self.standby.value("SELECT pg_is_in_recovery()"), what="the promotion")

    def url(self, hosts=None, **parameters):
        hosts = hosts or f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://sidecar@{hosts}/app?" + "&".join(f"{k}={v}" for k, v in parameters.items())

    def end(self):
        for pid in self.stopped:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        self.standby.remove()


@pytest.fixture
def pair(make_cluster):
    both = Pair(make_cluster)
    yield both
    both.end()


def make(make_sidecar, pair, url, **kwargs):
    return make_sidecar(PROVIDERS, cluster=pair.primary, db="app", settings={"DATABASE_URL": url}, **kwargs)


def link(sidecar):
    """Something that writes: a link for the browser."""
    return sidecar.api("authorize", someone()).status


def in_use(sidecar, count=4):
    """Opens several sessions, and leaves them idle."""
    threads = [threading.Thread(target=sidecar.api, args=["status", someone()]) for _ in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


@pytest.mark.parametrize("parameters", [
    {"target_session_attrs": "read-write"},
    {"target_session_attrs": "primary", "connect_timeout": "2"},
    {"target_session_attrs": "prefer-standby"},
])
def test_a_silent_primary(make_sidecar, pair, parameters):  # C20
    """Its processes are stopped, its socket accepts: sessions that hang, and attempts that would."""
    sidecar = make(make_sidecar, pair, pair.url(target_session_attrs="read-write"))
    in_use(sidecar)
    pair.stop_primary()
    pair.promote()
    wait_until(lambda: link(sidecar) == 200, 60, what="the other server")
    sidecar.wait_ready(60)
    # And so does one that begins now, with this or that in its URL.
    sidecar.stop()
    sidecar.settings["DATABASE_URL"] = pair.url(**parameters)
    checked = sidecar.run("--check", timeout=60)
    assert checked.returncode == 0, checked
    sidecar.start(timeout=60)
    assert link(sidecar) == 200


def test_each_address_of_a_name(make_sidecar, pair):  # C20
    """A list of addresses, the first of which is silent."""
    pair.stop_primary()
    pair.promote()
    url = (f"host=localhost,localhost hostaddr=127.0.0.1,127.0.0.1 port={pair.primary.port},{pair.standby.port}"
           " user=sidecar dbname=app target_session_attrs=read-write")
    sidecar = make(make_sidecar, pair, url, start=False).start(timeout=60)
    assert link(sidecar) == 200


def test_a_name(make_sidecar, pair):  # C20
    """It is looked up, and each of its addresses tried: nothing listens at ::1, which may come first."""
    sidecar = make(make_sidecar, pair, pair.url(f"localhost:{pair.primary.port}"))
    assert link(sidecar) == 200


@pytest.fixture
def forward(pair):
    one = Forward(pair.primary.port)
    yield one
    one.close()


def test_sessions_that_are_read_only(make_sidecar, pair, forward):  # C20
    """Behind one address: it led to the standby for a while, and sessions stay where they are."""
    forward.target = pair.standby.port
    sidecar = make(make_sidecar, pair, pair.url(f"127.0.0.1:{forward.port}"), start=False)
    sidecar.start(ready=False)
    sidecar.wait_ready(ready=False)
    assert link(sidecar) == 503
    in_use(sidecar)
    forward.target = pair.primary.port  # for new connections
    wait_until(lambda: link(sidecar) == 200, 20, what="sessions on the primary")
    sidecar.wait_ready()
    assert all(link(sidecar) == 200 for _ in range(20))
    # Also once it runs, and nobody but the probe asks.
    forward.move(pair.standby.port, keep_connections=False)
    sidecar.wait_ready(ready=False)
    forward.target = pair.primary.port
    sidecar.wait_ready()
    assert all(link(sidecar) == 200 for _ in range(20))


@pytest.mark.parametrize("path", ["/readyz", "/oauth/fake/authorize?ticket=" + "A" * 43])
def test_anybody_asks_a_read_only_server(make_sidecar, pair, forward, path):  # C20
    """Sessions are given up now and then, and not by each request of whoever comes."""
    forward.target = pair.standby.port
    sidecar = make(make_sidecar, pair, pair.url(f"127.0.0.1:{forward.port}"), start=False)
    sidecar.start(ready=False)
    sidecar.wait_ready(ready=False)
    before = len(forward.pairs)
    replies = [sidecar.get(path).status for _ in range(100)]
    assert set(replies) == {503}
    assert len(forward.pairs) - before < 50
    # And they go on with what a standby can do.
    assert sidecar.api("status", someone()).status == 200
    forward.target = pair.primary.port
    sidecar.wait_ready()


def test_sessions_that_hang(make_sidecar, pair, forward):  # C20
    """Behind one address: the old server is silent, and new connections lead to the new one."""
    sidecar = make(make_sidecar, pair, pair.url(f"127.0.0.1:{forward.port}"))
    in_use(sidecar, 6)
    pair.stop_primary()
    pair.promote()
    forward.target = pair.standby.port
    wait_until(lambda: link(sidecar) == 200, 60, what="the new server")
    # One that hung took the others with it, which would have kept each its own caller waiting.
    assert all(link(sidecar) == 200 for _ in range(20))
    sidecar.wait_ready()
