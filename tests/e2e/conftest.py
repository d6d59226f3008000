"""Fixtures: see harness.py."""

import pytest

from harness import DATABASE, Cluster


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
