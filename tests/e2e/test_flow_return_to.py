"""return_to never leads anywhere but to the public URL's origin and to the allowed ones."""

import itertools
import json
from urllib.parse import urljoin

import psycopg
import pytest
from support.sidecar import API_TOKEN, MiniBrowser, someone

ALLOWED = ["http://127.0.0.1:8000", "https://app.example.org", "https://*.example.net",
           "https://app.example.org:8443"]


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    return module_sidecar({"fake": fake.settings(scopes="email")},
                          settings={"OAUTH_RETURN_TO": ",".join(ALLOWED)})


def corpus(port):
    """Several hundred addresses that something takes for a path or for an allowed origin."""
    evil = ["evil.example", "evil.example:80", "127.0.0.1:1", "[::1]:1", "0x7f.1", "2130706433"]
    slashes = ["//", "///", "////", "/\\", "\\\\", "\\/", "/\t/", "/\n/", "/\r\n/", "/ /", "\t//", " //",
               "/%5c", "/%2f", "%2f%2f", "/.//", "/..//", "/;//", "/./\\", "\x00//", "/\x00/", "/\u2028/",
               "/\uff0f", "\uff0f\uff0f", "/\u2044/", "/\u2215/", "/\u3002//", "/\u00a0/", "/\x0b/", "/\x7f/"]
    for slash, host in itertools.product(slashes, evil):
        yield f"{slash}{host}/x"
    schemes = ["http:", "https:", "HTTP:", "hTTps:", "javascript:", "data:", "vbscript:", "file:", "ftp:",
               "ws:", "blob:", "about:", "view-source:", "mailto:", "x:", "", ":", "http", "java\tscript:",
               "\x01javascript:", " javascript:"]
    tails = ["evil.example", "/evil.example", "//evil.example", "///evil.example", "\\\\evil.example",
             "alert(1)", "//app.example.org@evil.example", "//%61pp.example.org.evil.example"]
    for scheme, tail in itertools.product(schemes, tails):
        yield scheme + tail
    for origin in ["https://app.example.org", "http://127.0.0.1:8000", f"http://localhost:{port}",
                   "https://a.example.net"]:
        for tail in ["@evil.example", ".evil.example", "%40evil.example", ":80@evil.example", ":@evil.example",
                     "\\@evil.example", "\\.evil.example", "#@evil.example", "?@evil.example", "\t.evil.example",
                     "%00.evil.example", "\x00.evil.example", "\uff0eevil.example", "\u3002evil.example",
                     "\uff20evil.example", "%2eevil.example", ";evil.example", ",evil.example", " .evil.example",
                     "'.evil.example", "-evil.example", "_.evil.example", ":65536", ":0x50", ":", ":443x", ":8444",
                     "..", ".", "/../..//evil.example", "/%2e%2e//evil.example", "//evil.example",
                     "/\r\nLocation: http://evil.example", "/\n<script>", "/x\ty", "/\x00", "/%", "/%zz", "/\u00e9",
                     "/" + "x" * 5000]:
            yield origin + tail
        yield origin.replace("example", "exampl\u0435")  # Cyrillic
        yield origin.replace("://", "://user@")
        yield origin.replace("://", "://user:password@")
        yield origin.replace("https", "http") if "https" in origin else origin.replace("http", "https")
        yield origin.upper()
        yield origin.replace("//", "/")
        yield origin.replace("//", "")
        yield origin.replace("//", "///")
    for host in ["example.net", "a.b.example.net", ".example.net", "*.example.net", "xexample.net", "a.example.net.",
                 "example.net.evil.example", "evil.example#.example.net", "evil.example\\.example.net",
                 "evil.example/.example.net", "evil.example?.example.net", "a%2f.example.net", "a b.example.net",
                 "evil.example%23.example.net", "xn--.example.net", "\u00e9.example.net", "-.example.net"]:
        yield f"https://{host}/x"
    yield from [" ", "x", "x/y", "..", ".", "./x", "../x", "?", "?x", "#", "#x", ";", "*", "null", "\\", "/\\\\"]
    yield from ["/x", "/", "/x?y=z", "/x#y", "/x//y", "/a b", "/a\tb", "/\u00e9", "/%e9", "/x?u=//evil.example",
                "/@evil.example", "/:80", "/x:y", "/..", "/../..", "/.", "/%2e%2e/", "/~", "/\x7f", "/\x00",
                "/x" * 2000, "/<script>alert(1)</script>", "/x?oauth_flow=stolen", "/x?a=1&oauth=connected&b=2"]


def origins(chromium, base, addresses):
    """The origins that a browser makes of addresses redirected to; "invalid" for none."""
    page = chromium.profile()
    try:
        return page.evaluate(f"""{json.dumps(addresses)}.map((address) => {{
            try {{ return new URL(address, {json.dumps(base)}).origin; }} catch {{ return 'invalid'; }}
        }})""")
    finally:
        page.close()


def is_allowed(origin, sidecar):
    """Of `*.example.net` one label is the star."""
    one_label = origin.startswith("https://") and origin.endswith(".example.net") and \
        origin.removeprefix("https://").count(".") == 2
    return origin in (sidecar.public_url, *ALLOWED) or one_label


def test_every_final_origin_is_allowed(sidecar, fake, chromium):  # F6
    """Each is refused at once, by SQL and API alike, or the browser ends on an allowed origin."""
    addresses = list(dict.fromkeys(corpus(sidecar.port)))
    assert len(addresses) > 500
    ends = {}
    disagree = []
    with sidecar.cluster.connect(sidecar.db, "app", autocommit=True) as connection:
        for address in addresses:
            whose, link = someone(), None
            if "\0" not in address:  # which no text of PostgreSQL holds
                try:
                    link = connection.execute(
                        "SELECT oauth_authorize_url(%s, %s, %s, %s, return_to => %s)", [*whose, address]
                    ).fetchone()[0]
                except psycopg.Error as error:
                    assert error.sqlstate[:2] in ("22", "OT", "42"), (address, error)
            reply = sidecar.api("authorize", whose, return_to=address)
            if (reply.status == 200) != (link is not None):
                disagree.append((address, reply.status, link))
            if reply.status == 200:
                link = link or reply.json["authorize_url"]
            else:
                assert reply.status in (400, 414, 431), (address, reply)
                if reply.status == 400:
                    assert reply.json["error"] == "invalid_request"
                    assert reply.json.get("parameter") == "return_to", address
            if link:
                browser = MiniBrowser()
                reply = browser.fetch(browser.open(link, until="/callback?").url)
                assert reply.status == 303 and "oauth=" in reply.location, (address, reply)
                ends[address] = reply.location
    callback = f"{sidecar.public_url}/oauth/fake/callback?code=x"
    finals = dict(zip(ends, origins(chromium, callback, list(ends.values()))))
    assert {address: to for address, to in finals.items() if not is_allowed(to, sidecar)} == {}
    assert disagree == []
    # The check is no wall.
    for address in ("/x", "/x?y=z", "/x#y", "/"):
        assert address in ends
    taken = [address for address in ends if "evil" in address.split("?")[0].split("#")[0]]
    assert all(not address.startswith(("//", "\\", "/\\")) for address in taken)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "https://app.example.org",
                                    "https://a.example.net", "https://app.example.org:8443"])
def test_allowed_origins(sidecar, origin):
    for tail in ("", "/", "/x?y=1#z", "?y=1"):
        end = MiniBrowser().open(sidecar.link(someone(), return_to=origin + tail), until="oauth=")
        assert end.url.startswith(origin) and "oauth=connected" in end.url


def test_relative_alone_by_default(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings(scopes="email")})
    for foreign in ("https://app.example.org", "http://127.0.0.1:1/"):
        with pytest.raises(psycopg.Error):
            sidecar.link(someone(), return_to=foreign)
    end = MiniBrowser().open(sidecar.link(someone(), return_to="/x"), until="oauth=")
    assert end.url == f"{sidecar.public_url}/x?oauth=connected&oauth_provider=fake"


def test_an_origin_allowed_no_longer(make_sidecar, fake):  # F6
    """What was allowed when the link was made is looked at again when the flow ends."""
    sidecar = make_sidecar({"fake": fake.settings(scopes="email")},
                           settings={"OAUTH_RETURN_TO": "https://app.example.org"})
    whose, browser = someone(), MiniBrowser()
    callback = browser.open(sidecar.link(whose, return_to="https://app.example.org/x"), until="/callback?").url
    sidecar.stop()
    sidecar.settings["OAUTH_RETURN_TO"] = "https://other.example.org"
    sidecar.start()
    reply = browser.fetch(callback)
    assert urljoin(callback, reply.location).startswith(f"{sidecar.public_url}/oauth/fake/done?")


def test_api_says_which_parameter(sidecar):
    path = "/oauth/fake/authorize?workspace_id=11111111-1111-4111-8111-111111111111&actor_id=a"
    reply = sidecar.get(path + "&return_to=https%3A%2F%2Fevil.example", token=API_TOKEN)
    assert reply.status == 400 and reply.json["parameter"] == "return_to"
    assert "evil" not in reply.text
