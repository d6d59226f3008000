"""A scripted OpenID provider, which lies on request.

Left alone it is an honest one that consents at once: its authorization endpoint
redirects back with a code, `state` and `iss`, and its token endpoint answers with
tokens of its own. `answers` is the queue of what the token endpoint says instead, and
`revocations` that of the revocation endpoint, which else says 200; `authorize` and `metadata` change the rest. It records every request that it sees.
"""

import base64
import contextlib
import functools
import json
import select
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support.harness import wait_until

CLIENT_ID = "client-of-the-tests"
CLIENT_SECRET = "s3cret/of the+tests%&"


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict
    body: bytes
    time: float
    raw_query: str = ""  # as it stood on the wire

    @property
    def form(self):
        """What its body says, in whichever form."""
        if self.headers.get("content-type", "").startswith("application/json"):
            return json.loads(self.body)
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def basic(self):
        """(user, password) of HTTP basic authentication, as they stood on the wire."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return tuple(base64.b64decode(value).decode().split(":", 1)) if scheme == "Basic" else None


@dataclass
class Answer:
    """What the token endpoint says. `body` is bytes, text, or what becomes JSON.

    `delay` in seconds comes before it, `hold` is an event that it waits for; `drip`
    sends it byte by byte with so many seconds between; `repeat` sends the body so many
    times; `close` ends the connection without a word; `raw` is all of the answer.
    """

    body: object = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0
    hold: threading.Event = None
    drip: float = 0
    repeat: int = 1
    close: bool = False
    raw: bytes = None

    def bytes(self):
        if isinstance(self.body, (bytes, str)):
            return self.body if isinstance(self.body, bytes) else self.body.encode()
        return json.dumps(self.body).encode()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.cache
def signing_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeProvider:
    """Listens on 127.0.0.1 at once; `certificate` is (certificate file, key file) for https."""

    def __init__(self, name="fake", certificate=None):
        self.name = name
        self.requests = []
        self.answers = []  # each is used up; then `answer` serves all the others
        self.answer = None
        self.revocations = []
        self.authorize = None  # a function of the query that changes the callback's parameters
        self.claims = {}  # changes to the ID token's; None takes one out
        self.id_token = None  # a function of the true one
        self.token_fields = {}  # the same for the token answer's
        self.subject = "subject-of-alice"
        self.codes = {}  # code: query of the authorization request
        self.metadata_changes = {}
        self.metadata_status = 200
        self._count = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._server.tls = None
        scheme = "http"
        if certificate:
            scheme = "https"
            self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.tls.load_cert_chain(*map(str, certificate))
        self.issuer = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    # What the tests ask it

    def seen(self, path):
        return [request for request in list(self.requests) if request.path == path]

    @property
    def token_requests(self):
        return self.seen("/token")

    def wait_token_request(self, count=1, timeout=10):
        wait_until(lambda: len(self.token_requests) >= count, timeout, what="the token request")
        return self.token_requests[-1]

    def reset(self):
        """An honest provider again, that has seen nothing."""
        self.requests.clear()
        self.answers.clear()
        self.revocations.clear()
        self.answer = self.authorize = self.id_token = None
        self.claims, self.token_fields, self.metadata_changes = {}, {}, {}
        self.subject, self.metadata_status = "subject-of-alice", 200

    def settings(self, **changes):
        """Its block of the sidecar's TOML, with every endpoint named; None takes a key out."""
        settings = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "revocation_endpoint": self.issuer + "/revoke",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": "openid email",
        } | changes
        return {key: value for key, value in settings.items() if value is not None}

    def discovered(self, **changes):
        """The same for one that is found by its issuer alone."""
        nothing = dict.fromkeys(
            ["authorization_endpoint", "token_endpoint", "revocation_endpoint"]
        )
        return self.settings(**(nothing | changes))

    # What it serves

    def metadata(self):
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "revocation_endpoint": self.issuer + "/revoke",
            "jwks_uri": self.issuer + "/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        } | self.metadata_changes
        return {key: value for key, value in document.items() if value is not None}

    def new_code(self, query):
        with self._lock:
            self._count += 1
            code = f"code-{self.name}-{self._count}-{b64url(hashes_of(query))}"
            self.codes[code] = query
        return code

    def true_tokens(self, form):
        """What an honest token endpoint answers."""
        query = self.codes.get(form.get("code"), {})
        with self._lock:
            self._count += 1
            number = self._count
        answer = {
            "access_token": f"access-{self.name}-{number}",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": f"refresh-{self.name}-{number}",
            "scope": query.get("scope", ""),
        }
        if "openid" in query.get("scope", "").split():
            true = self.make_id_token(query)
            answer["id_token"] = self.id_token(true) if self.id_token else true
        answer |= self.token_fields
        return {key: value for key, value in answer.items() if value is not None}

    def make_id_token(self, query, header=None):
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": self.subject, "aud": CLIENT_ID, "exp": now + 600,
            "iat": now, "nonce": query.get("nonce"), "email": f"{self.subject}@example.org",
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": "1", "typ": "JWT"} | (header or {})
        signed = f"{b64url(json.dumps(header).encode())}.{b64url(json.dumps(claims).encode())}"
        signature = signing_key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{b64url(signature)}"

    def next_answer(self, request):
        with self._lock:
            answer = self.answers.pop(0) if self.answers else self.answer
        if callable(answer):
            answer = answer(request)
        return answer or Answer(self.true_tokens(request.form))


def hashes_of(query):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(repr(sorted(query.items())).encode())
    return digest.finalize()[:9]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def finish_request(self, request, client_address):
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # who went away, or did not like the certificate


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def _read(self):
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        request = Request(
            self.command, parts.path,
            {name: values[0] for name, values in parse_qs(parts.query, True).items()},
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length), time.monotonic(), parts.query,
        )
        self.server.provider.requests.append(request)
        return request

    def _say(self, answer):
        if answer.hold:
            answer.hold.wait(60)
        if answer.delay:
            time.sleep(answer.delay)
        self.close_connection = True
        if answer.close:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = answer.bytes()
        if answer.raw is None:
            headers = {"Content-Type": answer.content_type, "Connection": "close",
                       "Content-Length": len(body) * answer.repeat} | answer.headers
            lines = [f"HTTP/1.1 {answer.status} Status"]
            lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
            head = "\r\n".join([*lines, "", ""]).encode()
        else:
            head, body = answer.raw, b""
        with contextlib.suppress(OSError):
            if answer.drip:
                for byte in head + body:
                    if select.select([self.connection], [], [], answer.drip)[0]:
                        return  # it went away
                    self.wfile.write(bytes([byte]))
            else:
                self.wfile.write(head)
                for _ in range(answer.repeat):
                    self.wfile.write(body)

    def do_GET(self):
        provider, request = self.server.provider, self._read()
        if request.path.startswith("/.well-known/"):
            self._say(Answer(provider.metadata(), provider.metadata_status))
        elif request.path == "/authorize":
            query = request.query
            parameters = {"code": provider.new_code(query), "state": query.get("state"),
                          "iss": provider.issuer}
            if provider.authorize:
                parameters = provider.authorize(dict(parameters))
            # A list says what stands in a query more than once.
            pairs = parameters.items() if isinstance(parameters, dict) else parameters
            pairs = [(name, value) for name, value in pairs if value is not None]
            to = query.get("redirect_uri", "/no-redirect-uri")
            self._say(Answer(status=303, headers={"Location": f"{to}?{urlencode(pairs)}"}))
        else:
            self._say(Answer({"error": "not_found"}, 404))

    do_HEAD = do_GET

    def do_POST(self):
        provider, request = self.server.provider, self._read()
        if request.path == "/token":
            self._say(provider.next_answer(request))
        elif request.path == "/revoke" and provider.revocations:
            self._say(provider.revocations.pop(0))
        else:
            self._say(Answer({}))
