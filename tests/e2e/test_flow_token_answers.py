"""What a token endpoint answers: exactly the row that it means, or exactly the error."""

import gzip
import json
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from support.certificates import HOSTS, Authority
from cryptography import x509
from support.fake_provider import Answer
from support.harness import free_port, new_directory, wait_until
from support.sidecar import MiniBrowser, in_parallel, someone


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    return module_sidecar({"fake": fake.settings(scopes="a b")},
                          settings={"OAUTH_PROVIDER_TIMEOUT_SECONDS": "3"})


def answer(**fields):
    """An answer of the true form, with these fields in place of its own."""
    true = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt"} | fields
    return Answer({key: value for key, value in true.items() if value is not None})


def text(body, **kwargs):
    return Answer(body, **kwargs)


def form(body, content_type="application/x-www-form-urlencoded"):
    return Answer(body, content_type=content_type)


# What is stored: access token, refresh token, scopes, seconds to live (None: unknown).
USUAL = ("at", "rt", "a b", 3600)
GOOD = {
    "usual": (answer(), USUAL),
    "bearer": (answer(token_type="bearer"), USUAL),
    "BEARER": (answer(token_type="BEARER"), USUAL),
    "no token_type": (answer(token_type=None), USUAL),
    "no refresh token": (answer(refresh_token=None), ("at", None, "a b", 3600)),
    "null refresh token": (text('{"access_token":"at","expires_in":60,"refresh_token":null}'),
                           ("at", None, "a b", 60)),
    "expires_in as text": (answer(expires_in="3600"), USUAL),
    "expires_in fractional": (answer(expires_in=60.9), ("at", "rt", "a b", 60)),
    "expires_in exponent": (text('{"access_token":"at","refresh_token":"rt","expires_in":3.6e3}'), USUAL),
    "no expires_in": (answer(expires_in=None), ("at", "rt", "a b", None)),
    "null expires_in": (text('{"access_token":"at","refresh_token":"rt","expires_in":null}'), ("at", "rt", "a b", None)),
    "60 years": (answer(expires_in=60 * 365 * 86400), ("at", "rt", "a b", 60 * 365 * 86400)),
    "scope": (answer(scope="b c"), ("at", "rt", "b c", 3600)),
    "unknown fields": (answer(foo={"bar": [1, None, True]}, id_token="garbage"), USUAL),
    "64 KiB": (answer(access_token="x" * 65536), ("x" * 65536, "rt", "a b", 3600)),
    "every printable character": (
        answer(access_token="".join(map(chr, range(0x20, 0x7F)))),
        ("".join(map(chr, range(0x20, 0x7F))), "rt", "a b", 3600),
    ),
    "escapes in JSON": (text('{"access_token":"\\u0061t","refresh_token":"rt","expires_in":"3600"}'), USUAL),
    "spaces around": (text(' \r\n\t{"access_token":"at","refresh_token":"rt","expires_in":3600} \n'), USUAL),
    "charset": (Answer({"access_token": "at", "refresh_token": "rt", "expires_in": 3600},
                       content_type="application/json;charset=UTF-8"), USUAL),
    "16 deep": (answer(foo=json.loads("[" * 14 + "]" * 14)), USUAL),
    "form-encoded": (form("access_token=at&token_type=bearer&refresh_token=rt&expires_in=3600&scope=a+b"), USUAL),
    "form-encoded text": (form("access_token=at&refresh_token=rt&expires_in=3600", "text/plain; charset=utf-8"), USUAL),
    "form-encoded escapes": (form("access_token=%61t&scope=a%20b"), ("at", None, "a b", None)),
    "chunked": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"10\r\n{\"access_token\":\r\n5\r\n\"at\"}\r\n0\r\n\r\n"), ("at", None, "a b", None)),
    "to the end of the connection": (
        Answer(raw=b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"access_token\":\"at\"}"),
        ("at", None, "a b", None),
    ),
    "201": (Answer({"access_token": "at"}, 201), None),  # either way
    "a name in Latin-1": (text(b'{"access_token":"at","name":"Z\xfcrich"}'), ("at", None, "a b", None)),
    "a name that was cut": (text('{"access_token":"at","name":"\\ud83d"}'), ("at", None, "a b", None)),
    "203": (Answer({"access_token": "at"}, 203), ("at", None, "a b", None)),
    "gzip": (Answer(gzip.compress(b'{"access_token":"at"}'), headers={"Content-Encoding": "gzip"}),
             ("at", None, "a b", None)),
    "byte order mark": (text(b'\xef\xbb\xbf{"access_token":"at"}'), ("at", None, "a b", None)),
    "JSON that calls itself a form": (form('{"access_token":"at"}'), ("at", None, "a b", None)),
    "empty error": (answer(error=""), USUAL),
    "camelCase": (Answer({"accessToken": "at", "refreshToken": "rt", "expiresIn": 3600}), USUAL),
    "expires in a form": (form("access_token=at&refresh_token=rt&expires=3600"), USUAL),
    "expires a unix time": (lambda _: answer(expires_in=None, expires=int(time.time()) + 3600), USUAL),
    "expires_at": (lambda _: answer(expires_in=None, expires_at=int(time.time() + 3600) * 1000), USUAL),
    "expires_on": (lambda _: answer(expires_in=None, expires_on=str(int(time.time()) + 3600)), USUAL),
    "expires_at ISO 8601": (
        lambda _: answer(expires_in=None, expires_at=(
            datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(timespec="milliseconds")), USUAL),
    "scopes as a list": (answer(scope=["b", "c"]), ("at", "rt", "b c", 3600)),
    "scopes with another name": (answer(scopes=["b", "c"]), ("at", "rt", "b c", 3600)),
    "scopes with commas": (answer(scope="b,c"), ("at", "rt", "b c", 3600)),
    "scopes with plus signs": (answer(scope="b+c"), ("at", "rt", "b c", 3600)),
    "scopes with line breaks": (answer(scope="b\nc"), ("at", "rt", "b c", 3600)),
} | {
    f"token_type {value!r}": (answer(token_type=value), USUAL)
    for value in ("bot", "user", "", ["Bearer"], 7)
}

# What is advice is never a reason to refuse, and never left out in silence.
ADVICE = {
    f"expires_in {value!r}": (answer(expires_in=value), ("at", "rt", "a b", None), "expires_in is")
    for value in (0, -1, -0.5, "", "0", "soon", "inf", "nan", "0x10", "3600s", True, [3600], 1e308,
                  101 * 366 * 86400, 2**63 - 1)
} | {
    "doubled deep inside": (text('{"access_token":"at","x":{"a":1,"a":2}}'), ("at", None, "a b", None), "a comes twice"),
    "expires_in 1e309": (text('{"access_token":"at","expires_in":1e309}'), ("at", None, "a b", None), "expires_in is"),
    "expires_in of 400 digits": (text('{"access_token":"at","expires_in":' + "9" * 400 + "}"),
                                 ("at", None, "a b", None), "expires_in is"),
    "scope a number": (answer(scope=7), ("at", "rt", None, 3600), "scope is malformed"),
    "scope with a control character": (answer(scope="a\x01b"), ("at", "rt", None, 3600), "scope is malformed"),
    "another refresh token": (answer(refresh_token=None, grant={"refreshToken": "sentinel-rt"}),
                              ("at", None, "a b", 3600), "grant.refreshToken looks like a refresh token"),
    "another expiry": (answer(expires_in=None, grant={"expires_in": 7}),
                       ("at", "rt", "a b", None), "grant.expires_in looks like an expiry"),
}


def flow(sidecar, whose):
    return MiniBrowser().open(sidecar.link(whose))


def stored_is(sidecar, whose, stored, before):
    assert sidecar.grant(whose) == stored[:3]
    expires_at = sidecar.connection(whose)["expires_at"]
    if stored[3] is None:
        assert expires_at is None
    else:
        left = (datetime.fromisoformat(expires_at) - before).total_seconds()
        assert -1.5 <= left - stored[3] <= 3


@pytest.mark.parametrize("name", GOOD)
def test_believed(sidecar, fake, name):  # F13
    said, stored = GOOD[name]
    fake.answers.append(said)
    whose = someone()
    before = datetime.now(timezone.utc)
    end = flow(sidecar, whose)
    if stored is None:
        assert (end.query["oauth"] == "connected") is (sidecar.grant(whose) is not None)
        return
    assert end.query["oauth"] == "connected", sidecar.log()[-600:]
    stored_is(sidecar, whose, stored, before)


def warnings(sidecar, since):
    return [line["detail"] for line in sidecar.log_lines()[since:]
            if line["message"] == "parts of the token answer were not understood"]


@pytest.mark.parametrize("name", ADVICE)
def test_advice_is_taken_with_a_warning(sidecar, fake, name):
    said, stored, warning = ADVICE[name]
    fake.answers.append(said)
    whose, since = someone(), len(sidecar.log_lines())
    before = datetime.now(timezone.utc)
    assert flow(sidecar, whose).query["oauth"] == "connected"
    stored_is(sidecar, whose, stored, before)
    said_why = warnings(sidecar, since)
    assert len(said_why) == 1 and said_why[0].startswith(warning)
    assert "sentinel" not in sidecar.log()


BAD = {
    "error with 200": Answer({"error": "bad_verification_code"}),
    "error beside a token": answer(error="invalid_grant"),
    "invalid_grant": Answer({"error": "invalid_grant"}, 400),
    "invalid_client": Answer({"error": "invalid_client"}, 401),
    "403": Answer("no", 403, content_type="text/html"),
    "token with 400": Answer({"access_token": "at"}, 400),
    "no access token": answer(access_token=None),
    "empty access token": answer(access_token=""),
    "null access token": text('{"access_token":null,"expires_in":3600}'),
    "access token a number": answer(access_token=7),
    "access token a list": answer(access_token=["at"]),
    "access token 65,537": answer(access_token="x" * 65537),
    "line break": answer(access_token="a\nb"),
    "NUL": answer(access_token="a\0b"),
    "escape character": answer(access_token="a\x1b[2Jb"),
    "delete character": answer(access_token="a\x7fb"),
    "not ASCII": answer(access_token="t\u00f6ken"),
    "bad UTF-8": text(b'{"access_token":"\xff\xfe"}'),
    "half a surrogate": text('{"access_token":"\\ud800"}'),
    "refresh token with a line break": answer(refresh_token="a\r\nb"),
    "refresh token a number": answer(refresh_token=7),
    "refresh token too long": answer(refresh_token="x" * 65537),
    "token_type mac": answer(token_type="mac"),
    "token_type DPoP": answer(token_type="DPoP"),
    "token_type N_A": answer(token_type="N_A"),
    "expires_in NaN": text('{"access_token":"at","expires_in":NaN}'),
    "doubled access token": text('{"access_token":"at","access_token":"other"}'),
    "doubled by an escape": text('{"access_token":"at","\\u0061ccess_token":"other"}'),
    "deep": text('{"access_token":"at","x":' + "[" * 100000 + "]" * 100000 + "}"),
    "17 deep": answer(foo=json.loads("[" * 17 + "]" * 17)),
    "list": text('[{"access_token":"at"}]'),
    "word": text('"at"'),
    "two objects": text('{"access_token":"at"}{"access_token":"b"}'),
    "cut": text('{"access_token":"at","expires_in":3600'),
    "trailing comma": text('{"access_token":"at",}'),
    "comment": text('{"access_token":"at"/*x*/}'),
    "UTF-16": text('{"access_token":"at"}'.encode("utf-16")),
    "empty": text(""),
    "HTML": text("<html>Sign in</html>", content_type="text/html"),
    "JSON as HTML, no object": text("<!-- {} -->", content_type="application/json"),
    "form, doubled": form("access_token=at&access_token=b"),
    "form, error": form("error=bad_verification_code&error_description=x"),
    "form, NUL": form("access_token=a%00b"),
    "form, bad UTF-8": form("access_token=%ff"),
    "form, bad escape": form("access_token=%zz"),
    "over a megabyte": answer(foo="x" * 1200000),
    "100 MB": Answer(b" " * 1000000, repeat=100),
    "204": Answer(b"", 204, headers={"Content-Length": None}),
    "302": Answer(b"", 302, headers={"Location": "/token"}),
}


@pytest.mark.parametrize("name", BAD)
def test_not_believed(sidecar, fake, name):  # F13
    fake.answers.append(BAD[name])
    whose, rows = someone(), sidecar.count()
    end = flow(sidecar, whose)
    assert end.query == {"oauth": "failed", "oauth_error": "provider_error", "oauth_provider": "fake"}, end
    assert sidecar.count() == rows and sidecar.connection(whose) is None
    assert len(fake.token_requests) == 1 and sidecar.running


UNAVAILABLE = {
    "500": Answer({"error": "server_error"}, 500), "502": Answer("bad gateway", 502, content_type="text/html"),
    "503": Answer("", 503, headers={"Retry-After": "5"}), "504": Answer("", 504), "429": Answer({}, 429),
    "closed": Answer(close=True),
    "closed in the head": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
    "closed in the body": Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"access_token\":\"at\""),
    "no HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9\r\n"),
    "never": Answer(delay=6),
    "one byte a second": Answer({"access_token": "at", "filler": "x" * 50}, drip=0.5),
    "endless head": Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 3000000 + b"\r\n"),
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_unavailable(sidecar, fake, name):  # F13, F14
    fake.answers.append(UNAVAILABLE[name])
    whose = someone()
    end = flow(sidecar, whose)
    # Of some it is hard to say which they are.
    unclear = name in ("no HTTP", "endless head", "closed in the head")
    errors = ("unavailable", "provider_error") if unclear else ("unavailable",)
    assert end.query["oauth"] == "failed" and end.query["oauth_error"] in errors, end
    assert sidecar.connection(whose) is None
    # A code is never sent a second time.
    assert len(fake.token_requests) == 1


def test_the_link_survives_a_bad_answer(sidecar, fake):
    whose, browser = someone(), MiniBrowser()
    link = sidecar.link(whose)
    fake.answers.append(Answer(status=503))
    assert browser.open(link).query["oauth_error"] == "unavailable"
    assert browser.open(link).query["oauth"] == "connected"
    assert sidecar.grant(whose)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(sidecar, fake, make_provider, status):  # F14
    second = make_provider("second")
    fake.answers.append(Answer(b"", status, headers={"Location": second.issuer + "/token"}))
    end = flow(sidecar, someone())
    assert end.query["oauth"] == "failed" and second.requests == []
    assert len(fake.token_requests) == 1


def test_a_slow_peer_delays_nobody(sidecar, fake):  # F14
    hold = threading.Event()
    fake.answers += [Answer(hold=hold)] * 20 + [Answer({"access_token": "x" * 200}, drip=0.02)] * 5
    slow = [threading.Thread(target=flow, args=[sidecar, someone()], daemon=True) for _ in range(25)]
    for thread in slow:
        thread.start()
    try:
        wait_until(lambda: len(fake.token_requests) >= 25, 10, what="25 slow token calls")
        times = []
        for _ in range(20):
            started, whose = time.monotonic(), someone()
            assert flow(sidecar, whose).query["oauth"] == "connected"
            times.append(time.monotonic() - started)
        assert sorted(times)[10] < 0.5, times
    finally:
        hold.set()
        for thread in slow:
            thread.join(10)


def test_many_at_once(sidecar, fake):
    people = [someone() for _ in range(30)]
    rest = iter(people)
    lock = threading.Lock()

    def one():
        with lock:
            whose = next(rest)
        return flow(sidecar, whose).query["oauth"]

    assert in_parallel(30, one) == ["connected"] * 30
    assert len({sidecar.grant(whose)[0] for whose in people}) == 30


# Over TLS


@pytest.mark.parametrize("which", ["ours", "self-signed", "expired", "another host", "foreign"])
def test_certificates(make_sidecar, make_provider, authority, which):  # F14
    certificate = {
        "ours": lambda: authority.issue("right"),
        "self-signed": lambda: authority.issue("self-signed", self_signed=True),
        "expired": lambda: authority.issue("expired", days=-1),
        "another host": lambda: authority.issue("other-host", hosts=[x509.DNSName("other.example")]),
        "foreign": lambda: Authority(new_directory("foreign")).issue("foreign", hosts=HOSTS),
    }[which]()
    provider = make_provider("tls", certificate=certificate)
    sidecar = make_sidecar({"tls": provider.settings()}, settings={"OAUTH_CA_FILE": authority.ca})
    whose = someone("tls")
    end = flow(sidecar, whose)
    if which == "ours":
        assert end.query["oauth"] == "connected" and len(provider.token_requests) == 1
    else:
        assert end.query["oauth_error"] == "unavailable"
        assert provider.token_requests == [] and sidecar.grant(whose) is None


def test_the_system_does_not_know_our_authority(make_sidecar, make_provider, authority):  # F14
    provider = make_provider("tls", certificate=authority.issue("unknown"))
    sidecar = make_sidecar({"tls": provider.settings()})
    assert flow(sidecar, someone("tls")).query["oauth_error"] == "unavailable"
    assert provider.token_requests == []


def test_nobody_listens(make_sidecar, fake):
    nowhere = f"http://127.0.0.1:{free_port()}/token"
    sidecar = make_sidecar({"fake": fake.settings(token_endpoint=nowhere)})
    assert flow(sidecar, someone()).query["oauth_error"] == "unavailable"
