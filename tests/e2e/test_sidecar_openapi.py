"""docs/openapi.yaml says what the daemon answers: every status in it is provoked, and every answer,
whatever was asked, is one that it has, down to the last property."""

import functools
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import yaml
from support.harness import CHECKOUT, wait_until
from jsonschema import Draft202012Validator, RefResolver
from support.fake_provider import Answer
from support.sidecar import API_TOKEN, MiniBrowser, someone
from support.tokens import WORKSPACE

DOCUMENT = yaml.safe_load((CHECKOUT / "docs/openapi.yaml").read_text("utf-8"))
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items() for method, operation in item.items() if method != "parameters"
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
JSON, HTML, TEXT = "application/json", "text/html; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
NOTHING = None  # no body

# HTTP's own, and those that an answer has only where the document says so.
OF_HTTP = {"date", "content-type", "content-length", "connection"}
PARTICULAR = {"allow", "location", "retry-after", "set-cookie", "www-authenticate"}

LIMITED = "a-token-for-one-workspace-only-0123456789"
ELSEWHERE = "22222222-2222-4222-8222-222222222222"


# The document


def resolved(item):
    while "$ref" in item:
        item = functools.reduce(lambda at, key: at[key], item["$ref"][2:].split("/"), DOCUMENT)
    return item


def validate(schema, instance, what):
    resolver = RefResolver.from_schema(DOCUMENT)
    errors = list(Draft202012Validator(schema, resolver=resolver).iter_errors(instance))
    assert not errors, f"{what}: {[error.message for error in errors]}"


def response_for(operation, status):
    """The response that the document has for this status; a failure where it has none."""
    responses = OPERATIONS[operation]["responses"]
    if str(status) in responses:
        return resolved(responses[str(status)])
    default = resolved(responses["default"])
    assert str(status) in default["x-statuses"], f"{operation} answered {status}, which is not documented"
    return default


def check_headers(response, reply, what):
    documented = {name.lower(): resolved(header) for name, header in response["headers"].items()}
    common = {name.lower(): header for name, header in DOCUMENT["components"]["headers"].items()}
    for name, header in (documented | {
        name: header for name, header in common.items() if header["description"].startswith("On every answer")
    }).items():
        values = reply.all_headers(name)
        assert values or not header.get("required"), f"{what}: {name} is missing"
        assert len(values) <= 1 or name == "set-cookie", f"{what}: {name} stands {len(values)} times"
        for value in values:
            validate(header["schema"], value, f"{what}: {name}")
            if "x-query" in header:
                query = parse_qsl(urlsplit(value).query, keep_blank_values=True, strict_parsing=True)
                assert len(dict(query)) == len(query), value
                validate(header["x-query"], dict(query), f"{what}: the query of {name}")
    for name, _ in reply.headers:
        name = name.lower()
        assert name in documented or name in common and name not in PARTICULAR or name in OF_HTTP, (
            f"{what}: {name} is not documented"
        )


def check(operation, reply):
    """Holds an answer against the document; its status and media type."""
    what = f"{operation} ({reply.url}) {reply.status}"
    response = response_for(operation, reply.status)
    check_headers(response, reply, what)
    media = reply.header("content-type")
    if operation.startswith("HEAD ") or not reply.body:
        assert not reply.body, what
        assert operation.startswith("HEAD ") or "content" not in response, f"{what}: there is no body"
        return reply.status, NOTHING
    assert media in response.get("content", {}), f"{what}: {media} is not documented"
    body = reply.json if media == JSON else reply.body.decode("utf-8")
    validate(response["content"][media]["schema"], body, what)
    if media == JSON and "request_id" in body:
        assert body["request_id"] == reply.header("x-request-id"), what
    return reply.status, media


# Several daemons, since one cannot be in every state


class Stage:
    """`main` is as it should be, `split` has a listener for the API, `dead` has no database,
    `denied` may do nothing in its own, and in that of `broken` functions fail as they never should."""

    def __init__(self, make, fake, application):
        config = {"api_tokens": [{"name": "limited", "token": LIMITED, "workspaces": [ELSEWHERE]}]}
        providers = {"fake": fake.settings(extra=["instance_url"])}
        settings = {"OAUTH_RETURN_TO": application.origin}
        self.fake, self.application = fake, application
        self.main = make(providers, config=config, settings=settings)
        self.split = make(providers, db=self.main.db, config=config, settings=settings, start=False)
        self.split.settings["OAUTH_API_LISTEN"] = f"unix:{self.split.path}/api"
        self.split.settings["OAUTH_PUBLIC_URL"] = self.main.public_url
        self.split.start()
        self.dead = make(providers, db=self.main.db, config=config, settings=settings, start=False)
        self.dead.settings["DATABASE_URL"] = "postgresql://sidecar@/app?host=/nowhere&port=1"
        self.dead.start(ready=False)
        wait_until(lambda: self._answers(self.dead), what="the daemon without a database")
        self.denied = make(providers, config=config)
        self.denied.sql("SELECT oauth_tokens_revoke('sidecar', 'sidecar')")
        self.broken = make(providers, config=config)
        self.broken.sql("""DO $do$ DECLARE f oid; BEGIN
            FOR f IN SELECT oid FROM pg_proc WHERE NOT 'anyenum'::regtype = ANY (proargtypes) AND proname
                IN ('oauth_authorize_url', 'oauth_get', 'delete_token', 'connection') LOOP
                EXECUTE format('CREATE OR REPLACE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql AS '
                    '$$BEGIN RAISE ''broken'' USING ERRCODE = ''XX000''; END$$',
                    f::regproc, pg_get_function_arguments(f), pg_get_function_result(f));
            END LOOP; END $do$""")

    @staticmethod
    def _answers(sidecar):
        try:
            return sidecar.get("/healthz", timeout=2).status == 200
        except OSError:
            return False

    def store(self, whose=None, **given):
        """An identity with a token."""
        whose = whose or someone()
        named = "".join(f", {name} => %s" for name in given)
        self.main.sql(f"SELECT oauth_store(%s, %s, %s, %s, 'an access token'{named})",
                      [*whose, *given.values()], user="app")
        return whose

    def path_of(self, link):
        return link.removeprefix(self.main.public_url)


@pytest.fixture(scope="module")
def stage(module_sidecar, module_provider, application):
    return Stage(module_sidecar, module_provider(), application)


# What is asked, and what must come


CASES = []  # (name, operation, status, media, function of the stage)


def case(operation, status, media, *parameters):
    """Decorates a function of the stage, and what else is given, that returns a Reply."""
    def add(ask):
        names = [ask.__name__, operation, *map(str, parameters)]
        CASES.append((" ".join(names), operation, status, media, lambda stage: ask(stage, *parameters)))
        return ask
    return add


def url(path, **query):
    return f"{path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def identity(**changes):
    return {"workspace_id": str(WORKSPACE), "actor_type": "user", "actor_id": "nobody"} | changes


BACKEND = {
    "GET /oauth/{provider}/authorize": ("GET", "/oauth/fake/authorize"),
    "GET /oauth/{provider}/status": ("GET", "/oauth/fake/status"),
    "GET /oauth/{provider}/token": ("GET", "/oauth/fake/token"),
    "DELETE /oauth/{provider}/token": ("DELETE", "/oauth/fake/token"),
}

for _operation, (_method, _path) in BACKEND.items():

    @case(_operation, 400, JSON, _method, _path)
    def no_identity(stage, method, path):
        return stage.main.get(url(path, workspace_id=str(WORKSPACE)), method=method, token=API_TOKEN)

    @case(_operation, 400, JSON, _method, _path)
    def doubled(stage, method, path):
        return stage.main.get(url(path, **identity()) + "&actor_id=x", method=method, token=API_TOKEN)

    @case(_operation, 400, JSON, _method, _path)
    def not_utf8(stage, method, path):
        return stage.main.get(url(path, **identity()) + "&unknown=%ff", method=method, token=API_TOKEN)

    @case(_operation, 401, JSON, _method, _path)
    def no_token(stage, method, path):
        return stage.main.get(url(path, **identity()), method=method)

    @case(_operation, 401, JSON, _method, _path)
    def wrong_token(stage, method, path):
        return stage.main.get(url(path, **identity()), method=method, token=API_TOKEN + "x")

    @case(_operation, 403, JSON, _method, _path)
    def token_of_others(stage, method, path):
        return stage.main.get(url(path, **identity()), method=method, token=LIMITED)

    @case(_operation, 404, JSON, _method, _path)
    def no_such_provider(stage, method, path):
        return stage.main.get(url(path.replace("fake", "nobody"), **identity()), method=method, token=API_TOKEN)

    @case(_operation, 500, JSON, _method, _path)
    def what_nobody_expects(stage, method, path):
        return stage.broken.get(url(path, **identity()), method=method, token=API_TOKEN)

    @case(_operation, 503, JSON, _method, _path)
    def without_rights(stage, method, path):
        return stage.denied.get(url(path, **identity()), method=method, token=API_TOKEN)

    @case(_operation, 503, JSON, _method, _path)
    def without_a_database(stage, method, path):
        return stage.dead.get(url(path, **identity()), method=method, token=API_TOKEN)


for _operation, _path, _method in [
    ("GET /oauth/{provider}/authorize", "/oauth/fake/authorize", "POST"),
    ("GET /oauth/{provider}/callback", "/oauth/fake/callback", "POST"),
    ("GET /oauth/{provider}/done", "/oauth/fake/done", "POST"),
    ("GET /oauth/{provider}/status", "/oauth/fake/status", "POST"),
    ("GET /oauth/{provider}/status", "/oauth/fake/status", "OPTIONS"),
    ("GET /oauth/{provider}/token", "/oauth/fake/token", "POST"),
    ("DELETE /oauth/{provider}/token", "/oauth/fake/token", "BREW"),
    ("GET /healthz", "/healthz", "POST"),
    ("GET /readyz", "/readyz", "DELETE"),
    ("GET /metrics", "/metrics", "PUT"),
]:

    @case(_operation, 405, JSON, _path, _method)
    def other_method(stage, path, method):
        return stage.main.get(path, method=method)


@case("HEAD /oauth/{provider}/authorize", 405, NOTHING)
def head_for_a_link(stage):
    return stage.main.get(url("/oauth/fake/authorize", **identity()), method="HEAD", token=API_TOKEN)


# Links


@case("GET /oauth/{provider}/authorize", 200, JSON)
def link(stage):
    return stage.main.api("authorize", someone())


@case("GET /oauth/{provider}/authorize", 200, JSON)
def link_with_everything(stage):
    whose = someone("fake.work")[:2] + ("api_key", "key 1")
    return stage.main.api("authorize", whose, scopes="openid email", return_to="/settings?tab=1#there")


@case("GET /oauth/{provider}/authorize", 400, JSON)
def return_to_elsewhere(stage):
    reply = stage.main.api("authorize", someone(), return_to="https://evil.example/")
    assert reply.json["parameter"] == "return_to"
    return reply


@case("GET /oauth/{provider}/authorize", 400, JSON)
def scopes_with_a_quote(stage):
    reply = stage.main.api("authorize", someone(), scopes='a"b')
    assert reply.json["parameter"] == "scopes"
    return reply


@case("GET /oauth/{provider}/authorize", 303, NOTHING)
def opened_link(stage):
    reply = stage.main.get(stage.path_of(stage.main.link(someone())))
    assert reply.query["code_challenge_method"] == "S256" and reply.query["response_type"] == "code"
    assert {"client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge"} <= set(reply.query)
    return reply


@case("GET /oauth/{provider}/authorize", 303, NOTHING)
def opened_link_with_a_label(stage):
    reply = stage.main.get(stage.path_of(stage.main.link(someone("fake.work"))))
    assert reply.query["redirect_uri"] == f"{stage.main.public_url}/oauth/fake/callback"
    return reply


@case("GET /oauth/{provider}/authorize", 303, NOTHING)
def ninth_tab(stage):
    browser = MiniBrowser()
    for _ in range(9):
        reply = browser.fetch(stage.main.link(someone()))
    assert len([cookie for cookie in reply.cookies if cookie.clears]) == 2  # under both names
    return reply


@case("GET /oauth/{provider}/authorize", 400, HTML)
def no_ticket(stage):
    return stage.main.get("/oauth/fake/authorize")


@case("GET /oauth/{provider}/authorize", 404, HTML)
def link_of_no_provider(stage):
    return stage.main.get("/oauth/nobody/authorize?ticket=" + "A" * 43)


@case("GET /oauth/{provider}/authorize", 410, HTML)
def unknown_ticket(stage):
    return stage.main.get("/oauth/fake/authorize?ticket=" + "A" * 43)


@case("GET /oauth/{provider}/authorize", 503, HTML)
def prefetched(stage):
    path = stage.path_of(stage.main.link(someone()))
    return stage.main.get(path, headers={"Sec-Purpose": "prefetch;prerender"})


@case("GET /oauth/{provider}/authorize", 503, HTML)
def link_without_a_database(stage):
    return stage.dead.get("/oauth/fake/authorize?ticket=" + "A" * 43)


@case("HEAD /oauth/{provider}/authorize", 200, NOTHING)
def head_of_a_link(stage):
    return stage.main.get("/oauth/fake/authorize?ticket=x", method="HEAD")


@case("HEAD /oauth/{provider}/authorize", 404, NOTHING)
def head_of_no_provider(stage):
    return stage.main.get("/oauth/nobody/authorize?ticket=x", method="HEAD")


# Callbacks


def callback(stage, says=None, whose=None, **parameters):
    """What a browser gets that comes back from the provider, which changes its parameters by `says`."""
    stage.fake.authorize = says
    browser = MiniBrowser()
    to = browser.open(stage.main.link(whose or someone(), **parameters), until="/fake/callback?")
    return browser.fetch(to.url)


@case("GET /oauth/{provider}/callback", 303, NOTHING)
def connected(stage):
    reply = callback(stage)
    assert reply.query["oauth"] == "connected" and urlsplit(reply.location).path == "/oauth/fake/done"
    assert len([cookie for cookie in reply.cookies if cookie.clears]) > 0
    return reply


@case("GET /oauth/{provider}/callback", 303, NOTHING)
def connected_with_a_label(stage):
    reply = callback(stage, whose=someone("fake.work"), return_to=f"{stage.application.origin}/there?a=1")
    assert reply.query == {"a": "1", "oauth": "connected", "oauth_provider": "fake.work"}
    return reply


@case("GET /oauth/{provider}/callback", 303, NOTHING)
def confirmed(stage):
    whose = someone()
    reply = callback(stage, whose=whose, return_to="/there", confirm=True)
    assert reply.query["oauth"] == "confirm"
    stage.main.sql("SELECT oauth_flow_confirm(%s, %s, %s, %s, %s)", [*whose, reply.query["oauth_flow"]], user="app")
    assert stage.main.grant(whose)
    return reply


for _error, _outcome in [("access_denied", "access_denied"), ("server_error", "unavailable"),
                         ("invalid_scope", "provider_error")]:

    @case("GET /oauth/{provider}/callback", 303, NOTHING, _error, _outcome)
    def refused_by_the_provider(stage, error, outcome):
        reply = callback(stage, lambda parameters: parameters | {"code": None, "error": error})
        assert (reply.query["oauth"], reply.query["oauth_error"]) == ("failed", outcome)
        return reply


@case("GET /oauth/{provider}/callback", 303, NOTHING)
def link_gone_meanwhile(stage):
    """Another tab is through while the provider still thinks about this one's code."""
    link, think = stage.main.link(someone()), threading.Event()
    slow, quick = MiniBrowser(), MiniBrowser()
    ways = [browser.open(link, until="/fake/callback?").url for browser in (slow, quick)]
    stage.fake.answers.append(lambda request: think.wait(20) and None)
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(slow.fetch, ways[0])
        stage.fake.wait_token_request()
        assert quick.fetch(ways[1]).query["oauth"] == "connected"
        think.set()
    assert reply.result().query["oauth_error"] == "expired"
    return reply.result()


@case("GET /oauth/{provider}/callback", 400, HTML)
def no_attempt(stage):
    return stage.main.get(url("/oauth/fake/callback", code="x", state="s" * 43))


@case("GET /oauth/{provider}/callback", 400, HTML)
def again(stage):
    stage.fake.authorize = None
    browser = MiniBrowser()
    to = browser.open(stage.main.link(someone()), until="/fake/callback?")
    cookies = browser.cookies()
    browser.fetch(to.url)
    return stage.main.get(stage.path_of(to.url), cookies=cookies)


@case("GET /oauth/{provider}/callback", 404, HTML)
def callback_of_no_provider(stage):
    return stage.main.get("/oauth/nobody/callback?code=x&state=y")


@case("GET /oauth/{provider}/callback", 404, JSON)
def callback_on_the_api_listener(stage):
    return stage.split.get("/oauth/fake/callback?code=x&state=y", listener="api")


@case("GET /oauth/{provider}/callback", 503, HTML)
def callback_without_a_database(stage):
    browser = MiniBrowser()
    to = browser.open(stage.main.link(someone()), until="/fake/callback?")
    return stage.dead.get(stage.path_of(to.url), cookies=browser.cookies())


# Pages


for _query in ("oauth=connected", "oauth=failed&oauth_error=expired", "oauth=failed&oauth_error=access_denied",
               "oauth=failed&oauth_error=unavailable", "oauth=failed"):

    @case("GET /oauth/{provider}/done", 200, HTML, _query)
    def done(stage, query):
        return stage.main.get(f"/oauth/fake/done?{query}")


@case("GET /oauth/{provider}/done", 400, HTML)
def done_with_nothing(stage):
    return stage.main.get("/oauth/fake/done")


@case("GET /oauth/{provider}/done", 404, HTML)
def done_of_no_provider(stage):
    return stage.main.get("/oauth/nobody/done?oauth=connected")


@case("GET /oauth/{provider}/done", 404, JSON)
def done_on_the_api_listener(stage):
    return stage.split.get("/oauth/fake/done?oauth=connected", listener="api")


for _path, _status in [("/oauth/fake/done?oauth=connected", 200), ("/oauth/fake/done", 400), ("/oauth/nobody/done", 404)]:

    @case("HEAD /oauth/{provider}/done", _status, NOTHING, _path)
    def head_of_done(stage, path):
        return stage.main.get(path, method="HEAD")


# Status, token, delete


@case("GET /oauth/{provider}/status", 200, JSON)
def status_of_nothing(stage):
    reply = stage.main.api("status", someone())
    assert reply.json["linked"] is False and reply.json["state"] == "not_connected"
    return reply


@case("GET /oauth/{provider}/status", 200, JSON)
def status_of_a_bare_token(stage):
    reply = stage.main.api("status", stage.store())
    assert reply.json["state"] == "active" and reply.json["expires_at"] is None
    return reply


@case("GET /oauth/{provider}/status", 200, JSON)
def status_of_an_expired_token(stage):
    reply = stage.main.api("status", stage.store(expires_at="2020-01-01 00:00:00.75+02"))
    assert reply.json["state"] == "expired" and reply.json["expires_at"] == "2019-12-31T22:00:00+00:00"
    return reply


@case("GET /oauth/{provider}/status", 200, JSON)
def status_of_a_connection(stage):
    whose = someone()
    stage.fake.token_fields = {"instance_url": "https://example.org", "scope": "openid email"}
    assert callback(stage, whose=whose).query["oauth"] == "connected"
    reply = stage.main.api("status", whose)
    assert reply.json["linked"] and reply.json["has_refresh_token"] and reply.json["connected_at"]
    assert reply.json["account"] == {"id": "subject-of-alice", "label": "subject-of-alice@example.org"}
    assert reply.json["extra"] == {"instance_url": "https://example.org"}
    return reply


@case("GET /oauth/{provider}/status", 404, JSON)
def status_on_the_listener_for_browsers(stage):
    return stage.split.get(url("/oauth/fake/status", **identity()), token=API_TOKEN)


@case("GET /oauth/{provider}/token", 200, JSON)
def token(stage):
    reply = stage.main.api("token", stage.store(expires_in=3599, scopes="a b"), min_ttl=7200)
    assert 3590 < reply.json["expires_in"] < 3600 and reply.json["scopes"] == "a b"
    return reply


@case("GET /oauth/{provider}/token", 200, JSON)
def token_of_unknown_expiry(stage):
    reply = stage.main.api("token", stage.store(), min_ttl=7200)
    assert reply.json["expires_in"] is None and reply.json["account"] is None and reply.json["extra"] is None
    return reply


@case("GET /oauth/{provider}/token", 400, JSON)
def min_ttl_of_letters(stage):
    reply = stage.main.api("token", someone(), min_ttl="1h")
    assert reply.json["parameter"] == "min_ttl"
    return reply


@case("GET /oauth/{provider}/token", 400, JSON)
def unknown_actor_type(stage):
    reply = stage.main.api("token", someone()[:2] + ("robot", "r2"))
    assert reply.json["parameter"] == "actor_type"
    return reply


@case("GET /oauth/{provider}/token", 404, JSON)
def token_of_nothing(stage):
    reply = stage.main.api("token", someone())
    assert reply.json["error"] == "not_connected"
    return reply


@case("GET /oauth/{provider}/token", 409, JSON)
def expired_token(stage):
    return stage.main.api("token", stage.store(expires_at="2020-01-01 00:00:00+00"))


@case("GET /oauth/{provider}/token", 502, JSON)
def refused_client(stage):
    stage.fake.answer = Answer({"error": "invalid_client"}, 401)
    reply = stage.main.api("token", stage.store(expires_at="2020-01-01 00:00:00+00", refresh_token="refused"))
    assert reply.json["reason"] == "client_config: HTTP 401, invalid_client"
    return reply


@case("DELETE /oauth/{provider}/token", 200, JSON)
def delete(stage):
    whose = stage.store()
    replies = [stage.main.api("token", whose, method="DELETE", revoke=how) for how in ("auto", "always", "never", None)]
    assert [reply.json["deleted"] for reply in replies] == [True, False, False, False]
    assert [reply.json["revocation"] for reply in replies] == ["queued"] + 3 * ["skipped"]
    return replies[0]


# Operators


@case("GET /healthz", 200, JSON)
def healthz(stage):
    return stage.dead.get("/healthz")


@case("HEAD /healthz", 200, NOTHING)
def head_of_healthz(stage):
    return stage.main.get("/healthz", method="HEAD")


@case("GET /readyz", 200, JSON)
def readyz(stage):
    return stage.split.get("/readyz")


@case("HEAD /readyz", 200, NOTHING)
def head_of_readyz(stage):
    return stage.main.get("/readyz", method="HEAD")


@case("GET /readyz", 503, JSON)
def not_ready(stage):
    return stage.dead.get("/readyz")


@case("HEAD /readyz", 503, NOTHING)
def head_not_ready(stage):
    return stage.dead.get("/readyz", method="HEAD")


@case("GET /metrics", 200, TEXT)
def metrics(stage):
    return stage.split.get("/metrics", listener="api")


@case("HEAD /metrics", 200, NOTHING)
def head_of_metrics(stage):
    return stage.main.get("/metrics", method="HEAD")


@case("GET /metrics", 404, JSON)
def metrics_for_browsers(stage):
    return stage.split.get("/metrics")


@case("HEAD /metrics", 404, NOTHING)
def head_of_metrics_for_browsers(stage):
    return stage.split.get("/metrics", method="HEAD")


# What the server refuses by itself, on any path


class RawReply:
    """An answer as it came over the wire, with what check() asks of it."""

    def __init__(self, sidecar, data, timeout=15):
        self.url = data[:40]
        received = sidecar.raw(data, timeout=timeout)
        head, _, self.body = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(line.split(" ")[1])
        self.headers = [tuple(line.split(": ", 1)) for line in lines]

    def all_headers(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        return (self.all_headers(name) or [None])[0]

    @property
    def json(self):
        return json.loads(self.body)


REFUSED = {
    400: b"GET /healthz HTTP/1.1\r\n\r\n",
    408: b"GET /healthz HTTP/1.1\r\nHost: a",
    413: b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000,
    414: b"GET /healthz?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    431: b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    501: b"ANUNKNOWNMETHODOFTHELONGKIND /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    505: b"GET /healthz HTTP/2.7\r\nHost: a\r\n\r\n",
}

for _status, _data in REFUSED.items():

    @case("GET /healthz", _status, JSON, _status)
    def refused(stage, status):
        return RawReply(stage.main, REFUSED[status])


for _operation, _path in [("GET /oauth/{provider}/authorize", "/oauth/fake/authorize"),
                          ("GET /oauth/{provider}/callback", "/oauth/fake/callback"),
                          ("GET /oauth/{provider}/done", "/oauth/fake/done")]:

    @case(_operation, 400, JSON, _path)
    def not_even_http(stage, path):
        return RawReply(stage.main, f"GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".encode())


# Documented, and not to be had from outside: a handler that takes longer than all its own limits.
NOT_PROVOKED = {
    ("GET /oauth/{provider}/callback", 503, JSON): "the whole takes too long",
}


@pytest.fixture(autouse=True)
def honest(request):
    if "stage" in request.fixturenames:
        request.getfixturevalue("stage").fake.reset()


@pytest.mark.parametrize("operation, status, media, ask", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_answer(stage, operation, status, media, ask):
    assert check(operation, ask(stage)) == (status, media)


def test_every_documented_answer_is_provoked():
    documented = set()
    for operation, item in OPERATIONS.items():
        for status, response in item["responses"].items():
            media = resolved(response).get("content", {})
            if operation.startswith("HEAD "):
                media = {}
            if status != "default":
                documented |= {(operation, int(status), one) for one in media or [NOTHING]}
    provoked = {tuple(case[1:4]) for case in CASES}
    missing = documented - provoked - set(NOT_PROVOKED)
    assert not missing, missing
    by_the_server = {str(status) for _, status, _ in provoked}
    statuses = set(DOCUMENT["components"]["responses"]["Refused"]["x-statuses"])
    assert statuses - by_the_server == set()


QUERIES = [
    "", "ticket=x", "ticket=" + "A" * 43, "workspace_id=x", "actor_id=", "%", "%00", "a=1&a=2", "oauth=failed", "oauth=confirm",
    "code=x&state=y", "error=x&state=y", "code=x&error=y&state=z", f"workspace_id={WORKSPACE}&actor_id=odd",
    f"workspace_id={WORKSPACE}&actor_id=odd&actor_type=robot", f"workspace_id={WORKSPACE}&actor_id=odd&min_ttl=-1",
    f"workspace_id={WORKSPACE}&actor_id=odd&return_to=//evil.example", f"workspace_id={WORKSPACE}&actor_id=" + "x" * 1025,
    f"workspace_id={WORKSPACE}&actor_id=odd&scopes=%22", "&".join(f"p{n}=" for n in range(70)),
]


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_whatever_is_asked(stage, path):
    """Every method and many queries, with and without an API token, of daemons in every state: no
    answer that the document does not have."""
    methods = {operation.split(" ")[0] for operation in OPERATIONS if operation.endswith(f" {path}")}
    for provider in ("fake", "fake.work", "nobody", "FAKE") if "{" in path else ("",):
        for query in QUERIES:
            target = f"{path.format(provider=provider)}?{query}"
            for method in METHODS if query in QUERIES[:3] else methods:
                for token in (None, API_TOKEN, LIMITED):
                    reply = stage.main.get(target, method=method, token=token)
                    if method in methods:
                        check(f"{method} {path}", reply)
                        continue
                    assert reply.status == 405, (method, reply)
                    allowed = set(reply.header("allow").split(", "))
                    assert method not in allowed and allowed <= methods
                    assert allowed == methods or path.endswith("/authorize")
                    if method != "HEAD":
                        check(f"GET {path}", reply)
    for sidecar, listener in [(stage.split, "public"), (stage.split, "api"), (stage.dead, "public")]:
        for query in ("", f"workspace_id={WORKSPACE}&actor_id=odd", "oauth=connected&oauth_provider=x"):
            target = f"{path.format(provider='fake')}?{query}"
            for method in methods:
                check(f"{method} {path}", sidecar.get(target, method=method, token=API_TOKEN, listener=listener))


def test_other_paths(stage):
    response = DOCUMENT["components"]["responses"]["NotFound"]
    for path in ("/", "/oauth", "/oauth/", "/oauth/fake", "/oauth/fake/", "/oauth/fake/x", "/oauth/fake/token/", "/x",
                 "//healthz", "/oauth/fake/done/x"):
        reply = stage.main.get(path)
        assert reply.status == 404
        check_headers(response, reply, path)
        validate(response["content"][JSON]["schema"], reply.json, path)


# The document itself


def test_paths_are_those_of_the_router():
    router = (CHECKOUT / "sidecar/endpoints/router.cpp").read_text("utf-8")
    routes = re.findall(r'^\t\{"\w+", "(/?\w+)", Audience::', router, re.M)
    paths = {route if route.startswith("/") else "/oauth/{provider}/" + route for route in routes}
    assert paths == set(DOCUMENT["paths"])


def parts(item, path=()):
    """Everything in the document: (where it stands, what)."""
    yield path, item
    for key, value in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else []:
        yield from parts(value, (*path, key))


def test_the_document_is_whole():
    """References lead somewhere, nothing is unused, and a schema of an object says all of it."""
    used = set()
    for path, item in parts(DOCUMENT):
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("$ref"), str):
            assert resolved(item) is not None
            used.add(item["$ref"])
        if item.get("type") == "object" and "properties" in item and path[-1] != "FlowResult":
            assert item["additionalProperties"] is False, path
            optional = set(item["properties"]) - set(item["required"])
            assert optional <= {"parameter", "cache", "reason", "warning"}, (path, optional)
    for kind in ("parameters", "headers", "responses", "schemas"):
        for name in DOCUMENT["components"][kind]:
            header_of_all = kind == "headers" and DOCUMENT["components"][kind][name]["description"] == "On every answer."
            assert f"#/components/{kind}/{name}" in used or header_of_all, f"{kind}/{name} is not used"
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    identifiers = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(identifiers)) == len(identifiers)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for name, operation in OPERATIONS.items():
        assert set(operation["tags"]) <= tags and operation["summary"], name
        assert all(resolved(response)["description"] for response in operation["responses"].values()), name
        given = [resolved(one) for one in DOCUMENT["paths"][name.split(" ")[1]].get("parameters", [])]
        given += [resolved(one) for one in operation.get("parameters", [])]
        assert {one["name"] for one in given if one["in"] == "path"} == set(re.findall(r"{(\w+)}", name)), name


def test_the_examples_fit():
    for path, item in parts(DOCUMENT):
        if isinstance(item, dict) and isinstance(item.get("examples"), list) and path[-1] != "examples":
            for example in item["examples"]:
                validate(item, example, path)


def test_a_lying_document_is_noticed():
    """A property too many, one too few, a local time: each is a failure."""
    true = {"access_token": "x", "token_type": "Bearer", "expires_at": "2026-11-22T09:32:37+00:00", "expires_in": 1,
            "scopes": None, "account": {"id": "x", "label": None}, "extra": {"a": 1}}
    schema = {"$ref": "#/components/schemas/Token"}
    validate(schema, true, "a token")
    for lie in ({"refresh_token": "x"}, {"expires_at": "2026-11-22T09:32:37+01:00"}, {"expires_in": "1"},
                {"expires_at": "2026-11-22T09:32:37.25+00:00"}, {"account": {"id": "x"}}, {"extra": []}):
        with pytest.raises(AssertionError):
            validate(schema, true | lie, "a token")
    for name in true:
        with pytest.raises(AssertionError):
            validate(schema, {key: value for key, value in true.items() if key != name}, "a token")
