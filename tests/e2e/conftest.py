"""Fixtures; what they make is in support/."""

import pytest

from support.certificates import Authority
from support.fake_provider import FakeProvider
from support.harness import DATABASE, Cluster, new_directory
from support.openid import Chromium, OpenIDProvider
from support.redis_server import RedisServer
from support.sidecar import Application, Sidecar


@pytest.fixture(scope="module")
def cluster():
    """A server of this module's own: preloaded, the key in its environment, and
    the extension installed and migrated in database `app`."""
    with_extension = Cluster().start()
    with_extension.fresh_database(DATABASE)
    yield with_extension
    with_extension.remove()


def _clusters():
    made = []

    def make(*args, start=True, **kwargs):
        made.append(Cluster(*args, **kwargs))
        return made[-1].start() if start else made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def make_cluster():
    """Makes and starts servers for one test; takes Cluster's arguments, and
    start=False for one that is not to be started."""
    yield from _clusters()


@pytest.fixture(scope="module")
def module_cluster():
    """The same for a module; for its own fixtures to build on."""
    yield from _clusters()


@pytest.fixture(scope="session")
def flow_cluster():
    """A server for databases of sidecars, one that nobody stops."""
    server = Cluster(settings={"max_connections": "200"}).start()
    yield server
    server.remove()


def _sidecars(flow_cluster):
    made = []

    def make(providers=None, start=True, cluster=None, **kwargs):
        made.append(Sidecar(cluster or flow_cluster, providers, **kwargs))
        return made[-1].start() if start else made[-1]

    yield make
    for daemon in made:
        daemon.end()


@pytest.fixture
def make_sidecar(flow_cluster):
    """Makes and starts sidecars for one test; takes Sidecar's arguments but the cluster, which
    may be given, and start=False."""
    yield from _sidecars(flow_cluster)


@pytest.fixture(scope="module")
def module_sidecar(flow_cluster):
    """The same for a module; for its own fixtures to build on."""
    yield from _sidecars(flow_cluster)


def _closing(make):
    made = []

    def one(*args, **kwargs):
        made.append(make(*args, **kwargs))
        return made[-1]

    yield one
    for thing in made:
        thing.close()


@pytest.fixture
def make_provider():
    """Makes scripted providers for one test."""
    yield from _closing(FakeProvider)


@pytest.fixture(scope="module")
def module_provider():
    """The same for a module."""
    yield from _closing(FakeProvider)


@pytest.fixture(scope="module")
def make_openid():
    """Makes real OpenID providers."""
    yield from _closing(OpenIDProvider)


@pytest.fixture(scope="session")
def chromium():
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def authority():
    """A certificate authority of our own."""
    return Authority(new_directory("ca"))


@pytest.fixture(scope="module")
def application():
    """The application that browsers return to."""
    server = Application()
    yield server
    server.close()


def _redises():
    made = []

    def make(*args, start=True, **kwargs):
        made.append(RedisServer(*args, **kwargs))
        return made[-1].start() if start else made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def make_redis():
    """Makes and starts Redis servers for one test; takes RedisServer's arguments, and start=False."""
    yield from _redises()


@pytest.fixture(scope="module")
def module_redis():
    """The same for a module; for its own fixtures to build on."""
    yield from _redises()
