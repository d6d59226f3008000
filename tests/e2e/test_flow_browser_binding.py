"""A flow belongs to the browser that opened the link, and its callback is good for once."""

import base64
import hashlib
import time
from urllib.parse import urlsplit

import psycopg
import pytest
from support.sidecar import MiniBrowser, in_parallel, parameters, someone


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake, application):
    return module_sidecar(
        {"fake": fake.settings(), "other": fake.settings()},
        settings={"OAUTH_RETURN_TO": application.origin},
    )


@pytest.fixture
def begun(sidecar):
    """(identity, browser, path of its callback), not called yet."""
    whose, browser = someone(), MiniBrowser()
    callback = browser.open(sidecar.link(whose), until="/callback?").url
    return whose, browser, callback.removeprefix(sidecar.public_url)


def refused(reply):
    """The page for a callback without a valid attempt: plain, and leading nowhere."""
    return reply.status == 400 and reply.location is None and "text/html" in reply.header("content-type")


def test_another_browser_finishes_nothing(sidecar, fake, begun):  # F1
    whose, browser, path = begun
    assert refused(sidecar.get(path))
    stranger = MiniBrowser()
    stranger.open(sidecar.link(someone()), until="/callback?")  # has cookies, of another flow
    assert refused(stranger.fetch(sidecar.public_url + path))
    assert fake.token_requests == [] and sidecar.grant(whose) is None
    # It consumed nothing: the right one still can.
    assert browser.open(sidecar.public_url + path).query["oauth"] == "connected"
    assert len(fake.token_requests) == 1 and sidecar.grant(whose)


def test_another_profile_of_chromium(sidecar, fake, chromium):  # F1
    attacker, victim, whose = MiniBrowser(), chromium.profile(), someone()
    callback = attacker.open(sidecar.link(whose), until="/callback?").url
    page = victim.goto(callback)
    assert page["status"] == 400 and page["url"] == callback
    assert fake.token_requests == [] and sidecar.grant(whose) is None
    victim.close()


def test_50_callbacks_at_once(sidecar, fake, begun):  # F2
    whose, browser, path = begun
    cookies = browser.cookies()
    replies = in_parallel(50, lambda: sidecar.get(path, cookies=cookies))
    assert sorted(reply.status for reply in replies) == [303] + [400] * 49
    assert all(refused(reply) for reply in replies if reply.status == 400)
    assert len(fake.token_requests) == 1 and sidecar.grant(whose)
    assert refused(sidecar.get(path, cookies=cookies))


def test_double_click_on_the_link(sidecar, fake):  # F2
    """Two tabs of one link: the second finds the link ended, or was first."""
    whose, browser = someone(), MiniBrowser()
    link = sidecar.link(whose)
    callbacks = [browser.open(link, until="/callback?").url for _ in range(2)]
    cookies = browser.cookies()
    replies = [sidecar.get(url.removeprefix(sidecar.public_url), cookies=cookies) for url in callbacks]
    assert replies[0].query["oauth"] == "connected"
    assert replies[1].status == 400 or replies[1].query.get("oauth_error") == "expired"
    assert sidecar.count("oauth_tokens_internal.flow_links") == 0 or sidecar.grant(whose)


def test_the_cookie(sidecar):  # F11
    whose = someone()
    reply = sidecar.get(sidecar.link(whose).removeprefix(sidecar.public_url))
    state = parameters(reply.location)["state"]
    tag = hashlib.sha256(state.encode()).hexdigest()[:8]
    cookies = {cookie.name: cookie for cookie in reply.cookies}
    assert set(cookies) == {f"__Host-oauth-{tag}", f"oauth-{tag}"}  # the latter on http only
    strict, plain = cookies[f"__Host-oauth-{tag}"], cookies[f"oauth-{tag}"]
    for cookie in (strict, plain):
        assert cookie.attributes["path"] == "/" and "httponly" in cookie.attributes
        assert cookie.attributes["samesite"].lower() == "lax"
        assert 0 < int(cookie.attributes["max-age"]) <= 600
        assert "domain" not in cookie.attributes
        made, _, secret = cookie.value.partition(".")
        assert len(secret) == 43 and abs(int(made) / 1000 - time.time()) < 10
    assert "secure" in strict.attributes and "secure" not in plain.attributes
    assert strict.value == plain.value
    # Nothing of it stands in the database or in the address.
    dump = sidecar.cluster.dump(db=sidecar.db)
    secret = strict.value.partition(".")[2]
    assert secret not in dump and state not in dump and secret not in reply.location
    assert parameters(sidecar.link(whose))["ticket"] not in dump


def test_30_tabs(sidecar, fake):  # F11
    browser = MiniBrowser()
    flows = []
    for _ in range(30):
        whose = someone()
        flows.append((whose, browser.open(sidecar.link(whose), until="/callback?").url))
        assert len([name for name in browser.cookies() if name.startswith("__Host-")]) <= 8
    ends = [browser.open(callback) for _, callback in flows]
    assert all(refused(end) for end in ends[:-8])
    assert [end.query["oauth"] for end in ends[-8:]] == ["connected"] * 8
    assert len(fake.token_requests) == 8
    assert [bool(sidecar.grant(whose)) for whose, _ in flows] == [False] * 22 + [True] * 8
    assert browser.cookies() == {}


@pytest.mark.parametrize("how", ["absent", "empty", "short", "long", "cut", "longer", "other secret",
                                 "unparsable time", "two", "quoted"])
def test_cookies_that_are_not_it(sidecar, fake, begun, how):  # F12
    whose, browser, path = begun
    name, value = next(item for item in browser.cookies().items() if item[0].startswith("__Host-"))
    made, _, secret = value.partition(".")
    wrong = {
        "absent": "", "empty": f"{name}=", "short": f"{name}={made}.A", "long": f"{name}={'A' * 5000}",
        "cut": f"{name}={value[:-1]}", "longer": f"{name}={value}A",
        "other secret": f"{name}={made}.{'A' * 43}", "unparsable time": f"{name}=x.{secret}",
        "two": f"{name}={made}.{'A' * 43}; {name}={made}.{'B' * 43}", "quoted": f'{name}="{value}"',
    }[how]
    reply = sidecar.get(path, headers={"Cookie": wrong} if wrong else {})
    assert reply.status in (400, 431), reply
    assert fake.token_requests == [] and sidecar.grant(whose) is None
    assert browser.open(sidecar.public_url + path).query["oauth"] == "connected"


def test_states_that_are_not_it(sidecar, fake, begun):  # F12
    whose, browser, path = begun
    query = parameters(path)
    state = query["state"]
    cookies = browser.cookies()
    for other in ["", "A", state[:-1], state + "A", state.swapcase(), "A" * len(state), "%00", None]:
        wrong = f"/oauth/fake/callback?code={query['code']}"
        wrong += f"&state={other}" if other is not None else ""
        assert refused(sidecar.get(wrong, cookies=cookies)), other
        # An attacker who sets a cookie fitting to the state that he made up has no attempt for it.
        tag = hashlib.sha256((other or "").encode()).hexdigest()[:8]
        forged = {f"__Host-oauth-{tag}": f"{int(time.time() * 1000)}.{'A' * 43}"}
        assert refused(sidecar.get(wrong, cookies=forged)), other
    assert fake.token_requests == []
    assert browser.open(sidecar.public_url + path).query["oauth"] == "connected"


def test_a_state_of_another_flow(sidecar, fake):  # F1, F4
    """State and code of two flows swapped within one browser: PKCE binds each code to its own."""
    browser = MiniBrowser()
    whose = [someone(), someone()]
    first, second = (parameters(browser.open(sidecar.link(one), until="/callback?").url) for one in whose)
    path = f"/oauth/fake/callback?code={first['code']}&state={second['state']}&iss={first['iss']}"
    sidecar.get(path, cookies=browser.cookies())
    verifier = fake.token_requests[-1].form["code_verifier"]
    challenge = fake.codes[first["code"]]["code_challenge"]
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert hashed != challenge  # which a provider refuses
    assert hashed == fake.codes[second["code"]]["code_challenge"]


def test_nothing_is_used_twice(sidecar, fake):  # F4
    whose = [someone() for _ in range(20)]
    for one in whose:
        for _ in range(2):
            MiniBrowser().open(sidecar.link(one), until="/callback?")
    queries = [request.query for request in fake.seen("/authorize")]
    for name in ("state", "nonce", "code_challenge"):
        assert len({query[name] for query in queries}) == 40, name


def test_a_provider_of_its_own_path(sidecar, fake, begun):  # F3
    whose, browser, path = begun
    other = path.replace("/oauth/fake/", "/oauth/other/")
    assert refused(sidecar.get(other, cookies=browser.cookies()))
    assert fake.token_requests == []
    assert browser.open(sidecar.public_url + path).query["oauth"] == "connected"


# Confirmation by the application


CONFIRM = "SELECT oauth_flow_confirm(%s, %s, %s, %s, %s)"


def confirm(sidecar, whose, flow):
    return sidecar.sql(CONFIRM, [*whose, flow], user="app")[0][0]


def test_tokens_of_a_victim(sidecar, fake, application, chromium):  # F15
    attacker, victim, browser = someone(), someone(), chromium.profile()
    application.requests.clear()
    end = browser.goto(sidecar.link(attacker, return_to=application.origin, confirm=True))
    assert end["title"] == "application"
    flow = application.returns[-1]["oauth_flow"]
    assert len(flow) >= 32 and sidecar.grant(attacker) is None and sidecar.grant(victim) is None
    dump = sidecar.cluster.dump(db=sidecar.db)
    assert "access-fake" not in dump and flow not in dump
    with pytest.raises(psycopg.Error):
        confirm(sidecar, victim, flow)
    assert sidecar.grant(victim) is None and sidecar.grant(attacker) is None
    assert sidecar.count() == 0 or sidecar.connection(victim) is None
    assert fake.seen("/revoke") == []
    browser.close()


def test_confirmed_by_the_right_one(sidecar, fake, application):  # F15
    whose = someone()
    link = sidecar.link(whose, return_to=application.origin, confirm=True)
    end = MiniBrowser().open(link)
    flow = end.query["oauth_flow"]
    with pytest.raises(psycopg.Error):
        confirm(sidecar, whose, flow[:-1] + ("A" if flow[-1] != "A" else "B"))
    with pytest.raises(psycopg.Error):
        confirm(sidecar, whose, "")
    id_ = confirm(sidecar, whose, flow)
    assert sidecar.sql("SELECT id FROM oauth_tokens WHERE actor_id = %s", [whose[3]]) == [(id_,)]
    assert sidecar.connection(whose)["details"]["account_id"] == fake.subject
    with pytest.raises(psycopg.Error):
        confirm(sidecar, whose, flow)
    assert sidecar.get(link.removeprefix(sidecar.public_url)).status == 410


def test_confirmation_is_a_setting(sidecar, flow_cluster):  # F15
    whose = someone()
    sidecar.sql(f"ALTER DATABASE {sidecar.db} SET oauth_tokens.confirm_flows = on")
    try:
        assert "oauth_flow" in MiniBrowser().open(sidecar.link(whose, return_to="/x"), until="/x?").query
        assert sidecar.grant(whose) is None
        assert MiniBrowser().open(sidecar.link(whose, confirm=False)).query["oauth"] == "connected"
        with pytest.raises(psycopg.Error):
            sidecar.link(whose)  # with nowhere to bring the code
    finally:
        sidecar.sql(f"ALTER DATABASE {sidecar.db} RESET oauth_tokens.confirm_flows")


def test_callback_takes_get_alone(sidecar, fake, begun):
    whose, browser, path = begun
    for method in ("POST", "PUT", "DELETE"):
        reply = sidecar.get(path, method=method, cookies=browser.cookies(), body="x=1")
        assert reply.status == 405 and "GET" in reply.header("allow"), method
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = sidecar.get(urlsplit(path).path, method="POST", cookies=browser.cookies(), headers=form,
                        body=urlsplit(path).query)
    assert reply.status == 405 and fake.token_requests == []
    assert browser.open(sidecar.public_url + path).query["oauth"] == "connected"
