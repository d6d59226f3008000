"""Clients that a server must not suffer from: idle connections, and ones that send a byte of a
header now and then. Run as a program, so that their descriptors are not the tests':

    idle_clients.py PORT IDLE SLOW

It prints "connected", then "cut" once the server has ended all the slow ones, and stays until
its standard input ends.
"""

import contextlib
import resource
import select
import socket
import sys
import time


def connect(port, count, data=b""):
    made = []
    for _ in range(count):
        made.append(socket.create_connection(("127.0.0.1", port), 10))
        made[-1].sendall(data)
    return made


def main(port, idle, slow):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kept = connect(port, idle)
    open_ones = connect(port, slow, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
    print("connected", flush=True)
    ended = select.poll()
    for one in open_ones:
        ended.register(one, select.POLLIN | select.POLLHUP)
    while open_ones:
        time.sleep(0.3)
        gone = {descriptor for descriptor, _ in ended.poll(0)}
        for one in open_ones:
            if one.fileno() in gone:
                ended.unregister(one)
                one.close()
            else:
                with contextlib.suppress(OSError):
                    one.send(b"x")
        open_ones = [one for one in open_ones if one.fileno() != -1]
    print("cut", flush=True)
    sys.stdin.read()
    for one in kept:
        one.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
