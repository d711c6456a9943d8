"""A broker under attack: bare sockets, and what must hold whatever they send."""
from __future__ import annotations

import contextlib
import gc
import itertools
import os
import re
import socket
import struct
from collections.abc import Iterator

import psutil

from tests.broker_process import BrokerProcess, wait_until
from tests.crash.bystander import Bystander, Lap

DEADLINE_S = 20.0
RSS_MAX = 400 << 20  # of a worker, at any time that we look
# For how long others may wait: far below a client's request timeout. A quiet machine needs less
# than a second, which the tests print; one that is busy itself needs more.
STALL_MAX_MS = 5000.0


class Attack:
    """One broker with one worker, a bystander, and sockets that mean no good.

    Each `host()` is another address of the loopback net: log lines are bounded for each host.
    """

    def __init__(self, broker: BrokerProcess, bystander: Bystander) -> None:
        self.broker, self.bystander = broker, bystander
        self.roles = broker.roles()
        self.worker = psutil.Process(self.roles["fb-worker-0"])
        self.files = self.worker.num_fds()
        self.highest_rss = 0
        self._hosts = (f"127.0.{n // 250}.{n % 250 + 2}" for n in itertools.count(300))

    def host(self) -> str:
        """An address that nobody has come from yet."""
        return next(self._hosts)

    def connect(self, host: str | None = None) -> socket.socket:
        """A connection from `host`."""
        address = (host or self.host(), 0)
        connection = socket.create_connection(
            ("127.0.0.1", self.broker.port), DEADLINE_S, source_address=address
        )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def logged(self, pattern: str) -> str:
        """The line that matches; waits for it."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for line in self.broker.lines if re.search(pattern, line)]
            return bool(found)

        wait_until(there, DEADLINE_S, f"a log line that matches {pattern!r}")
        return found[-1]

    def refused(self, data: bytes, pattern: str) -> None:
        """`data` closes its connection, with a line in the log of the host that sent it."""
        host = self.host()
        with self.connect(host) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            assert is_closed(connection), f"{data[:40]!r} left the connection open"
        self.logged(re.escape(host) + ".*" + pattern)

    def look(self) -> None:
        """Memory now."""
        rss = self.worker.memory_info().rss
        self.highest_rss = max(self.highest_rss, rss)
        assert rss < RSS_MAX, f"the worker has {rss >> 20} MiB"

    def over(self) -> Lap:
        """Everything is as it was: the same processes, no file left open, nobody disturbed."""
        gc.collect()
        self.look()
        assert self.broker.roles() == self.roles, "a process has died"
        wait_until(
            lambda: self.worker.num_fds() <= self.files + 4, DEADLINE_S,
            f"files to be closed: {self.worker.num_fds()} are open, {self.files} were",
        )  # fmt: skip
        lap = self.bystander.lap()
        assert lap.slowest_ping_ms < STALL_MAX_MS, lap
        assert lap.slowest_ack_ms < STALL_MAX_MS + 500, lap
        bugs = [line for line in self.broker.lines if "Traceback" in line]
        assert not bugs, "\n".join(self.broker.lines[-60:])
        return lap


@contextlib.contextmanager
def many(attack: Attack, count: int) -> Iterator[list[socket.socket]]:
    """`count` connections of one host, closed in the end."""
    host = attack.host()
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connections.append(attack.connect(host))
        yield connections
    finally:
        for connection in connections:
            connection.close()


def frame(key: int, version: int, body: bytes = b"", *, client: bytes = b"evil") -> bytes:
    """A request with its size; the header is not flexible."""
    head = struct.pack(">hhih", key, version, 1, len(client)) + client
    return struct.pack(">i", len(head) + len(body)) + head + body


def is_closed(connection: socket.socket) -> bool:
    """Whether the broker closes the connection, soon; what it still sends is read."""
    connection.settimeout(5)
    try:
        while connection.recv(1 << 20):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def is_open(connection: socket.socket) -> bool:
    """Whether a request on this connection is still answered."""
    connection.settimeout(DEADLINE_S)
    try:
        connection.sendall(frame(18, 0))
        return len(connection.recv(4, socket.MSG_WAITALL)) == 4
    except ConnectionError:
        return False


def raise_file_limit(count: int) -> bool:
    """Whether this process may open `count` files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    return os.sysconf("SC_OPEN_MAX") >= count
