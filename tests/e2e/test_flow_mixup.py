"""A code, or a client secret, goes to the provider that the flow began with and to nobody else."""

import pytest
from support.harness import wait_until
from support.sidecar import MiniBrowser, in_parallel, parameters, someone


@pytest.fixture(scope="module")
def good(module_provider):
    return module_provider("good")


@pytest.fixture(scope="module")
def evil(module_provider):
    return module_provider("evil")


@pytest.fixture(autouse=True)
def honest(good, evil):
    good.reset()
    evil.reset()


@pytest.fixture(scope="module")
def sidecar(module_sidecar, good, evil, application):
    return module_sidecar(
        {"good": good.discovered(), "evil": evil.discovered(),
         "silent": good.settings(require_iss=False), "strict": good.settings(require_iss=True),
         "plain": good.settings(), "lax": good.discovered(require_iss=False)},
        settings={"OAUTH_RETURN_TO": application.origin},
    )


def finish(sidecar, whose, provider, **callback):
    """A flow whose callback has these parameters in place of the true ones."""
    provider.authorize = lambda true: {**true, **callback}
    try:
        return MiniBrowser().open(sidecar.link(whose))
    finally:
        provider.authorize = None


def issuers(good):
    """What `iss` may be, but for the one that it must be."""
    issuer = good.issuer
    return {
        "trailing slash": issuer + "/", "upper case": issuer.upper(), "empty": "", "space": issuer + " ",
        "default path": issuer + "/.", "another port": issuer[:-1] + str((int(issuer[-1]) + 1) % 10),
        "https": issuer.replace("http:", "https:"), "prefix": issuer[:-1],
        "localhost": issuer.replace("127.0.0.1", "localhost"), "nul": issuer + "\0", "null": "null",
        "encoded": issuer.replace(":", "%3A"),
    }


@pytest.mark.parametrize("provider", ["good", "silent", "strict", "plain", "lax"])
def test_wrong_issuers(sidecar, good, evil, provider):  # F3
    for name, issuer in {**issuers(good), "the other's": evil.issuer}.items():
        whose = someone(provider)
        end = finish(sidecar, whose, good, iss=issuer)
        # A NUL is a malformed request, the rest are answers of the wrong one.
        assert end.status == 400 or end.query == {
            "oauth": "failed", "oauth_error": "provider_error", "oauth_provider": provider,
        }, (name, end)
        assert sidecar.grant(whose) is None, name
    assert good.token_requests == [] and evil.token_requests == []


@pytest.mark.parametrize("provider, required", [
    ("good", True), ("strict", True), ("lax", False), ("silent", False), ("plain", False),
])
def test_missing_issuer(sidecar, good, provider, required):  # F3
    whose = someone(provider)
    end = finish(sidecar, whose, good, iss=None)
    assert end.query["oauth"] == ("failed" if required else "connected")
    assert bool(sidecar.grant(whose)) is not required
    assert len(good.token_requests) == (0 if required else 1)


@pytest.mark.parametrize("iss, error", [("true", "access_denied"), (None, "provider_error"),
                                        ("evil", "provider_error")])
def test_issuer_of_an_error(sidecar, good, evil, iss, error):  # F3
    iss = {"true": good.issuer, "evil": evil.issuer}.get(iss)
    end = finish(sidecar, someone("good"), good, code=None, error="access_denied", iss=iss)
    assert (end.query["oauth"], end.query["oauth_error"]) == ("failed", error)
    assert good.token_requests == []


@pytest.mark.parametrize("error, told", [
    ("access_denied", "access_denied"), ("unauthorized_client", "provider_error"),
    ("invalid_scope", "provider_error"), ("<script>", "provider_error"), ("", None),
])
def test_errors_of_the_provider(sidecar, good, error, told):
    end = finish(sidecar, someone("good"), good, code=None, error=error, error_description="x" * 200)
    assert end.status == 400 if told is None else end.query["oauth_error"] == told
    said = end.text + (end.url if told else "")  # the page of a 400 stands at the callback's address
    assert "<script" not in said and "xxx" not in said and good.token_requests == []


def test_a_flow_begun_with_one_and_ended_by_the_other(sidecar, good, evil):  # F3
    """The evil one sends its user on to the good one, and hands that one's code to our callback
    of its own: the code would go to the evil token endpoint."""
    whose, browser = someone("evil"), MiniBrowser()
    at_evil = browser.open(sidecar.link(whose), until=evil.issuer).url
    asked = parameters(at_evil)
    code = good.new_code({"scope": "openid email", "nonce": asked["nonce"]})
    for iss in (good.issuer, None):
        query = {"code": code, "state": asked["state"], "iss": iss}
        query = "&".join(f"{key}={value}" for key, value in query.items() if value)
        for name in ("evil", "good"):
            reply = sidecar.get(f"/oauth/{name}/callback?{query}", cookies=browser.cookies())
            assert reply.status == 400 or reply.query["oauth"] == "failed"
    assert evil.token_requests == [] and good.token_requests == []
    assert sidecar.grant(whose) is None


def test_the_issuer_is_recorded_with_the_attempt(sidecar, good, evil):  # F3
    """Metadata that change under way neither redirect the code nor the secret."""
    whose, browser = someone("good"), MiniBrowser()
    callback = browser.open(sidecar.link(whose), until="/callback?").url
    good.metadata_changes = {"issuer": evil.issuer, "token_endpoint": evil.issuer + "/token"}
    end = browser.open(callback)
    assert end.query["oauth"] == "connected" and len(good.token_requests) == 1
    assert evil.token_requests == []


def test_nothing_is_taken_from_the_callback(sidecar, good, evil):  # F18
    extra = {"accounts-server": evil.issuer, "token_endpoint": evil.issuer + "/token",
             "location": evil.issuer, "client_id": "evil", "redirect_uri": evil.issuer,
             "return_to": evil.issuer, "session_state": "x", "scope": "everything"}
    whose = someone("good")
    end = finish(sidecar, whose, good, **extra)
    assert end.query["oauth"] == "connected" and end.url.startswith(sidecar.public_url)
    assert len(good.token_requests) == 1 and evil.requests == []
    assert sidecar.grant(whose)[2] == "openid email"


METADATA = {
    "another issuer": {"issuer": "http://127.0.0.1:1"},
    "no issuer": {"issuer": None},
    "issuer with a slash": {"issuer": "SLASH"},
    "no token endpoint": {"token_endpoint": None},
    "an http endpoint elsewhere": {"token_endpoint": "http://provider.example/token"},
    "an http authorization endpoint": {"authorization_endpoint": "http://provider.example/a"},
    "a script": {"authorization_endpoint": "javascript:alert(1)"},
    "a number": {"token_endpoint": 7},
    "plain PKCE only": {"code_challenge_methods_supported": ["plain"]},
    "no PKCE methods in its list": {"code_challenge_methods_supported": []},
}


@pytest.mark.parametrize("lie", METADATA)
def test_metadata_that_lie(make_sidecar, make_provider, lie):  # F4, F18
    liar = make_provider("liar")
    liar.metadata_changes = {
        key: liar.issuer + "/" if value == "SLASH" else value for key, value in METADATA[lie].items()
    }
    sidecar = make_sidecar({"liar": liar.discovered()})
    reply = sidecar.get(sidecar.link(someone("liar")).removeprefix(sidecar.public_url))
    assert reply.status == 503 and reply.header("retry-after") and reply.cookies == []
    assert "text/html" in reply.header("content-type") and reply.location is None
    assert liar.seen("/authorize") == [] and liar.token_requests == []


def test_metadata_that_come_later(make_sidecar, make_provider):
    late = make_provider("late")
    late.metadata_status = 500
    sidecar = make_sidecar({"late": late.discovered()})
    link = sidecar.link(someone("late"))
    assert sidecar.get(link.removeprefix(sidecar.public_url)).status == 503
    late.metadata_status = 200
    wait_until(
        lambda: sidecar.get(link.removeprefix(sidecar.public_url), headers={"Sec-Purpose": "none"}).status == 303,
        timeout=35, interval=1, what="a second look at the metadata",
    )


def test_metadata_are_read_once(make_sidecar, make_provider):
    one = make_provider("one")
    sidecar = make_sidecar({"one": one.discovered()})
    ends = in_parallel(8, lambda: MiniBrowser().open(sidecar.link(someone("one"))))
    assert [end.query["oauth"] for end in ends] == ["connected"] * 8
    assert len([request for request in one.requests if "well-known" in request.path]) <= 2
