"""node-pg and JDBC do what docs/clients.md says, on a server of their own and behind PgBouncer."""

import json
import re
import subprocess

import pytest
from support.harness import CHECKOUT, DATABASE, clean_environment
from support.listener import Listener
from support.openid import directory
from support.pgbouncer import PgBouncer


@pytest.fixture(scope="module")
def server(module_cluster):
    """By TCP, too: JDBC knows no Unix sockets. With a sidecar."""
    one = module_cluster(database=DATABASE, settings={"listen_addresses": "127.0.0.1"})
    listener = Listener(one)
    yield one
    listener.stop()


@pytest.fixture
def bouncer(server):
    before = PgBouncer(server, ignore_startup_parameters="extra_float_digits")
    yield before
    before.stop()


def run(*command):
    """Its last line."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                          env=clean_environment())
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def node(host, port):
    settings = {"host": host, "port": port, "user": "postgres", "database": DATABASE}
    return run("node", directory() / "postgres.mjs", json.dumps(settings))


def test_node_pg(server):
    assert node(str(server.socket_dir), server.port) == 10


def test_node_pg_behind_pgbouncer(bouncer):
    assert node(bouncer.host, bouncer.port) <= 2


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """JdbcClient.java with the page's block."""
    page = (CHECKOUT / "docs/clients.md").read_text()
    [block] = re.findall(r"```java\n(.*?)```", page, re.DOTALL)
    path = tmp_path_factory.mktemp("jdbc") / "JdbcClient.java"
    path.write_text((CHECKOUT / "tests/e2e/support/JdbcClient.java").read_text().replace("        PAGE\n", block))
    return path


def java(program, port, parameters=""):
    return run("java", "-Xmx128m", "-cp", "/usr/share/java/postgresql.jar", program,
               f"jdbc:postgresql://127.0.0.1:{port}/{DATABASE}?user=postgres{parameters}")


def test_jdbc(server, program):
    assert java(program, server.port) == 10


def test_jdbc_behind_pgbouncer(bouncer, program):
    assert java(program, bouncer.port, "&prepareThreshold=0") <= 2
