"""Fixtures; what they make is in support/.

`cluster`, `sidecar`, `fake` and `redis` are what most tests want. A file that wants one otherwise
defines it again by a line of `module_cluster`, `module_sidecar` and so on, whose arguments say what
differs.
"""

import pytest

from support.cached import PROVIDERS, wait_cache
from support.certificates import Authority
from support.fake_provider import FakeProvider
from support.harness import DATABASE, Cluster, all_of, new_directory
from support.openid import LIFE, Chromium, OpenIDProvider
from support.redis_server import RedisServer
from support.sidecar import Application, Sidecar
from support.tokens import set_ring


# PostgreSQL


def _cluster(*args, start=True, ring=None, database=None, **kwargs):
    """Takes Cluster's arguments. The keys of `ring` are in a file, for set_ring(); `database` gets
    the extension."""
    made = Cluster(*args, **(kwargs if ring is None else {"key": None} | kwargs))
    made.ring = ring
    if ring is not None:
        set_ring(made, *ring)
    if start:
        made.start()
    if database is not None:
        made.fresh_database(database)
    return made


@pytest.fixture
def make_cluster():
    """Makes and starts servers for one test, as _cluster() says."""
    yield from all_of(_cluster, Cluster.remove)


@pytest.fixture(scope="module")
def module_cluster():
    """The same for a module; for its own fixtures to build on."""
    yield from all_of(_cluster, Cluster.remove)


@pytest.fixture(scope="module")
def cluster(module_cluster):
    """A server of this module's own: preloaded, the key in its environment, and
    the extension installed and migrated in database `app`."""
    return module_cluster(database=DATABASE)


@pytest.fixture
def db(cluster):
    """The same with the keys that it had at first, and an empty database."""
    if cluster.ring is not None:
        set_ring(cluster, *cluster.ring)
    cluster.fresh_database(DATABASE)
    return cluster


# The daemon


@pytest.fixture(scope="session")
def flow_cluster():
    """A server for databases of sidecars, one that nobody stops."""
    server = Cluster(settings={"max_connections": "200"}).start()
    yield server
    server.remove()


def _sidecars(flow_cluster):
    databases = set()

    def make(providers=None, start=True, cluster=None, db=None, **kwargs):
        made = Sidecar(cluster or flow_cluster, providers, db=db, **kwargs)
        if made.cluster is flow_cluster and db is None:
            databases.add(made.db)
        return made.start() if start else made

    yield from all_of(make, Sidecar.end)
    for name in databases:
        flow_cluster.rows(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', db="postgres")


@pytest.fixture
def make_sidecar(flow_cluster):
    """Makes and starts sidecars for one test; takes Sidecar's arguments but the cluster, which
    may be given, and start=False."""
    yield from _sidecars(flow_cluster)


@pytest.fixture(scope="module")
def module_sidecar(flow_cluster):
    """The same for a module; for its own fixtures to build on."""
    yield from _sidecars(flow_cluster)


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    """The daemon of this module, with one provider."""
    return module_sidecar({"fake": fake.settings()})


# Providers, browsers and applications


@pytest.fixture
def make_provider():
    """Makes scripted providers for one test."""
    yield from all_of(FakeProvider, FakeProvider.close)


@pytest.fixture(scope="module")
def module_provider():
    """The same for a module."""
    yield from all_of(FakeProvider, FakeProvider.close)


@pytest.fixture(scope="module")
def fake(module_provider):
    """The scripted provider of this module; each test finds it honest."""
    return module_provider()


@pytest.fixture(autouse=True)
def honest(request):
    """What one test scripted is forgotten in the next."""
    if "fake" in request.fixturenames:
        request.getfixturevalue("fake").reset()


@pytest.fixture(scope="module")
def make_openid():
    """Makes real OpenID providers."""
    yield from all_of(OpenIDProvider, OpenIDProvider.close)


@pytest.fixture(scope="module")
def openid(make_openid):
    """A real one, which accepts a rotated refresh token once."""
    return make_openid(auto_login="somebody", access_token_ttl=LIFE)


@pytest.fixture(scope="module")
def graceful(make_openid):
    """One whose rotated refresh tokens still work for a minute."""
    return make_openid(auto_login="somebody", access_token_ttl=LIFE, rotation_grace=60)


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


# The cache


def _redis(*args, start=True, **kwargs):
    made = RedisServer(*args, **kwargs)
    return made.start() if start else made


@pytest.fixture
def make_redis():
    """Makes and starts Redis servers for one test; takes RedisServer's arguments, and start=False."""
    yield from all_of(_redis, RedisServer.kill)


@pytest.fixture(scope="module")
def module_redis():
    """The same for a module; for its own fixtures to build on."""
    yield from all_of(_redis, RedisServer.kill)


@pytest.fixture
def redis(make_redis):
    """The Redis of this test."""
    return make_redis()


@pytest.fixture
def client(redis):
    """A client of `redis`."""
    with redis.client as one:
        yield one


def _cached(make_sidecar):
    def make(redis, providers=PROVIDERS, cluster=None, db=None, **settings):
        made = make_sidecar(providers, cluster=cluster, db=db, settings={"REDIS_URL": redis.url} | settings)
        wait_cache(made)
        return made

    return make


@pytest.fixture
def make_cached(make_sidecar):
    """Makes sidecars whose cache is in use, for one test. It takes the Redis, Sidecar's `providers`,
    `cluster` and `db`, and settings as named arguments."""
    return _cached(make_sidecar)


@pytest.fixture(scope="module")
def module_cached(module_sidecar):
    """The same for a module; for its own fixtures to build on."""
    return _cached(module_sidecar)
