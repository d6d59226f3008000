"""An account is connected, from the link to the stored grant: with a real OpenID provider over
http and https, in Chromium and in a browser of our own; and what is stored then."""

from datetime import datetime, timedelta, timezone

import pytest
from support.fake_provider import Answer
from support.openid import CLIENT
from support.sidecar import MiniBrowser, fetch, parameters, someone
from support.tokens import WORKSPACE


@pytest.fixture(scope="module", params=["http", "https"])
def real(request, make_openid, authority):
    if request.param == "http":
        return make_openid()
    certificate, key = authority.issue("openid")
    return make_openid(cert=str(certificate), key=str(key))


@pytest.fixture(scope="module")
def sidecar(module_sidecar, real, authority, application):
    return module_sidecar(
        {"op": real.settings()},
        settings={"OAUTH_RETURN_TO": application.origin, "OAUTH_CA_FILE": authority.ca},
    )


def sign_in(browser, link, name, **consent):
    """From the link to where the flow ends, as a person who logs in and consents."""
    page = browser.open(link)
    page = browser.submit(page, login=name)
    return browser.submit(page, **consent)


def test_in_chromium(sidecar, real, application, chromium):  # F8, F11
    whose, profile = someone("op"), chromium.profile()
    application.requests.clear()
    link = sidecar.link(whose, return_to=f"{application.origin}/connected?tab=2#here")
    assert link.startswith(f"{sidecar.public_url}/oauth/op/authorize?ticket=")

    profile.goto(link)
    assert [cookie for cookie in profile.cookies() if "oauth-" in cookie["name"]]
    profile.log_in("alice")
    end = profile.consent()

    assert (end["title"], end["url"].split("#")[1]) == ("application", "here")
    assert application.returns == [{"tab": "2", "oauth": "connected", "oauth_provider": "op"}]
    referer = application.requests[0][1].get("Referer", "")
    assert "code=" not in referer and "state=" not in referer and "/callback" not in referer
    assert [cookie for cookie in profile.cookies() if "oauth-" in cookie["name"]] == []
    answers = [seen["status"] for seen in profile.seen() if "/callback?" in seen["url"]]
    assert answers == [303]

    access, refresh, scopes = sidecar.grant(whose)
    assert sorted(scopes.split()) == ["email", "offline_access", "openid"] and refresh
    me = fetch(f"{real.issuer}/me", headers={"Authorization": f"Bearer {access}"})
    assert me.json == {"sub": "alice", "email": "alice@example.org", "email_verified": True}
    connection = sidecar.connection(whose)
    assert connection["state"] == "active" and connection["has_refresh_token"]
    expected = {"account_id": "alice", "account_label": "alice@example.org",
                "issuer": real.issuer, "client_id": CLIENT["client_id"]}
    assert expected.items() <= connection["details"].items()
    left = datetime.fromisoformat(connection["expires_at"]) - datetime.now(timezone.utc)
    assert timedelta(minutes=55) < left <= timedelta(hours=1)
    assert sidecar.count("oauth_tokens_internal.flow_links") == 0

    # The link is used up, and going back does no harm.
    assert profile.goto(link)["status"] == 410
    assert sidecar.grant(whose)[0] == access
    profile.close()


def test_the_done_page(sidecar, chromium):  # F7
    profile, whose = chromium.profile(), someone("op")
    profile.goto(sidecar.link(whose))
    profile.log_in("alice")
    end = profile.consent()
    assert end["url"].startswith(f"{sidecar.public_url}/oauth/op/done?oauth=connected")
    assert "onnected" in end["text"]
    assert [alarm for alarm in profile.alarms() if "favicon" not in alarm] == []
    assert sidecar.grant(whose)
    failed = sidecar.get("/oauth/op/done?oauth=failed&oauth_error=expired")
    assert failed.status == 200 and "expired" in failed.text
    assert failed.text != sidecar.get("/oauth/op/done?oauth=failed&oauth_error=access_denied").text
    profile.close()


@pytest.mark.parametrize("return_to, expected", [
    ("/settings", "{public}/settings?oauth=connected&oauth_provider=op"),
    ("/settings?a=b%20c", "{public}/settings?a=b%20c&oauth=connected&oauth_provider=op"),
    ("/a/b?#/spa/route", "{public}/a/b?oauth=connected&oauth_provider=op#/spa/route"),
    ("{application}", "{application}/?oauth=connected&oauth_provider=op"),
    ("{application}/x?oauth=failed&y=1", None),
])
def test_where_it_returns_to(sidecar, application, return_to, expected):
    places = {"public": sidecar.public_url, "application": application.origin}
    browser, whose = MiniBrowser(), someone("op")
    page = browser.open(sidecar.link(whose, return_to=return_to.format(**places)))
    page = browser.submit(browser.submit(page, login="alice"), until="oauth=connected")
    if expected:
        assert page.url.replace("/?", "?") == expected.format(**places).replace("/?", "?")
    else:  # what stood there under our name does not
        assert parameters(page.url) == {"y": "1", "oauth": "connected", "oauth_provider": "op"}


def test_the_user_grants_less_than_asked(sidecar):
    whose = someone("op")
    end = sign_in(MiniBrowser(), sidecar.link(whose), "alice", scope=["openid", "offline_access"])
    assert end.query["oauth"] == "connected"
    assert set(sidecar.grant(whose)[2].split()) == {"openid", "offline_access"}


def test_scopes_of_the_link(sidecar):
    whose, browser = someone("op"), MiniBrowser()
    page = browser.open(sidecar.link(whose, scopes="openid offline_access calendar.read"))
    asked = [parameters(url)["scope"] for url, _ in page.history if "code_challenge" in url]
    assert set(asked[0].split()) == {"openid", "offline_access", "calendar.read"}
    end = browser.submit(browser.submit(page, login="alice"))
    assert end.query["oauth"] == "connected"
    assert set(sidecar.grant(whose)[2].split()) == {"openid", "offline_access", "calendar.read"}


def test_the_user_says_no(sidecar, application):
    whose, browser = someone("op"), MiniBrowser()
    link = sidecar.link(whose, return_to=application.origin)
    for answer, outcome in [("cancel", "failed"), ("go", "connected")]:  # and thinks it over
        page = browser.open(link)
        if "login" in page.text:
            page = browser.submit(page, login="alice")
        end = browser.submit(page, button=answer)
        assert end.query["oauth"] == outcome
        assert end.query.get("oauth_error") == ("access_denied" if answer == "cancel" else None)
    assert browser.cookies("localhost") == {}
    assert sidecar.grant(whose)


def test_another_account_replaces_the_whole_grant(sidecar):  # F17
    whose = someone("op")
    sign_in(MiniBrowser(), sidecar.link(whose), "alice")
    first = sidecar.grant(whose)
    end = sign_in(MiniBrowser(), sidecar.link(whose), "bob", scope=["openid", "email"])
    assert end.query["oauth"] == "connected"
    access, refresh, scopes = sidecar.grant(whose)
    assert access != first[0] and refresh is None and set(scopes.split()) == {"openid", "email"}
    connection = sidecar.connection(whose)
    assert connection["has_refresh_token"] is False
    assert connection["details"]["account_id"] == "bob"
    assert "alice" not in str(connection)


# With a scripted provider


@pytest.fixture(scope="module")
def quick(module_sidecar, fake, application):
    return module_sidecar(
        {"fake": fake.settings(extra=["instance_url", "team.id"], callback_extra=["realmId"]),
         "found": fake.discovered()},
        settings={"OAUTH_RETURN_TO": application.origin},
    )


def connect(sidecar, whose, browser=None, **parameters):
    return (browser or MiniBrowser()).open(sidecar.link(whose, **parameters))


def test_no_refresh_token_the_second_time(quick, fake):  # F17
    """It may be kept only where both ID tokens name the same person."""
    whose, fake.subject = someone(), "one"
    fake.token_fields = {"refresh_token": "refresh of one"}
    connect(quick, whose)
    assert quick.grant(whose)[1] == "refresh of one"
    fake.token_fields = {"refresh_token": None}
    connect(quick, whose)
    assert quick.grant(whose)[1] in (None, "refresh of one")
    fake.subject = "two"
    connect(quick, whose)
    assert quick.grant(whose)[1] is None
    assert quick.connection(whose)["has_refresh_token"] is False


def test_no_refresh_token_and_no_id_token(quick, fake):  # F17
    whose = someone()
    connect(quick, whose, scopes="email")
    assert quick.grant(whose)[1]
    fake.token_fields = {"refresh_token": None}
    connect(quick, whose, scopes="email")
    assert quick.grant(whose)[1] is None


def test_labels_are_accounts_of_their_own(quick, fake):
    plain = someone("fake")
    work = (*plain[:1], "fake.work", *plain[2:])
    for whose in (plain, work):
        assert connect(quick, whose).query["oauth"] == "connected"
        # One address to register with the provider, whatever the label.
        asked = fake.seen("/authorize")[-1].query
        assert asked["redirect_uri"] == f"{quick.public_url}/oauth/fake/callback"
    tokens = [quick.grant(whose)[0] for whose in (plain, work)]
    assert len(set(tokens)) == 2
    assert quick.api("token", work).json["access_token"] == tokens[1]


def test_an_api_key_connects_too(quick):
    whose = (WORKSPACE, "fake", "api_key", "key-7")
    assert connect(quick, whose).query["oauth"] == "connected"
    assert quick.grant(whose)


def test_other_details(quick, fake):
    fake.token_fields = {"instance_url": "https://x.example.org", "team": {"id": "T1"}, "other": 1}
    fake.authorize = lambda answer: answer | {"realmId": "9130"}
    whose = someone()
    connect(quick, whose)
    details = quick.connection(whose)["details"]
    assert details["extra"]["instance_url"] == "https://x.example.org"
    assert "T1" in str(details["extra"]) and "9130" in str(details["extra"])
    assert "other" not in details["extra"] and quick.grant(whose)[0] not in str(details)
    assert quick.api("status", whose).json["extra"] == details["extra"]
    assert quick.api("token", whose).json["extra"] == details["extra"]


def test_a_provider_that_is_discovered(quick, fake):
    whose = someone("found")
    assert connect(quick, whose).query["oauth"] == "connected"
    assert len(fake.token_requests) == 1


def test_what_the_provider_is_asked(quick, fake):  # F4
    whose = someone()
    connect(quick, whose)
    asked = fake.seen("/authorize")[-1].query
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{quick.public_url}/oauth/fake/callback"
    assert len(asked["code_challenge"]) == 43 and len(asked["state"]) >= 43 and asked["nonce"]
    assert "response_mode" not in asked
    told = fake.token_requests[-1]
    assert told.form["grant_type"] == "authorization_code"
    assert told.form["redirect_uri"] == asked["redirect_uri"]
    assert "client_secret" not in told.form
    # RFC 6749, 2.3.1: both halves are form-encoded before they are basic.
    assert told.basic == ("client-of-the-tests", "s3cret%2Fof+the%2Btests%25%26")
    assert told.headers["content-type"].startswith("application/x-www-form-urlencoded")


@pytest.mark.parametrize("confirm", [False, True])
def test_a_mail_scanner_comes_first(quick, fake, confirm):  # F16
    whose = someone()
    link = quick.link(whose, return_to="/x", confirm=confirm)
    path = link.removeprefix(quick.public_url)
    for _ in range(3):
        reply = quick.get(path)
        assert reply.status == 303 and reply.location.startswith(fake.issuer + "/authorize?")
    before = quick.flow_rows()
    head = quick.get(path, method="HEAD")
    assert (head.status, head.body, head.cookies) == (200, b"", [])
    for header in ("Sec-Purpose", "Purpose"):
        prefetch = quick.get(path, headers={header: "prefetch"})
        assert (prefetch.status, prefetch.cookies) == (503, [])
    assert quick.flow_rows() == before
    end = MiniBrowser().open(link, until="/x?")
    if confirm:
        assert quick.sql("SELECT oauth_flow_confirm(%s, %s, %s, %s, %s)",
                         [*whose, end.query["oauth_flow"]], user="app")
    else:
        assert end.query["oauth"] == "connected"
    assert quick.grant(whose)
    assert quick.get(path).status == 410
    assert quick.get(path, method="HEAD").status in (200, 410)


def test_at_most_five_attempts(quick):  # F16
    link = quick.link(someone())
    path = link.removeprefix(quick.public_url)
    before = quick.flow_rows()[1]
    browsers = [MiniBrowser() for _ in range(8)]
    callbacks = [browser.open(quick.public_url + path, until="/callback?").url for browser in browsers]
    assert quick.flow_rows()[1] - before <= 5
    # Whoever came last is the person, most likely; the first are gone.
    assert browsers[0].open(callbacks[0]).status == 400
    assert browsers[-1].open(callbacks[-1]).query["oauth"] == "connected"


def test_an_attempt_whose_link_has_ended(quick, fake):
    whose = someone()
    link = quick.link(whose)
    slow, fast = MiniBrowser(), MiniBrowser()
    callback = slow.open(link, until="/callback?").url
    assert fast.open(link).query["oauth"] == "connected"
    kept = quick.grant(whose)
    end = slow.open(callback)
    assert end.status == 400 or end.query.get("oauth_error") == "expired"
    assert quick.grant(whose) == kept


def test_two_flows_of_one_identity(quick, fake):
    """Both were asked for; the one that ends last is what is stored, whole."""
    whose, browsers = someone(), [MiniBrowser(), MiniBrowser()]
    callbacks = [browser.open(quick.link(whose), until="/callback?").url for browser in browsers]
    for number, (browser, callback) in enumerate(zip(browsers, callbacks), 1):
        fake.token_fields = {"access_token": f"a{number}", "refresh_token": f"r{number}"}
        assert browser.open(callback).query["oauth"] == "connected"
        assert quick.grant(whose)[:2] == (f"a{number}", f"r{number}")


def test_a_link_has_its_time(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_STATE_TTL_SECONDS": "77"})
    whose, browser = someone(), MiniBrowser()
    link = sidecar.link(whose)
    callback = browser.open(link, until="/callback?").url
    cookies = browser.cookies()
    for table in ("flow_links", "flow_attempts"):
        lives = sidecar.sql(f"SELECT extract(epoch FROM expires_at - created_at) FROM oauth_tokens_internal.{table}")
        assert [life for life, in lives] == [77]
        sidecar.sql(f"UPDATE oauth_tokens_internal.{table} SET expires_at = now()")
    assert sidecar.get(link.removeprefix(sidecar.public_url)).status == 410
    end = sidecar.get(callback.removeprefix(sidecar.public_url), cookies=cookies)
    assert end.status == 400
    assert fake.token_requests == [] and sidecar.grant(whose) is None


@pytest.mark.parametrize("trusts_loopback", [True, False])
def test_either_cookie_will_do_on_loopback(quick, trusts_loopback):  # F11
    assert connect(quick, someone(), MiniBrowser(trusts_loopback)).query["oauth"] == "connected"


QUIRKS = {
    "post": ({"token_auth": "post"}, None),
    "none": ({"token_auth": "none", "client_secret": None}, None),
    "json": ({"body": "json"}, None),
    "no pkce": ({"pkce": False}, None),
    "parameters": ({"authorize_params": {"access_type": "offline"}, "token_params": {"x": "y"}}, None),
    "commas": ({"scope_separator": ",", "scopes": "a b"},
               {"access_token": "t", "token_type": "bearer", "scope": "a,b"}),
    "nested": ({"access_token_path": "authed_user.access_token", "scopes": "a b"},
               {"ok": True, "authed_user": {"access_token": "t", "token_type": "user"}}),
    "default life": ({"default_expires_in": 7200, "scopes": "a b"},
                     {"access_token": "t", "token_type": "bearer"}),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_quirks_are_settings(make_sidecar, fake, quirk):
    changes, answer = QUIRKS[quirk]
    sidecar = make_sidecar({"fake": fake.settings(**changes)})
    whose = someone()
    if answer:
        fake.answers.append(Answer(answer))
    assert connect(sidecar, whose).query["oauth"] == "connected"
    asked, told = fake.seen("/authorize")[-1].query, fake.token_requests[-1]
    access, _, scopes = sidecar.grant(whose)
    assert access
    if quirk == "post":
        assert told.form["client_secret"] == "s3cret/of the+tests%&" and told.basic is None
    elif quirk == "none":
        assert "client_secret" not in told.form and told.basic is None
        assert told.form["client_id"] == "client-of-the-tests"
    elif quirk == "json":
        assert told.headers["content-type"].startswith("application/json")
        assert b'"authorization_code"' in told.body
    elif quirk == "no pkce":
        assert "code_challenge" not in asked and "code_verifier" not in told.form
    elif quirk == "parameters":
        assert asked["access_type"] == "offline" and told.form["x"] == "y"
    elif quirk == "commas":
        assert (asked["scope"], scopes) == ("a,b", "a b")
    elif quirk == "nested":
        assert (access, scopes) == ("t", "a b")
    elif quirk == "default life":
        assert 7100 < sidecar.api("token", whose).json["expires_in"] <= 7200
