"""What a provider says when it refuses reaches the log, and no secret does with it."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from support.fake_provider import CLIENT_ID, CLIENT_SECRET, Answer
from support.sidecar import MiniBrowser, someone


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    return module_sidecar({"fake": fake.settings(scopes="a b"), "post": fake.settings(scopes="a", token_auth="post")})


def ended(sidecar, whose=None):
    """The line of the flow that has just ended."""
    return [line for line in sidecar.log_lines() if line["message"] == "a flow has ended"][-1]


def refused(sidecar, fake, answer, provider="fake"):
    fake.answers = [answer]
    end = MiniBrowser().open(sidecar.link(someone(provider)))
    assert end.query["oauth"] == "failed"
    return ended(sidecar)


def answer(body, status=400, content_type="application/json"):
    return Answer(body, status, content_type=content_type)


FORM = "application/x-www-form-urlencoded"
# What providers document: (answer, what must stand in the line)
SAID = {
    "GitHub": (answer({"error": "incorrect_client_credentials",
                       "error_description": "The client_id and/or client_secret passed are incorrect.",
                       "error_uri": "https://docs.github.com/x"}, 200),
               ["incorrect_client_credentials", "client_secret passed are incorrect."]),
    "GitHub's form": (answer("error=bad_verification_code&error_description=The+code+passed+is+incorrect+or+expired."
                             "&error_uri=https%3A%2F%2Fdocs.github.com", 200, FORM),
                      ["bad_verification_code", "The code passed is incorrect or expired."]),
    "Facebook": (answer({"error": {"message": "Error validating verification code.", "type": "OAuthException",
                                   "code": 100, "error_subcode": 36007, "fbtrace_id": "AbCdEfGh1"}}),
                 ["OAuthException", "100", "Error validating verification code."]),
    "Withings": (answer({"status": 503, "body": {}, "error": "Invalid Params: invalid code"}, 200),
                 ["503", "Invalid Params: invalid code"]),
    "Slack": (answer({"ok": False, "error": "bad_client_secret"}, 200), ["bad_client_secret"]),
    "Entra": (answer({"error": "invalid_client", "error_description":
                      "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the"
                      " client secret value, not the client secret ID.\r\nTrace ID: 0b7ed6cb-5cd5-4ee4-9c5d-3d8c3d1d0500"
                      "\r\nTimestamp: 2026-11-27 10:00:00Z", "error_codes": [7000215],
                      "correlation_id": "9ba34b5e-8e41-45d4-a1c7-ad2a22b8d3a9"}, 401),
              ["invalid_client", "AADSTS7000215: Invalid client secret provided.",
               "Trace ID: 0b7ed6cb-5cd5-4ee4-9c5d-3d8c3d1d0500"]),
    "Google": (answer({"error": "redirect_uri_mismatch", "error_description": "Bad Request"}),
               ["redirect_uri_mismatch", "Bad Request"]),
    "Google's APIs": (answer({"error": {"code": 403, "message": "Request had insufficient scopes.",
                                        "status": "PERMISSION_DENIED"}}, 403),
                      ["PERMISSION_DENIED", "insufficient scopes"]),
    "HubSpot": (answer({"status": "BAD_AUTH_CODE", "message": "missing or unknown auth code"}),
                ["BAD_AUTH_CODE", "missing or unknown auth code"]),
    "Fitbit": (answer({"errors": [{"errorType": "invalid_grant", "message": "Authorization code invalid"}],
                       "success": False}), ["invalid_grant", "Authorization code invalid"]),
    "Square": (answer({"errors": [{"category": "AUTHENTICATION_ERROR", "code": "UNAUTHORIZED", "detail": "Not you"}]},
                      401), ["UNAUTHORIZED", "Not you"]),
    "Okta": (answer({"errorCode": "E0000022", "errorSummary": "The endpoint does not support the HTTP method"}, 405),
             ["E0000022", "does not support"]),
    "Lark": (answer({"code": 20003, "msg": "invalid code"}, 200), ["20003", "invalid code"]),
    "WeChat": (answer({"errcode": 40029, "errmsg": "invalid code"}, 200), ["40029", "invalid code"]),
    "Zoom": (answer({"reason": "Invalid request : Redirect URI mismatch.", "error": "invalid_request"}),
             ["invalid_request", "Redirect URI mismatch."]),
    "a list of texts": (answer({"error": "invalid_request", "error_description": ["One thing", "another"]}),
                        ["invalid_request", "One thing"]),
    "a proxy": (answer("<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>h1{color:red}</style></head>"
                       "<body><h1>Bad&nbsp;Gateway</h1><script>var x=1</script><hr>squid/6.1</body></html>", 502,
                       "text/html; charset=utf-8"), ["502", "Bad Gateway", "squid/6.1"]),
    "a portal": (answer("<html><title>Log in to the hotel</title><body>lobby</body></html>", 200, "text/html"),
                 ["200", "Log in to the hotel"]),
    "plain text": (answer("error code: 1020", 403, "text/plain"), ["403", "error code: 1020"]),
    "nothing": (answer("", 401), ["401"]),
    "a byte order mark before it": (answer(b"\xef\xbb\xbf" + b'{"error":"invalid_scope","error_description":"no"}'),
                         ["invalid_scope"]),
    "other alphabets": (answer({"error": "invalid_grant", "error_description": "Le code est déjà utilisé – ログイン 😀"}),
                        ["Le code est déjà utilisé – ログイン 😀"]),
    "no UTF-8": (answer(b"<p>Zug\xe4nge gesperrt</p>", 403, "text/html"), ["Zug\ufffdnge gesperrt"]),
    "text that harms": (answer({"error": "x\u001b[2J\u202ey", "error_description": "a\u2028b\u0000c\nd\u0085e"}),
                        ["x [2J y", "a b c d e"]),
}


@pytest.mark.parametrize("who", SAID)
def test_what_the_token_endpoint_says(sidecar, fake, who):
    given, wanted = SAID[who]
    line = refused(sidecar, fake, given)
    said = " ".join(str(line.get(f"provider_{what}")) for what in ("error", "description", "status"))
    for part in wanted:
        assert part in said, line
    assert line["level"] == "warning" and line["provider_status"] == given.status
    assert "color:red" not in said and "var x" not in said
    raw = sidecar.log().splitlines()[-1]
    assert all(ord(char) >= 0x20 and char not in "\u202e\u2028\u0085" for char in raw)


CALLBACKS = {
    "admin_policy_enforced": ("provider_error", "warning"), "org_internal": ("provider_error", "warning"),
    "incorrect_client_credentials": ("provider_error", "warning"), "invalid_scope": ("provider_error", "warning"),
    "consent_required": ("provider_error", "warning"), "temporarily_unavailable": ("unavailable", "warning"),
    "access_denied": ("access_denied", "info"), "ACCESS_DENIED": ("access_denied", "info"),
    "user_cancelled_login": ("access_denied", "info"), "user_cancelled_authorize": ("access_denied", "info"),
    "user_denied": ("access_denied", "info"),
}


@pytest.mark.parametrize("error", CALLBACKS)
def test_what_comes_by_the_browser(sidecar, fake, error):
    told, level = CALLBACKS[error]
    fake.authorize = lambda true: {"state": true["state"], "iss": fake.issuer, "error": error,
                                   "error_description": "Not this time."}
    end = MiniBrowser().open(sidecar.link(someone()))
    assert end.query["oauth_error"] == told
    line = ended(sidecar)
    assert line["level"] == level
    assert (line["provider_error"], line["provider_description"]) == (error, "Not this time.")


def test_a_reason_of_several_lines(sidecar, fake):
    """As Entra sends it: it made the whole callback a malformed one."""
    fake.authorize = lambda true: {"state": true["state"], "iss": fake.issuer, "error": "access_denied",
                                   "error_description": "AADSTS65004: Not\r\nthis time.\r\nTrace ID: 7"}
    assert MiniBrowser().open(sidecar.link(someone())).query["oauth_error"] == "access_denied"
    assert ended(sidecar)["provider_description"] == "AADSTS65004: Not this time. Trace ID: 7"


def test_cancelled_at_microsoft(sidecar, fake):
    fake.authorize = lambda true: {"state": true["state"], "iss": fake.issuer, "error": "consent_required",
                                   "error_subcode": "cancel"}
    assert MiniBrowser().open(sidecar.link(someone())).query["oauth_error"] == "access_denied"
    assert ended(sidecar)["level"] == "info"


def test_failures_at_the_level_of_warnings(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings(scopes="a")}, settings={"OAUTH_LOG_LEVEL": "warning"})
    MiniBrowser().open(sidecar.link(someone()))
    fake.authorize = lambda true: {"state": true["state"], "iss": fake.issuer, "error": "access_denied"}
    MiniBrowser().open(sidecar.link(someone()))
    assert "a flow has ended" not in sidecar.log()
    fake.authorize = None
    refused(sidecar, fake, answer({"error": "invalid_client"}, 401))
    assert ended(sidecar)["provider_error"] == "invalid_client"


def echoes(secret):
    """Ways in which an answer may hold what it was sent."""
    quoted, entities = quote_plus(secret), html.escape(secret)
    return {
        "as it is": {"error": "x", "error_description": f"not {secret} but another"},
        "as the code": {"error": secret},
        "quoted": {"error": "x", "error_description": f"body was a={quoted}&b=c"},
        "quoted otherwise": {"error": "x", "error_description": f"body was a={quote(secret, safe='')}"},
        "quoted twice": {"error": "x", "error_description": f"url was a={quote(quote(secret, safe=''), safe='')}"},
        "half": {"error": "x", "error_description": f"not {secret[:-4]}..."},
        "the other half": {"error": "x", "error_description": f"ends with {secret[6:]}"},
        "capitals": {"error": "x", "error_description": f"not {secret.upper()}"},
        "wrapped": {"error": "x", "error_description": "not " + "\n".join(secret[i:i + 5] for i in range(0, len(secret), 5))},
        "JSON in JSON": {"error": "x", "error_description": json.dumps({"got": secret}).replace("/", "\\/")},
        "in an object": {"error": {"message": f"not {secret}", "code": secret}},
        "a list": {"errors": [{"code": secret, "detail": secret}]},
        "far away": {"error": "x", "error_description": "x" * 8180 + secret},
        "cut off": {"error": "x", "error_description": "word " * 58 + secret},
        "a page": (f"<h1>What we got</h1><pre>a={entities}\nb={secret}</pre>", 500, "text/html"),
        "a page's title": (f"<title>{entities}</title>", 200, "text/html"),
        "text": (f"cannot use {secret}", 403, "text/plain"),
        "a form": (f"error=x&error_description={quoted}", 200, FORM),
    }


HOW = list(echoes("0123456789"))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("provider", ["fake", "post"])
def test_secrets_that_an_answer_echoes(sidecar, fake, provider, how):  # F7
    seen = []

    def echo(request):
        form = request.form
        basic = base64.b64encode(f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
        secrets = [form["code"], form["code_verifier"], CLIENT_SECRET, basic]
        seen.extend(secrets)
        bodies = [echoes(secret)[how] for secret in secrets]
        if isinstance(bodies[0], tuple):
            return Answer("\n".join(body[0] for body in bodies), bodies[0][1], content_type=bodies[0][2])
        return answer(bodies[len(fake.token_requests) % 4])

    for _ in range(4):
        line = refused(sidecar, fake, echo, provider)
        for secret in seen:
            said = line["provider_error"] + line["provider_description"]
            bare = "".join(char for char in said if char.isalnum()).lower()
            secret = "".join(char for char in secret if char.isalnum()).lower()
            parts = [secret[i:i + 8] for i in range(len(secret) - 7)]
            assert not [part for part in parts if part in bare], (line, secret)
        fake.requests.clear() if len(fake.token_requests) == 4 else None


@pytest.mark.parametrize("body", [
    {"error": "x", "access_token": "short", "error_description": "it was short, the short one"},
    {"error": {"message": "take aB3dE6", "refreshToken": "aB3dE6"}},
    {"error": "x", "error_description": "access_token=Ab1 refresh_token: q9 id_token='zz'"},
    {"error": "x", "error_description": "Authorization: Bearer Zz9.q"},
    {"error": "x", "error_description": "you sent ya29.a0AfH6SMBx7Kq2mZp4dR8sT1vW3yB5"},
    {"error": "x", "error_description": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqEgy"},
    {"error": "x", "error_description": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.NHVaYe26MbtOYhSKkoKYdFVomg4i8ZJd8"},
    '{"error":"x","error":"y","access_token":"short"}',
    "<r><error>bad</error><access_token>Sh0rt</access_token></r>",
])
def test_tokens_that_an_answer_holds(sidecar, fake, body):  # F7
    content_type = "application/json" if isinstance(body, dict) or body.startswith("{") else "text/xml"
    line = refused(sidecar, fake, answer(body, 400, content_type))
    said = line["provider_error"] + line["provider_description"]
    for token in ("short", "aB3dE6", "Ab1", "q9", "zz", "Zz9.q", "a0AfH6", "17653672481", "pdFZ", "eyJ", "NHVa", "Sh0rt"):
        assert token not in said, line
    assert line["provider_error"] or line["provider_description"]


def test_a_grant_that_is_not_understood(sidecar, fake):  # F7
    """A good answer in a form of its own is no text for the log."""
    for body in ("access=opaque7 refresh=opaque8", "<grant><a>opaque7</a></grant>", "opaque7"):
        line = refused(sidecar, fake, answer(body, 200, "text/plain"))
        assert "opaque" not in json.dumps(line) and line["provider_status"] == 200


@pytest.mark.parametrize("where", ["error", "error_description", "error_reason"])
def test_secrets_that_a_callback_echoes(sidecar, fake, where):  # F7
    for secret in ("state", "client"):
        fake.authorize = lambda true: {
            "state": true["state"], "iss": fake.issuer, "error": "x",
        } | {where: f"no: {true['state'] if secret == 'state' else CLIENT_SECRET}"}
        MiniBrowser().open(sidecar.link(someone()))
        line = json.dumps(ended(sidecar))
        assert fake.seen("/authorize")[-1].query["state"] not in line and CLIENT_SECRET not in line
        assert "[removed]" in line


def test_long_words_are_cut(sidecar, fake):
    line = refused(sidecar, fake, answer({"error": "é" * 5000, "error_description": "so " * 5000}))
    assert line["provider_error"] == "é" * 100 + "…"
    assert len(line["provider_description"]) <= 301 and line["provider_description"].endswith("…")
    assert len(sidecar.log().splitlines()[-1].encode()) < 4096
