"""The reverse proxy of docs/daemon.md: Debian's nginx with packaging/nginx.conf.sample, of which only
addresses and paths are changed, before a daemon."""

import contextlib
import os
import re
import shutil
import signal
import subprocess

import pytest
from support.harness import CHECKOUT, free_port, new_directory, wait_until
from support.sidecar import API_TOKEN, MiniBrowser, fetch, someone

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")


@pytest.fixture(scope="module")
def proxy(authority, module_sidecar, module_provider):
    """nginx over TLS before a daemon, which sees it come by http."""
    home, port = new_directory("nginx"), free_port()
    certificate, key = authority.issue("nginx")
    sidecar = module_sidecar(
        {"fake": module_provider().settings()},
        settings={"OAUTH_PUBLIC_URL": f"https://localhost:{port}"},
    )
    site = (CHECKOUT / "packaging/nginx.conf.sample").read_text(encoding="utf-8")
    for pattern, replacement in (
        (r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (r"\n +listen \[::\]:443[^\n]*", ""),
        (r"server 127\.0\.0\.1:8090;", f"server 127.0.0.1:{sidecar.port};"),
        (r"server_name connect\.example\.com", "server_name localhost"),
        (r"/etc/ssl/certs/[^;]*", str(certificate)),
        (r"/etc/ssl/private/[^;]*", str(key)),
        (r"/var/log/nginx", str(home)),
    ):
        site, changed = re.subn(pattern, replacement, site)
        assert changed, pattern
    paths = "".join(f"{name}_temp_path {home}/{name};\n" for name in
                    ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(
        f"pid {home}/pid;\nerror_log {home}/error.log;\nevents {{}}\nhttp {{\n{paths}{site}}}\n",
        encoding="utf-8")
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=TERM", "--", NGINX, "-c", str(home / "nginx.conf"),
         "-p", str(home), "-g", "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"],
        stdin=subprocess.DEVNULL)
    sidecar.proxy, sidecar.proxy_logs = f"https://localhost:{port}", home
    wait_until(lambda: answers(sidecar.proxy), what="nginx to answer")
    yield sidecar
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def answers(url):
    with contextlib.suppress(OSError):
        return fetch(f"{url}/", timeout=2).status == 404


def test_an_account_is_connected_through_it(proxy):
    whose, browser = someone(), MiniBrowser()
    link = proxy.link(whose)
    assert link.startswith(f"{proxy.proxy}/oauth/fake/authorize?ticket=")
    end = browser.open(link)
    assert end.status == 200 and end.url.startswith(f"{proxy.proxy}/oauth/fake/done?oauth=connected")
    assert proxy.connection(whose)["state"] == "active"
    # Only the name that https allows, and nothing is left.
    assert not browser.cookies()
    assert fetch(link).status == 410


def test_nothing_else_passes(proxy):
    whose = someone()
    assert proxy.api("status", whose).status == 200
    bearer = {"Authorization": f"Bearer {API_TOKEN}"}
    query = "workspace_id={}&actor_type={}&actor_id={}".format(whose[0], whose[2], whose[3])
    for path in (f"/oauth/fake/status?{query}", f"/oauth/fake/token?{query}", "/metrics", "/healthz",
                 "/readyz", "/oauth/fake/authorize/../token", "/"):
        assert fetch(proxy.proxy + path, headers=bearer).status == 404, path
    # The token is taken off on the way.
    assert fetch(f"{proxy.proxy}/oauth/fake/authorize?{query}", headers=bearer).status == 401


def test_its_logs_hold_no_secret(proxy):  # F8
    browser = MiniBrowser()
    link = proxy.link(someone())
    callback = browser.open(link, until="/callback?").url
    assert browser.open(callback).query["oauth"] == "connected"
    logs = "".join(path.read_text() for path in proxy.proxy_logs.glob("*.log"))
    assert "/oauth/fake/callback" in logs
    secrets = [value for url in (link, callback) for value in re.findall(r"=([\w-]{20,})", url)]
    assert len(secrets) >= 2
    assert [secret for secret in secrets if secret in logs] == []
