"""The daemon under test, and the clients that the tests see it through.

The binary is build/oauth-sidecar, or what SIDECAR_BINARY in the environment names; SIDECAR_THREADS
there is its number of threads, unless a test says another. Each
Sidecar has a directory, a loopback port and, unless told otherwise, a database of
its own, and ends with the test process.
"""

import atexit
import contextlib
import functools
import http.client
import ipaddress
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit

from support.harness import CHECKOUT, clean_environment, free_port, new_directory, wait_until
from support.tokens import WORKSPACE

API_TOKEN = "an-api-token-of-the-tests-0123456789"
TIMEOUT = 20  # seconds that a daemon may take to start or to stop


class SidecarError(Exception):
    """The daemon did not do what every test needs; the text holds the end of its log."""


@functools.cache
def binary():
    path = pathlib.Path(os.environ.get("SIDECAR_BINARY", CHECKOUT / "build/oauth-sidecar"))
    if not os.access(path, os.X_OK):
        raise SidecarError(f"there is no {path}; run: make")
    return path


@functools.cache
def is_sanitized():
    """Whether it is a sanitizer's build, whose memory and pace are not to be measured."""
    return re.search(b"__[at]san_init", binary().read_bytes()) is not None


def environment(**settings):
    """Ours without what would change the daemon's settings or lead it to a proxy."""
    foreign = re.compile(r"(?i).*_proxy|DATABASE_URL.*|REDIS_URL.*|(GOOGLE|MICROSOFT)_.*|NOTIFY_SOCKET")
    ours = {name: value for name, value in clean_environment().items() if not foreign.fullmatch(name)}
    return ours | {name: str(value) for name, value in settings.items() if value is not None}


def toml(table, prefix=()):
    """A table as TOML; tables in it become sections, and lists of tables arrays of them."""

    def key(name):
        return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)

    def value(item):
        if isinstance(item, list):
            return "[" + ", ".join(map(value, item)) + "]"
        if isinstance(item, dict):
            return "{" + ", ".join(f"{key(name)} = {value(it)}" for name, it in item.items()) + "}"
        return json.dumps(item, ensure_ascii=False)

    def is_tables(item):
        return isinstance(item, list) and item and isinstance(item[0], dict)

    # Parameters of a provider stand in one line; providers and their like are sections.
    sections = {
        name: item for name, item in table.items()
        if is_tables(item) or isinstance(item, dict) and len(prefix) < 2
    }
    lines = [f"{key(name)} = {value(item)}" for name, item in table.items() if name not in sections]
    for name, item in sections.items():
        path = ".".join(map(key, (*prefix, name)))
        for part in item if is_tables(item) else [item]:
            title = f"[[{path}]]" if is_tables(item) else f"[{path}]"
            lines += ["", title, toml(part, (*prefix, name))]
    return "\n".join(lines) + "\n"


def prepare_database(cluster, name):
    """A migrated database with the roles `sidecar` and `app` that may do their work, and no more."""
    for role in ("sidecar", "app"):
        if not cluster.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", [role], db="postgres"):
            cluster.rows(f"CREATE ROLE {role} LOGIN", db="postgres")
    cluster.fresh_database(name)
    cluster.rows("SELECT oauth_tokens_grant('sidecar', 'sidecar')", db=name)
    cluster.rows("SELECT oauth_tokens_grant('app', 'reader'), oauth_tokens_grant('app', 'writer')", db=name)
    return name


@dataclass
class Cookie:
    """A Set-Cookie header, taken apart."""

    name: str
    value: str
    attributes: dict

    @classmethod
    def parse(cls, header):
        pair, *attributes = [part.strip() for part in header.split(";")]
        name, _, value = pair.partition("=")
        parsed = (attribute.partition("=") for attribute in attributes)
        return cls(name, value, {name.lower(): value for name, _, value in parsed})

    @property
    def clears(self):
        return self.value == "" or self.attributes.get("max-age") == "0"


@dataclass
class Reply:
    """An answer; nothing was followed."""

    url: str
    status: int
    headers: list
    body: bytes
    history: list = field(default_factory=list)  # (url, status) of the redirects before it

    def header(self, name):
        """A header that may stand there once at most."""
        values = self.all_headers(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times: {values}"
        return values[0] if values else None

    def all_headers(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        assert (self.header("content-type") or "").startswith("application/json"), self
        return json.loads(self.body)

    @property
    def location(self):
        return self.header("location")

    @property
    def query(self):
        """The parameters of the address redirected to, or else of its own."""
        return dict(parse_qsl(urlsplit(self.location or self.url).query, keep_blank_values=True))

    @property
    def cookies(self):
        return [Cookie.parse(value) for value in self.all_headers("set-cookie")]


def fetch(url, method="GET", headers=None, body=None, timeout=30, connect_to=None, tls=None):
    """One request, and its answer as it comes; `connect_to` is (host, port) or a socket's path."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=timeout)
    target = connect_to or ("127.0.0.1" if parts.hostname == "localhost" else parts.hostname, port)
    if isinstance(target, tuple):
        connection.sock = socket.create_connection(target, timeout)
    else:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(target))
    if parts.scheme == "https":
        context = tls or ssl._create_unverified_context()
        connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
    headers = dict(headers or {})
    if connection.default_port != port:
        headers.setdefault("Host", f"{parts.hostname}:{port}")
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Reply(url, response.status, response.getheaders(), response.read())


def refuse_constants(text):
    raise ValueError(f"{text} is not JSON")


_numbers = itertools.count(1)


class Sidecar:
    """One daemon. `providers` are blocks of its TOML by name, `config` is the rest of it, and
    `settings` are environment variables; None takes one out. `db` is a database that
    prepare_database() made, a new one if not given.
    """

    def __init__(self, cluster, providers=None, config=None, settings=None, db=None, port=None):
        self.cluster = cluster
        self.db = db or prepare_database(cluster, f"flow_{next(_numbers)}")
        self.providers = dict(providers or {})
        self.config = dict(config or {})
        self.path = new_directory("s")
        self.port = port or free_port()
        self.output = self.path / "output.log"
        self.settings = {
            "DATABASE_URL": self.database_url(),
            "OAUTH_LISTEN": f"127.0.0.1:{self.port}",
            "OAUTH_API_TOKENS": API_TOKEN,
            "OAUTH_RETURN_TO": None,
            "OAUTH_SPOOL_DIR": self.path / "spool",
            "OAUTH_THREADS": os.environ.get("SIDECAR_THREADS"),
        } | dict(settings or {})
        self.process = None
        (self.path / "spool").mkdir(mode=0o700)

    def database_url(self, role="sidecar"):
        query = urlencode({"host": str(self.cluster.socket_dir), "port": self.cluster.port})
        return f"postgresql://{role}@/{self.db}?{query}"

    # The process

    @property
    def public_url(self):
        return self.settings.get("OAUTH_PUBLIC_URL") or f"http://localhost:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _write_config(self):
        table = dict(self.config)
        if self.providers:
            table["providers"] = self.providers
        path = self.path / "oauth-sidecar.toml"
        path.write_text(toml(table), encoding="utf-8")
        path.chmod(0o600)

    def run(self, *arguments, timeout=TIMEOUT):
        """Runs the program to its end, as --check does, with this one's settings."""
        self._write_config()
        return subprocess.run(
            [binary(), *arguments], cwd=self.path, env=environment(**self.settings),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            timeout=timeout,
        )

    def start(self, ready=True, timeout=TIMEOUT):
        """Starts it, and returns when it says that it is ready."""
        self._write_config()
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "--", binary()],
                cwd=self.path, env=environment(**self.settings), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )
        atexit.register(self.kill)
        if ready:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=TIMEOUT, ready=True):
        """Waits until /readyz answers 200, or else 503."""
        last, wanted = "nothing", "200 " if ready else "503 "

        def is_ready():
            nonlocal last
            if not self.running:
                raise SidecarError(
                    f"the sidecar ended with {self.process.returncode}:\n{self.log()[-3000:]}"
                )
            try:
                reply = self.get("/readyz", timeout=2, listener="api")
                last = f"{reply.status} {reply.text[:200]}"
            except OSError as error:
                last = repr(error)
            return last.startswith(wanted)

        try:
            wait_until(is_ready, timeout)
        except TimeoutError:
            raise SidecarError(
                f"/readyz did not answer {wanted}within {timeout} s; last came: {last}\n"
                f"{self.log()[-3000:]}"
            ) from None

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=TIMEOUT):
        """Stops it; its exit status."""
        if not self.running:
            return None
        self.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise SidecarError(
                f"it did not stop within {timeout} s:\n{self.log()[-3000:]}"
            ) from None

    def kill(self):
        if self.running:
            self.process.kill()
            self.process.wait()

    def end(self):
        """Kills it; fails if a sanitizer has said something."""
        self.kill()
        report = re.search(r".*(?:Sanitizer|runtime error):.*(?:\n.*){0,30}", self.log())
        assert not report, report[0]

    # What it wrote

    def log(self):
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""

    def log_lines(self):
        """Every line as the JSON object that it must be."""
        return [json.loads(line, parse_constant=refuse_constants) for line in self.log().splitlines()]

    def wait_log(self, regex, timeout=10):
        return wait_until(
            lambda: re.search(regex, self.log(), re.MULTILINE), timeout, what=f"/{regex}/ in its log"
        )

    # Requests that follow nothing

    def target(self, listener="public"):
        listen = self.settings["OAUTH_LISTEN"]
        if listener == "api":
            listen = self.settings.get("OAUTH_API_LISTEN") or listen
        if listen.startswith("unix:"):
            return listen[len("unix:"):]
        host, _, port = listen.rpartition(":")
        return host.strip("[]"), int(port)

    def get(self, path, headers=None, cookies=None, method="GET", token=None, body=None,
            timeout=30, listener="public"):
        """One request for a path; `cookies` is a dict, `token` goes into Authorization."""
        headers = dict(headers or {})
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if token:
            headers["Authorization"] = f"Bearer {token}"
        scheme = "https" if self.settings.get("OAUTH_TLS_CERTIFICATE") else "http"
        return fetch(f"{scheme}://localhost:{self.port}{path}", method, headers, body, timeout,
                     connect_to=self.target(listener))

    def api(self, call, whose=None, method="GET", token=API_TOKEN, provider=None, **parameters):
        """A call of the API for an identity; parameters that are None are left out."""
        workspace_id, of_whose, actor_type, actor_id = whose or (None, None, None, None)
        query = {"workspace_id": workspace_id, "actor_type": actor_type, "actor_id": actor_id}
        query = {key: value for key, value in (query | parameters).items() if value is not None}
        return self.get(f"/oauth/{provider or of_whose}/{call}?{urlencode(query)}", method=method,
                        token=token, listener="api")

    def raw(self, data, timeout=15, half_close=False):
        """Sends bytes as they are; what came back until it closed, or nothing came for a second."""
        with socket.create_connection(self.target(), timeout) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(OSError):
                while chunk := connection.recv(65536):
                    received += chunk
                    connection.settimeout(1)
            return received

    # What the database knows

    def sql(self, statement, params=None, user="postgres"):
        return self.cluster.rows(statement, params, db=self.db, user=user)

    def link(self, whose, user="app", **parameters):
        """What oauth_authorize_url() returns to the application."""
        named = "".join(f", {name} => %s" for name in parameters)
        return self.sql(
            f"SELECT oauth_authorize_url(%s, %s, %s, %s{named})",
            [*whose, *parameters.values()], user=user,
        )[0][0]

    def grant(self, whose):
        """(access token, refresh token, scopes) as the application gets it, or None."""
        rows = self.sql(
            "SELECT access_token, refresh_token, scopes FROM oauth_get(%s, %s, %s, %s)", whose,
            user="app",
        )
        return rows[0] if rows else None

    def store(self, whose, access, **parameters):
        """Stores a token as the application does, by oauth_store(); the row's id."""
        named = "".join(f", {name} => %s" for name in parameters)
        return self.sql(
            f"SELECT oauth_store(%s, %s, %s, %s, %s{named})",
            [*whose, access, *parameters.values()], user="app",
        )[0][0]

    def connection(self, whose):
        """Its row of oauth_connections, as a dict, or None."""
        rows = self.sql(
            "SELECT to_jsonb(c) FROM oauth_connections c WHERE (workspace_id, provider,"
            " actor_type::text, actor_id) = (%s, %s, %s, %s)", whose,
        )
        return rows[0][0] if rows else None

    def count(self, table="oauth_tokens"):
        return self.sql(f"SELECT count(*) FROM {table}")[0][0]

    def flow_rows(self):
        """How many links, attempts and confirmations there are."""
        return tuple(
            self.count(f"oauth_tokens_internal.{table}")
            for table in ("flow_links", "flow_attempts", "flow_confirmations")
        )


_people = itertools.count(1)


def someone(provider="fake", workspace_id=WORKSPACE):
    """An identity that no other test has."""
    return (workspace_id, provider, "user", f"someone-{next(_people)}")


def is_loopback(host):
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


class MiniBrowser:
    """A browser without a screen: keeps cookies by the rules, follows redirects, fills in forms.

    `trusts_loopback` is what Chromium does with Secure cookies over http on a loopback host;
    browsers that do not take the plain ones.
    """

    def __init__(self, trusts_loopback=True):
        self.trusts_loopback = trusts_loopback
        self.jar = {}  # (host, name): value
        self.visited = []

    def _keep(self, host, secure, cookie):
        prefixed = cookie.name.startswith("__Host-")
        attributes = cookie.attributes
        if prefixed and not ("secure" in attributes and attributes.get("path") == "/"
                             and "domain" not in attributes):
            raise AssertionError(f"no browser takes this: {cookie}")
        if "secure" in attributes and not (secure or self.trusts_loopback and is_loopback(host)):
            return
        if attributes.get("max-age") == "0" or "1970" in attributes.get("expires", ""):
            self.jar.pop((host, cookie.name), None)
        else:
            self.jar[host, cookie.name] = cookie.value

    def cookies(self, host="localhost"):
        return {name: value for (of, name), value in self.jar.items() if of == host}

    def fetch(self, url, method="GET", headers=None, body=None):
        """One request with this browser's cookies."""
        parts = urlsplit(url)
        headers = {"User-Agent": "mini", "Accept": "text/html"} | (headers or {})
        if cookies := self.cookies(parts.hostname):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        reply = fetch(url, method, headers, body)
        self.visited.append((url, reply.status))
        for cookie in reply.cookies:
            self._keep(parts.hostname, parts.scheme == "https", cookie)
        return reply

    def open(self, url, until=None, **request):
        """Goes to an address and wherever it leads, but not on to where `until` (a part of the
        address) stands: a Reply of status None then."""
        history = []
        for _ in range(20):
            reply = self.fetch(url, **request)
            if reply.status not in (301, 302, 303, 307, 308):
                reply.history = history
                return reply
            history.append((url, reply.status))
            url, request = urljoin(url, reply.location), {}
            if until and until in url:
                return Reply(url, None, [], b"", history)
        raise AssertionError(f"redirects without an end: {history}")

    def submit(self, page, button="go", until=None, **fields):
        """Sends the form on a page, with what was filled in and checked in it."""
        inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) | {"checked": "checked" in tag}
                  for tag in re.findall(r"<input ([^>]*)>", page.text)]
        pairs = [(one["name"], one["value"]) for one in inputs if one["checked"]]
        pairs = [pair for pair in pairs if pair[0] not in fields]
        for name, value in fields.items():
            pairs += [(name, one) for one in (value if isinstance(value, list) else [value])]
        return self.open(
            page.url, until, method="POST", body=urlencode([*pairs, (button, "1")]),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )


class Application:
    """What return_to leads to: a page that records who came, and says so."""

    def __init__(self):
        self.requests = []
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                application.requests.append((self.path, dict(self.headers)))
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"<title>application</title><h1>application</h1>")

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def returns(self):
        """What the browsers that came back brought along: the parameters of each."""
        paths = [path for path, _ in self.requests if "favicon" not in path]
        return [dict(parse_qsl(urlsplit(path).query, keep_blank_values=True)) for path in paths]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def metrics(text):
    """The samples of a /metrics page: {(name, frozenset of labels): value}."""
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            found = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
            samples[name, frozenset(found)] = float(value)
    return samples


def parameters(url):
    """The parameters of an address, each of which may stand there once only."""
    values = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert all(len(value) == 1 for value in values.values()), url
    return {name: value[0] for name, value in values.items()}


def in_parallel(count, function, *args):
    """Calls the function `count` times at the same moment; the results."""
    results, barrier = [None] * count, threading.Barrier(count)

    def call(number):
        barrier.wait()
        try:
            results[number] = function(*args)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=call, args=[number], daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return results
