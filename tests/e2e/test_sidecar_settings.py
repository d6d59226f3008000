"""What the daemon is told: it starts, or says everything that is wrong at once."""

import re
import subprocess
import tempfile

import pytest
from support.harness import free_port
from support.sidecar import API_TOKEN, MiniBrowser, binary, environment, prepare_database, someone

SECRET = "a-client-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def db(flow_cluster):
    """One database for all of them."""
    return prepare_database(flow_cluster, "settings")


@pytest.fixture
def sidecar(make_sidecar, fake, db):
    return make_sidecar({"fake": fake.settings(client_secret=SECRET)}, start=False, db=db)


def said(done):
    text = done.stdout + done.stderr
    for secret in (SECRET, API_TOKEN, "p4ssw0rd"):
        assert secret not in text
    return text


def test_check(sidecar):
    done = sidecar.run("--check")
    assert done.returncode == 0, said(done)
    assert said(done)


def test_check_warns_without_confirmation(sidecar):
    """Off, with an address that the world can reach."""
    sidecar.settings["OAUTH_PUBLIC_URL"] = "https://connect.example.org"
    done = sidecar.run("--check")
    assert done.returncode == 0 and "confirm" in said(done), said(done)


def test_check_reports_a_provider_without_pkce(sidecar, fake):
    sidecar.providers["fake"]["pkce"] = False
    done = sidecar.run("--check")
    assert done.returncode == 0 and "pkce" in said(done).lower()


def test_check_looks_at_the_database(sidecar, flow_cluster):
    sidecar.settings["DATABASE_URL"] = sidecar.database_url("nobody_at_all")
    done = sidecar.run("--check")
    assert done.returncode != 0 and re.search("DATABASE_URL|database", said(done))


def test_check_looks_at_privileges(make_sidecar, fake, flow_cluster):
    """Granted before the table was there, say: the functions are, and what they need is not."""
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    sidecar.sql("REVOKE INSERT ON oauth_tokens FROM sidecar")
    done = sidecar.run("--check")
    assert done.returncode == 1 and "42501" in said(done), said(done)
    assert (sidecar.count(), sidecar.flow_rows()) == (0, (0, 0, 0))


def test_check_names_all_missing_grants_in_one_line(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    sidecar.sql("SELECT oauth_tokens_revoke('sidecar', 'sidecar')")
    try:
        done = sidecar.run("--check")
    finally:
        sidecar.sql("SELECT oauth_tokens_grant('sidecar', 'sidecar')")
    lines = [line for line in said(done).splitlines() if "missing: " in line]
    assert done.returncode == 1 and len(lines) == 1, said(done)
    assert lines[0].count("oauth_tokens_grant('<role>', 'sidecar')") == 1 and lines[0].count(", ") > 5


def test_check_in_a_database_without_the_extension(make_sidecar, fake, make_cluster):
    sidecar = make_sidecar({"fake": fake.settings()}, start=False, cluster=make_cluster())
    sidecar.sql("DROP EXTENSION oauth_tokens CASCADE")
    done = sidecar.run("--check")
    first = next(line for line in said(done).splitlines() if line.startswith("error"))
    assert done.returncode == 1 and "CREATE EXTENSION oauth_tokens" in first, said(done)
    assert "migrated" not in first


def test_the_log_names_the_addresses(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    sidecar.start()
    line = next(line for line in sidecar.log().splitlines() if '"listening"' in line)
    assert f'"address":"127.0.0.1:{sidecar.port}"' in line, line
    assert f'"api_address":"127.0.0.1:{sidecar.port}"' in line, line


def test_check_looks_at_the_key(make_sidecar, fake, make_cluster):
    without = make_cluster(key=None)
    sidecar = make_sidecar({"fake": fake.settings()}, start=False, cluster=without)
    done = sidecar.run("--check")
    assert done.returncode == 1 and "OT001" in said(done), said(done)


def test_check_leaves_nothing_behind(sidecar):
    before = sidecar.sql("SELECT count(*) FROM oauth_tokens"), sidecar.flow_rows()
    assert "rehearsal" in said(sidecar.run("--check"))
    assert (sidecar.sql("SELECT count(*) FROM oauth_tokens"), sidecar.flow_rows()) == before


def test_check_looks_at_the_spool(sidecar):  # T4
    spool = sidecar.path / "spool"
    for mode, what in ((0o755, "mode 0755"), (0o700, "takes answers; waiting for the database: 0")):
        spool.chmod(mode)
        done = sidecar.run("--check")
        assert (done.returncode == 0) == (mode == 0o700) and f"{spool} {'has ' if mode == 0o755 else ''}{what}" in said(done)
    sidecar.settings["OAUTH_SPOOL_DIR"] = spool / "missing"
    done = sidecar.run("--check")
    assert done.returncode == 1 and f"{spool}/missing is missing: make the directory" in said(done), said(done)
    # What waits is counted, and what did not open is told of.
    (spool / "7.spool").write_text("{}", encoding="utf-8")
    (spool / "6.spool.aside").write_text("{}", encoding="utf-8")
    sidecar.settings["OAUTH_SPOOL_DIR"] = spool
    done = sidecar.run("--check")
    assert done.returncode == 0 and "database: 1" in said(done) and "(*.aside): 1;" in said(done), said(done)
    assert sorted(path.name for path in spool.iterdir()) == ["6.spool.aside", "7.spool"]


def test_check_warns_of_a_spool_in_memory(sidecar):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as spool:  # of mode 0700
        sidecar.settings["OAUTH_SPOOL_DIR"] = spool
        done = sidecar.run("--check")
    assert done.returncode == 0 and re.search(r"^warning +spool +\S+ is on a tmpfs", said(done), re.M), said(done)


def test_check_looks_at_the_certificate(sidecar):
    broken = sidecar.path / "broken.pem"
    broken.write_text("no certificate", encoding="utf-8")
    sidecar.settings |= {"OAUTH_TLS_CERTIFICATE": broken, "OAUTH_TLS_KEY": broken}
    done = sidecar.run("--check")
    assert done.returncode == 1 and "certificate" in said(done), said(done)


def test_help():
    done = subprocess.run([binary(), "--help"], stdout=subprocess.PIPE, text=True, env=environment(), timeout=10)
    assert done.returncode == 0
    for name in ("DATABASE_URL", "OAUTH_LISTEN", "OAUTH_API_LISTEN", "OAUTH_PUBLIC_URL", "OAUTH_API_TOKENS",
                 "OAUTH_RETURN_TO", "OAUTH_STATE_TTL_SECONDS", "OAUTH_CONFIG", "GOOGLE_CLIENT_ID",
                 "MICROSOFT_TENANT", "OAUTH_SPOOL_DIR", "OAUTH_TLS_CERTIFICATE", "OAUTH_TLS_KEY", "OAUTH_CA_FILE",
                 "OAUTH_MAX_CONNECTIONS", "OAUTH_PROVIDER_TIMEOUT_SECONDS", "OAUTH_DATABASE_POOL",
                 "OAUTH_LOG_LEVEL", "OAUTH_THREADS", "--check"):
        assert name in done.stdout, name


def test_version_and_unknown_options():
    def run(*arguments):
        return subprocess.run([binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=environment(), timeout=10)

    assert re.search(r"\d+\.\d+", run("--version").stdout)
    for arguments in (["--nonsense"], ["nonsense"], ["-Z"]):
        done = run(*arguments)
        assert done.returncode != 0 and done.stderr


# Each fault alone, and what its message must name.
def faults(fake):
    def provider(**changes):
        return {"config": {"providers": {"odd": fake.settings(client_secret=SECRET, **changes)}}}

    def named(name, **block):
        return {"config": {"providers": {name: block or fake.settings(client_secret=SECRET)}}}

    def env(**settings):
        return {"settings": settings}

    def tokens(*blocks):
        return {"config": {"api_tokens": list(blocks)}}

    away = "http://provider.example"
    return {
        # F18
        "http token endpoint": (provider(token_endpoint=away + "/token"), "token_endpoint"),
        "http authorization endpoint": (provider(authorization_endpoint=away + "/a"), "authorization_endpoint"),
        "http revocation endpoint": (provider(revocation_endpoint=away + "/r"), "revocation_endpoint"),
        "http refresh endpoint": (provider(refresh_endpoint=away + "/r"), "refresh_endpoint"),
        "http issuer": (provider(issuer=away), "issuer"),
        "http that only looks like loopback": (provider(token_endpoint="http://127.0.0.1.evil.example/"), "token_endpoint"),
        "http with a user": (provider(token_endpoint="http://localhost@evil.example/"), "token_endpoint"),
        "script endpoint": (provider(authorization_endpoint="javascript:alert(1)"), "authorization_endpoint"),
        "endpoint with a fragment": (provider(token_endpoint=fake.issuer + "/t#x"), "token_endpoint"),
        "endpoint that is no URL": (provider(token_endpoint="nonsense"), "token_endpoint"),
        "http public URL": (env(OAUTH_PUBLIC_URL="http://connect.example.org"), "OAUTH_PUBLIC_URL"),
        "public URL with a query": (env(OAUTH_PUBLIC_URL="https://connect.example.org/?x=y"), "OAUTH_PUBLIC_URL"),
        "public URL that is none": (env(OAUTH_PUBLIC_URL="nonsense"), "OAUTH_PUBLIC_URL"),
        # Providers
        "no client_id": (provider(client_id=None), "client_id"),
        "no endpoint and no issuer": (named("odd", client_id="x", client_secret=SECRET), "odd"),
        "unknown key": (provider(tokn_endpoint="x"), "tokn_endpoint"),
        "unknown preset": (provider(preset="gogle"), "preset"),
        "unknown token_auth": (provider(token_auth="digest"), "token_auth"),
        "unknown body": (provider(body="xml"), "body"),
        "unknown id_token": (provider(id_token="maybe"), "id_token"),
        "unknown rotation": (provider(rotation="sometimes"), "rotation"),
        "pkce a text": (provider(pkce="no"), "pkce"),
        "lifetime negative": (provider(default_expires_in=-1), "default_expires_in"),
        "parameter of ours": (provider(authorize_params={"state": "x"}), "authorize_params"),
        "redirect address of theirs": (provider(authorize_params={"redirect_uri": "x"}), "authorize_params"),
        "name in capitals": (named("Odd"), "Odd"),
        "name with a dot": (named("odd.work"), "odd.work"),
        "secret file that is not there": (provider(client_secret_file="/nonexistent/secret"), "client_secret"),
        "secret environment that is not there": (provider(client_secret_env="NOT_SET"), "client_secret"),
        # API tokens
        "short API token": (env(OAUTH_API_TOKENS="short"), "OAUTH_API_TOKENS"),
        "one short among them": (env(OAUTH_API_TOKENS=f"{API_TOKEN},short"), "OAUTH_API_TOKENS"),
        "API token without a token": (tokens({"name": "x"}), "api_tokens"),
        "API token of a wrong digest": (tokens({"name": "x", "token_sha256": "abc"}), "api_tokens"),
        "API token for an unknown call": (tokens({"name": "x", "token_sha256": "0" * 64, "allow": ["tokens"]}),
                                          "api_tokens|allow"),
        "API token for nothing": (tokens({"name": "x", "token_sha256": "0" * 64, "allow": []}), "api_tokens|allow"),
        "API token for no uuid": (tokens({"name": "x", "token_sha256": "0" * 64, "workspaces": ["x"]}),
                                  "api_tokens|workspaces"),
        # The rest
        "no database": (env(DATABASE_URL=None), "DATABASE_URL"),
        "database of another kind": (env(DATABASE_URL="mysql://sidecar:p4ssw0rd@localhost/app"), "DATABASE_URL"),
        "listen without a port": (env(OAUTH_LISTEN="127.0.0.1"), "OAUTH_LISTEN"),
        "listen on port 70000": (env(OAUTH_LISTEN="127.0.0.1:70000"), "OAUTH_LISTEN"),
        "listen on a socket without a path": (env(OAUTH_LISTEN="unix:", OAUTH_PUBLIC_URL="https://x.example"), "OAUTH_LISTEN"),
        "a socket and no public URL": (env(OAUTH_LISTEN="unix:/tmp/x.sock"), "OAUTH_PUBLIC_URL"),
        "api listen": (env(OAUTH_API_LISTEN="x"), "OAUTH_API_LISTEN"),
        "return_to with a path": (env(OAUTH_RETURN_TO="https://app.example.org/x"), "OAUTH_RETURN_TO"),
        "return_to everything": (env(OAUTH_RETURN_TO="*"), "OAUTH_RETURN_TO"),
        "return_to two stars": (env(OAUTH_RETURN_TO="https://*.*.example.org"), "OAUTH_RETURN_TO"),
        "return_to a star in the middle": (env(OAUTH_RETURN_TO="https://a.*.example.org"), "OAUTH_RETURN_TO"),
        "return_to a script": (env(OAUTH_RETURN_TO="javascript:alert(1)"), "OAUTH_RETURN_TO"),
        "TTL 0": (env(OAUTH_STATE_TTL_SECONDS="0"), "OAUTH_STATE_TTL_SECONDS"),
        "TTL negative": (env(OAUTH_STATE_TTL_SECONDS="-5"), "OAUTH_STATE_TTL_SECONDS"),
        "TTL a word": (env(OAUTH_STATE_TTL_SECONDS="ten"), "OAUTH_STATE_TTL_SECONDS"),
        "TTL overflow": (env(OAUTH_STATE_TTL_SECONDS="99999999999999999999"), "OAUTH_STATE_TTL_SECONDS"),
        "pool 0": (env(OAUTH_DATABASE_POOL="0"), "OAUTH_DATABASE_POOL"),
        "timeout 0": (env(OAUTH_PROVIDER_TIMEOUT_SECONDS="0"), "OAUTH_PROVIDER_TIMEOUT_SECONDS"),
        "connections 0": (env(OAUTH_MAX_CONNECTIONS="0"), "OAUTH_MAX_CONNECTIONS"),
        "threads 0": (env(OAUTH_THREADS="0"), "OAUTH_THREADS"),
        "log level": (env(OAUTH_LOG_LEVEL="loud"), "OAUTH_LOG_LEVEL"),
        "certificate without key": (env(OAUTH_TLS_CERTIFICATE="/nonexistent"), "OAUTH_TLS"),
        "certificate that is not there": (env(OAUTH_TLS_CERTIFICATE="/nonexistent", OAUTH_TLS_KEY="/nonexistent"),
                                          "OAUTH_TLS"),
        "CA file that is not there": (env(OAUTH_CA_FILE="/nonexistent"), "OAUTH_CA_FILE"),
        "configuration that is not there": (env(OAUTH_CONFIG="/nonexistent.toml"), "OAUTH_CONFIG"),
        "google id without secret": (env(GOOGLE_CLIENT_ID="x"), "GOOGLE_CLIENT_SECRET"),
        "google secret without id": (env(GOOGLE_CLIENT_SECRET=SECRET), "GOOGLE_CLIENT_ID"),
        "microsoft tenant": (env(MICROSOFT_CLIENT_ID="x", MICROSOFT_CLIENT_SECRET=SECRET, MICROSOFT_TENANT="a/b"),
                             "MICROSOFT_TENANT"),
        "unknown table": ({"config": {"provider": {"x": {"client_id": "x"}}}}, "provider"),
        "value and file": (env(OAUTH_API_TOKENS=API_TOKEN, OAUTH_API_TOKENS_FILE="/nonexistent"), "OAUTH_API_TOKENS"),
    }


def test_every_fault(sidecar, fake):  # F18
    """Each alone is refused in words that name the setting."""
    silent = []
    original = sidecar.settings, sidecar.config, sidecar.providers
    for name, (changes, setting) in faults(fake).items():
        settings, config, providers = original
        config = config | changes.get("config", {})
        sidecar.providers = providers | config.pop("providers", {})
        sidecar.settings, sidecar.config = settings | changes.get("settings", {}), config
        done = sidecar.run("--check")
        if done.returncode == 0 or not re.search(setting, said(done)):
            silent.append((name, done.returncode, said(done)[-200:]))
    assert silent == []


def test_all_at_once_and_before_anything_else(sidecar, fake):
    """With several faults every one is named, whether it is asked or started."""
    sidecar.settings |= {"OAUTH_LISTEN": "x", "OAUTH_STATE_TTL_SECONDS": "x", "OAUTH_API_TOKENS": "short",
                         "OAUTH_RETURN_TO": "*", "OAUTH_PUBLIC_URL": "http://a.example", "DATABASE_URL": None}
    sidecar.providers = {"one": fake.settings(client_secret=SECRET, client_id=None),
                         "two": fake.settings(client_secret=SECRET, token_endpoint="http://a.example", body="xml")}
    for arguments in (["--check"], []):
        done = sidecar.run(*arguments)
        assert done.returncode != 0
        for name in ("OAUTH_LISTEN", "OAUTH_STATE_TTL_SECONDS", "OAUTH_API_TOKENS", "OAUTH_RETURN_TO",
                     "OAUTH_PUBLIC_URL", "DATABASE_URL", "client_id", "token_endpoint", "body", "one", "two"):
            assert name in said(done), (arguments, name)


@pytest.mark.parametrize("text", ["x = ", "[providers", "\x00", "a = 1\na = 2", "[providers.fake]\nclient_secret = 7"])
def test_toml_that_is_none(sidecar, text):
    sidecar.settings["OAUTH_CONFIG"] = sidecar.path / "odd.toml"
    sidecar.settings["OAUTH_CONFIG"].write_text(text)
    done = sidecar.run("--check")
    assert done.returncode != 0 and re.search("OAUTH_CONFIG.*line [12]|providers.fake", said(done))


def test_the_port_is_taken(sidecar, make_sidecar, fake, db):
    sidecar.start()
    other = make_sidecar({"fake": fake.settings()}, start=False, db=db, port=sidecar.port)
    done = other.run()
    assert done.returncode != 0 and re.search("OAUTH_LISTEN|in use", said(done))


def works(sidecar):
    whose = someone()
    ends = MiniBrowser().open(sidecar.link(whose)).query["oauth"]
    return ends == "connected" and sidecar.api("token", whose).status == 200


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_forms_of_the_database_url(sidecar, scheme, db):
    url = sidecar.database_url().replace("postgresql:", scheme + ":", 1).replace("/" + db, "/%73ettings")
    sidecar.settings["DATABASE_URL"] = url.replace("sidecar@", "side%63ar:p4ssw0rd%40%2F@", 1)
    assert works(sidecar.start())
    assert "p4ssw0rd" not in sidecar.log()


def test_secrets_by_file_and_environment(sidecar, fake):
    def file(name, content):
        path = sidecar.path / name
        path.write_text(content)
        path.chmod(0o600)
        return path

    sidecar.settings |= {
        "OAUTH_API_TOKENS": None, "OAUTH_API_TOKENS_FILE": file("tokens", API_TOKEN + "\n"),
        "DATABASE_URL": None, "DATABASE_URL_FILE": file("url", sidecar.database_url() + "\n"), "THE_SECRET": SECRET,
    }
    sidecar.providers = {
        "fake": fake.settings(client_secret=None, client_secret_file=str(file("secret", SECRET + "\n"))),
        "two": fake.settings(client_secret=None, client_secret_env="THE_SECRET"),
    }
    assert works(sidecar.start())
    assert MiniBrowser().open(sidecar.link(someone("two"))).query["oauth"] == "connected"
    assert [request.basic[1] for request in fake.token_requests[-2:]] == [SECRET, SECRET]
    assert SECRET not in sidecar.log() and API_TOKEN not in sidecar.log()


def test_env_file_and_what_wins(sidecar):
    """The environment wins over .env, and both over the TOML file."""
    token = "the-token-in-the-env-file-0123"
    (sidecar.path / ".env").write_text(f"# a comment\nOAUTH_API_TOKENS='{token}'\nOAUTH_STATE_TTL_SECONDS=77\n")
    sidecar.settings |= {"OAUTH_API_TOKENS": None, "OAUTH_STATE_TTL_SECONDS": "88"}
    sidecar.start()
    reply = sidecar.api("authorize", someone(), token=token)
    assert 86 <= reply.json["expires_in"] <= 88
    assert sidecar.api("status", someone()).status == 401


def test_presets_of_the_environment(sidecar):
    sidecar.settings |= {"GOOGLE_CLIENT_ID": "g", "GOOGLE_CLIENT_SECRET": SECRET, "MICROSOFT_CLIENT_ID": "m",
                         "MICROSOFT_CLIENT_SECRET": SECRET, "MICROSOFT_TENANT": "common"}
    sidecar.providers = {}
    sidecar.start()
    expected = {
        "google": ("https://accounts.google.com/o/oauth2/v2/auth?", {
            "client_id": "g", "access_type": "offline", "prompt": "consent", "include_granted_scopes": "true",
            "response_type": "code", "code_challenge_method": "S256"}, {"openid", "email"}),
        "microsoft": ("https://login.microsoftonline.com/common/oauth2/v2.0/authorize?", {
            "client_id": "m", "response_type": "code", "code_challenge_method": "S256"},
            {"openid", "email", "offline_access"}),
    }
    for name, (address, fields, scopes) in expected.items():
        reply = sidecar.get(sidecar.link(someone(name), scopes="extra").removeprefix(sidecar.public_url))
        assert reply.status == 303 and reply.location.startswith(address), reply
        assert fields.items() <= reply.query.items()
        assert scopes | {"extra"} == set(reply.query["scope"].split())
        assert reply.query["redirect_uri"] == f"{sidecar.public_url}/oauth/{name}/callback"


def test_what_the_database_is_told(sidecar, fake):
    """Names, and no secret; a new start replaces them."""
    sidecar.settings["OAUTH_RETURN_TO"] = "https://app.example.org"
    sidecar.start()
    sidecar.stop()
    sidecar.providers = {"other": fake.settings(client_secret=SECRET)}
    sidecar.start()
    assert sidecar.link(someone("other"))
    with pytest.raises(Exception, match="provider"):
        sidecar.link(someone("fake"))
    dump = sidecar.cluster.dump(db=sidecar.db)
    assert SECRET not in dump and API_TOKEN not in dump


def test_a_public_url_of_the_database(sidecar, db):
    sidecar.start()
    sidecar.sql(f"ALTER DATABASE {db} SET oauth_tokens.public_url = 'https://elsewhere.example'")
    try:
        assert sidecar.link(someone()).startswith("https://elsewhere.example/oauth/fake/authorize?ticket=")
    finally:
        sidecar.sql(f"ALTER DATABASE {db} RESET oauth_tokens.public_url")


def test_a_public_url_with_a_path(sidecar, fake):
    """Behind a proxy that strips it: every address that leaves has it, the cookie's path is all."""
    port = sidecar.port
    sidecar.settings["OAUTH_PUBLIC_URL"] = f"http://localhost:{port}/connect/"
    done = sidecar.run("--check")
    if done.returncode != 0:
        assert "OAUTH_PUBLIC_URL" in said(done)  # as clear an answer
        return
    sidecar.start()
    link = sidecar.link(someone(), return_to="/x")
    assert link.startswith(f"http://localhost:{port}/connect/oauth/fake/authorize?")
    reply = sidecar.get(link.removeprefix(f"http://localhost:{port}/connect"))
    assert reply.query["redirect_uri"] == f"http://localhost:{port}/connect/oauth/fake/callback"


def test_start_without_the_database(sidecar, make_cluster, fake):
    """It comes up, says that it is not ready, and is once the database is there."""
    cluster = make_cluster(settings={"max_connections": 100})
    waiting = type(sidecar)(cluster, {"fake": fake.settings()}, port=free_port())
    cluster.stop()
    waiting.start(ready=False)
    waiting.wait_ready(ready=False)
    assert waiting.get("/healthz").status == 200
    cluster.start()
    waiting.wait_ready()
    assert works(waiting)
    waiting.stop()
