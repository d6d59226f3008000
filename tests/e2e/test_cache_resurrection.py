"""A Redis that comes back with what it had saved long ago (docs/design/cache.md, "Epoch")."""

import time

from support.harness import wait_until
from support.redis_server import entry_key, trusted_entry
from support.sidecar import someone


def end_of_heartbeat(client):
    return client.execute_command("PEXPIRETIME", "oauth:cache:live")


def is_cached(sidecar):
    return sidecar.get("/readyz").json.get("cache") == "ok"


def test_what_redis_had_saved_is_never_vouched_for(make_sidecar, make_redis, module_provider):
    # C3, C12: it restarts between two passes, so that nothing fails in any of them.
    redis = make_redis({"save": "3600 1"})
    sidecar = make_sidecar({"fake": module_provider().settings()}, settings={"REDIS_URL": redis.url})
    for number in range(3):
        whose = someone()
        wait_until(lambda: is_cached(sidecar), 40, what="the cache")
        sidecar.store(whose, f"old {number}", expires_in=3600)
        with redis.client as client:
            def is_filled():
                sidecar.api("token", whose)
                return trusted_entry(client, whose)
            wait_until(is_filled, what="the entry")
            client.save()
            sidecar.store(whose, f"new {number}", expires_in=3600)
            wait_until(lambda: not trusted_entry(client, whose), what="its end")
            # Just after a heartbeat was set.
            last = end_of_heartbeat(client)
            wait_until(lambda: end_of_heartbeat(client) > last, interval=0.002, what="a heartbeat")
            last = end_of_heartbeat(client)
        redis.process.kill()
        redis.process.wait()
        redis.start()
        end = time.monotonic() + 3
        seen = set()
        with redis.client as client:
            assert client.get(entry_key(whose)) is not None or number, "nothing was saved"
            # What was vouched for when it was saved is for its 5 s, and never again.
            while time.monotonic() < end:
                if end_of_heartbeat(client) > last:
                    seen.add((trusted_entry(client, whose) or {}).get("access_token"))
                assert sidecar.api("token", whose).json["access_token"] == f"new {number}"
        assert f"old {number}" not in seen
