"""A Redis server for the end-to-end tests, in a directory of its own, reached by a Unix socket
there and a loopback port. It ends with the test process.

Tests talk to it by Debian's redis package for Python, as anybody's client would.
"""

import atexit
import hashlib
import json
import pathlib
import signal
import subprocess

import redis

from support.harness import clean_environment, free_port, new_directory, wait_until

TIMEOUT = 20  # seconds that it may take to start or to stop
PREFIX = "oauth:cache"


class RedisServer:
    """`settings` are lines of its configuration, a list of them for one that stands there more
    than once; nothing is saved unless they say so. `login` is what its client needs (username,
    password). With `sentinel` it is a Redis Sentinel.
    """

    def __init__(self, settings=None, port=None, login=None, sentinel=False):
        self.path = pathlib.Path(new_directory("r"))
        self.port = port or free_port()
        self.socket = self.path / "redis.sock"
        self.login = dict(login or {})
        self.sentinel = sentinel
        self.settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket,
            "dir": self.path,
        }
        if not sentinel:
            self.settings |= {"save": '""', "appendonly": "no"}
        self.settings |= dict(settings or {})
        self.output = self.path / "output.log"
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self):
        """A new client; text in, text out."""
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True,
                           socket_timeout=TIMEOUT, **self.login)

    @property
    def bytes_client(self):
        """A new client as most people have it: bytes out."""
        return redis.Redis(port=self.port, socket_timeout=TIMEOUT)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _lines(self):
        for name, value in self.settings.items():
            for one in value if isinstance(value, list) else [value]:
                yield f"{name} {one}\n"

    def start(self):
        config = self.path / "redis.conf"
        config.write_text("".join(self._lines()), encoding="utf-8")
        arguments = ["--sentinel"] if self.sentinel else []
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", "redis-server", config, *arguments],
                cwd=self.path, env=clean_environment(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )
        atexit.register(self.kill)

        def answers():
            assert self.running, self.output.read_text("utf-8", "replace")[-2000:]
            return self._answers()

        wait_until(answers, TIMEOUT, what="Redis to answer")
        return self

    def _answers(self):
        try:
            with self.client as client:
                return client.ping()
        except redis.exceptions.AuthenticationError:
            return True
        except redis.exceptions.RedisError:
            return False

    def send_signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def stop(self):
        """As an operator would: it may save."""
        if self.running:
            self.process.terminate()
            self.process.wait(TIMEOUT)

    def restart(self):
        self.kill()
        return self.start()

    # What it has

    def everything(self):
        """Every key and its value, as one text."""
        with self.client as client:
            return "\n".join(f"{key} {client.get(key)}" for key in sorted(client.scan_iter()))

    def calls(self, command):
        """How often it was given a command."""
        with self.client as client:
            return client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)


def entry_key(whose, template=None):
    """The key of an identity, as docs/design/cache.md has it."""
    workspace, provider, actor_type, actor_id = map(str, whose)
    if template is None:
        template = "oauth:token:{provider}:{workspace_id}:{actor_type}:{actor_id}"
        provider, actor_id = (
            text.replace("%", "%25").replace(":", "%3A") for text in (provider, actor_id)
        )
    return template.format(provider=provider, workspace_id=workspace, actor_type=actor_type,
                           actor_id=actor_id)


def metadata_key(whose, template=None, prefix=PREFIX):
    return f"{prefix}:meta:{entry_key(whose, template)}"


def entry(client, whose, template=None):
    """What anybody reads there, or None."""
    value = client.get(entry_key(whose, template))
    return None if value is None else json.loads(value)


def is_trusted(client, whose, template=None, prefix=PREFIX):
    """Whether the heartbeat vouches for what stands there."""
    return _trusted_value(client, whose, template, prefix) is not None


def trusted_entry(client, whose, template=None, prefix=PREFIX):
    """As the client in docs/cache.md: only with a fresh heartbeat."""
    value = _trusted_value(client, whose, template, prefix)
    return None if value is None else json.loads(value)


def _trusted_value(client, whose, template, prefix):
    value, entry_metadata, live = client.mget(
        entry_key(whose, template), metadata_key(whose, template, prefix), f"{prefix}:live"
    )
    if not (value and entry_metadata and live):
        return None
    texts = [str(text).encode() for text in (*whose, value)]
    lengths = b"".join(len(text).to_bytes(8, "big") for text in texts)
    digest = hashlib.sha256(lengths + b"".join(texts)).hexdigest()
    return value if entry_metadata.split(" ")[:2] == [live, digest] else None
