"""docs/examples/refresh.py in a process of its own that can be stopped, resumed and killed.

As a program (by Holder) it takes JSON: `database` (a URL), `provider` (the endpoint and the
client), `identity`, `spool` (a directory), `stop`, which names where it stops itself by SIGSTOP:
`connected` (the request is not sent yet), `answered` or `spooled`; and values for the constants
of refresh.py. It prints JSON: what fresh_access_token() returned or raised. With `callers`, so many
threads call it at each line of standard input, and the answer has a list.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "docs/examples"


class Holder:
    """One such process. `result()` waits for its end: {"token": …} or {"error": outcome, "reason": …}."""

    def __init__(self, **arguments):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "--", "/usr/bin/python3", __file__, json.dumps(arguments, default=str)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def line(self):
        return json.loads(self.process.stdout.readline())

    def wait_stopped(self):
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"the holder ended with {os.waitstatus_to_exitcode(status)}"

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def result(self):
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.process.returncode
        return json.loads(output)

    def exit_status(self):
        return self.process.wait(60)

    def close(self):
        if self.process.poll() is None:
            with contextlib.suppress(ChildProcessError):
                self.kill()


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def then_stop(function):
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        stop()
        return result

    return call


def main(database, provider, identity, spool=None, stop=None, min_ttl=60, timeout=30, callers=0, **constants):
    sys.path.insert(0, str(EXAMPLES))
    import refresh

    for name, value in constants.items():
        setattr(refresh, name, value)
    if stop == "connected":
        http.client.HTTPConnection.connect = then_stop(http.client.HTTPConnection.connect)
    if stop == "answered":
        refresh.ask = then_stop(refresh.ask)
    server = refresh.Database(database)
    if spool:
        from spool import Spool

        if stop == "spooled":
            Spool.write = then_stop(Spool.write)
        spool = Spool(spool, server)
        spool.replay(server)

    def call(server):
        try:
            return {"token": refresh.fresh_access_token(server, identity, provider, spool, min_ttl, timeout)}
        except refresh.NotRefreshed as error:
            return {"error": error.outcome, "reason": str(error)}

    if not callers:
        print(json.dumps(call(server)))
        return
    servers = [refresh.Database(database) for _ in range(callers)]
    for server in servers:
        server.row("SELECT 1", [])
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        results = []
        threads = [threading.Thread(target=lambda server: results.append(call(server)), args=(server,))
                   for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
