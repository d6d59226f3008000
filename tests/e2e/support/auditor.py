"""The auditor of the cache: stress in which every stale read is seen (C1 and C3).

Writers change tokens in every way there is; readers read them through two sidecars, one of which
hears from the database late, and straight from Redis; then everything is killed, stopped and
restarted. Every token names its identity and its version, and a journal (audit_journal.py) knows
which of them a read may return. The daemon is the one that SIDECAR_BINARY names.

    python3 -m support.auditor [--seconds N] [--seed N] [--calm]

exits with 1 where a read was wrong, and with 2 where too little was seen to prove anything.
"""

import argparse
import contextlib
import http.client
import multiprocessing
import random
import sys
import time
from collections import Counter

from support.audit_chaos import Chaos
from support.audit_control import Control
from support.audit_journal import Journal, described, state_of
from support.audit_readers import Client, RedisReader, SidecarReader
from support.audit_writers import Observer, Writer, resolve
from support.harness import DATABASE, KEY, Cluster, wait_until
from support.redis_server import RedisServer, trusted_entry
from support.sidecar import API_TOKEN, Sidecar, metrics, prepare_database
from support.slow_proxy import SlowProxy
from support.tokens import new_key, set_ring

IDENTITIES = 8
WRITERS = 2
# Nobody is there: the auditor connects no accounts.
PROVIDER = {
    "issuer": "http://127.0.0.1:9",
    "authorization_endpoint": "http://127.0.0.1:9/authorize",
    "token_endpoint": "http://127.0.0.1:9/token",
    "client_id": "auditor",
    "client_secret": "of-the-auditor",
}
METRICS = {
    "hits": ("oauth_sidecar_cache_reads_total", ("result", "hit")),
    "misses": ("oauth_sidecar_cache_reads_total", ("result", "miss")),
    "bypasses": ("oauth_sidecar_cache_reads_total", ("result", "bypass")),
    "fills": ("oauth_sidecar_cache_fills_total", ("outcome", "stored")),
    "refused fills": ("oauth_sidecar_cache_fills_total", ("outcome", "refused")),
}
# Until every read is right again, from when all servers answer.
COHERENT_AFTER = 2.0
# Where sidecars were restarted as well as their Redis, it is believed only after 30 s.
CACHE_BACK_AFTER = 60
# What a phase must have seen, at least, to prove anything. Slow machines see a tenth of the usual.
ENOUGH = {
    "calm": {"commits": 100, "rolled back": 1, "dropped": 100, "reads": 1000, "strict": 500,
             "reads from Redis": 100, "hits": 200, "fills": 50, "refused fills": 1},
    "chaos": {"commits": 50, "reads": 500, "reads from Redis": 20, "hits": 50, "stop all sidecars": 1}
             | {kind.__name__.replace("_", " "): 1 for kind in Chaos.KINDS},
    "settled": {"compared": 100},
    "calm again": {"commits": 10, "strict": 50, "hits": 20},
}


class Auditor:
    """The servers and the processes that use them, from start() to close()."""

    def __init__(self, seed, say=print):
        self.seed, self._say = seed, say
        self.keys = [KEY, new_key()]
        self.db = DATABASE
        self.summary = {}  # by phase: how much of what
        self._counted = {}  # by process: the metrics of sidecars, killed ones, too
        self.sidecars, self.processes = [], []
        self.cluster = self.redis = self.journal = self.control = None
        self._rounds = 0

    def start(self):
        context = multiprocessing.get_context("fork")
        self.cluster = Cluster(key=None, settings={
            "max_connections": "100", "max_prepared_transactions": "10", "wal_writer_delay": "1s"})
        set_ring(self.cluster, *self.keys)
        self.cluster.start()
        prepare_database(self.cluster, self.db)
        self.redis = RedisServer().start()
        late = SlowProxy(context, self.cluster, seed=self.seed)
        self.processes.append(late.start())
        settings = {"REDIS_URL": self.redis.url, "OAUTH_LOG_LEVEL": "warning"}
        self.sidecars = [Sidecar(self.cluster, {"fake": PROVIDER}, settings=settings, db=self.db)
                         for _ in range(2)]
        self.sidecars[1].settings["DATABASE_URL"] = late.url(self.sidecars[1].database_url())
        for sidecar in self.sidecars:
            sidecar.start()
        self._start_workers(context)
        self.wait_cache()
        return self

    def _start_workers(self, context):
        self.journal = Journal(context, IDENTITIES)
        readers = [(SidecarReader, sidecar.port) for sidecar in self.sidecars for _ in range(2)]
        readers.append((RedisReader, self.redis.port))
        self.control = Control(context, self.journal, 2 + WRITERS + len(readers))
        workers = [Observer(self.journal, self.cluster, self.db, self.control)]
        workers += [Writer(self.journal, self.cluster, self.db, self.control, number, self.seed)
                    for number in range(WRITERS)]
        workers += [kind(self.journal, port, self.control, number, self.seed)
                    for number, (kind, port) in enumerate(readers)]
        for number, worker in enumerate(workers, 1):
            process = context.Process(target=self.control.work, args=(worker, number),
                                      name=worker.name, daemon=True)
            process.start()
            self.processes.append(process)

    def close(self):
        if self.control is not None:
            self.control.stop()
            for process in self.processes[1:]:
                process.join(30)
        for process in self.processes:
            process.kill()
        for sidecar in self.sidecars:
            sidecar.end()
        if self.redis is not None:
            self.redis.kill()
        if self.cluster is not None:
            self.cluster.remove()

    # Phases

    def calm(self, seconds, name="calm"):
        """Nothing fails. Meanwhile the keys are rotated."""
        until = time.monotonic() + seconds
        chaos = Chaos(self, self.seed)
        with self._phase(name):
            self.control.set_chaos(False)
            while time.monotonic() < until and not self.is_over():
                chaos.rotate()
                chaos.wait(min(until, time.monotonic() + 2))
            self.control.set_chaos(True)

    def chaos(self, seconds):
        """Everything fails; then all servers answer."""
        self._rounds += 1
        chaos = Chaos(self, f"{self.seed} {self._rounds}")
        with self._phase("chaos") as counts:
            chaos.run(seconds)
            chaos.end()
            counts.update(chaos.counts)

    def settle(self):
        """Writers rest. The database tells what became of what was left open, and all say the same."""
        with self._phase("settled") as counts, self.journal.owned(self.journal.slots):
            answered = time.monotonic()
            with contextlib.closing(self.cluster.connect(self.db, autocommit=True)) as connection:
                states = resolve(self.journal, connection, self.journal.slots, self.control)
            time.sleep(max(0, answered + COHERENT_AFTER - time.monotonic()))
            clients = [Client(sidecar.port, self.journal.whose) for sidecar in self.sidecars]
            for _ in range(20):
                for slot, state in states.items():
                    for number, client in enumerate(clients):
                        self._compare(slot, state, client.read(slot), f"sidecar {number}", counts)
                    self._compare(slot, state, self.read_redis(slot), "Redis", counts)
                time.sleep(0.02)
            for client in clients:
                client.close()

    def read_redis(self, slot):
        """The state that anybody may read there, or None."""
        with self.redis.client as client:
            entry = trusted_entry(client, self.journal.whose[slot])
        return None if entry is None else state_of(entry["access_token"])

    def _compare(self, slot, expected, got, where, counts):
        if got is None:
            return
        counts["compared"] += 1
        if got != expected:
            self.control.broken(f"not coherent: {where} has {described(got)}, the database"
                                f" {described(expected)}\n{self.journal.history(slot)}")

    def wait_cache(self):
        def all_on():
            return all(sidecar.get("/readyz").json.get("cache") == "ok" for sidecar in self.sidecars)

        wait_until(all_on, CACHE_BACK_AFTER, what="the cache of all sidecars")

    def run(self, seconds, calm=False):
        """As long as that, or as it takes to go through all once, or until a read is wrong."""
        end = time.monotonic() + seconds
        while not self.summary or time.monotonic() < end - 15 and not self.is_over():
            length = min(seconds, 60)
            self.calm(seconds if calm else length / 3)
            if calm or self.is_over():
                break
            self.chaos(length / 2)
            if self.is_over():
                break
            self.settle()
            self.wait_cache()
            self.calm(length / 12, "calm again")
        return self

    def is_over(self):
        """Whether a read was wrong, or somebody ended who should not have."""
        for process in self.processes:
            if not process.is_alive():
                self.control.broken(f"{process.name} ended with {process.exitcode}")
        for number, sidecar in enumerate(self.sidecars):
            if not sidecar.running:
                self.control.broken(f"sidecar {number} ended with {sidecar.process.returncode}")
        return self.control.is_broken

    # What was seen

    @contextlib.contextmanager
    def _phase(self, name):
        before, counts, started = self.totals(), Counter(), time.monotonic()
        yield counts
        counts.update(self.totals() - before)
        self.summary.setdefault(name, Counter()).update(counts)
        self._say(f"{name}, {time.monotonic() - started:.0f} s: "
                  + ", ".join(f"{value:,} {key}" for key, value in counts.items()))

    def totals(self):
        self.look_at_metrics(timeout=10)
        totals = Counter(self.control.counts())
        for counted in self._counted.values():
            totals.update(counted)
        return totals

    def look_at_metrics(self, timeout=0.3):
        """Of whom answers: what a sidecar has counted goes with it."""
        for sidecar in self.sidecars:
            with contextlib.suppress(OSError, http.client.HTTPException):
                found = metrics(sidecar.get("/metrics", token=API_TOKEN, timeout=timeout).text)
                self._counted[sidecar.pid] = {
                    name: int(found.get((metric, frozenset([label])), 0))
                    for name, (metric, label) in METRICS.items()}

    def missing(self):
        """What it has not seen, and without which a run proves nothing."""
        return [f"{phase}: {seen[name]} {name}, of {least} at least"
                for phase, seen in self.summary.items()
                for name, least in ENOUGH[phase].items() if seen[name] < least]


def main():
    parser = argparse.ArgumentParser(description="Looks for stale reads under stress.")
    parser.add_argument("--seconds", type=float, default=60, help="about how long")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6),
                        help="what happens follows from it, but not in which order")
    parser.add_argument("--calm", action="store_true", help="nothing is killed")
    arguments = parser.parse_args()
    print(f"auditor: seed {arguments.seed}", flush=True)
    auditor = Auditor(arguments.seed, lambda line: print(line, flush=True))
    try:
        auditor.start().run(arguments.seconds, arguments.calm)
        faults, missing = auditor.control.faults(), auditor.missing()
        logs = [[line for line in sidecar.log().splitlines() if "cache" in line]
                for sidecar in auditor.sidecars]
    finally:
        auditor.close()
    for fault in faults:
        print(f"BROKEN {fault}")
    for number, log in enumerate(logs if faults else []):
        print(f"sidecar {number} said of its cache:", *log[-10:], sep="\n  ")
    for line in [] if faults else missing:
        print(f"NOT SEEN {line}")
    sys.exit(1 if faults else 2 if missing else 0)


if __name__ == "__main__":
    main()
