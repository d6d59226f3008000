"""A task of the daemon that ends by an exception which nobody expected ends the process, and says
so (C21). The daemon here is built so that the task which FAILING_TASK names fails when it begins. All tasks but the "late answer", for which no request
takes long enough here; tests/unit/base/task_test.cpp has what they share."""

import contextlib
import os
import pathlib
import subprocess

import psycopg
import pytest
from support import sidecar as sidecar_module
from support.cached import PROVIDERS
from support.harness import CHECKOUT
from support.sidecar import someone


@pytest.fixture(scope="module")
def failing_binary():
    if "WEAKENED_BINARY" in os.environ:
        return pathlib.Path(os.environ["WEAKENED_BINARY"])
    built = subprocess.run([CHECKOUT / "scripts/weakened"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(built.stdout.strip())


@pytest.fixture
def failing(make_sidecar, failing_binary, monkeypatch):
    """Starts a daemon with a task that fails."""
    monkeypatch.setattr(sidecar_module, "binary", lambda: failing_binary)

    def make(task, start=True, **settings):
        one = make_sidecar(PROVIDERS, start=False, settings=settings | {"FAILING_TASK": task})
        return one.start(ready=False) if start else one

    return make


def ended(sidecar, task):
    """Whether it ended by that task, with a word and a status that say so."""
    status = sidecar.process.wait(20)
    last = sidecar.log_lines()[-1]
    return (status, last["level"], last["task"], last["reason"]) == (1, "error", task, "a failure for the tests")


def knock(call, *args, **parameters):
    with contextlib.suppress(OSError, AssertionError):
        call(*args, **parameters)


@pytest.mark.parametrize("task", ["signals", "reload signals", "housekeeping", "listener", "clock of connections",
                                  "database session", "revocations", "replay of the spool",
                                  "requests of refreshes"])
def test_at_once(failing, task):
    assert ended(failing(task), task)


def test_with_a_connection(failing):
    sidecar = failing("connection")
    sidecar.wait_log("listening")
    knock(sidecar.get, "/healthz")
    assert ended(sidecar, "connection")


@pytest.mark.parametrize("task", ["connection to Redis", "invalidator"])
def test_of_the_cache(failing, make_redis, task):
    assert ended(failing(task, REDIS_URL=make_redis().url), task)


@pytest.mark.parametrize("task", ["fill of the cache", "release of a lease"])
def test_of_a_reader(failing, make_redis, task):
    sidecar = failing(task, REDIS_URL=make_redis().url)
    whose = someone()
    if task == "fill of the cache":
        sidecar.store(whose, "token")
    sidecar.wait_log("the cache is on", 30)
    sidecar.wait_log('"ready"')
    for _ in range(50):  # until Redis is connected for readers, too
        if sidecar.running:
            knock(sidecar.api, "token", whose)
    assert ended(sidecar, task)


def test_of_a_provider(failing):
    sidecar = failing("metadata of a provider", start=False)
    sidecar.providers = {"fake": {"issuer": "http://127.0.0.1:9", "client_id": "c", "client_secret": "s"}}
    sidecar.start(ready=False)
    sidecar.wait_log('"ready"')
    knock(sidecar.get, sidecar.link(someone()).removeprefix(sidecar.public_url))
    assert ended(sidecar, "metadata of a provider")


def test_of_a_revocation(failing):
    sidecar = failing("revocation")
    sidecar.wait_log('"ready"')
    whose = someone()
    sidecar.store(whose, "token")
    sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", whose, user="app")
    assert ended(sidecar, "revocation")


@pytest.mark.parametrize("task", ["refresh of a token", "refresh for a caller in SQL"])
def test_of_a_refresh(failing, task):
    sidecar = failing(task)
    sidecar.wait_log('"ready"')
    whose = someone()
    sidecar.store(whose, "token", refresh_token="refresh", expires_in=0)
    if task == "refresh of a token":
        knock(sidecar.api, "token", whose)
    else:
        with contextlib.suppress(psycopg.Error):
            sidecar.sql("SELECT oauth_fresh_access_token(%s, %s, %s, %s, timeout => '9 s')", whose, user="app")
    assert ended(sidecar, task)


@pytest.mark.parametrize("task", ["refreshes ahead of time", "refresh ahead of time"])
def test_ahead_of_time(failing, task):
    sidecar = failing(task, start=False)
    sidecar.providers = {name: block | {"refresh_ahead": 600} for name, block in sidecar.providers.items()}
    sidecar.store(someone(next(iter(sidecar.providers))), "access", refresh_token="refresh", expires_in=0)
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    sidecar.start(ready=False)
    assert ended(sidecar, task)


def test_at_the_end(failing):
    sidecar = failing("drain of the API", start=False)
    sidecar.settings["OAUTH_API_LISTEN"] = f"unix:{sidecar.path / 'api.sock'}"
    sidecar.start()
    assert sidecar.stop() == 1 and ended(sidecar, "drain of the API")


def test_check(failing):
    """--check does not end well where it did not come to its end."""
    done = failing("check", start=False).run("--check")
    assert done.returncode == 1 and "a failure for the tests" in done.stderr, done
