"""An ID token is believed only where every claim of it is right."""

import base64
import json
import time

import pytest
from support.fake_provider import CLIENT_ID, b64url
from support.sidecar import MiniBrowser, someone


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    return module_sidecar({"fake": fake.settings(), "odd": fake.settings(id_token="optional")})


def soon(seconds):
    return int(time.time()) + seconds


# What is wrong: claims in place of the true ones, or the whole token in place of the true one.
WRONG_CLAIMS = {
    "iss of another": lambda: {"iss": "https://accounts.example.com"},
    "iss with a slash": lambda: {"iss": "SLASH"},
    "no iss": lambda: {"iss": None},
    "iss a number": lambda: {"iss": 1},
    "iss a list": lambda: {"iss": "LIST"},
    "aud of another": lambda: {"aud": "another-client"},
    "no aud": lambda: {"aud": None},
    "empty aud": lambda: {"aud": []},
    "aud a prefix": lambda: {"aud": CLIENT_ID[:-1]},
    "aud list without us": lambda: {"aud": ["a", "b"]},
    "aud an object": lambda: {"aud": {"client": CLIENT_ID}},
    "two aud, no azp": lambda: {"aud": [CLIENT_ID, "other"]},
    "two aud, azp of the other": lambda: {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "azp of another": lambda: {"azp": "other"},
    "expired": lambda: {"exp": soon(-3600)},
    "no exp": lambda: {"exp": None},
    "exp a text": lambda: {"exp": str(soon(600))},
    "exp negative": lambda: {"exp": -1},
    "issued in the future": lambda: {"iat": soon(7200), "exp": soon(9000)},
    "no iat": lambda: {"iat": None},
    "iat a text": lambda: {"iat": "now"},
    "another nonce": lambda: {"nonce": "n" * 43},
    "no nonce": lambda: {"nonce": None},
    "nonce empty": lambda: {"nonce": ""},
    "nonce a list": lambda: {"nonce": ["x"]},
    "no sub": lambda: {"sub": None},
    "empty sub": lambda: {"sub": ""},
    "sub a number": lambda: {"sub": 42},
    "sub an object": lambda: {"sub": {"id": "x"}},
    "sub too long": lambda: {"sub": "x" * 5000},
}


def with_header(**header):
    def change(token):
        return ".".join([b64url(json.dumps(header).encode()), *token.split(".")[1:]])

    return change


def with_payload(payload):
    return lambda token: ".".join([token.split(".")[0], b64url(payload), token.split(".")[2]])


def doubled(token):
    """A second sub behind the true one: readers differ in which they take."""
    head, payload, signature = token.split(".")
    text = base64.urlsafe_b64decode(payload + "==").decode()
    return ".".join([head, b64url((text[:-1] + ', "sub": "eve"}').encode()), signature])


WRONG_TOKENS = {
    "alg none": lambda token: with_header(alg="none")(token).rpartition(".")[0] + ".",
    "alg None": with_header(alg="None"),
    "alg HS256": with_header(alg="HS256"),
    "no alg": with_header(typ="JWT"),
    "alg a list": with_header(alg=["RS256"]),
    "critical header": with_header(alg="RS256", crit=["exp"], exp=1),
    "two parts": lambda token: token.rpartition(".")[0],
    "no signature": lambda token: token.rpartition(".")[0] + ".",
    "four parts": lambda token: token + ".x",
    "five parts": lambda token: "a.b.c.d.e",
    "empty": lambda token: "",
    "a word": lambda token: "garbage",
    "not base64": lambda token: token.replace(".", ".!", 1),
    "padded": lambda token: token.replace(".", "==.", 1),
    "payload no object": with_payload(b"[1]"),
    "payload no JSON": with_payload(b"{"),
    "payload bad UTF-8": with_payload(b'{"sub": "\xff"}'),
    "payload deep": with_payload(b"[" * 100000),
    "payload twice sub": doubled,
    "a number": lambda token: 7,
    "an object": lambda token: {},
    "null": lambda token: None,
}


def refused(sidecar, fake, provider="fake"):
    whose = someone(provider)
    end = MiniBrowser().open(sidecar.link(whose))
    assert sidecar.grant(whose) is None and fake.token_requests
    assert end.query == {"oauth": "failed", "oauth_error": "provider_error", "oauth_provider": provider}
    return True


@pytest.mark.parametrize("provider", ["fake", "odd"])
@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
def test_wrong_claims(sidecar, fake, wrong, provider):  # F5
    places = {"SLASH": fake.issuer + "/", "LIST": [fake.issuer]}
    fake.claims = {
        name: places.get(value, value) if isinstance(value, str) else value
        for name, value in WRONG_CLAIMS[wrong]().items()
    }
    assert refused(sidecar, fake, provider)


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_wrong_tokens(sidecar, fake, wrong):  # F5
    fake.id_token = WRONG_TOKENS[wrong]
    assert refused(sidecar, fake)


def test_it_must_be_there(sidecar, fake):  # F5
    fake.token_fields = {"id_token": None}
    assert refused(sidecar, fake)
    whose = someone("odd")
    assert MiniBrowser().open(sidecar.link(whose)).query["oauth"] == "connected"
    assert sidecar.connection(whose)["details"].get("account_id") is None


def test_a_nonce_of_another_flow(sidecar, fake):  # F5
    first = MiniBrowser()
    first.open(sidecar.link(someone()), until="/callback?")
    fake.claims = {"nonce": fake.seen("/authorize")[-1].query["nonce"]}
    assert refused(sidecar, fake)


@pytest.mark.parametrize("claims", [
    {"aud": [CLIENT_ID]}, {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}, {"azp": CLIENT_ID},
    {"email": None}, {"email": 7}, {"other": {"deep": [1, 2]}}, {"iat": time.time() - 3.5}, {"sub": "auth0|x y"},
], ids=lambda claims: next(iter(claims)))
def test_what_is_right_is_believed(sidecar, fake, claims):  # F5
    fake.claims = claims
    whose = someone()
    assert MiniBrowser().open(sidecar.link(whose)).query["oauth"] == "connected"
    details = sidecar.connection(whose)["details"]
    assert details["account_id"] == claims.get("sub", fake.subject)
    if "email" in claims:
        assert "account_label" not in details


@pytest.mark.parametrize("skew", [-30, 30])
def test_clocks_differ_a_little(sidecar, fake, skew):  # F5
    fake.claims = {"iat": soon(skew), "exp": soon(30 + skew)}
    whose = someone()
    assert MiniBrowser().open(sidecar.link(whose)).query["oauth"] == "connected"


def test_not_asked_for_it_is_ignored(sidecar, fake):  # F5
    """Whatever it says."""
    for token in ("garbage", fake.make_id_token({"nonce": "x"})):
        fake.token_fields = {"id_token": token}
        whose = someone()
        assert MiniBrowser().open(sidecar.link(whose, scopes="email")).query["oauth"] == "connected"
        assert "nonce" not in fake.seen("/authorize")[-1].query
        assert "subject-of-alice" not in str(sidecar.connection(whose))


def test_signature_must_not_be_looked_up(sidecar, fake):
    """It came over TLS from the one who made it (OpenID Connect Core 3.1.3.7, 6)."""
    assert MiniBrowser().open(sidecar.link(someone())).query["oauth"] == "connected"
    assert fake.seen("/jwks") == []
