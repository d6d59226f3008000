"""A proxy before a provider that interrupts its requests where a test says so."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from support.harness import wait_until


class InterruptingProxy:
    """Passes requests on to `target` (an http URL). `plan` says what becomes of the next POSTs, one
    word each; those after them pass.

    pass          nothing
    hold          comes to the provider only after release()
    hold_answer   the provider has processed it; its answer comes only after release()
    drop          the provider never hears of it, and the connection ends
    drop_answer   the provider has processed it, and the connection ends
    cut_answer    half of the provider's answer, and the connection ends
    (status, headers, body)  an answer of the proxy's own
    """

    def __init__(self, target, plan=()):
        self.plan = list(plan)
        self.arrived = []  # what became of each POST
        self.processed = 0  # POSTs that the provider has answered
        self._go = threading.Event()
        self._lock = threading.Lock()
        self.target = urlsplit(target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                with contextlib.suppress(OSError):
                    proxy._post(self)

            def do_GET(self):
                with contextlib.suppress(OSError):
                    proxy._answer(self, *proxy._ask(self, None))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def _post(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._lock:
            step = self.plan.pop(0) if self.plan else "pass"
            go = self._go
            self.arrived.append(step)
        if step == "hold":
            go.wait(60)
        if isinstance(step, tuple):
            return self._answer(request, *step)
        if step == "drop":
            request.close_connection = True
            return None
        answer = self._ask(request, body)
        with self._lock:
            self.processed += 1
        if step == "hold_answer":
            go.wait(60)
        if step in ("drop_answer", "cut_answer"):
            request.close_connection = True
        if step == "drop_answer":
            return None
        return self._answer(request, *answer, half=step == "cut_answer")

    def _ask(self, request, body):
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        with contextlib.closing(http.client.HTTPConnection(self.target.netloc, timeout=60)) as connection:
            connection.request(request.command, request.path, body, headers | {"Host": self.target.netloc})
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders()
                    if name.lower() not in ("connection", "transfer-encoding", "content-length")}
            return response.status, kept, response.read()

    @staticmethod
    def _answer(request, status, headers, body, half=False):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:len(body) // 2] if half else body)

    def release(self):
        """What is held goes on."""
        with self._lock:
            self._go.set()
            self._go = threading.Event()

    def wait_arrived(self, count):
        wait_until(lambda: len(self.arrived) >= count, what=f"{count} requests at the proxy")

    def wait_processed(self, count):
        wait_until(lambda: self.processed >= count, what=f"{count} requests that the provider has processed")

    def close(self):
        self.release()
        self.server.shutdown()
        self.server.server_close()
