"""What scripts/openid brings: a real OpenID provider, and headless Chromium."""

import base64
import functools
import hashlib
import itertools
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import threading
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from support.harness import CHECKOUT, base_directory, wait_until
from support.sidecar import environment, fetch

LIFE = 3600  # seconds that an access token lives, as the fixture `openid` has it
CLIENT = {"client_id": "app", "client_secret": "a-secret-of-the-tests"}


@functools.cache
def directory():
    """Where node finds our programs and their packages."""
    if "OPENID_HOME" in os.environ:
        return pathlib.Path(os.environ["OPENID_HOME"])
    done = subprocess.run([CHECKOUT / "scripts/openid", "install"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "scripts/openid failed; its message stands above"
    return pathlib.Path(done.stdout.strip())


def _node(program, *arguments, **settings):
    return subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "--", "node", directory() / program, *arguments],
        cwd=base_directory(), env=environment(**settings), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )


class OpenIDProvider:
    """npm's oidc-provider; `settings` are those of provider.mjs."""

    def __init__(self, **settings):
        client = CLIENT | {"grant_types": ["authorization_code", "refresh_token"]}
        self.process = _node("provider.mjs", json.dumps({"clients": [client]} | settings))
        ready = self.process.stdout.readline().split()
        assert ready[:1] == ["ready"], f"the OpenID provider did not start: {ready}"
        self.issuer = ready[1]
        self.lines = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def token_requests(self, kind=r"\w+"):
        """How many requests of a kind its token endpoint has seen."""
        return len([line for line in self.lines if re.match(rf"token \d+ {kind} ", line)])

    def wait_token_requests(self, count):
        wait_until(lambda: self.token_requests() >= count, what=f"{count} token requests")

    def errors(self):
        """What its token endpoint has refused, in order."""
        return [line.split()[4] for line in self.lines if re.match(r"token \d+ \S+ \d+ \S", line)]

    def grant(self, login):
        """The answer of the token endpoint for a user who logs in and consents; wants `auto_login`."""
        verifier, callback = secrets.token_urlsafe(48), "http://localhost/oauth/tests/callback"
        challenge = hashlib.sha256(verifier.encode()).digest()
        url = self.issuer + "/auth?" + urlencode({
            "client_id": CLIENT["client_id"], "response_type": "code", "redirect_uri": callback,
            "scope": "openid email offline_access", "prompt": "consent", "login_hint": login,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256"})
        cookies = {}
        while not url.startswith(callback):
            reply = fetch(url, headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})
            assert reply.location, reply
            cookies |= {cookie.name: cookie.value for cookie in reply.cookies}
            url = urljoin(url, reply.location)
        code = dict(parse_qsl(urlsplit(url).query))["code"]
        return self.token({"grant_type": "authorization_code", "code": code, "redirect_uri": callback,
                           "code_verifier": verifier}).json

    def token(self, form):
        """A request of the client at the token endpoint."""
        basic = base64.b64encode(":".join(CLIENT.values()).encode()).decode()
        return fetch(self.issuer + "/token", "POST", body=urlencode(form), headers={
            "Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"})

    def redeems(self, refresh_token):
        """Whether a refresh token is accepted; spends it."""
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token}).status == 200

    def settings(self, **changes):
        """Its block of the sidecar's TOML."""
        settings = {"issuer": self.issuer, "scopes": "openid email offline_access",
                    "authorize_params": {"prompt": "consent"}} | CLIENT | changes
        return {key: value for key, value in settings.items() if value is not None}

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Chromium:
    """The browser; each profile() has cookies of its own."""

    def __init__(self):
        chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser"])), None)
        path = os.environ.get("CHROMIUM", chromium)
        assert path, "there is no chromium; run: scripts/deps e2e"
        self.process = _node("browser.mjs", CHROMIUM=path)
        self._lock = threading.Lock()
        self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        assert line, "Chromium did not start, or ended"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["ok"]

    def do(self, command, profile, **arguments):
        with self._lock:
            self.process.stdin.write(json.dumps({"do": command, "profile": profile} | arguments) + "\n")
            self.process.stdin.flush()
            return self._answer()

    def profile(self):
        return Profile(self)

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


class Profile:
    """goto(), click() and state() return where the page is and what stands on it: url, status,
    headers, title, text."""

    _names = itertools.count(1)

    def __init__(self, chromium):
        self._chromium = chromium
        self._name = f"profile-{next(self._names)}"

    def _do(self, command, **arguments):
        return self._chromium.do(command, self._name, **arguments)

    def goto(self, url):
        return self._do("goto", url=url)

    def click(self, selector):
        return self._do("click", selector=selector)

    def fill(self, selector, value):
        return self._do("fill", selector=selector, value=value)

    def uncheck(self, selector):
        return self._do("uncheck", selector=selector)

    def evaluate(self, script):
        return self._do("evaluate", script=script)

    def log_in(self, name):
        """Fills in the provider's first page; what comes next."""
        self.fill("input[name=login]", name)
        return self.click("button[name=go]")

    def consent(self):
        return self.click("button[name=go]")

    def __getattr__(self, command):
        """state, html, content, cookies, set_cookies, seen, alarms, screenshot, back, reload, close"""
        return lambda **arguments: self._do(command, **arguments)
