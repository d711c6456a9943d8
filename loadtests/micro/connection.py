"""CPU of one connection: frames in, a small answer out, over a loopback TCP connection.

    python -m loadtests.micro.connection

The serving thread's CPU time per request, for pipelined frames of 40 bytes and of 16 KiB that are
answered with 50 bytes, and for 40 bytes one at a time. The sender is another process.
"""
from __future__ import annotations

import os
import socket
import struct
import time

import uvloop

from fastbroker._c.connection import Connection

ANSWER = b"a" * 50
CASES = [("40 B pipelined", 40, 200_000, 64), ("16 KiB pipelined", 16_384, 40_000, 8)]
CASES += [("40 B one at a time", 40, 20_000, 1)]


def send_all(port: int, size: int, count: int, depth: int) -> None:
    """Send `count` frames, at most `depth` unanswered."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    burst = (struct.pack(">i", size) + b"x" * size) * depth
    for _ in range(count // depth):
        sock.sendall(burst)
        left = depth * len(ANSWER)
        while left:
            left -= len(sock.recv(left))
    sock.close()


def measure(size: int, count: int, depth: int) -> float:
    """Microseconds of CPU per request in the serving process."""
    loop = uvloop.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    child = os.fork()
    if child == 0:
        send_all(port, size, count, depth)
        os._exit(0)
    accepted, _ = listener.accept()
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def dispatch(connection: Connection, frame: memoryview) -> bool:
        connection.reply(connection.reserve(), [ANSWER])
        return True

    Connection(
        loop, accepted.detach(), dispatch, lambda *_: loop.stop(), max_frame_bytes=1 << 20
    )
    begun = time.process_time()
    loop.run_forever()
    spent = time.process_time() - begun
    os.waitpid(child, 0)
    loop.close()
    listener.close()
    return spent / count * 1e6


if __name__ == "__main__":
    for name, size, count, depth in CASES:
        print(f"{name:20} {measure(size, count, depth):6.2f} us CPU per request")
