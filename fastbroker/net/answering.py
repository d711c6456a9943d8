"""A process's own Unix socket: questions of other processes of the host, answered in small steps.

    question := size:int32 name [" " byte*]   (Kafka's framing; a name is a few letters)
    answer   := size:int32 byte*

An answer is made by a generator that returns it. After TURN_NS of work everything else on the loop
gets its turn, so a long answer holds up nobody; what it has to wait for, it yields. A question that
is not known closes the connection.
"""
from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator, Mapping
from functools import partial
from time import monotonic_ns
from typing import Any

from fastbroker._c.connection import Connection
from fastbroker.errors import CorruptFrame
from fastbroker.model import Deferred
from fastbroker.net.address import listen
from fastbroker.net.listener import Listener

TURN_NS = 500_000
QUESTION_MAX_BYTES = 64 << 20
CONNECTIONS_MAX = 16
BACKLOG = 64

Steps = Generator[Deferred[Any] | None, None, bytes]
Answers = Mapping[bytes, Callable[[bytes], Steps]]


class Answering:
    """Owned by one process's loop.

    answers: by a question's name, called with the bytes behind it; that of `ping` is empty. Each
    step takes a fraction of TURN_NS.
    """

    def __init__(self, loop: AbstractEventLoop, path: str, answers: Answers) -> None:
        self.loop, self._answers = loop, {b"ping": _pong, **answers}
        self._listener = Listener(
            loop,
            listen(path, backlog=BACKLOG),
            name="metrics",
            dispatch=self._dispatch,
            max_frame_bytes=QUESTION_MAX_BYTES,
            max_connections=CONNECTIONS_MAX,
        )

    def start(self) -> None:
        """Begin to answer."""
        self._listener.start()

    def close(self) -> None:
        self._listener.close()

    @property
    def open_connections(self) -> int:
        """Who may be asking."""
        return len(self._listener.connections)

    def _dispatch(self, connection: Connection, frame: memoryview) -> bool:
        name, _, body = bytes(frame).partition(b" ")
        begin = self._answers.get(name)
        if begin is None:
            raise CorruptFrame(f"{name[:64]!r} is no question")
        self._go_on(connection, connection.reserve(), begin(body))
        return False  # one at a time

    def _go_on(self, connection: Connection, place: int, steps: Steps) -> None:
        if connection.is_closed:
            return
        until = monotonic_ns() + TURN_NS
        try:
            while monotonic_ns() < until:
                awaited = next(steps)
                if awaited is not None:
                    awaited.then(lambda _: self._go_on(connection, place, steps))
                    return
        except StopIteration as end:
            answer: bytes = end.value
            connection.reply(place, [len(answer).to_bytes(4, "big"), answer])
            self.loop.call_soon(connection.resume)
            return
        except Exception as error:
            # Whoever asks goes without; clients of this process have nothing to do with it.
            connection.close(f"a question was not answered: {error}", error)
            return
        self.loop.call_soon(partial(self._go_on, connection, place, steps))


def _pong(_: bytes) -> Steps:
    """Somebody is there."""
    yield None
    return b""


def socket_path(data_dir: str, process: str) -> str:
    """Where a process of the host answers."""
    return f"{data_dir}/run/metrics-{process}.sock"
