"""What providers and browsers add to a callback, or do to it twice: strict where it protects, lenient
where it is advice."""

import pytest
from support.fake_provider import Answer
from support.sidecar import MiniBrowser, Sidecar, in_parallel, prepare_database, someone


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    plain = {"issuer": None, "scopes": "a b"}
    return module_sidecar({
        "fake": fake.settings(callback_extra=["shop"]),
        # GitHub and all that have no metadata: endpoints alone.
        "nameless": fake.settings(**plain),
        "lax": fake.settings(**plain, require_iss=False),
        # The same with an issuer to compare with, though nothing is discovered.
        "named": fake.settings(scopes="a b"),
    })


def finish(sidecar, fake, provider, change):
    """A flow whose callback's parameters are changed."""
    fake.authorize = change
    whose = someone(provider)
    return whose, MiniBrowser().open(sidecar.link(whose))


# An issuer where none is known, as GitHub sends it since 2026


@pytest.mark.parametrize("provider", ["nameless", "lax"])
@pytest.mark.parametrize("iss", ["https://github.com/login/oauth", "", "x" * 3000, "\u2028\x1b[2J"])
def test_an_issuer_that_nobody_knows(sidecar, fake, provider, iss):  # F3
    whose, end = finish(sidecar, fake, provider, lambda true: true | {"iss": iss.replace("\x1b", "")})
    assert end.query["oauth"] == "connected" and sidecar.grant(whose)
    if iss.startswith("https"):
        line = next(line for line in reversed(sidecar.log_lines()) if line.get("iss") == iss)
        assert line["level"] == "warning" and line["provider"] == provider and "issuer" in line["message"]
        assert len(fake.seen("/.well-known/openid-configuration")) == 0


def test_no_issuer_is_no_news(sidecar, fake):
    before = len(sidecar.log_lines())
    _, end = finish(sidecar, fake, "nameless", lambda true: true | {"iss": None})
    assert end.query["oauth"] == "connected"
    assert not [line for line in sidecar.log_lines()[before:] if "iss" in line]


def test_an_issuer_on_an_error_of_one_without(sidecar, fake):
    _, end = finish(sidecar, fake, "nameless", lambda true: true | {"code": None, "error": "access_denied"})
    assert end.query["oauth_error"] == "access_denied"


@pytest.mark.parametrize("iss, outcome", [("right", "connected"), ("wrong", "failed"), (None, "connected")])
def test_an_issuer_to_compare_with_and_no_metadata(sidecar, fake, iss, outcome):  # F3
    iss = {"right": fake.issuer, "wrong": fake.issuer + "/"}.get(iss)
    _, end = finish(sidecar, fake, "named", lambda true: true | {"iss": iss})
    assert end.query["oauth"] == outcome
    assert len(fake.seen("/.well-known/openid-configuration")) == 0


def test_an_issuer_is_required_of_one_that_has_none(sidecar, fake):
    """It could not be compared: a fault at start, not a flow that never succeeds."""
    refused = Sidecar(sidecar.cluster, {"nameless": fake.settings(issuer=None, scopes="a", require_iss=True)},
                      db=sidecar.db)
    checked = refused.run("--check")
    assert checked.returncode == 1 and "providers.nameless.require_iss" in checked.stdout + checked.stderr


# Parameters that nobody reads, and those that somebody does


LENIENT = {
    "doubled": [("hd", "x"), ("hd", "y")],
    "doubled, the same": [("session_state", "x"), ("session_state", "x")],
    "control characters": [("state_note", "a\r\nb\0c")],
    "many": [(f"x{number}", "1") for number in range(200)],
    "an empty error": [("error", "")],
    "an empty description": [("error_description", "")],
    "of our page": [("oauth", "connected"), ("oauth", "failed")],
}


@pytest.mark.parametrize("name", LENIENT)
def test_parameters_that_nobody_reads(sidecar, fake, name):  # F10
    whose, end = finish(sidecar, fake, "fake", lambda true: [*true.items(), *LENIENT[name]])
    assert end.query["oauth"] == "connected" and sidecar.grant(whose)


@pytest.mark.parametrize("raw", ["x=%ff", "x=%C3", "x=%", "x=100%&y=%zz", "%ff=1", "&&&x", "x=\u00e9"])
def test_parameters_that_nobody_reads_on_the_wire(sidecar, fake, raw):  # F10
    browser, whose = MiniBrowser(), someone()
    callback = browser.open(sidecar.link(whose), until="/callback?").url.removeprefix(sidecar.public_url)
    raw = "".join(char if ord(char) < 128 else f"%{ord(char):02X}" for char in raw)  # Latin-1
    reply = sidecar.get(f"{callback}&{raw}", cookies=browser.cookies())
    assert reply.status == 303 and reply.query["oauth"] == "connected"


@pytest.mark.parametrize("name", ["code", "state", "iss", "scope", "error", "error_description", "shop"])
def test_doubled_parameters_that_are_read(sidecar, fake, name):  # F10
    def twice(true):
        return [*true.items(), *[(name, true.get(name, "x"))] * (1 if name in true else 2)]

    whose, end = finish(sidecar, fake, "fake", twice)
    assert end.status == 400 and end.location is None
    assert fake.token_requests == [] and sidecar.grant(whose) is None


@pytest.mark.parametrize("extra", ["utm_source=mail&utm_source=mail", "utm_campaign=50%", "fbclid=%ff", "x=1&x=2"])
def test_links_with_what_mail_programs_add(sidecar, extra):
    link = sidecar.link(someone()).removeprefix(sidecar.public_url)
    assert sidecar.get(f"{link}&{extra}").status == 303
    assert sidecar.get(f"{link}&{link.partition('?')[2]}").status == 400  # a second ticket
    assert sidecar.get(f"/oauth/fake/done?oauth=connected&{extra}").status == 200


# The same callback again


def text_of(reply):
    return reply.text.partition("<main>")[2]


def test_a_callback_loaded_again(sidecar, fake):  # F1, F2
    """Whoever has the browser's secret is told that it is finished, and nobody else anything."""
    browser = MiniBrowser()
    callback = browser.open(sidecar.link(someone()), until="/callback?").url.removeprefix(sidecar.public_url)
    cookies = browser.cookies()
    stranger = sidecar.get(callback)
    assert sidecar.get(callback, cookies=cookies).query["oauth"] == "connected"
    again = sidecar.get(callback, cookies=cookies)
    assert again.status == 400 and again.location is None
    assert "This is finished" in text_of(again) and "start again" not in text_of(again)
    other = {name: value[:-3] + "AAA" for name, value in cookies.items()}
    for reply in (sidecar.get(callback), sidecar.get(callback, cookies=other),
                  sidecar.get(callback.replace("/fake/", "/named/"), cookies=other)):
        assert reply.status == 400 and reply.text == stranger.text
    # The cookie is gone by then: the page says first that all may be done.
    assert "all is done" in text_of(stranger)
    assert len(fake.token_requests) == 1


def test_a_callback_loaded_again_meanwhile(sidecar, fake):  # F2
    browser, whose = MiniBrowser(), someone()
    callback = browser.open(sidecar.link(whose), until="/callback?").url.removeprefix(sidecar.public_url)
    cookies = browser.cookies()
    pages = []

    def slow(request):
        for _ in range(3):
            pages.append(sidecar.get(callback, cookies=cookies))
        return Answer(fake.true_tokens(request.form))

    fake.answers = [slow]
    assert sidecar.get(callback, cookies=cookies).query["oauth"] == "connected"
    assert [page.status for page in pages] == [400] * 3
    assert all("being finished" in text_of(page) for page in pages)
    replies = in_parallel(50, lambda: sidecar.get(callback, cookies=cookies))
    assert all(reply.status == 400 and "This is finished" in text_of(reply) for reply in replies)
    assert len(fake.token_requests) == 1


def test_a_failed_callback_loaded_again(sidecar, fake):
    fake.answers = [Answer({"error": "invalid_grant"}, 400)]
    browser = MiniBrowser()
    callback = browser.open(sidecar.link(someone()), until="/callback?").url.removeprefix(sidecar.public_url)
    cookies = browser.cookies()
    assert sidecar.get(callback, cookies=cookies).query["oauth"] == "failed"
    assert "start again" in text_of(sidecar.get(callback, cookies=cookies))


# How the client proves itself


@pytest.mark.parametrize("offered, form, warned", [
    (None, False, False),
    (["client_secret_basic"], False, False),
    (["client_secret_post"], True, False),
    (["private_key_jwt", "client_secret_post"], True, False),
    (["client_secret_post", "client_secret_basic"], False, False),
    (["private_key_jwt"], False, True),
    ([], False, True),
    ("client_secret_post", False, False),  # no list
])
@pytest.mark.parametrize("chosen", [None, "post", "basic"])
def test_client_authentication(make_sidecar, make_provider, flow_cluster, offered, form, warned, chosen):
    asked = make_provider("asked")
    asked.metadata_changes = {"token_endpoint_auth_methods_supported": offered}
    sidecar = make_sidecar({"asked": asked.discovered(token_auth=chosen)})
    if chosen:
        form = chosen == "post"
        warned = isinstance(offered, list) and f"client_secret_{chosen}" not in offered
    assert MiniBrowser().open(sidecar.link(someone("asked"))).query["oauth"] == "connected"
    request = asked.token_requests[-1]
    assert ("client_secret" in request.form, request.basic is None) == (form, form)
    checked = sidecar.run("--check")
    assert checked.returncode == 0, checked.stdout
    assert ("client_secret_" in checked.stdout) == warned, checked.stdout


def test_client_authentication_that_is_not_known_yet(make_sidecar, make_provider, flow_cluster):
    """A daemon that was restarted while the metadata cannot be read: the code is not spent on a guess."""
    asked = make_provider("asked")
    asked.metadata_changes = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    first = make_sidecar({"asked": asked.discovered()}, db=prepare_database(flow_cluster, "flow_client_auth"))
    whose, browser = someone("asked"), MiniBrowser()
    callback = browser.open(first.link(whose), until="/callback?").url
    first.stop()
    asked.metadata_status = 503
    first.start()
    reply = first.get(callback.removeprefix(first.public_url), cookies=browser.cookies())
    assert reply.status == 503 and reply.cookies == [] and asked.token_requests == []
    asked.metadata_status = 200
    first.stop()
    first.start()
    assert browser.open(callback).query["oauth"] == "connected"
    assert "client_secret" in asked.token_requests[-1].form


# The page, as a person sees it


def test_the_finished_page(sidecar, fake, chromium):
    profile = chromium.profile()
    profile.goto(sidecar.link(someone()))
    state = fake.seen("/authorize")[-1].query["state"]
    page = profile.goto(f"{sidecar.public_url}/oauth/fake/callback?code=x&state={state}")
    assert page["status"] == 400 and "works only once" in page["title"]
    profile.close()
