"""The daemon in operation: load, shutdown, crashes, what it writes, and how it listens."""

import contextlib
import http.client
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from support.fake_provider import Answer
from support.harness import CHECKOUT, SERVER_USER, as_server, new_directory, wait_until
from support.sidecar import (API_TOKEN, MiniBrowser, binary, environment, fetch, in_parallel, is_sanitized, metrics,
                             parameters, someone)


def connected(sidecar, whose=None):
    whose = whose or someone()
    end = MiniBrowser().open(sidecar.link(whose))
    return end.query.get("oauth") == "connected" and sidecar.grant(whose) is not None


def memory(pid):
    """Resident bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


# Load


def connect_raw(sidecar, count, data=b""):
    connections = []
    for _ in range(count):
        one = socket.create_connection(sidecar.target(), 10)
        one.sendall(data)
        connections.append(one)
    return connections


def test_idle_and_slow_clients(sidecar):  # C8
    whose = someone()
    assert connected(sidecar, whose)
    before = memory(sidecar.pid)
    program = CHECKOUT / "tests/e2e/support/idle_clients.py"
    clients = subprocess.Popen([sys.executable, program, str(sidecar.port), "5000", "200"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert clients.stdout.readline() == "connected\n"
        for _ in range(50):
            assert sidecar.api("token", whose).status == 200
        assert connected(sidecar)
        # Nobody had to wait for the slow ones: they are still there, and have ten seconds.
        assert not select.select([clients.stdout], [], [], 0)[0]
        assert memory(sidecar.pid) - before < 64 * 2**20 or is_sanitized()
        # A request that never ends is cut off, however lively its bytes are.
        assert select.select([clients.stdout], [], [], 40)[0] and clients.stdout.readline() == "cut\n"
    finally:
        clients.stdin.close()
        clients.wait(10)
    assert connected(sidecar)


def test_clients_that_read_nothing(sidecar):  # C8
    pipelined = b"GET /oauth/fake/done?oauth=connected HTTP/1.1\r\nHost: a\r\n\r\n" * 400
    deaf = []
    for _ in range(20):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.connect(sidecar.target())
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.send(pipelined)
        deaf.append(one)
    before = memory(sidecar.pid)
    for _ in range(20):
        assert sidecar.get("/healthz").status == 200
    assert memory(sidecar.pid) - before < 32 * 2**20 or is_sanitized()
    for one in deaf:
        one.close()


def test_limit_of_connections(make_sidecar, fake):  # C8
    sidecar = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_MAX_CONNECTIONS": "20"})
    first = connect_raw(sidecar, 20)
    first[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert first[0].recv(65536).startswith(b"HTTP/1.1 200")
    rest = connect_raw(sidecar, 30)
    for one in first + rest:
        one.close()
    wait_until(lambda: _answers(sidecar), 10, what="an answer after they left")
    assert connected(sidecar)


def _answers(sidecar):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return sidecar.get("/healthz", timeout=2).status == 200


def test_memory_stays_flat(sidecar):
    def round_(count):
        for _ in range(count):
            assert connected(sidecar)
        return memory(sidecar.pid)

    before = round_(30)
    assert round_(100) - before < 4 * 2**20 or is_sanitized()


def test_strangers_do_not_starve_the_api(make_sidecar, fake):  # C8
    """A flood at the browsers' listener, of connections and of requests, leaves the API its own."""
    sidecar = make_sidecar({"fake": fake.settings()}, start=False, settings={"OAUTH_MAX_CONNECTIONS": "60"})
    sidecar.settings["OAUTH_API_LISTEN"] = f"unix:{sidecar.path / 'api.sock'}"
    sidecar.start()
    whose = someone()
    assert connected(sidecar, whose)
    flood = connect_raw(sidecar, 80, b"G")
    for _ in range(10):
        assert sidecar.api("token", whose).status == 200
    for one in flood:
        one.close()

    # All connections of the browsers' share wait for a row that somebody else has locked.
    with sidecar.cluster.connect(sidecar.db) as holder, holder.transaction():
        holder.execute("LOCK oauth_tokens_internal.flow_attempts IN ACCESS EXCLUSIVE MODE")
        waiting = [threading.Thread(target=MiniBrowser().fetch, args=[sidecar.link(someone())]) for _ in range(8)]
        for one in waiting:
            one.start()
        for _ in range(10):
            assert sidecar.api("token", whose).status == 200
    for one in waiting:
        one.join()


def test_a_log_that_nobody_reads(make_sidecar, fake):
    """It stops neither answers nor the end, and afterwards says how much it lost."""
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    sidecar._write_config()
    ours, theirs = os.pipe()
    sidecar.process = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "--", binary()], cwd=sidecar.path, stderr=theirs,
        env=environment(**sidecar.settings), stdin=subprocess.DEVNULL)
    os.close(theirs)
    sidecar.wait_ready()
    for _ in range(600):
        assert sidecar.get("/nothing").status == 404
    read = os.read(ours, 1 << 20)
    assert b'"path":"/nothing"' in read
    sidecar.get("/nothing")
    wait_until(lambda: b"were dropped" in os.read(ours, 1 << 20))
    assert sidecar.stop() == 0
    os.close(ours)


# Shutdown


def test_shutdown_under_load(make_sidecar, fake):  # C9
    """Flows under way are ended well; of the requests on open connections none is dropped."""
    sidecar = make_sidecar({"fake": fake.settings()})
    people, ends, failures, answered = [someone() for _ in range(8)], [], [], []
    fake.answer = lambda request: Answer(fake.true_tokens(request.form), delay=1.0)

    def flow(whose):
        try:
            browser = MiniBrowser()
            callback = browser.open(sidecar.link(whose), until="/callback?").url
            ends.append(browser.fetch(callback).query["oauth"])
        except Exception as error:
            failures.append(("flow", error))

    def requests():
        connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=10)
        try:
            connection.connect()
            while True:
                connection.request("GET", "/readyz", headers={"Connection": "keep-alive"})
                response = connection.getresponse()
                response.read()
                answered.append(response.status)
                if response.getheader("connection", "").lower() == "close":
                    return  # as it was told
        except Exception as error:
            failures.append(("request", repr(error), len(answered)))
        finally:
            connection.close()

    threads = [threading.Thread(target=flow, args=[whose], daemon=True) for whose in people]
    threads += [threading.Thread(target=requests, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    fake.wait_token_request(8)
    wait_until(lambda: len(answered) > 20, what="requests under way")
    assert sidecar.stop() == 0
    for thread in threads:
        thread.join(10)
    assert failures == [] and ends == ["connected"] * 8
    assert all(sidecar.grant(whose) for whose in people)
    assert len(answered) > 20 and set(answered) <= {200, 503}
    with pytest.raises(OSError):
        sidecar.get("/healthz")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_exits_at_once(make_sidecar, fake, number):  # C9
    sidecar = make_sidecar({"fake": fake.settings()})
    whose, browser, hold = someone(), MiniBrowser(), threading.Event()
    callback = browser.open(sidecar.link(whose), until="/callback?").url
    fake.answers.append(Answer(hold=hold))
    threading.Thread(target=lambda: _quietly(browser.fetch, callback), daemon=True).start()
    fake.wait_token_request()
    try:
        sidecar.send_signal(number)
        sidecar.wait_log('"stopping: finishing what is under way"')
        assert sidecar.running  # it waits for the flow, 30 s
        sidecar.stop(number)
    finally:
        hold.set()
    sidecar.start()
    assert sidecar.grant(whose) is None and connected(sidecar, whose)


def _quietly(function, *args):
    with contextlib.suppress(Exception):
        return function(*args)


def test_it_stops_though_clients_stay(make_sidecar, fake):  # C9
    sidecar = make_sidecar({"fake": fake.settings()})
    stay = connect_raw(sidecar, 50) + connect_raw(sidecar, 10, b"GET /healthz HT")
    assert sidecar.stop(timeout=40) == 0
    for one in stay:
        one.close()


def test_it_stops_though_a_callback_is_under_way(make_sidecar, fake):  # C9
    """The drain's 30 s end before the callback does: a wait for the database, then one for the provider. What the
    callback still has then goes before what it refers to; only the sanitizers see where it does not."""
    if not is_sanitized():
        pytest.skip("for the sanitizers' build: it takes half a minute")
    sidecar = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_PROVIDER_TIMEOUT_SECONDS": "30"})
    browser, hold = MiniBrowser(), threading.Event()
    callback = browser.open(sidecar.link(someone()), until="/callback?").url
    fake.answers.append(Answer(hold=hold))
    try:
        with sidecar.cluster.connect(sidecar.db) as holder, holder.transaction():
            holder.execute("LOCK oauth_tokens_internal.flow_attempts IN ACCESS EXCLUSIVE MODE")
            threading.Thread(target=lambda: _quietly(browser.fetch, callback), daemon=True).start()
            wait_until(lambda: sidecar.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                           " AND datname = current_database()"), what="the callback's wait")
            sidecar.send_signal(signal.SIGTERM)
            time.sleep(2)
        fake.wait_token_request()
        assert sidecar.process.wait(40) == 0
        assert '"stopped"' in sidecar.log() and "Sanitizer" not in sidecar.log()
    finally:
        hold.set()


# Crashes


STEPS = ["link", "authorize", "token call", "stored"]


def interrupt(sidecar, fake, step, crash):
    """A flow up to a step, where `crash` is called; whose it was."""
    whose, browser, hold = someone(), MiniBrowser(), threading.Event()
    link = sidecar.link(whose)
    if step != "link":
        callback = browser.open(link, until="/callback?").url
    if step == "token call":
        fake.answers.append(lambda request: Answer(fake.true_tokens(request.form), hold=hold))
        seen = len(fake.token_requests)
        thread = threading.Thread(target=lambda: _quietly(browser.fetch, callback), daemon=True)
        thread.start()
        fake.wait_token_request(seen + 1)
        crash()
        hold.set()
        thread.join(30)
        return whose
    if step == "stored":
        assert browser.open(callback).query["oauth"] == "connected"
    crash()
    return whose


@pytest.mark.parametrize("step", STEPS)
def test_killed(make_sidecar, fake, step):  # F2, C3
    sidecar = make_sidecar({"fake": fake.settings()})
    whose = interrupt(sidecar, fake, step, sidecar.kill)
    sidecar.start()
    assert bool(sidecar.grant(whose)) is (step == "stored")
    assert connected(sidecar, whose)
    access, refresh, _ = sidecar.grant(whose)
    assert access.replace("access", "") == refresh.replace("refresh", "")


def test_database_killed(make_sidecar, make_cluster, fake):  # C3
    cluster = make_cluster(settings={"max_connections": 100})
    sidecar = make_sidecar({"fake": fake.settings()}, cluster=cluster)

    def crash():
        cluster.kill()
        (cluster.datadir / "postmaster.pid").unlink(missing_ok=True)

    for step in STEPS:
        whose = interrupt(sidecar, fake, step, crash)
        assert sidecar.running
        assert sidecar.get("/healthz").status == 200
        cluster.start()
        sidecar.wait_ready()
        assert (sidecar.grant(whose) is not None) is (step == "stored"), step
        assert connected(sidecar, whose), step
        access, refresh, _ = sidecar.grant(whose)
        assert access.replace("access", "") == refresh.replace("refresh", ""), step
    assert sidecar.log_lines()


def test_answer_while_the_database_is_away(make_sidecar, make_cluster, fake):  # C3
    """The browser is told that it did not work, on the address that it was to return to."""
    cluster = make_cluster(settings={"max_connections": 100})
    sidecar = make_sidecar({"fake": fake.settings()}, cluster=cluster)
    whose, browser, hold, ends = someone(), MiniBrowser(), threading.Event(), []
    callback = browser.open(sidecar.link(whose, return_to="/back"), until="/callback?").url
    fake.answers.append(lambda request: Answer(fake.true_tokens(request.form), hold=hold))
    thread = threading.Thread(target=lambda: ends.append(browser.fetch(callback)), daemon=True)
    thread.start()
    fake.wait_token_request()
    cluster.stop("immediate")
    hold.set()
    thread.join(30)
    assert ends and ends[0].query.get("oauth_error") == "unavailable", ends
    cluster.start()
    sidecar.wait_ready()
    assert sidecar.grant(whose) is None and connected(sidecar, whose)


def test_backends_terminated(sidecar, fake):
    for _ in range(3):
        sidecar.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sidecar'"
                    " AND datname = current_database()")
        wait_until(lambda: sidecar.get("/readyz").status == 200, 10, what="new connections")
        assert connected(sidecar)


def test_two_share_their_flows(make_sidecar, fake):
    first = make_sidecar({"fake": fake.settings()})
    second = make_sidecar({"fake": fake.settings()}, db=first.db, settings={"OAUTH_PUBLIC_URL": first.public_url})
    for begins, ends in [(first, second), (second, first)]:
        whose, browser = someone(), MiniBrowser()
        link = first.link(whose)
        reply = begins.get(link.removeprefix(first.public_url))
        back = browser.fetch(reply.location).location.removeprefix(first.public_url)
        cookies = {cookie.name: cookie.value for cookie in reply.cookies}
        end = ends.get(back, cookies=cookies)
        assert end.query["oauth"] == "connected" and first.grant(whose)
        assert begins.get(back, cookies=cookies).status == 400
        assert begins.api("token", whose).json == ends.api("token", whose).json | \
            {"expires_in": begins.api("token", whose).json["expires_in"]}


def test_two_and_one_callback(make_sidecar, fake):  # F2
    first = make_sidecar({"fake": fake.settings()})
    second = make_sidecar({"fake": fake.settings()}, db=first.db, settings={"OAUTH_PUBLIC_URL": first.public_url})
    whose, browser = someone(), MiniBrowser()
    path = browser.open(first.link(whose), until="/callback?").url.removeprefix(first.public_url)
    cookies, which = browser.cookies(), iter([first, second] * 10)
    replies = in_parallel(20, lambda: next(which).get(path, cookies=cookies))
    assert sorted(reply.status for reply in replies) == [303] + [400] * 19
    assert len(fake.token_requests) == 1


def test_abandoned_flows_go_away(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()})
    for _ in range(5):
        link = sidecar.link(someone())
        MiniBrowser().open(link, until="/callback?")
    assert sidecar.flow_rows()[:2] == (5, 5)
    sidecar.stop()
    sidecar.sql("UPDATE oauth_tokens_internal.flow_attempts SET expires_at = now()")
    # A link stands a little longer, so that who comes late hears why.
    sidecar.sql("UPDATE oauth_tokens_internal.flow_links SET expires_at = now(), vanishes_at = now()")
    assert sidecar.flow_rows()[:2] == (5, 5)
    sidecar.start()  # when it looks for them, and once a minute from then on
    # The first look skips what the check of its rights, which is rolled back, has locked just then.
    wait_until(lambda: sidecar.flow_rows() == (0, 0, 0), 90, what="the end of abandoned flows")


# What it writes


def test_its_log(make_sidecar, fake):  # C10
    sidecar = make_sidecar({"fake": fake.settings()}, settings={"OAUTH_LOG_LEVEL": "debug"})
    whose, browser = someone(), MiniBrowser()
    link = sidecar.link(whose)
    callback = browser.open(link, until="/callback?").url
    cookies = browser.cookies()
    end = browser.fetch(callback)
    token = sidecar.api("token", whose)
    odd = sidecar.get("/oauth/fake/%22%0a%1b[31m/\u2028?x=1".replace("\u2028", "%E2%80%A8"))
    sidecar.api("delete", whose, method="DELETE", token="x" * 40)
    sidecar.stop()
    lines = sidecar.log_lines()
    for one in lines:
        assert {"time", "level", "message"} <= set(one), one
        when = datetime.fromisoformat(one["time"].replace("Z", "+00:00"))
        assert abs(datetime.now(timezone.utc) - when) < timedelta(minutes=2)
    requests = {one["request_id"]: one for one in lines if "path" in one}
    for reply, method, path, status in [(end, "GET", "/oauth/fake/callback", 303),
                                        (token, "GET", "/oauth/fake/token", 200)]:
        line = requests[reply.header("x-request-id")]
        assert (line["method"], line["path"], line["status"]) == (method, path, status)
        assert line["duration_ms"] >= 0
    assert odd.header("x-request-id") in requests
    assert all("?" not in one["path"] for one in requests.values())
    assert not any(ord(character) < 32 and character != "\n" for character in sidecar.log())
    access = token.json["access_token"]
    secrets = [access, access.replace("access", "refresh"), API_TOKEN, "s3cret", "x" * 40, parameters(link)["ticket"],
               parameters(callback)["code"], parameters(callback)["state"],
               fake.token_requests[-1].form["code_verifier"], fake.seen("/authorize")[-1].query["nonce"],
               *[value.partition(".")[2] for value in cookies.values()]]
    assert [secret for secret in secrets if secret in sidecar.log()] == []
    assert list(sidecar.path.glob("core*")) == [] and list((sidecar.path / "spool").iterdir()) == []


def test_metrics(make_sidecar, fake):  # C10
    sidecar = make_sidecar({"fake": fake.settings()})
    assert connected(sidecar)
    fake.token_fields = {"access_token": None}
    MiniBrowser().open(sidecar.link(someone()))
    sidecar.get("/oauth/nobody/authorize?ticket=x")
    sidecar.get("/nothing/" + "x" * 50)
    token = sidecar.api("token", someone())
    assert token.status == 404
    page = sidecar.get("/metrics", token=API_TOKEN)
    assert page.status == 200 and page.header("content-type").startswith("text/plain")
    found = metrics(page.text)

    def total(name, **labels):
        return sum(value for (of, have), value in found.items() if of == name and set(labels.items()) <= have)

    assert total("oauth_sidecar_flows_total", provider="fake", outcome="connected") == 1
    assert total("oauth_sidecar_flows_total", provider="fake", outcome="provider_error") == 1
    assert total("oauth_sidecar_requests_total", method="GET", status="303") >= 4
    assert total("oauth_sidecar_requests_total", method="GET", status="404") >= 3
    assert total("oauth_sidecar_provider_seconds_count") == 2
    assert total("oauth_sidecar_database_connections") >= 1 and total("oauth_sidecar_connections") >= 1
    # What anybody may send makes no series.
    for path in ("/x1", "/oauth/odd/authorize", "/oauth/fake/odd"):
        sidecar.get(path + "?ticket=x", method="ODD")
    names = {(name, label) for name, labels in metrics(sidecar.get("/metrics", token=API_TOKEN).text) for label in labels}
    assert not any("odd" in value.lower() or "nobody" in value or "x1" in value for _, (_, value) in names), names
    for secret in ("access-", "refresh-", "s3cret", API_TOKEN, "someone"):
        assert secret not in page.text


def test_no_core_no_dump(fake, flow_cluster, make_sidecar):  # C10
    """Neither a core file nor, for others of the same user, a look into its memory."""
    made = make_sidecar({"fake": fake.settings()}, start=False)
    made.run("--check")  # writes its configuration
    home = new_directory("u")
    program = shutil.copy(binary(), home / "oauth-sidecar")
    shutil.copy(made.path / "oauth-sidecar.toml", home)
    for path in (home / "oauth-sidecar", home / "oauth-sidecar.toml"):
        if os.geteuid() == 0:
            shutil.chown(path, SERVER_USER)
    process = subprocess.Popen(
        as_server("sh", "-c", f"cd {home} && exec {program}"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=environment(**made.settings | {"OAUTH_SPOOL_DIR": home}),
    )
    try:
        wait_until(lambda: _answers(made), what="its start")
        proc = pathlib.Path(f"/proc/{process.pid}")
        assert re.search(r"Max core file size +0 +0 ", (proc / "limits").read_text())
        user = pwd.getpwnam(SERVER_USER).pw_uid
        assert user == 0 or (proc / "environ").stat().st_uid == 0  # a dumpable one's is its user's
        # Neither are secrets left in the environment that it was given.
        if os.geteuid() == 0:
            assert API_TOKEN.encode() not in (proc / "cmdline").read_bytes()
    finally:
        process.terminate()
        process.wait(20)


# How it listens


def test_notifies_systemd(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = sidecar.path / "notify"
        listener.bind(str(path))
        listener.settimeout(10)
        sidecar.settings["NOTIFY_SOCKET"] = path
        sidecar.start(ready=False)
        assert b"READY=1" in listener.recv(4096)
        sidecar.wait_ready()
        sidecar.send_signal(signal.SIGTERM)
        wait_until(lambda: b"STOPPING=1" in listener.recv(4096), what="STOPPING=1")
    assert sidecar.process.wait(20) == 0


def test_unix_socket(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    public = f"http://localhost:{sidecar.port}"
    path = sidecar.path / "http.sock"
    sidecar.settings |= {"OAUTH_LISTEN": f"unix:{path}", "OAUTH_PUBLIC_URL": public}
    for how in ("stop", "kill", "stop"):  # a socket left by a crash is in nobody's way
        sidecar.start()
        whose = someone()
        reply = sidecar.get(sidecar.link(whose).removeprefix(public))
        cookies = {cookie.name: cookie.value for cookie in reply.cookies}
        back = MiniBrowser().fetch(reply.location).location.removeprefix(public)
        assert sidecar.get(back, cookies=cookies).query["oauth"] == "connected"
        assert sidecar.api("token", whose).json["access_token"] == sidecar.grant(whose)[0]
        with pytest.raises(OSError):
            fetch(f"{public}/healthz")
        getattr(sidecar, how)()
    sidecar.start()
    second = sidecar.run()  # but one that lives is not pushed aside
    assert second.returncode != 0 and sidecar.get("/healthz").status == 200


def test_api_listener_of_its_own(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    sidecar.settings["OAUTH_API_LISTEN"] = f"unix:{sidecar.path / 'api.sock'}"
    sidecar.start()
    whose = someone()
    assert connected(sidecar, whose)
    query = f"workspace_id={whose[0]}&actor_id={whose[3]}"
    for path, method in [(f"/oauth/fake/status?{query}", "GET"), (f"/oauth/fake/token?{query}", "GET"),
                         (f"/oauth/fake/token?{query}", "DELETE"), ("/metrics", "GET")]:
        reply = sidecar.get(path, method=method, token=API_TOKEN)
        assert reply.status in (403, 404, 405), (path, method, reply)
    reply = sidecar.get(f"/oauth/fake/authorize?{query}", token=API_TOKEN)
    assert reply.status in (400, 403, 404) and b"ticket=" not in reply.body
    assert sidecar.grant(whose)
    for path in (f"/oauth/fake/status?{query}", f"/oauth/fake/token?{query}", f"/oauth/fake/authorize?{query}",
                 "/metrics", "/healthz", "/readyz"):
        assert sidecar.get(path, token=API_TOKEN, listener="api").status == 200, path


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls(make_sidecar, make_provider, authority):
    certificate, key = authority.issue("sidecar")
    provider = make_provider("safe", certificate=authority.issue("safe"))
    sidecar = make_sidecar({"safe": provider.settings()}, start=False)
    sidecar.settings |= {"OAUTH_TLS_CERTIFICATE": certificate, "OAUTH_TLS_KEY": key, "OAUTH_CA_FILE": authority.ca,
                         "OAUTH_PUBLIC_URL": f"https://localhost:{sidecar.port}"}
    sidecar.start()
    context = ssl.create_default_context(cafile=authority.ca)
    assert fetch(f"{sidecar.public_url}/healthz", tls=context).status == 200
    whose, browser = someone("safe"), MiniBrowser(trusts_loopback=False)
    callback = browser.open(sidecar.link(whose), until="/callback?").url
    assert all(name.startswith("__Host-oauth-") for name in browser.cookies())  # no plain copy over https
    assert len(browser.cookies()) == 1
    end = browser.open(callback)
    assert end.query["oauth"] == "connected" and end.url.startswith("https://") and sidecar.grant(whose)
    # http to it, nonsense, and a handshake that never ends
    assert b"200 OK" not in sidecar.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    sidecar.raw(bytes(range(256)), half_close=True)
    stuck = connect_raw(sidecar, 20)
    assert sidecar.get("/healthz").status == 200
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = ssl.create_default_context(cafile=authority.ca)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = version
        with pytest.raises(OSError):
            fetch(f"{sidecar.public_url}/healthz", tls=old)
    for one in stuck:
        one.close()
    assert sidecar.stop() == 0


def test_ipv6(make_sidecar, fake):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
    sidecar = make_sidecar({"fake": fake.settings()}, start=False)
    sidecar.settings["OAUTH_LISTEN"] = f"[::1]:{sidecar.port}"
    sidecar.start()
    assert sidecar.get("/healthz").status == 200


# Times


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/Sao_Paulo"])
def test_time_zones(make_sidecar, fake, zone):  # T9
    sidecar = make_sidecar({"fake": fake.settings()}, start=False, settings={"TZ": zone, "PGTZ": zone})
    for setting, value in [("TimeZone", zone), ("DateStyle", "German, DMY"), ("IntervalStyle", "sql_standard"),
                           ("extra_float_digits", "0"), ("bytea_output", "escape"),
                           ("standard_conforming_strings", "off"), ("default_transaction_isolation", "serializable")]:
        sidecar.sql(f"ALTER DATABASE {sidecar.db} SET {setting} = '{value}'")
    sidecar.start()
    whose = someone()
    before = datetime.now(timezone.utc).replace(microsecond=0)
    assert connected(sidecar, whose)
    for reply in (sidecar.api("token", whose).json, sidecar.api("status", whose).json):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", reply["expires_at"])
        left = datetime.fromisoformat(reply["expires_at"]) - before
        assert timedelta(seconds=3595) <= left <= timedelta(seconds=3610)
    stored = sidecar.sql("SELECT access_token_expires_at, now() AT TIME ZONE 'UTC' FROM oauth_tokens"
                         " WHERE actor_id = %s", [whose[3]])[0]
    assert timedelta(minutes=59) < stored[0] - stored[1] <= timedelta(hours=1)
    assert abs(sidecar.api("authorize", whose).json["expires_in"] - 600) <= 2
    line = sidecar.log_lines()[-1]
    when = datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - when) < timedelta(minutes=1)
