"""A forward of TCP connections to a port that may change, as a name or a proxy before Redis may."""

import contextlib
import select
import socket
import threading


class Forward:
    """Listens at `port`, and passes each connection on to `target`, a loopback port."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []  # [client, server], the server's end of which may be swapped
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    pair = [client, socket.create_connection(("127.0.0.1", self.target))]
                except OSError:
                    client.close()
                    continue
                with self.lock:
                    self.pairs.append(pair)
                threading.Thread(target=self._pass_on, args=(pair,), daemon=True).start()

    def _pass_on(self, pair):
        with contextlib.suppress(OSError, ValueError):
            while True:
                client, server = pair
                readable, _, _ = select.select([client, server], [], [], 0.01)
                with self.lock:
                    if server is not pair[1]:
                        continue
                    for one in readable:
                        data = one.recv(65536)
                        if not data:
                            raise OSError("the end")
                        (server if one is client else client).sendall(data)
        for one in pair:
            one.close()

    def move(self, target, keep_connections):
        """To another server: for new connections alone after an end of those that are there, or
        behind their backs."""
        with self.lock:
            self.target = target
            for pair in self.pairs:
                old = pair[1]
                if keep_connections:
                    with contextlib.suppress(OSError):
                        pair[1] = socket.create_connection(("127.0.0.1", target))
                else:
                    with contextlib.suppress(OSError):
                        pair[0].shutdown(socket.SHUT_RDWR)
                with contextlib.suppress(OSError):
                    old.shutdown(socket.SHUT_RDWR)
                    old.close()

    def close(self):
        self.listener.close()
        self.move(self.target, keep_connections=False)
