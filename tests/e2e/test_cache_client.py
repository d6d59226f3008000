"""What docs/cache.md says about reading from Redis, as it stands there."""

import json
import re
from hashlib import sha256

import pytest
from support.cached import fill, wait_acknowledged, wait_dropped
from support.harness import CHECKOUT
from support.redis_server import PREFIX, metadata_key, entry_key
from support.sidecar import someone


@pytest.fixture(scope="module")
def cached_access_token():
    """The function in docs/cache.md."""
    block = next(block for block in re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs/cache.md").read_text("utf-8"), re.DOTALL)
                 if "def cached_access_token" in block)
    names = {"json": json, "sha256": sha256}
    exec(block, names)  # pylint: disable=exec-used
    return names["cached_access_token"]


def test_reading_from_redis(make_cached, make_redis, cached_access_token):  # C16
    redis = make_redis()
    sidecar = make_cached(redis)
    whose = someone()
    texts = [str(text) for text in whose]
    bare = redis.bytes_client
    with redis.client as client:
        assert cached_access_token(bare, *texts) is None
        sidecar.store(whose, "first")
        wait_acknowledged(sidecar)
        fill(sidecar, client, whose)
        assert cached_access_token(bare, *texts) == "first"
        sidecar.store(whose, "second")
        wait_dropped(client, whose)
        assert cached_access_token(bare, *texts) is None
        fill(sidecar, client, whose)
        # Somebody who does not know of entry_metadata writes late.
        client.setex(entry_key(whose), 600, json.dumps({"access_token": "first", "expires_at": None}))
        assert cached_access_token(bare, *texts) is None
        client.delete(entry_key(whose), metadata_key(whose))
        assert fill(sidecar, client, whose) == "second" == cached_access_token(bare, *texts)
        # With every daemon dead it is over in five seconds; here at once.
        sidecar.kill()
        client.delete(f"{PREFIX}:live")
        assert cached_access_token(bare, *texts) is None
