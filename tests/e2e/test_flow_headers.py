"""What comes from outside is neither echoed, nor believed, nor logged."""

from urllib.parse import quote

import pytest
from support.sidecar import API_TOKEN, MiniBrowser, parameters, someone


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake, application):
    return module_sidecar({"fake": fake.settings()}, settings={"OAUTH_RETURN_TO": application.origin})


PAYLOADS = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'", "</title><svg onload=alert(1)>",
    "javascript:alert(1)", "{{7*7}}", "\u202e<b>", "%3Cscript%3Ealert(1)%3C/script%3E",
]
PLACES = [
    "/oauth/{}/authorize?ticket=x", "/oauth/{}/done?oauth=connected", "/oauth/{}/callback?code=x&state=y", "/{}",
    "/oauth/fake/{}", "/oauth/fake/authorize?ticket={}", "/oauth/fake/authorize?{}=1", "/oauth/fake/done?oauth={}",
    "/oauth/fake/done?oauth=failed&oauth_error={}", "/oauth/fake/done?oauth=connected&oauth_provider={}",
    "/oauth/fake/callback?code={}&state=y", "/oauth/fake/callback?code=x&state={}",
    "/oauth/fake/callback?error={}&state=y", "/oauth/fake/callback?error=x&error_description={}&state=y",
    "/oauth/fake/callback?code=x&state=y&iss={}", "/oauth/fake/status?workspace_id={}", "/healthz?{}", "/readyz?{}",
]


def pages(sidecar, whose):
    """One of each kind of answer that a browser may see."""
    link = sidecar.link(whose).removeprefix(sidecar.public_url)
    yield "authorize", sidecar.get(link)
    yield "bad link", sidecar.get("/oauth/fake/authorize?ticket=x")
    yield "no link", sidecar.get("/oauth/fake/authorize")
    yield "callback", sidecar.get("/oauth/fake/callback?code=x&state=y")
    yield "done", sidecar.get("/oauth/fake/done?oauth=connected")
    yield "failed", sidecar.get("/oauth/fake/done?oauth=failed&oauth_error=expired")
    yield "unknown provider", sidecar.get("/oauth/nobody/authorize?ticket=x")
    yield "unknown path", sidecar.get("/nothing")
    yield "method", sidecar.get("/oauth/fake/callback", method="POST")
    browser = MiniBrowser()
    yield "connected", browser.fetch(browser.open(sidecar.link(whose), until="/callback?").url)


def test_headers_of_every_answer(sidecar):  # F7, F8
    for name, reply in pages(sidecar, someone()):
        assert reply.header("cache-control") == "no-store", name
        assert reply.header("x-content-type-options") == "nosniff", name
        assert reply.header("referrer-policy") == "no-referrer", name
        assert reply.header("x-request-id"), name
        assert reply.all_headers("access-control-allow-origin") == [], name
        server = reply.header("server") or ""
        assert not any(character.isdigit() for character in server), name
        if "text/html" in (reply.header("content-type") or ""):
            policy = reply.header("content-security-policy")
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, name
            assert "form-action" not in policy and "unsafe" not in policy, name
            assert "charset=utf-8" in reply.header("content-type").lower(), name
            assert "<script" not in reply.text and "http://" not in reply.text, name
    ids = [sidecar.get("/healthz").header("x-request-id") for _ in range(20)]
    assert len(set(ids)) == 20
    forged = sidecar.get("/healthz", headers={"X-Request-Id": "<script>\"forged"})
    assert "forged" not in forged.header("x-request-id")


def test_payloads_in_chromium(sidecar, chromium):  # F7
    profile = chromium.profile()
    for place in PLACES:
        for payload in PAYLOADS:
            for encoded in {quote(payload, safe=""), quote(payload, safe="<>\"'/:;(){}=")}:
                path = place.format(encoded)
                reply = sidecar.get(quote(path, safe="%<>\"'/:;(){}=&?-+*,."))
                echoed = reply.text + str([header for header in reply.headers if header[0] != "Location"])
                assert payload not in echoed and "alert" not in echoed, path
                assert quote(payload) not in echoed, path
                assert reply.location is None, path
        page = profile.goto(sidecar.public_url + place.format(quote(PAYLOADS[1], safe="")))
        assert "alert" not in page["text"] + page["title"], place
        assert "alert" not in profile.html(), place
    alarms = [alarm for alarm in profile.alarms() if "status of 4" not in alarm and "status of 503" not in alarm]
    assert alarms == []
    profile.close()


def test_no_frame_shows_it(sidecar, application, chromium):  # F7
    profile = chromium.profile()
    profile.goto(application.origin)
    profile.evaluate(
        "new Promise((done) => { const frame = document.createElement('iframe');"
        f"frame.src = '{sidecar.public_url}/oauth/fake/done?oauth=connected';"
        "frame.onload = done; frame.onerror = done; document.body.append(frame); setTimeout(done, 3000); })"
    )
    assert any("frame-ancestors" in alarm or "X-Frame" in alarm for alarm in profile.alarms())
    profile.close()


@pytest.mark.parametrize("data", [
    b"GET /oauth/fake/done?oauth=x%0d%0aInjected:%201 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /oauth/fake/callback?code=a%0d%0aInjected:%201&state=b%0aInjected: HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /oauth/fake%0d%0aInjected:%201/authorize?ticket=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /oauth/fake/done?oauth=x\r\nInjected: 1 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\r\n\tInjected: 1\r\nConnection: close\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\rInjected: 1\r\nConnection: close\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nCookie: __Host-oauth-00000000=1.%0d%0aInjected: 1\r\nConnection: close\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
])
def test_line_breaks(sidecar, data):  # F7
    received = sidecar.raw(data)
    assert b"njected" not in received, received
    assert received.count(b"HTTP/1.1 ") <= 1, received
    assert sidecar.get("/healthz").status == 200


FORGED = {
    "Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/evil.example",
    "Forwarded": "host=evil.example;proto=https", "X-Original-URL": "/evil.example", "X-Rewrite-URL": "/evil.example",
    "X-Host": "evil.example", "X-HTTP-Method-Override": "DELETE", "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
}


def test_forged_headers_change_nothing(sidecar, fake):  # F9
    whose = someone()
    link = sidecar.link(whose, return_to="/x").removeprefix(sidecar.public_url)
    reply = sidecar.get(link, headers=FORGED)
    assert parameters(reply.location)["redirect_uri"] == f"{sidecar.public_url}/oauth/fake/callback"
    cookies = {cookie.name: cookie.value for cookie in reply.cookies}
    assert all("domain" not in cookie.attributes for cookie in reply.cookies)
    back = MiniBrowser().fetch(reply.location).location.removeprefix(sidecar.public_url)
    end = sidecar.get(back, cookies=cookies, headers=FORGED)
    assert end.location == f"{sidecar.public_url}/x?oauth=connected&oauth_provider=fake"
    assert "evil" not in str(reply) + str(end) and "https:" not in str(end.headers)
    assert fake.token_requests[-1].form["redirect_uri"] == f"{sidecar.public_url}/oauth/fake/callback"
    api = sidecar.get("/oauth/fake/authorize?workspace_id=11111111-1111-4111-8111-111111111111&actor_id=forged",
                      headers=FORGED, token=API_TOKEN)
    assert api.json["authorize_url"].startswith(f"{sidecar.public_url}/oauth/fake/authorize?ticket=")
    assert sidecar.get("/oauth/fake/done?oauth=connected", headers={"Host": "evil.example"}).text.count("evil") == 0


def test_nothing_of_a_flow_is_logged(make_sidecar, make_cluster, fake, application):  # F8, C10
    """Not by the daemon at its most talkative, and not by a server that logs every statement."""
    cluster = make_cluster(settings={
        "log_statement": "all", "log_min_duration_statement": 0, "log_parameter_max_length": -1,
        "log_parameter_max_length_on_error": -1, "max_connections": 100,
    })
    sidecar = make_sidecar({"fake": fake.settings()}, cluster=cluster,
                           settings={"OAUTH_LOG_LEVEL": "debug", "OAUTH_RETURN_TO": application.origin})
    secrets = {"client secret": "s3cret", "API token": API_TOKEN}
    for outcome in ("connected", "failed", "refused", "confirm"):
        whose, browser = someone(), MiniBrowser()
        link = sidecar.link(whose, return_to=application.origin, confirm=outcome == "confirm")
        callback = browser.open(link, until="/callback?").url
        query = parameters(callback)
        secrets |= {f"ticket of {outcome}": parameters(link)["ticket"], f"code of {outcome}": query["code"],
                    f"state of {outcome}": query["state"]}
        for name, value in browser.cookies().items():
            secrets[f"cookie {name} of {outcome}"] = value.partition(".")[2]
        if outcome == "refused":
            assert sidecar.get(callback.removeprefix(sidecar.public_url)).status == 400
        fake.token_fields = {"access_token": "\x01bad"} if outcome == "failed" else {}
        end = browser.open(callback)
        if outcome == "confirm":
            secrets["flow code"] = end.query["oauth_flow"]
            sidecar.sql("SELECT oauth_flow_confirm(%s, %s, %s, %s, %s)", [*whose, end.query["oauth_flow"]], user="app")
        if outcome in ("connected", "confirm"):
            access, refresh, _ = sidecar.grant(whose)
            secrets |= {f"access token of {outcome}": access, f"refresh token of {outcome}": refresh}
            assert sidecar.api("token", whose).json["access_token"] == access
        secrets[f"verifier of {outcome}"] = fake.token_requests[-1].form["code_verifier"]
    sidecar.api("delete", someone(), token="a-wrong-token-that-is-long-enough")
    logs = {"the daemon's": sidecar.log(), "the server's": cluster.log()}
    found = [(name, where) for where, text in logs.items() for name, secret in secrets.items() if secret in text]
    # What stands in a statement itself is for the extension to redact (E16), not for the flow.
    in_statements = ("access token", "refresh token", "flow code")
    found = [(name, where) for name, where in found
             if where == "the daemon's" or not name.startswith(in_statements)]
    assert found == []
    assert "/oauth/fake/callback" in sidecar.log() and "flow_claim" in cluster.log()  # or it proves nothing
