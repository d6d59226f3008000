"""`make quickstart` on a machine that lacks something."""

import os
import pathlib
import shutil
import subprocess

import pytest
from support.harness import CHECKOUT, base_directory, clean_environment, client_bin


def run(*arguments, **variables):
    return subprocess.run([CHECKOUT / "scripts/quickstart", *arguments], env=os.environ | variables,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600)


@pytest.fixture
def own(tmp_path):
    """A state of this test's own, without npm's registry: the SQL part alone."""
    own = {"OAUTH_TOKENS_STATE": str(base_directory() / "quickstart"), "OPENID_HOME": str(tmp_path / "openid"),
           "npm_config_registry": "http://127.0.0.1:1/", "npm_config_replace_registry_host": "always",
           "npm_config_cache": str(tmp_path / "npm"), "npm_config_fetch_retries": "0"}
    yield own
    run("stop", **own)


def sql(own, text):
    """What psql prints, in its database."""
    where = subprocess.run([CHECKOUT / "scripts/server", "where", "quickstart"], env=os.environ | own, stdout=subprocess.PIPE,
                           text=True, check=True).stdout.split()
    done = subprocess.run([client_bin() / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "app"], input=text, stdout=subprocess.PIPE,
                          env=clean_environment() | dict(word.split("=", 1) for word in where), text=True, check=True)
    return done.stdout.strip()


def test_without_npms_registry(own):
    """The SQL part ends well, and says what is left out and why."""
    done = run(**own)
    assert done.returncode == 0, done.stdout
    for part in ("read it back", "left out", "npm ci failed", "ECONNREFUSED", " stop"):
        assert part in done.stdout, done.stdout

    # The next run updates a released version, and drops nothing.
    released = CHECKOUT / "extension/releases/oauth_tokens--0.1.0.sql"
    sql(own, """DROP EXTENSION oauth_tokens CASCADE; CREATE EXTENSION oauth_tokens VERSION '0.1.0'; SELECT oauth_tokens_upgrade();
        CREATE ROLE app; SELECT oauth_tokens_grant('app', 'reader')""")
    shutil.copy(released, pathlib.Path(own["OAUTH_TOKENS_STATE"]) / "quickstart/installed.sql")
    before = sql(own, "SELECT oid FROM pg_extension WHERE extname = 'oauth_tokens'")
    done = run(**own)
    assert done.returncode == 0 and "ALTER EXTENSION oauth_tokens UPDATE" in done.stdout, done.stdout
    assert sql(own, "SELECT oid, extversion = default_version FROM pg_extension, pg_available_extensions"
                    " WHERE extname = 'oauth_tokens' AND name = extname") == f"{before}|t"
    assert sql(own, "SELECT has_function_privilege('app', 'oauth_get(uuid, text, text, text)', 'EXECUTE')") == "t"
    again = run(**own)
    assert again.returncode == 0 and "EXTENSION" not in again.stdout, again.stdout


def test_in_another_language():
    """Scripts read what programs say, and match names by [a-z], as in English; q, w and x are not
    in it in Turkish."""
    done = subprocess.run(["bash", "-c", '. "$0"; env', CHECKOUT / "scripts/common.sh"],
                          env=os.environ | {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"},
                          stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    assert "LC_ALL=C.UTF-8" in done.stdout.splitlines() and "LANGUAGE=" not in done.stdout
