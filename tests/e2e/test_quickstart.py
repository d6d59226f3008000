"""`make quickstart` on a machine that lacks something."""

import os
import subprocess

from support.harness import CHECKOUT, base_directory


def run(*arguments, **variables):
    return subprocess.run([CHECKOUT / "scripts/quickstart", *arguments], env=os.environ | variables,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600)


def test_without_npms_registry(tmp_path):
    """The SQL part ends well, and says what is left out and why."""
    own = {"OAUTH_TOKENS_STATE": str(base_directory() / "quickstart"), "OPENID_HOME": str(tmp_path / "openid"),
           "npm_config_registry": "http://127.0.0.1:1/", "npm_config_replace_registry_host": "always",
           "npm_config_cache": str(tmp_path / "npm"), "npm_config_fetch_retries": "0"}
    try:
        done = run(**own)
        assert done.returncode == 0, done.stdout
        for part in ("read it back", "left out", "npm ci failed", "ECONNREFUSED", " stop"):
            assert part in done.stdout, done.stdout
    finally:
        run("stop", **own)


def test_in_another_language():
    """Scripts read what programs say, and match names by [a-z], as in English; q, w and x are not
    in it in Turkish."""
    done = subprocess.run(["bash", "-c", '. "$0"; env', CHECKOUT / "scripts/common.sh"],
                          env=os.environ | {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"},
                          stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert "LC_ALL=C.UTF-8" in done.stdout.splitlines() and "LANGUAGE=" not in done.stdout
