"""CPU of an answer with records: copied into memory, or sent from the file.

    python -m loadtests.micro.fetch [--data-dir DIR]

A log of batches of 4 KiB to 1 MiB; each request, a few bytes, is answered with the next batch
behind a head of 80 bytes over a loopback TCP connection, once copied and once by sendfile, by the
connection that the broker serves with. The sender of requests and reader of answers is another
process; its CPU stands beside the server's, because on loopback the kernel does much of the work of
one in the time of the other. Finding the batch is in all figures. The last line says from which
size on sendfile is cheaper for the server.
"""
from __future__ import annotations

import argparse
import os
import pathlib
import socket
import statistics
import struct
import tempfile
import time

import uvloop

from fastbroker._c.buffer import FileRange
from fastbroker._c.connection import Connection
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from loadtests.micro.append import appending, open_log

SIZES = [1 << n for n in range(12, 21)]
LOG_BYTES = 48 << 20
RUN_BYTES = 256 << 20
RUN_MAX = 20_000  # requests
RUNS = 5
DEPTH = 4
HEAD = bytes(80)


def read_all(port: int, count: int, size: int) -> None:
    """Ask `count` times, at most DEPTH unanswered, and take the answers."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = struct.pack(">i", 4) + b"next"
    sock.sendall(request * DEPTH)
    asked, got, room = DEPTH, 0, memoryview(bytearray(1 << 20))
    while got < count * size:
        got += sock.recv_into(room)
        due = min(got // size + DEPTH, count) - asked
        if due > 0:
            sock.sendall(request * due)
            asked += due
    sock.close()


def measure(log: Log, size: int, copied: bool) -> tuple[float, float]:
    """Microseconds of CPU for an answer: the server's, the reader's."""
    end = log.log_end_offset
    step = max(size // 1024, 1)
    real = log.read(0, max_bytes=1, max_offset=end, at_least_one=True).size
    count = min(RUN_BYTES // size, RUN_MAX)
    loop = uvloop.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        read_all(listener.getsockname()[1], count, real + len(HEAD))
        os._exit(0)
    accepted, _ = listener.accept()
    accepted.setblocking(False)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    offset = 0

    def dispatch(connection: Connection, frame: memoryview) -> bool:
        nonlocal offset
        piece = log.read(offset, max_bytes=real, max_offset=end, at_least_one=True)
        data: bytes | FileRange = piece.read_bytes() if copied else piece.range()
        connection.reply(connection.reserve(), [HEAD, data])
        offset = (offset + step) % end
        return True

    Connection(loop, accepted.detach(), dispatch, lambda *_: loop.stop(), max_frame_bytes=1024)
    begun = time.process_time()
    loop.run_forever()
    spent = time.process_time() - begun
    _, _, used = os.wait4(child, 0)
    loop.close()
    listener.close()
    return spent / count * 1e6, (used.ru_utime + used.ru_stime) / count * 1e6


def medians(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Of the server's and of the reader's."""
    return statistics.median(a for a, _ in found), statistics.median(b for _, b in found)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.micro.fetch")
    options.add_argument("--data-dir", help="where to put the files; default: the temporary one")
    args = options.parse_args()
    print(f"{'us of CPU for a batch of':<26}{'copied':>8} (reader){'sendfile':>10} (reader)  ratio")
    cheaper_from: int | None = None
    with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
        for size in SIZES:
            log = open_log(pathlib.Path(path) / str(size), Disk())
            append = appending(log, size, -1)
            for _ in range(LOG_BYTES // size):
                append()
            measure(log, size, True)
            runs = [(measure(log, size, True), measure(log, size, False)) for _ in range(RUNS)]
            copied, theirs = medians([run[0] for run in runs])
            sent, their = medians([run[1] for run in runs])
            print(
                f"{size >> 10:>6} KiB {'':<15}{copied:8.1f} {theirs:8.1f}{sent:10.1f}"
                f" {their:8.1f}{sent / copied:7.2f}",
                flush=True,
            )
            if sent >= copied:
                cheaper_from = None
            elif cheaper_from is None:
                cheaper_from = size
    where = "at no size" if cheaper_from is None else f"from {cheaper_from >> 10} KiB on"
    print(f"sendfile is cheaper {where}")


if __name__ == "__main__":
    main()
