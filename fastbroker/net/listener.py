"""One listening socket and the connections it has accepted."""
from __future__ import annotations

import errno
import logging
import resource
import socket
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

from fastbroker._c.connection import Connection, receive_bytes_left
from fastbroker.log_rate import LogRate
from fastbroker.net.address import unmapped

log = logging.getLogger(__name__)

ACCEPTS_MAX = 64  # for one readiness, so that established connections get their turn
OUT_OF_FILES_PAUSE_S = 0.5
IDLE_SWEEPS = 4  # an idle connection is closed after between 1 and 1 + 1/IDLE_SWEEPS of its time
REASON_MAX = 500  # characters of a reason, which may quote what a client sent
# While receive memory is short: how often to look, and how long a large frame may take then.
RELIEF_EVERY_S = 1.0
SLOW_FRAME_S = 5.0
QUIET_REASONS = frozenset({"closed by the peer", "the listener closed"})
OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

FILES_RESERVED, FILES_RESERVED_SHARE = 64, 8  # of the limit of open files, for segments

Dispatch = Callable[[Connection, memoryview], bool]
Closed = Callable[[Connection, str, BaseException | None], object]


def connections_max(listeners: int) -> int:
    """How many connections each of `listeners` may have, so that all of them leave files for the
    log: a client that cannot connect tries again, a segment that cannot be opened fails writes."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 2**31 - 1
    return max((limit - max(FILES_RESERVED, limit // FILES_RESERVED_SHARE)) // listeners, 1)


class Listener:
    """Accepts on `sock` and keeps every connection until it closes.

    name: the listener's name in the configuration, as in PLAINTEXT.
    dispatch, closed: see Connection; `closed` may be None.
    idle_ms: close connections on which nothing moved for that long; 0 or less: never.
    max_connections: at most so many at a time; a further one is closed at once, with a log line.
    Owned by one process's event loop.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        sock: socket.socket,
        *,
        name: str,
        dispatch: Dispatch,
        closed: Closed | None = None,
        max_frame_bytes: int,
        max_connections: int = 2**31 - 1,
        idle_ms: float = 0,
    ) -> None:
        self.loop, self.sock, self.name = loop, sock, name
        self.dispatch, self.closed = dispatch, closed
        self.max_frame_bytes, self.max_connections = max_frame_bytes, max_connections
        self.idle_s = idle_ms / 1000
        self.connections: set[Connection] = set()
        self._is_unix = sock.family == socket.AF_UNIX
        self._idle_since: dict[Connection, float] = {}
        self._sweep_timer: TimerHandle | None = None
        self._begun: dict[Connection, tuple[int, float]] = {}  # slow frame's number, seen since
        self._relief_timer: TimerHandle | None = None
        self._lines = LogRate()
        self.opened = self.refused = 0  # connections, since the start
        self._accepting = False
        self._open = True

    def start(self) -> None:
        """Begin to accept."""
        self._resume()
        self._relief_timer = self.loop.call_later(RELIEF_EVERY_S, self._relieve)
        if self.idle_s > 0:
            self._sweep_timer = self.loop.call_later(self.idle_s / IDLE_SWEEPS, self._sweep)

    def close(self) -> None:
        """Stop accepting and close every connection."""
        self._open = False
        self._pause()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        if self._relief_timer is not None:
            self._relief_timer.cancel()
        self.sock.close()
        for connection in list(self.connections):
            connection.close("the listener closed")

    def drain(self) -> int:
        """Stop accepting, and close the connections that wait for no answer; how many are left."""
        self._open = False
        self._pause()
        for connection in list(self.connections):
            if not connection.unanswered and not connection.unsent_bytes:
                connection.close("the listener closed")
        return len(self.connections)

    def _resume(self) -> None:
        if self._open and not self._accepting:
            self._accepting = True
            self.loop.add_reader(self.sock.fileno(), self._acceptable)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self.loop.remove_reader(self.sock.fileno())

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                accepted, peer = self.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OUT_OF_FILES:
                    log.error(
                        "listener %s cannot accept: %s; raise the limit of open files"
                        " (LimitNOFILE, ulimit -n); trying again in %.1f s",
                        self.name,
                        error.strerror,
                        OUT_OF_FILES_PAUSE_S,
                    )
                    self._pause()
                    self.loop.call_later(OUT_OF_FILES_PAUSE_S, self._resume)
                    return
                log.debug("listener %s: a connection was gone before accept: %s", self.name, error)
                continue
            if len(self.connections) >= self.max_connections:
                accepted.close()
                self._refuse(peer)
                continue
            self._keep(accepted, peer)

    def _keep(self, accepted: socket.socket, peer: object) -> None:
        accepted.setblocking(False)
        local: object = self.name
        if not self._is_unix:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            local = unmapped(accepted.getsockname())
            peer = unmapped(peer)  # type: ignore[arg-type]
        connection = Connection(
            self.loop,
            accepted.detach(),
            self.dispatch,
            self._on_closed,
            max_frame_bytes=self.max_frame_bytes,
            peer=peer,
            local=local,
        )
        self.connections.add(connection)
        self.opened += 1

    def _refuse(self, peer: object) -> None:
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:  # 1, 2, 4, 8, ...: a flood logs few lines
            log.warning(
                "listener %s refused a connection from %s (%d so far): %d are open already"
                " (max.connections, and seven eighths of the limit of open files)",
                self.name,
                peer,
                self.refused,
                self.max_connections,
            )

    def _on_closed(
        self, connection: Connection, reason: str, error: BaseException | None
    ) -> None:
        self.connections.discard(connection)
        self._idle_since.pop(connection, None)
        self._begun.pop(connection, None)
        is_bug = error is not None and not getattr(error, "expected", False)
        if is_bug or reason not in QUIET_REASONS:
            self._log_closed(connection, reason, error if is_bug else None)
        if self.closed is not None:
            self.closed(connection, reason, error)

    def _log_closed(
        self, connection: Connection, reason: str, bug: BaseException | None
    ) -> None:
        """A line for a connection that was closed for a reason; few for each client's host."""
        host = self.name if self._is_unix else connection.peer[0]
        if not self._lines.allows(host, self.loop.time()):
            return
        unsaid = self._lines.held_back(host)
        log.log(
            logging.WARNING if bug is None else logging.ERROR,
            "listener %s closed %s: %s%s",
            self.name,
            connection.peer,
            reason[:REASON_MAX],
            f" ({unsaid} more of {host} were closed without a line)" if unsaid else "",
            exc_info=bug,
        )

    def _sweep(self) -> None:
        """Close what has been idle; one pass over all connections every idle_s / IDLE_SWEEPS."""
        now = self.loop.time()
        for connection in list(self.connections):
            if connection.active or connection.unanswered or connection.unsent_bytes:
                connection.active = False
                self._idle_since[connection] = now
            elif now - self._idle_since.get(connection, now) >= self.idle_s:
                connection.close("idle for longer than connections.max.idle.ms")
        self._sweep_timer = self.loop.call_later(self.idle_s / IDLE_SWEEPS, self._sweep)

    def _relieve(self) -> None:
        """While receive memory is short, close whose large frame does not end: others wait for the
        memory that it holds, or will hold next."""
        self._relief_timer = self.loop.call_later(RELIEF_EVERY_S, self._relieve)
        if receive_bytes_left() >= 0:
            self._begun.clear()
            return
        now = self.loop.time()
        for connection in list(self.connections):
            frame = connection.large_frame
            number, since = self._begun.get(connection, (0, now))
            if not frame:
                self._begun.pop(connection, None)
            elif frame != number:
                self._begun[connection] = frame, now
            elif now - since >= SLOW_FRAME_S:
                connection.close(
                    f"a frame is not complete after {SLOW_FRAME_S:.0f} s while receive memory is"
                    " short (queued.max.request.bytes)"
                )
