"""docs/examples/refresh.py, as it is, by a role that has the capability `refresher` and nothing
else, against a provider that rotates and detects reuse."""

import json
import subprocess

import pytest
from cryptography.fernet import Fernet
from support.harness import DATABASE, new_directory
from support.interrupting_proxy import InterruptingProxy
from support.openid import CLIENT
from support.refresh_holder import EXAMPLES
from support.sidecar import environment
from support.tokens import get, identity

ALICE = identity(provider="openid")


@pytest.fixture
def connected(cluster, openid):
    """Alice's account, whose access token has expired; the role is `refresher`."""
    cluster.fresh_database(DATABASE)
    cluster.rows("DROP ROLE IF EXISTS refresher")
    cluster.rows("CREATE ROLE refresher LOGIN")
    cluster.rows("SELECT oauth_tokens_grant('refresher', 'refresher')")
    grant = openid.grant("alice")
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, %s, %s, expires_in => 0)",
                 [*ALICE, grant["access_token"], grant["refresh_token"]])
    yield cluster
    cluster.rows("DROP OWNED BY refresher")


def run(cluster, endpoint, whose=ALICE, **settings):
    return subprocess.run(
        ["/usr/bin/python3", EXAMPLES / "refresh.py", *map(str, whose)], capture_output=True, text=True, timeout=60,
        env=environment(DATABASE_URL=f"host={cluster.socket_dir} port={cluster.port} dbname={DATABASE} user=refresher",
                        TOKEN_ENDPOINT=endpoint, CLIENT_ID=CLIENT["client_id"],
                        CLIENT_SECRET=CLIENT["client_secret"], **settings))


def stored(cluster):
    with cluster.connect() as connection:
        return get(connection, ALICE)


def expire(cluster):
    cluster.rows("UPDATE oauth_tokens SET access_token_expires_at = updated_at - interval '1 s'")


@pytest.mark.parametrize("spooled", [False, True], ids=["plain", "spool"])
def test_it_refreshes(connected, openid, spooled):
    spool = new_directory("spool")
    settings = {"OAUTH_SPOOL_DIR": spool} if spooled else {}
    before = openid.token_requests("refresh_token")
    tokens = set()
    for count in range(1, 4):
        for _ in range(2):  # the second finds it fresh
            done = run(connected, openid.issuer + "/token", **settings)
            assert done.returncode == 0, done.stderr
            access, refresh = stored(connected)
            assert done.stdout == access + "\n"
        tokens.add(access)
        openid.wait_token_requests(before + count)
        assert openid.token_requests("refresh_token") == before + count
        expire(connected)
    assert len(tokens) == 3
    assert openid.errors() == []
    assert list(spool.iterdir()) == []
    assert openid.redeems(refresh)


@pytest.mark.parametrize("answer, said, state", [
    ((503, {"Retry-After": "100"}, b""), "backoff: transient: HTTP 503, no error code", "backing_off"),
    ((400, {}, b'{"error": "invalid_client"}'), "backoff: client_config: HTTP 400, invalid_client", "expired"),
    ((400, {}, b'{"error": "interaction_required"}'),
     "needs_reauthorization: needs_interaction: HTTP 400, interaction_required", "needs_reauthorization"),
    ((400, {}, b'{"error": "invalid_grant"}'),
     "needs_reauthorization: dead_grant: HTTP 400, invalid_grant", "needs_reauthorization"),
], ids=["503", "invalid_client", "interaction_required", "invalid_grant"])
def test_what_it_says_of_failures(connected, openid, answer, said, state):
    before = stored(connected)
    proxy = InterruptingProxy(openid.issuer, [answer])
    for _ in range(2):  # the second asks nobody
        done = run(connected, proxy.url + "/token")
        assert (done.returncode, done.stderr) == (1, f"refresh.py: {said}\n")
    proxy.close()
    assert len(proxy.arrived) == 1
    assert connected.value("SELECT state FROM oauth_connections") == state
    assert stored(connected) == before


def test_an_account_that_is_not_there(connected, openid):
    done = run(connected, openid.issuer + "/token", identity("nobody"))
    assert (done.returncode, done.stderr) == (1, "refresh.py: not connected\n")


def test_a_spool_that_does_not_work(connected, openid):
    """The provider is not asked."""
    count = openid.token_requests()
    done = run(connected, openid.issuer + "/token", OAUTH_SPOOL_DIR=new_directory("spool") / "missing")
    assert (done.returncode, done.stderr) == (
        1, "refresh.py: backoff: not_sent: the spool: No such file or directory\n")
    assert openid.token_requests() == count


def test_files_that_do_not_open_are_kept_aside(connected, openid):
    """Damaged ones, another cluster's and another attempt's, and what cannot be stored; what they hold stays."""
    spool = new_directory("spool")
    fence, key = connected.rows("SELECT fence, spool_key FROM oauth_refresh_begin(%s, %s, %s, %s)", ALICE)[0]
    connected.rows("SELECT oauth_refresh_fail(%s, %s, %s, %s, %s, 'no_answer')", [*ALICE, fence])
    entry = {"version": 1, "cluster": connected.value("SELECT id FROM oauth_tokens_internal.cluster()"),
             "workspace_id": str(ALICE[0]), "provider": ALICE[1], "actor_type": ALICE[2], "actor_id": ALICE[3],
             "fence": str(fence), "sealed": Fernet(Fernet.generate_key()).encrypt(b"{}").decode()}
    texts = {"1.spool": "{", "2.spool": "[]", "3.spool": json.dumps(entry), "4.spool": "\xff",
             "5.spool": json.dumps(entry | {"cluster": "1/1"})}
    for number, answer in enumerate([{"access_token": ""}, {"access_token": "x" * 65537}, {"access_token": "x", "details": {"no": 1}}], 6):
        sealed = Fernet(key).encrypt(json.dumps(answer).encode()).decode()
        texts[f"{number}.spool"] = json.dumps(entry | {"sealed": sealed})
    for name, text in texts.items():
        (spool / name).write_text(text, encoding="latin-1")
    done = run(connected, openid.issuer + "/token", identity("nobody"), OAUTH_SPOOL_DIR=spool)
    assert done.stderr.count("is kept aside") == 8
    assert {path.name: path.read_text(encoding="latin-1") for path in spool.iterdir()} == {
        f"{name}.aside": text for name, text in texts.items()}
