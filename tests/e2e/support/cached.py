"""A sidecar's cache as the tests see it: how it is, what it has counted, and readers that watch
it beside what a test does."""

import hashlib
import struct
import threading
import time

from support.harness import wait_until
from support.redis_server import PREFIX, metadata_key, entry_key, is_trusted
from support.sidecar import API_TOKEN, metrics

# Nobody asks it for anything in the tests of the cache.
PROVIDER = {
    "issuer": "https://provider.example",
    "authorization_endpoint": "https://provider.example/authorize",
    "token_endpoint": "https://provider.example/token",
    "client_id": "client-of-the-tests",
    "client_secret": "s3cret-of-the-tests",
}
PROVIDERS = {"fake": PROVIDER}

# A heartbeat vouches for five seconds; the rest is for the machine.
BOUND = 5.5


def cache_state(sidecar):
    """ok, off or down, as /readyz says, which the cache must never make anything but 200."""
    reply = sidecar.get("/readyz", listener="api")
    assert reply.status == 200, reply
    return reply.json.get("cache")


def wait_cache(sidecar, state="ok", timeout=30):
    try:
        wait_until(lambda: cache_state(sidecar) == state, timeout)
    except TimeoutError:
        raise AssertionError(
            f"the cache is not {state} after {timeout} s but {cache_state(sidecar)}:\n"
            f"{sidecar.log()[-3000:]}"
        ) from None


def count(sidecar, name, **labels):
    """The sum of a metric's samples that have these labels."""
    page = metrics(sidecar.get("/metrics", token=API_TOKEN, listener="api").text)
    return sum(value for (of, have), value in page.items()
               if of == f"oauth_sidecar_{name}" and set(labels.items()) <= have)


def hits(sidecar):
    return count(sidecar, "cache_reads_total", result="hit")


def read(sidecar, whose, **parameters):
    """The access token, which must be there."""
    reply = sidecar.api("token", whose, **parameters)
    assert reply.status == 200, (reply, reply.text)
    return reply.json["access_token"]


def fill(sidecar, client, whose, **where):
    """Reads until the token stands in Redis; the token."""

    def is_filled():
        token = read(sidecar, whose)
        return is_trusted(client, whose, **where) and token

    return wait_until(is_filled, 20, what="the entry")


def store_and_fill(sidecar, client, whose, access, **parameters):
    sidecar.store(whose, access, **parameters)
    wait_acknowledged(sidecar)  # or what was there before may be trusted a little longer
    assert fill(sidecar, client, whose) == access


def wait_dropped(client, whose, timeout=20, **where):
    wait_until(lambda: not is_trusted(client, whose, **where), timeout, interval=0.005,
               what="the end of the entry")


def wait_acknowledged(sidecar, timeout=20):
    """Until every change that was committed before has been dropped from Redis."""
    wait_until(lambda: sidecar.count("oauth_tokens_internal.cache_invalidations") == 0, timeout, interval=0.005,
               what="the end of the invalidations")


def tries(client):
    """How often sidecars whose cache is off have tried to begin with that Redis: the first thing that
    they ask it is whether it saves snapshots."""
    return client.info("commandstats").get("cmdstat_config|get", {}).get("calls", 0)


def epoch(client, prefix=PREFIX):
    """The words of the epoch: id, state, registration_id, Redis' run id, database."""
    return (client.get(f"{prefix}:epoch") or "").split(" ")


def metadata_of(epoch_id, whose, value):
    """The entry_metadata of an entry, as whoever may write to Redis can make one."""
    texts = [str(text).encode() for text in (*whose, value)]
    lengths = b"".join(struct.pack(">Q", len(text)) for text in texts)
    return f"{epoch_id} {hashlib.sha256(lengths + b''.join(texts)).hexdigest()} -"


def plant(client, whose, value, epoch_id=None):
    """Writes an entry and its entry_metadata, as good as the sidecar's own."""
    epoch_id = epoch_id or epoch(client)[0]
    client.mset({entry_key(whose): value,
                 metadata_key(whose): metadata_of(epoch_id, whose, value)})


class Watch:
    """Reads over and over, beside what a test does, and notes what is wrong.

    `look` returns the token, or None where there is nothing to say about it. A token is wrong
    where another one had been committed more than `bound` seconds before the look began.
    """

    def __init__(self, look, first, bound=BOUND):
        self.look, self.bound = look, bound
        self.commits = [(first, float("-inf"))]  # token, when it was surely there
        self.wrong, self.seen = [], 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self.seen > 0 or self.wrong, 20, what="the first look")
        return self

    def __exit__(self, kind, error, trace):
        self._ended.set()
        self._thread.join(60)
        if kind is None:
            assert not self._thread.is_alive() and not self.wrong, (len(self.wrong), self.seen, self.wrong[:5])

    def change(self, sidecar, whose, token):
        """Stores a token, which is right from now on; the one before for `bound` seconds more."""
        self.announce(token)
        sidecar.store(whose, token)
        self.committed()

    def announce(self, token):
        self.commits.append((token, float("inf")))

    def committed(self):
        self.commits[-1] = (self.commits[-1][0], time.monotonic())

    def _run(self):
        while not self._ended.wait(0.01):
            begun = time.monotonic()
            try:
                token = self.look()
            except Exception as error:
                self.wrong.append(error)
                continue
            if token is None:
                continue
            self.seen += 1
            commits = list(self.commits)
            oldest = max(i for i, (_, when) in enumerate(commits) if when <= begun - self.bound)
            if token not in [one for one, _ in commits[oldest:]]:
                self.wrong.append((token, "read", begun, "of", commits))
