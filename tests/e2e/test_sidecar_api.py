"""The calls of a back end: who may make which, and what they answer."""

import hashlib
import itertools
import re
import uuid
from datetime import datetime, timezone

import pytest
from support.sidecar import API_TOKEN, MiniBrowser, parameters, someone
from support.tokens import WORKSPACE, store

OTHER_WORKSPACE = uuid.UUID("22222222-2222-4222-8222-222222222222")
CALLS = ["status", "authorize", "token", "delete"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")

# name: (how its token is given, its range)
RANGES = {
    "everything": {},
    "reader": {"allow": ["status", "token"]},
    "connector": {"allow": ["authorize"]},
    "deleter": {"allow": ["delete"]},
    "one workspace": {"workspaces": [str(WORKSPACE)]},
    "ONE WORKSPACE": {"workspaces": [str(OTHER_WORKSPACE).upper()]},
    "one provider": {"providers": ["fake"]},
    "one label": {"providers": ["fake.work"]},
    "narrow": {"allow": ["status"], "workspaces": [str(WORKSPACE)], "providers": ["other"]},
}


def token_of(name):
    return f"the-token-of-{name.replace(' ', '-')}-0123456789"


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake, application):
    ways = itertools.cycle(["token_env", "token_file", "token_sha256"])
    tokens, environment = [], {}
    made = module_sidecar({"fake": fake.settings(), "other": fake.settings()}, start=False)
    for number, (name, range_) in enumerate(RANGES.items()):
        way, secret = next(ways), token_of(name)
        if way == "token_env":
            environment[f"TOKEN_{number}"] = secret
            given = f"TOKEN_{number}"
        elif way == "token_file":
            path = made.path / f"token-{number}"
            path.write_text(secret + "\n")
            path.chmod(0o600)
            given = str(path)
        else:
            given = hashlib.sha256(secret.encode()).hexdigest()
        tokens.append({"name": name.replace(" ", "-"), way: given} | range_)
    made.config["api_tokens"] = tokens
    made.settings |= environment | {"OAUTH_RETURN_TO": application.origin}
    return made.start()


@pytest.fixture
def stored(sidecar):
    """An identity with a grant."""
    whose = someone()
    with sidecar.cluster.connect(sidecar.db, "app", autocommit=True) as connection:
        store(connection, whose, f"access of {whose[3]}", f"refresh of {whose[3]}")
    return whose


def call(sidecar, name, whose, token, **kwargs):
    method, path = ("DELETE", "token") if name == "delete" else ("GET", name)
    return sidecar.api(path, whose, method=method, token=token, **kwargs)


def expected(range_, name, workspace_id, provider):
    base = provider.partition(".")[0]
    return (
        name in range_.get("allow", CALLS)
        and str(workspace_id) in [one.lower() for one in range_.get("workspaces", [str(workspace_id)])]
        and bool({provider, base} & set(range_.get("providers", [provider])))
    )


@pytest.mark.parametrize("name", RANGES)
def test_ranges(sidecar, name):  # F19
    """Token × call × workspace × provider, with and without a grant: what is refused is refused
    before anything is looked up."""
    for workspace_id in (WORKSPACE, OTHER_WORKSPACE):
        for provider in ("fake", "fake.work", "other"):
            answers = {}
            for there in (True, False):
                whose = someone(provider, workspace_id)
                if there:
                    sidecar.sql("SELECT oauth_store(%s, %s, %s, %s, 'an access token')", whose, user="app")
                for one in CALLS:
                    reply = call(sidecar, one, whose, token_of(name))
                    if expected(RANGES[name], one, workspace_id, provider):
                        assert reply.status in ((200,) if there else (200, 404)), (one, whose, reply)
                    else:
                        assert (reply.status, reply.json["error"]) == (403, "forbidden"), (one, whose, reply)
                        answers.setdefault(one, set()).add(reply.json["message"])
                        assert "an access token" not in reply.text
            assert all(len(texts) == 1 for texts in answers.values())


def test_a_refused_delete_deletes_nothing(sidecar, stored):  # F19
    assert call(sidecar, "delete", stored, token_of("reader")).status == 403
    assert sidecar.grant(stored)


@pytest.mark.parametrize("header", [
    None, "", "Bearer", "Bearer ", "Bearer x", f"Basic {API_TOKEN}", API_TOKEN, f"Bearer {API_TOKEN}x",
    f"Bearer {API_TOKEN[:-1]}", f"Bearer {API_TOKEN.upper()}", f"Bearer {API_TOKEN} {API_TOKEN}",
    f"Bearer {API_TOKEN},{API_TOKEN}", "Bearer " + "x" * 5000, f"Bearer\t\x0b{API_TOKEN}", "Bearer \u00e9" * 5,
])
def test_who_is_nobody(sidecar, stored, header):  # F12, F19
    for name in CALLS:
        if name == "authorize" and header is None:
            continue  # is a browser without a ticket
        method, path = ("DELETE", "token") if name == "delete" else ("GET", name)
        reply = sidecar.get(
            f"/oauth/fake/{path}?workspace_id={stored[0]}&actor_type=user&actor_id={stored[3]}", method=method,
            headers={} if header is None else {"Authorization": header.encode("latin-1")},
        )
        assert reply.status in (401, 400), reply
        if reply.status == 401:
            assert reply.json["error"] == "unauthorized"
            assert reply.header("www-authenticate").startswith("Bearer")
    assert sidecar.grant(stored)


def test_two_authorizations(sidecar, stored):
    received = sidecar.raw(
        f"GET /oauth/fake/status?workspace_id={stored[0]}&actor_id={stored[3]} HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Bearer {API_TOKEN}\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n".encode()
    )
    assert received.split(b" ")[1] in (b"400", b"401")


def test_lower_case_scheme(sidecar, stored):
    path = f"/oauth/fake/status?workspace_id={stored[0]}&actor_id={stored[3]}"
    assert sidecar.get(path, headers={"Authorization": f"bearer {API_TOKEN}"}).status == 200


def test_no_token_is_taken_from_the_query(sidecar, stored):
    path = f"/oauth/fake/status?workspace_id={stored[0]}&actor_id={stored[3]}"
    for name in ("access_token", "token", "api_token"):
        assert sidecar.get(f"{path}&{name}={API_TOKEN}").status == 401


def test_without_any_token_the_api_is_closed(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_API_TOKENS": None})
    for token in ("", API_TOKEN):
        assert sidecar.api("status", someone(), token=token).status == 401
    assert sidecar.get("/metrics").status in (200, 401)


def test_several_tokens(make_sidecar, fake):
    tokens = ["first-token-0123456789", "second-token-0123456789"]
    sidecar = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_API_TOKENS": ", ".join(tokens)})
    assert [sidecar.api("status", someone(), token=token).status for token in tokens] == [200, 200]
    assert sidecar.api("status", someone(), token=", ".join(tokens)).status == 401


# What they answer


NOT_CONNECTED = {
    "linked": False, "state": "not_connected", "scopes": None, "expires_at": None,
    "account": None, "extra": None, "connected_at": None, "updated_at": None,
}


def test_status(sidecar, fake):
    whose = someone()
    identity = {"workspace_id": str(whose[0]), "provider": "fake", "actor_type": "user", "actor_id": whose[3]}
    reply = sidecar.api("status", whose)
    assert reply.status == 200 and reply.header("cache-control") == "no-store"
    assert (NOT_CONNECTED | identity).items() <= reply.json.items()
    assert not reply.json["has_refresh_token"]

    MiniBrowser().open(sidecar.link(whose))
    status = sidecar.api("status", whose).json
    assert (identity | {"linked": True, "state": "active", "scopes": "openid email", "has_refresh_token": True,
                        "account": {"id": fake.subject, "label": f"{fake.subject}@example.org"},
                        "extra": None}).items() <= status.items()
    for name in ("expires_at", "connected_at", "updated_at"):
        assert TIME.fullmatch(status[name]), (name, status)
    left = datetime.fromisoformat(status["expires_at"]) - datetime.now(timezone.utc)
    assert 3580 < left.total_seconds() <= 3600
    assert sidecar.grant(whose)[0] not in str(status) and sidecar.grant(whose)[1] not in str(status)


def test_token(sidecar, fake):
    whose = someone()
    MiniBrowser().open(sidecar.link(whose))
    reply = sidecar.api("token", whose)
    access, refresh, scopes = sidecar.grant(whose)
    assert reply.status == 200 and reply.header("cache-control") == "no-store"
    answer = reply.json
    assert {"access_token": access, "token_type": "Bearer", "scopes": scopes,
            "account": {"id": fake.subject, "label": f"{fake.subject}@example.org"}, "extra": None,
            }.items() <= answer.items()
    assert TIME.fullmatch(answer["expires_at"]) and 3580 < answer["expires_in"] <= 3600
    assert refresh not in reply.text and "refresh" not in reply.text
    # A still valid one is given, however long was asked for.
    for seconds in (0, 60, 86400):
        assert sidecar.api("token", whose, min_ttl=seconds).json["access_token"] == access


def test_actor_type_defaults_to_user(sidecar, stored):
    reply = sidecar.get(f"/oauth/fake/token?workspace_id={stored[0]}&actor_id={stored[3]}", token=API_TOKEN)
    assert reply.json["access_token"] == f"access of {stored[3]}"
    assert (reply.json["expires_at"], reply.json["expires_in"], reply.json["scopes"]) == (None, None, None)
    key = (*stored[:2], "api_key", stored[3])
    assert sidecar.api("token", key).status == 404


def test_no_token(sidecar):
    whose = someone()
    reply = sidecar.api("token", whose)
    assert (reply.status, reply.json["error"]) == (404, "not_connected")
    for refresh, reason in [(None, "no_refresh_token")]:
        sidecar.sql("SELECT oauth_store(%s, %s, %s, %s, 'old', %s, now() - interval '1 s')", [*whose, refresh],
                    user="app")
        reply = sidecar.api("token", whose)
        assert (reply.status, reply.json["error"], reply.json["reason"]) == (409, "reauthorization_required", reason)
        assert "old" not in reply.text.replace("older", "")
        status = sidecar.api("status", whose).json
        assert (status["linked"], status["state"]) == (True, "expired")


def test_delete(sidecar, stored, fake):
    for deleted, revocation in ((True, "queued"), (False, "skipped"), (False, "skipped")):
        reply = call(sidecar, "delete", stored, API_TOKEN)
        assert reply.status == 200
        assert reply.json == {"deleted": deleted, "revocation": revocation}
        assert sidecar.grant(stored) is None
    assert sidecar.api("status", stored).json["linked"] is False


def test_authorize(sidecar, fake, application):
    whose = someone()
    reply = sidecar.api("authorize", whose, return_to=application.origin, scopes="openid calendar")
    assert reply.status == 200 and set(reply.json) == {"authorize_url", "expires_in"}
    assert 590 <= reply.json["expires_in"] <= 600
    link = reply.json["authorize_url"]
    assert link.startswith(f"{sidecar.public_url}/oauth/fake/authorize?ticket=")
    assert set(parameters(link)) == {"ticket"}
    end = MiniBrowser().open(link)
    assert end.query["oauth"] == "connected" and end.url.startswith(application.origin)
    assert set(fake.seen("/authorize")[-1].query["scope"].split()) == {"openid", "calendar"}
    assert sidecar.grant(whose)
    assert fake.issuer not in reply.text


@pytest.mark.parametrize("scopes", ["a\nb", "a\0b", "\u00e9", '"', "\\", "x" * 20000])
def test_scopes_that_are_none(sidecar, scopes):  # RFC 6749, 3.3
    reply = sidecar.api("authorize", someone(), scopes=scopes)
    assert reply.status in (400, 414, 431)
    if reply.status == 400:
        assert reply.json["parameter"] == "scopes"


def test_at_most_20_open_links(sidecar):
    whose = someone()
    links = [sidecar.api("authorize", whose).json["authorize_url"] for _ in range(22)]
    answers = [sidecar.get(link.removeprefix(sidecar.public_url)).status for link in links]
    assert answers == [410] * 2 + [303] * 20
    assert MiniBrowser().open(links[-1]).query["oauth"] == "connected"


# Errors


def test_error_shape(sidecar):
    for reply in [
        sidecar.api("status", someone("nobody")), sidecar.api("token", someone()),
        sidecar.api("status", someone(), token="x" * 30), sidecar.api("token", someone(), min_ttl="x"),
    ]:
        assert {"error", "message", "request_id"} <= set(reply.json), reply
        assert reply.json["request_id"] == reply.header("x-request-id")
        assert reply.header("content-type").startswith("application/json")
        assert reply.header("cache-control") == "no-store"
        assert reply.all_headers("access-control-allow-origin") == []


@pytest.mark.parametrize("provider", ["nobody", "Fake", "fake.", ".fake", "fake.a.b", "fake..a", "-x", "x" * 300, "fak"])
def test_unknown_providers(sidecar, provider):
    for name in ("status", "authorize", "token"):
        reply = sidecar.api(name, someone(provider))
        assert reply.status in (400, 404), reply
        if reply.status == 404:
            assert reply.json["error"] == "unknown_provider"
    page = sidecar.get(f"/oauth/{provider}/authorize?ticket=x")
    assert page.status == 404 and "text/html" in page.header("content-type")


@pytest.mark.parametrize("path, allowed", [
    ("/oauth/fake/status", {"GET"}), ("/oauth/fake/token", {"GET", "DELETE"}), ("/oauth/fake/authorize", {"GET"}),
    ("/oauth/fake/callback", {"GET"}), ("/oauth/fake/done", {"GET"}), ("/healthz", {"GET"}),
    ("/readyz", {"GET"}), ("/metrics", {"GET"}),
])
def test_methods(sidecar, path, allowed):
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"):
        if method in allowed:
            continue
        reply = sidecar.get(path, method=method, token=API_TOKEN)
        assert reply.status in (405, 501) or (method == "OPTIONS" and reply.status == 204), (method, reply)
        if reply.status == 405:
            assert allowed <= set(re.findall(r"\w+", reply.header("allow"))), (method, reply)
        assert "localhost" not in str(reply.all_headers("access-control-allow-origin"))


def test_no_cors(sidecar, stored, application, chromium):
    """A page of the application's cannot read what the API says, with whatever token."""
    profile = chromium.profile()
    profile.goto(application.origin)
    url = f"{sidecar.public_url}/oauth/fake/token?workspace_id={stored[0]}&actor_id={stored[3]}"
    for headers in ("{}", f"{{Authorization: 'Bearer {API_TOKEN}'}}"):
        seen = profile.evaluate(f"fetch('{url}', {{headers: {headers}}}).then((r) => r.text(), () => 'refused')")
        assert seen == "refused"
    profile.close()


def test_bodies_are_bounded(sidecar, stored):
    reply = sidecar.get(f"/oauth/fake/token?workspace_id={stored[0]}&actor_id={stored[3]}", method="DELETE",
                        token=API_TOKEN, headers={"Content-Length": "100000000", "Connection": "close"})
    assert reply.status == 413 and reply.json["error"]
    assert sidecar.grant(stored)


def test_database_away(make_sidecar, make_cluster, fake):
    cluster = make_cluster(settings={"max_connections": 100})
    sidecar = make_sidecar({"fake": fake.settings()}, cluster=cluster)
    whose = someone()
    link = sidecar.link(whose).removeprefix(sidecar.public_url)
    cluster.stop("immediate")
    for name in CALLS:
        reply = call(sidecar, name, whose, API_TOKEN)
        assert reply.status == 503 and reply.header("retry-after") and reply.json["error"], name
    page = sidecar.get(link)
    assert page.status == 503 and page.header("retry-after") and "text/html" in page.header("content-type")
    assert sidecar.get("/readyz").status == 503 and sidecar.get("/healthz").status == 200
    cluster.start()
    sidecar.wait_ready()
    reply = sidecar.api("status", whose)
    assert reply.status == 200 and reply.json["linked"] is False, reply.text


def test_row_it_cannot_open(sidecar, stored):
    """A damaged value is our fault, not the user's: no token, and no word of it."""
    sidecar.sql("UPDATE oauth_tokens SET encrypted_access_token = 'gAAAAAdamaged' WHERE actor_id = %s", [stored[3]])
    reply = sidecar.api("token", stored)
    assert reply.status in (500, 503) and "gAAAAA" not in reply.text and "damaged" not in reply.text
    assert sidecar.api("status", stored).status == 200
    assert sidecar.get("/readyz").status == 200


# Parameters


@pytest.mark.parametrize("setting", [None, "on"])
@pytest.mark.parametrize("value, asks", [("true", True), ("false", False), (None, None)])
def test_confirm(make_sidecar, fake, value, asks, setting):  # F15
    sidecar, whose = make_sidecar({"fake": fake.settings()}, start=False), someone()
    if setting:
        sidecar.sql(f"ALTER DATABASE {sidecar.db} SET oauth_tokens.confirm_flows = {setting}")
    sidecar.start()
    reply = sidecar.api("authorize", whose, return_to="/x", confirm=value)
    assert reply.status == 200, reply.text
    end = MiniBrowser().open(reply.json["authorize_url"], until="/x?")
    asks = setting == "on" if asks is None else asks
    assert ("oauth_flow" in end.query) == asks and bool(sidecar.grant(whose)) != asks


@pytest.mark.parametrize("value", ["", "1", "True", "yes", "null", "true "])
def test_confirm_of_another_form(sidecar, value):
    reply = sidecar.api("authorize", someone(), return_to="/x", confirm=value)
    assert (reply.status, reply.json["error"], reply.json["parameter"]) == (400, "invalid_request", "confirm")


def test_confirm_needs_a_return_to(sidecar):
    reply = sidecar.api("authorize", someone(), confirm="true")
    assert (reply.status, reply.json["parameter"]) == (400, "return_to")


@pytest.mark.parametrize("name, value", [
    ("confrim", "true"), ("Confirm", "true"), ("ticket", "x"), ("min-ttl", "1"), ("returnTo", "/x"), ("x", ""),
])
@pytest.mark.parametrize("name_of_call", CALLS)
def test_parameters_that_an_endpoint_does_not_know(sidecar, fake, name_of_call, name, value):
    """They would go unheeded: a link without the confirmation that was asked for, say."""
    whose = sidecar_stored(sidecar)
    call, method = ("token", "DELETE") if name_of_call == "delete" else (name_of_call, "GET")
    reply = sidecar.api(call, whose, method=method, **{name: value})
    assert (reply.status, reply.json["error"], reply.json["parameter"]) == (400, "invalid_request", name)
    assert sidecar.grant(whose)


@pytest.mark.parametrize("call, method, name", [
    ("status", "GET", "min_ttl"), ("token", "DELETE", "min_ttl"), ("authorize", "GET", "min_ttl"),
    ("status", "GET", "return_to"), ("token", "GET", "scopes"), ("token", "GET", "confirm"), ("token", "GET", "revoke"),
])
def test_parameters_of_another_endpoint(sidecar, call, method, name):
    reply = sidecar.api(call, someone(), method=method, **{name: "1"})
    assert (reply.status, reply.json["parameter"]) == (400, name)


@pytest.mark.parametrize("name", ["<script>", "a" * 65, "\u00e9", "a b", "a.b\""])
def test_names_that_are_not_told_back(sidecar, name):
    reply = sidecar.api("status", someone(), **{name: "1"})
    assert reply.status == 400 and not reply.json.get("parameter")


def sidecar_stored(sidecar):
    whose = someone()
    sidecar.store(whose, "an access token")
    return whose


# Expiries of other writers: a time that has passed long ago is not one that nobody knows


@pytest.mark.parametrize("column", ["timestamp", "timestamptz"])
@pytest.mark.parametrize("refresh", [None, "a refresh token"])
def test_infinite_expiries(make_sidecar, fake, column, refresh):
    sidecar = make_sidecar({"fake": fake.settings()})
    sidecar.sql("ALTER TABLE oauth_tokens ALTER access_token_expires_at TYPE " + column)
    ends = {"-infinity": False, "4713-01-01 BC": False, "0001-01-01": False, "infinity": True, "99999-01-01": True}
    for expiry, lives in ends.items():
        whose = someone()
        sidecar.store(whose, "an access token", refresh_token=refresh)
        sidecar.sql("UPDATE oauth_tokens SET access_token_expires_at = %s WHERE actor_id = %s", [expiry, whose[3]])
        status = sidecar.api("status", whose).json
        assert status["state"] == ("active" if lives else "expired"), (expiry, status)
        if expiry == "-infinity":
            assert status["expires_at"] == "0001-01-01T00:00:00+00:00"
        assert (status["expires_at"] is None) == (expiry == "infinity")
        sql = sidecar.sql("SELECT oauth_access_token(%s, %s, %s, %s) IS NOT NULL", whose, user="app")[0][0]
        assert sql == lives and sidecar.connection(whose)["state"] == status["state"]
        fake.reset()
        for min_ttl in (None, 0, 3000):
            reply = sidecar.api("token", whose, min_ttl=min_ttl)
            assert reply.status == (200 if lives or refresh else 409), (expiry, reply.text)
        assert len(fake.token_requests) == (1 if refresh and not lives else 0)
        if reply.status == 409:
            assert reply.json["reason"] == "no_refresh_token"
