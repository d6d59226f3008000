"""Every block that is shipped, and others that are odd, with what the provider's own
documentation shows: the real flow, and exactly the row that the answer means."""

import re
from datetime import datetime, timezone

import pytest
from support.fake_provider import Answer
from support.harness import CHECKOUT
from support.provider_answers import OTHERS, SAMPLE, SHIPPED, sample_blocks
from support.sidecar import MiniBrowser, someone

EVERY = SHIPPED | OTHERS
ENDPOINTS = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "revocation_endpoint": "/revoke"}


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    """All of them in one daemon: the blocks as they are, but for where the provider is."""
    blocks, variables = {}, {}
    for name, block in sample_blocks().items():
        for key in ("client_id_env", "client_secret_env"):
            variables[block[key]] = f"{'id' if 'id' in key else 'secret'}-of-{name}"
        blocks[name] = block
    for name, documented in OTHERS.items():
        blocks[name] = {"client_id": f"id-of-{name}", "client_secret": f"secret-of-{name}"} | documented.block
    for block in blocks.values():
        # With both of them nothing is discovered, and the issuer stays the provider's own.
        for key, path in ENDPOINTS.items():
            if key in block or key != "revocation_endpoint":
                block[key] = fake.issuer + path
    return module_sidecar(blocks, settings=variables)


def script(fake, name, said=None, status=200):
    """Makes the fake the provider of that name; `said` in place of what it documents."""
    documented = EVERY[name]
    fake.authorize = lambda true: {"code": true["code"], "state": true["state"]} | documented.callback

    def answer(request):
        body = (said or documented.token[0])
        body = body() if callable(body) else body
        if isinstance(body, dict) and body.get("id_token") == "ID":
            fake.claims = {"aud": f"id-of-{name}"} | documented.claims
            body = body | {"id_token": fake.make_id_token(fake.codes[request.form["code"]], documented.header)}
        return Answer(body, status, content_type="application/x-www-form-urlencoded"
                      if documented.form and status == 200 else "application/json; charset=utf-8")

    fake.answer = answer


def stored_is(sidecar, whose, row, before):
    assert sidecar.grant(whose) == (row.access, row.refresh, row.scopes)
    connection = sidecar.connection(whose)
    details = connection["details"] or {}
    assert (details.get("account_id"), details.get("account_label")) == row.account
    assert details.get("extra", {}) == row.extra
    assert details["client_id"] == f"id-of-{whose[1]}"
    if row.expires_in is None:
        assert connection["expires_at"] is None
    else:
        left = (datetime.fromisoformat(connection["expires_at"]) - before).total_seconds()
        assert -2 <= left - row.expires_in <= 4


def warnings_of(sidecar, name, since):
    return [line["detail"] for line in sidecar.log_lines()[since:]
            if line["level"] == "warning" and line.get("provider") == name and "detail" in line]


def connects(sidecar, name, row):
    whose, since = someone(name), len(sidecar.log_lines())
    before = datetime.now(timezone.utc)
    end = MiniBrowser().open(sidecar.link(whose))
    assert end.query["oauth"] == "connected", sidecar.log()[-1000:]
    stored_is(sidecar, whose, row, before)
    said = warnings_of(sidecar, name, since)
    assert len(said) == len(row.warnings), said
    for text in row.warnings:
        assert any(line.startswith(text) for line in said), said
    return whose


def test_every_shipped_block_is_here():
    assert set(sample_blocks()) == set(SHIPPED)


def test_every_shipped_block_names_its_source_and_day():
    """Lines of prose right above each block."""
    lines = SAMPLE.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("#[providers."):
            continue
        above = []
        while lines[number - 1].startswith("# "):
            number -= 1
            above.append(lines[number])
        prose = " ".join(above)
        assert re.search(r"https://[a-z]", prose) and re.search(r"\b20\d\d-\d\d-\d\d\b", prose), line


@pytest.mark.parametrize("name", EVERY)
def test_the_documented_answer(sidecar, fake, name):
    documented = EVERY[name]
    script(fake, name)
    connects(sidecar, name, documented.token[1])
    asked = next(r for r in reversed(fake.requests) if r.path == "/authorize")
    for part in documented.asks:
        assert f"&{part}&" in f"&{asked.raw_query}&"
    sent = fake.token_requests[-1].form
    assert {key: sent.get(key) for key in documented.sends} == documented.sends


@pytest.mark.parametrize("name", [name for name in EVERY if EVERY[name].refresh])
def test_the_documented_answer_to_a_refresh(sidecar, fake, name):
    """One reader serves both, so this comes in place of the first answer."""
    said, row = EVERY[name].refresh
    script(fake, name, said)
    connects(sidecar, name, row)


REFUSED = [(name, number) for name in EVERY for number in range(len(EVERY[name].refused))]
ERRORS = [(name, number) for name in EVERY for number in range(len(EVERY[name].errors))]


def fails(sidecar, name, error):
    whose = someone(name)
    end = MiniBrowser().open(sidecar.link(whose))
    assert end.query == {"oauth": "failed", "oauth_error": error, "oauth_provider": name}, sidecar.log()[-600:]
    assert sidecar.grant(whose) is None


@pytest.mark.parametrize("name,number", REFUSED)
def test_the_documented_refusal(sidecar, fake, name, number):
    parameters, error = EVERY[name].refused[number]
    fake.authorize = lambda true: {"state": true["state"]} | parameters
    fails(sidecar, name, error)
    assert fake.token_requests == []


@pytest.mark.parametrize("name,number", ERRORS)
def test_the_documented_error(sidecar, fake, name, number):
    status, said, error = EVERY[name].errors[number]
    script(fake, name, said, status)
    fails(sidecar, name, error)


# What the settings for ID tokens let through is exactly what they name (F5).


@pytest.mark.parametrize("name", ["linkedin_openid", "line", "numeric_sub"])
@pytest.mark.parametrize("wrong", [{"nonce": "n" * 43}, {"iss": "https://evil.example"}, {"aud": "another"},
                                   {"exp": 1}, {"sub": None}, {"sub": ""}], ids=repr)
def test_a_wrong_claim_is_refused_all_the_same(sidecar, fake, name, wrong):
    script(fake, name)
    right = fake.answer

    def answer(request):
        true = fake.make_id_token
        fake.make_id_token = lambda query, header: make(true, query, header)
        try:
            return right(request)
        finally:
            del fake.make_id_token

    def make(true, query, header):
        fake.claims |= wrong
        return true(query, header)

    fake.answer = answer
    fails(sidecar, name, "provider_error")


@pytest.mark.parametrize("name,claims,header", [
    ("line", {"nonce": None}, None), ("numeric_sub", {"nonce": None}, None),
    ("linkedin_openid", {"sub": 7}, None), ("line", {"sub": 7}, None),
    ("linkedin_openid", {}, {"alg": "HS256"}), ("numeric_sub", {}, {"alg": "HS256"}),
    ("line", {}, {"alg": "none"}),
])
def test_what_another_setting_allows_is_refused(sidecar, fake, name, claims, header):
    script(fake, name)
    documented = EVERY[name]

    def answer(request):
        fake.claims = {"aud": f"id-of-{name}"} | documented.claims | claims
        token = fake.make_id_token(fake.codes[request.form["code"]], header or documented.header)
        return Answer(documented.token[0] | {"id_token": token})

    fake.answer = answer
    fails(sidecar, name, "provider_error")


def test_what_is_not_supported_is_written():
    page = (CHECKOUT / "docs/daemon.md").read_text("utf-8")
    for name in ("Shopify", "Zoho", "form_post", "spapi_oauth_code"):
        assert name in page
