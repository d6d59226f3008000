"""What goes wrong while the auditor looks (C3)."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter

import psycopg
import redis
from support.audit_journal import BOUND
from support.harness import wait_until
from support.tokens import set_ring

LONGEST = 60  # seconds that a slow machine may take beyond those it was given


class Chaos:
    """Runs in the process, and the thread, that the servers belong to. `keys` is the key ring, which
    `rotate` turns."""

    def __init__(self, auditor, seed):
        self.auditor = auditor
        self.random = random.Random(f"{seed} chaos")
        self.counts = Counter()
        self.later = []  # (when, what) is still to do
        self.rotation = None

    def run(self, seconds):
        """One after the other, each kind before any comes again, and each once at least."""
        until, deck = time.monotonic() + seconds, []
        self.stop_all_sidecars()
        while time.monotonic() < until or len(self.counts) <= len(self.KINDS):
            if self.auditor.is_over() or time.monotonic() > until + LONGEST:
                break
            self.auditor.look_at_metrics()
            deck = deck or self.random.sample(self.KINDS, len(self.KINDS))
            kind = deck.pop()
            # What does not answer, since it is stopped just now, is no fault.
            with contextlib.suppress(psycopg.Error, redis.exceptions.RedisError, TimeoutError):
                kind(self)
                self.counts[kind.__name__.replace("_", " ")] += 1
            self.wait(time.monotonic() + self.random.uniform(0.1, 1.2))

    def wait(self, until):
        while (now := time.monotonic()) < until:
            for due in [one for one in self.later if one[0] <= now]:
                self.later.remove(due)
                due[1]()
            time.sleep(0.02)

    def end(self):
        """All run again, and answer."""
        for _, what in self.later:
            what()
        self.later = []
        if not self.auditor.cluster.running:
            self.auditor.cluster.start()
        self.auditor.cluster.wait_ready()
        if not self.auditor.redis.running:
            self.auditor.redis.start()
        for sidecar in self.auditor.sidecars:
            sidecar.wait_ready(timeout=60)
        with self.auditor.redis.client as client:
            wait_until(client.ping, what="Redis to answer")

    # Sidecars

    def kill_sidecar(self):
        sidecar = self.random.choice(self.auditor.sidecars)
        sidecar.kill()
        self.wait(time.monotonic() + self.random.uniform(0, 0.5))
        sidecar.start(ready=False)

    def stop_sidecar(self):
        sidecar = self.random.choice(self.auditor.sidecars)
        self._stop_process(sidecar.process, self.random.uniform(1, 7))

    def stop_all_sidecars(self):
        """While there are entries: nobody drops them for longer than the heartbeat is believed."""
        wait_until(lambda: sum(self.auditor.read_redis(slot) is not None
                               for slot in self.auditor.journal.slots) >= 2, what="entries")
        self.counts["stop all sidecars"] += 1
        if self.random.random() < 0.5:
            for sidecar in self.auditor.sidecars:
                self._stop_process(sidecar.process, BOUND + 1.5)
            self.wait(time.monotonic() + BOUND + 1.5)
            return
        for sidecar in self.auditor.sidecars:
            sidecar.kill()
        self.wait(time.monotonic() + BOUND + 1.5)
        for sidecar in self.auditor.sidecars:
            sidecar.start(ready=False)

    # Redis

    def kill_redis(self):
        self.auditor.redis.kill()
        self.wait(time.monotonic() + self.random.uniform(0, 0.7))
        self.auditor.redis.start()

    def stop_redis(self):
        self._stop_process(self.auditor.redis.process, self.random.uniform(1, 3))

    def flush_redis(self):
        self._redis("FLUSHALL")

    def pause_redis(self):
        self._redis("CLIENT", "PAUSE", str(self.random.randint(300, 2000)),
                    self.random.choice(["ALL", "WRITE"]))

    def disconnect_redis(self):
        self._redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def _redis(self, *command):
        with redis.Redis(port=self.auditor.redis.port, socket_timeout=1) as client:
            client.execute_command(*command)

    # PostgreSQL

    def stop_postgres(self):
        self.auditor.cluster.stop("immediate")
        self.wait(time.monotonic() + self.random.uniform(0, 0.5))
        self.auditor.cluster.start()

    def kill_backend(self):
        """A writer's or a sidecar's: the server drops all others, and recovers."""
        rows = self.auditor.cluster.rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [self.auditor.db], db="postgres")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.random.choice(rows)[0], signal.SIGKILL)
        self.auditor.cluster.wait_ready()

    def terminate_sidecars(self):
        """Their connections only: what they have asked for may be done or not."""
        self.auditor.cluster.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sidecar'",
            db="postgres")

    def rotate(self):
        """Turns the key ring and rewrites all rows, beside whatever else goes on."""
        if self.rotation is not None and self.rotation.is_alive():
            return
        cluster, keys = self.auditor.cluster, self.auditor.keys
        keys.reverse()
        set_ring(cluster, *keys)

        def call():
            with contextlib.suppress(psycopg.Error):
                cluster.rows("CALL oauth_rotate_keys(1)", db=self.auditor.db)

        self.rotation = threading.Thread(target=call, daemon=True)
        self.rotation.start()

    def _stop_process(self, process, seconds):
        process.send_signal(signal.SIGSTOP)
        self.later.append((time.monotonic() + seconds, lambda: process.send_signal(signal.SIGCONT)))

    KINDS = (kill_sidecar, stop_sidecar, kill_redis, stop_redis, flush_redis, pause_redis,
             disconnect_redis, stop_postgres, kill_backend, terminate_sidecars, rotate)
