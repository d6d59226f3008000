"""Those who read tokens while the auditor looks: through a sidecar, and straight from Redis."""

import contextlib
import json
import random
import socket
import time
from urllib.parse import urlencode

import redis
from support.audit_journal import ABSENT, state_of
from support.redis_server import trusted_entry
from support.sidecar import API_TOKEN

TIMEOUT = 20  # seconds; a sidecar may be stopped for some of them


class Client:
    """One connection to a sidecar, kept alive, without what a library would spend on it."""

    def __init__(self, port, whose):
        self._port = port
        self._requests = []
        for workspace, provider, actor_type, actor_id in whose:
            query = urlencode({"workspace_id": workspace, "actor_type": actor_type, "actor_id": actor_id})
            self._requests.append(
                f"GET /oauth/{provider}/token?{query} HTTP/1.1\r\nHost: localhost:{port}\r\n"
                f"Authorization: Bearer {API_TOKEN}\r\n\r\n".encode())
        self._socket, self._buffer = None, b""

    def send(self, slot):
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
            self._buffer = b""
        self._socket.sendall(self._requests[slot])

    def receive(self):
        """(status, body)."""
        head = self._until(b"\r\n\r\n").decode().lower()
        length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1]), body

    def _until(self, end):
        while end not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(end)
        return head

    def _more(self):
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self._buffer += data

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def read(self, slot):
        """The state that a read returned, or None where it returned none."""
        self.send(slot)
        return state_of_answer(*self.receive())


def state_of_answer(status, body):
    if status == 200:
        return state_of(json.loads(body)["access_token"])
    return ABSENT if status == 404 else None


class SidecarReader:
    """Reads through one sidecar, on several connections at a time."""

    CONNECTIONS = 4

    def __init__(self, journal, port, control, number, seed):
        self.journal, self.control = journal, control
        self.name = f"reader {number} through port {port}"
        self.random = random.Random(f"{seed} {self.name}")
        self.clients = [Client(port, journal.whose) for _ in range(self.CONNECTIONS)]

    def run(self):
        while self.control.running():
            slots = self.random.choices(self.journal.slots, k=len(self.clients))
            if self.random.random() < 0.5:
                slots = [slots[0]] * len(slots)  # all at one: they miss together
            try:
                self.read(slots)
            except (OSError, ValueError, IndexError):
                self.failed()
            self.control.pause(self.random.uniform(0, 0.002))

    def read(self, slots):
        began = []
        for client, slot in zip(self.clients, slots):
            began.append(time.monotonic())
            client.send(slot)
        for client, slot, start in zip(self.clients, slots, began):
            status, body = client.receive()
            state = state_of_answer(status, body)
            if state is None:
                if status != 503:
                    self.control.broken(f"{self.name} got {status} {body[:200].decode()}")
                self.control.count("failed reads")
            else:
                self.control.judge(self.name, "reads", slot, state, start)

    def failed(self):
        for client in self.clients:
            client.close()
        if not self.control.is_chaos():
            self.control.broken(f"{self.name} lost its connection")
        self.control.count("failed reads")
        self.control.pause(0.05)


class RedisReader:
    """Reads straight from Redis, as docs/design/cache.md allows anybody to."""

    def __init__(self, journal, port, control, number, seed):
        self.journal, self.control = journal, control
        self.name = f"reader {number} of Redis"
        self.random = random.Random(f"{seed} {self.name}")
        self.client = redis.Redis(port=port, decode_responses=True, socket_timeout=TIMEOUT)

    def run(self):
        while self.control.running():
            try:
                self.read(self.random.choice(self.journal.slots))
            except redis.exceptions.RedisError:
                self.control.count("failed reads")
                with contextlib.suppress(redis.exceptions.RedisError):
                    self.client.connection_pool.disconnect()
                self.control.pause(0.05)
            self.control.pause(self.random.uniform(0, 0.002))

    def read(self, slot):
        began = time.monotonic()
        entry = trusted_entry(self.client, self.journal.whose[slot])
        if entry is not None:
            self.control.judge(self.name, "reads from Redis", slot, state_of(entry["access_token"]), began)
