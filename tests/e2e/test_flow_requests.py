"""Malformed, doubled and oversize requests: each is refused, and the daemon answers the next one."""


import pytest
from support.sidecar import API_TOKEN, MiniBrowser, fetch, someone

HOST = b"Host: localhost\r\n"
END = b"Connection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def still_alive(sidecar):
    """After each test: one process that never ended, and that answers."""
    pid = sidecar.pid
    yield
    assert sidecar.running and sidecar.pid == pid
    assert sidecar.get("/healthz").status == 200


def line(target, method=b"GET", version=b"HTTP/1.1", headers=HOST):
    return method + b" " + target + b" " + version + b"\r\n" + headers + END


CALLBACK = b"/oauth/fake/callback?"
REFUSED = {
    # What the request line may be
    "no request": b"\r\n\r\n",
    "garbage": bytes(range(256)) * 4,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/9.9": line(b"/healthz", version=b"HTTP/9.9"),
    "no version": b"GET /healthz \r\n" + HOST + END,
    "two spaces": b"GET  /healthz HTTP/1.1\r\n" + HOST + END,
    "no slash": line(b"healthz"),
    "absolute form": line(b"http://evil.example/healthz"),
    "asterisk": line(b"*", method=b"OPTIONS"),
    "authority form": line(b"evil.example:443", method=b"CONNECT"),
    "NUL in the target": line(b"/heal\0thz"),
    "raw byte in the target": line(b"/oauth/fake/done?oauth=\xff"),
    "control character": line(b"/healthz?\x01"),
    "method with a space": line(b"/healthz", method=b"G ET"),
    "method of bytes": line(b"/healthz", method=b"\xff\xfe"),
    "method of 10,000": line(b"/healthz", method=b"G" * 10000),
    "target of 100,000": line(b"/oauth/fake/callback?code=" + b"x" * 100000),
    "target of 20,000": line(b"/oauth/fake/done?" + b"x" * 20000),
    # Headers
    "no host": line(b"/healthz", headers=b""),
    "two hosts": line(b"/healthz", headers=HOST + b"Host: other\r\n"),
    "folded": line(b"/healthz", headers=HOST + b"X: a\r\n b\r\n"),
    "space before the colon": line(b"/healthz", headers=HOST + b"X : a\r\n"),
    "no colon": line(b"/healthz", headers=HOST + b"nonsense\r\n"),
    "empty name": line(b"/healthz", headers=HOST + b": x\r\n"),
    "NUL in a value": line(b"/healthz", headers=HOST + b"X: a\0b\r\n"),
    "NUL in a name": line(b"/healthz", headers=HOST + b"X\0: a\r\n"),
    "a header of 100,000": line(b"/healthz", headers=HOST + b"X: " + b"a" * 100000 + b"\r\n"),
    "10,000 headers": line(b"/healthz", headers=HOST + b"X: a\r\n" * 10000),
    "cookies of 60,000": line(b"/healthz", headers=HOST + b"Cookie: " + b"a=b; " * 12000 + b"\r\n"),
    # Bodies
    "length and chunks": line(b"/healthz", b"POST", headers=HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
    + b"0\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n",
    "two lengths": line(b"/healthz", b"POST", headers=HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n") + b"abcdef",
    "negative length": line(b"/healthz", b"POST", headers=HOST + b"Content-Length: -1\r\n"),
    "length of letters": line(b"/healthz", b"POST", headers=HOST + b"Content-Length: abc\r\n"),
    "length overflow": line(b"/healthz", b"POST", headers=HOST + b"Content-Length: 99999999999999999999999\r\n"),
    "length of gigabytes": line(b"/healthz", b"POST", headers=HOST + b"Content-Length: 5000000000\r\n"),
    "unknown coding": line(b"/healthz", b"POST", headers=HOST + b"Transfer-Encoding: xchunked\r\n"),
    "coded twice": line(b"/healthz", b"POST", headers=HOST + b"Transfer-Encoding: gzip, chunked\r\n") + b"0\r\n\r\n",
    "chunk size of letters": line(b"/healthz", b"POST", headers=HOST + b"Transfer-Encoding: chunked\r\n") + b"zz\r\n",
    "chunk of exabytes": line(b"/healthz", b"POST", headers=HOST + b"Transfer-Encoding: chunked\r\n")
    + b"ffffffffffffffff\r\n",
    "large body": line(b"/oauth/fake/token", b"DELETE", headers=HOST + b"Content-Length: 3000000\r\n") + b"x" * 3000000,
    # Parameters
    "both code and error": line(CALLBACK + b"code=a&error=b&state=c"),
    "neither": line(CALLBACK + b"state=c"),
    "empty code": line(CALLBACK + b"code=&state=c"),
    "two codes": line(CALLBACK + b"code=a&code=b&state=c"),
    "two codes, the same": line(CALLBACK + b"code=a&code=a&state=c"),
    "two states": line(CALLBACK + b"code=a&state=c&state=d"),
    "two issuers": line(CALLBACK + b"code=a&state=c&iss=a&iss=b"),
    "doubled by encoding": line(CALLBACK + b"code=a&c%6fde=b&state=c"),
    "doubled unknown": line(CALLBACK + b"code=a&state=c&x=1&x=2"),
    "no state": line(CALLBACK + b"code=a"),
    "encoded NUL": line(CALLBACK + b"code=a%00b&state=c"),
    "bad UTF-8": line(CALLBACK + b"code=a&state=%ff%fe"),
    "overlong UTF-8": line(CALLBACK + b"code=a&state=%c0%af"),
    "surrogate": line(CALLBACK + b"code=%ed%a0%80&state=a"),
    "half an escape": line(CALLBACK + b"code=a%2&state=c"),
    "wrong escape": line(CALLBACK + b"code=a%zz&state=c"),
    "code of 9,000": line(CALLBACK + b"code=" + b"x" * 9000 + b"&state=c"),
    "1,000 parameters": line(CALLBACK + b"code=a&state=c&" + b"&".join(b"x%d=1" % n for n in range(1000))),
    "two tickets": line(b"/oauth/fake/authorize?ticket=a&ticket=b"),
    "empty ticket": line(b"/oauth/fake/authorize?ticket="),
    "ticket of a NUL": line(b"/oauth/fake/authorize?ticket=%00"),
    "path of dots": line(b"/oauth/fake/../fake/callback?code=a&state=b"),
    "encoded slash": line(b"/oauth%2ffake/callback?code=a&state=b"),
    "provider with a slash": line(b"/oauth/a%2fb/callback?code=a&state=b"),
    "provider in capitals": line(b"/oauth/FAKE/callback?code=a&state=b"),
    "no provider": line(b"/oauth//callback?code=a&state=b"),
    "provider of 5,000": line(b"/oauth/" + b"x" * 5000 + b"/callback?code=a&state=b"),
    "provider of bad UTF-8": line(b"/oauth/%ff%fe/callback?code=a&state=b"),
    "double slash": line(b"//oauth/fake/callback?code=a&state=b"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(sidecar, fake, name):  # F10
    received = sidecar.raw(REFUSED[name], half_close=True)
    status = received.split(b" ")[1:2]
    # 501 and 505 are what unknown methods and versions are told.
    assert not received or received.startswith(b"HTTP/1.1 "), received[:300]
    assert not received or status[0][:1] == b"4" or status[0] in (b"501", b"505"), received[:300]
    assert received.count(b"HTTP/1.1 ") <= 1, received
    assert fake.token_requests == []


HARMLESS = {
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n",
    "HEAD": line(b"/healthz", method=b"HEAD"),
    "a body nobody wants": line(b"/healthz", headers=HOST + b"Content-Length: 3\r\n") + b"abc",
    "an empty line first": b"\r\n" + line(b"/healthz"),
    "unknown headers": line(b"/healthz", headers=HOST + b"X-Y: \xe9\xff\r\nUpgrade: websocket\r\n"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(sidecar, name):
    received = sidecar.raw(HARMLESS[name])
    assert received.startswith(b"HTTP/1.") and received.split(b" ")[1][:1] in (b"2", b"4"), received
    if name in ("HTTP/1.0", "HEAD"):
        assert received.split(b" ")[1] == b"200"


def test_smuggled_request_is_not_answered(sidecar):  # F10
    """Bytes behind a refused request are nobody's next request."""
    smuggled = b"GET /oauth/fake/done?oauth=connected HTTP/1.1\r\nHost: a\r\n\r\n"
    for first in (REFUSED["length and chunks"], REFUSED["two lengths"], REFUSED["unknown coding"]):
        received = sidecar.raw(first.replace(b"Connection: close\r\n", b"") + smuggled)
        assert received.count(b"HTTP/1.1 ") <= 1, received


def test_pipelined_requests(sidecar):
    received = sidecar.raw(
        line(b"/healthz").replace(b"Connection: close\r\n", b"") * 5 + line(b"/nothing"), half_close=True
    )
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 5 + [b"404"]


def test_slow_and_half_requests(sidecar):  # F10
    """A connection that ends in the middle, at every byte of a request."""
    request = line(b"/healthz", b"POST", headers=HOST + b"Content-Length: 4\r\n") + b"abcd"
    for length in range(0, len(request), 3):
        sidecar.raw(request[:length], half_close=True, timeout=2)


@pytest.mark.parametrize("parameter, value", [
    ("workspace_id", None), ("workspace_id", ""), ("workspace_id", "x"), ("workspace_id", "1" * 36),
    ("workspace_id", "11111111-1111-4111-8111-111111111111'--"), ("workspace_id", "{}"),
    ("actor_id", None), ("actor_id", ""), ("actor_id", "x" * 1025), ("actor_type", "robot"),
    ("actor_type", ""), ("actor_type", "USER"), ("actor_id", "a\0b"), ("min_ttl", "-1"), ("min_ttl", "x"),
    ("min_ttl", "1e9"), ("min_ttl", "99999999999999999999"), ("min_ttl", ""),
])
def test_parameters_of_the_api(sidecar, parameter, value):  # F10, F12
    whose = dict(zip(("workspace_id", "actor_type", "actor_id"),
                     ("11111111-1111-4111-8111-111111111111", "user", "alice")))
    whose[parameter] = value
    reply = sidecar.api("token", provider="fake", **whose)
    assert reply.status == 400, reply
    assert reply.json["error"] == "invalid_request" and reply.json["parameter"] == parameter


@pytest.mark.parametrize("query", ["actor_id=a&actor_id=b", "actor_id=a&actor_id=a", "actor_id=%ff", "actor_id=%"])
def test_queries_of_the_api(sidecar, query):  # F10
    path = f"/oauth/fake/status?workspace_id=11111111-1111-4111-8111-111111111111&{query}"
    assert sidecar.get(path, token=API_TOKEN).status == 400


def test_flows_work_after_all_this(sidecar, fake):
    whose = someone()
    assert MiniBrowser().open(sidecar.link(whose)).query["oauth"] == "connected"
    assert sidecar.grant(whose) and fetch(f"{sidecar.public_url}/readyz").status == 200
