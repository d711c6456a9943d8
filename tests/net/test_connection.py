"""Frames in, ordered answers out, and limits that hold, over socket pairs."""
from __future__ import annotations

import asyncio
import os
import pathlib
import random
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker._c import connection as c
from fastbroker._c.connection import Connection

DEADLINE_S = 10
MAX_FRAME = 4 * 1024 * 1024


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


class Served:
    """A Connection on one end of a socket pair; `peer` is the other end, non-blocking."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        dispatch: Callable[[Connection, memoryview], Any],
        *,
        max_frame: int = MAX_FRAME,
    ) -> None:
        self.loop = loop
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.closings: list[tuple[str, BaseException | None]] = []
        self.connection = Connection(
            loop, ours.detach(), dispatch, self._closed, max_frame_bytes=max_frame
        )

    def _closed(self, _: Connection, reason: str, error: BaseException | None) -> None:
        self.closings.append((reason, error))

    def send(self, data: bytes) -> None:
        self.loop.run_until_complete(
            asyncio.wait_for(self.loop.sock_sendall(self.peer, data), DEADLINE_S)
        )

    def receive(self, size: int) -> bytes:
        async def read() -> bytes:
            out = bytearray()
            while len(out) < size:
                piece = await self.loop.sock_recv(self.peer, size - len(out))
                assert piece, f"closed after {len(out)} of {size} bytes: {self.closings}"
                out += piece
            return bytes(out)

        return self.loop.run_until_complete(asyncio.wait_for(read(), DEADLINE_S))

    def until(self, condition: Callable[[], object]) -> None:
        async def wait() -> None:
            while not condition():
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(asyncio.wait_for(wait(), DEADLINE_S))

    def end(self) -> None:
        self.connection.close("test over")
        self.peer.close()


def echo(connection: Connection, frame: memoryview) -> bool:
    connection.reply(connection.reserve(), [struct.pack(">i", len(frame)), bytes(frame)])
    return True


def test_frames_split_anywhere_are_echoed_in_order(loop: asyncio.AbstractEventLoop) -> None:
    served = Served(loop, echo)
    chance = random.Random(5)
    sizes = [0, 1, 7, 300, 70_000]
    stream = b"".join(framed(chance.randbytes(chance.choice(sizes))) for _ in range(60))
    at = 0
    received = b""
    while at < len(stream):
        size = chance.choice([1, 2, 3, 5, 100, 5000, 100_000])
        served.send(stream[at : at + size])
        at += size
    received = served.receive(len(stream))
    assert received == stream
    served.end()


def test_a_frame_larger_than_any_pooled_buffer(loop: asyncio.AbstractEventLoop) -> None:
    served = Served(loop, echo)
    frame = framed(os.urandom(3_000_000))
    task = loop.create_task(loop.sock_sendall(served.peer, frame))
    assert served.receive(len(frame)) == frame
    loop.run_until_complete(task)
    served.end()


def test_answers_keep_the_order_of_requests(loop: asyncio.AbstractEventLoop) -> None:
    places: list[int] = []

    def later(connection: Connection, frame: memoryview) -> bool:
        places.append(connection.reserve())
        return True

    served = Served(loop, later)
    served.send(framed(b"a") + framed(b"b") + framed(b"c"))
    served.until(lambda: len(places) == 3)
    served.connection.reply(places[2], [b"three"])
    served.connection.reply(places[1], None)  # no answer at all: acks=0
    assert served.connection.unanswered == 3
    served.connection.reply(places[0], [b"one"])
    assert served.connection.unanswered == 0
    assert served.receive(8) == b"onethree"
    served.end()


def test_a_kept_frame_is_never_overwritten(loop: asyncio.AbstractEventLoop) -> None:
    kept: list[memoryview] = []

    def keep(connection: Connection, frame: memoryview) -> bool:
        kept.append(frame)
        return True

    served = Served(loop, keep)
    frames = [bytes([n]) * 30_000 for n in range(40)]
    for frame in frames:
        served.send(framed(frame))
    served.until(lambda: len(kept) == len(frames))
    assert [bytes(view) for view in kept] == frames
    held = c.receive_bytes()
    kept.clear()
    assert c.receive_bytes() < held
    served.end()


def test_hold_and_resume(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[bytes] = []

    def one_at_a_time(connection: Connection, frame: memoryview) -> bool:
        seen.append(bytes(frame))
        return False

    served = Served(loop, one_at_a_time)
    served.send(framed(b"first") + framed(b"second") + framed(b"third"))
    served.until(lambda: seen)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert seen == [b"first"]
    served.connection.resume()
    assert seen == [b"first", b"second"]
    served.connection.resume()
    assert seen == [b"first", b"second", b"third"]
    served.end()


def test_a_flood_behind_a_held_frame_stays_in_the_peers_socket(
    loop: asyncio.AbstractEventLoop,
) -> None:
    served = Served(loop, lambda connection, frame: False)
    before = c.receive_bytes()
    with pytest.raises(TimeoutError):  # the peer blocks: nothing is dropped, nothing is buffered
        loop.run_until_complete(
            asyncio.wait_for(loop.sock_sendall(served.peer, framed(b"x" * 1000) * 20_000), 0.3)
        )
    assert c.receive_bytes() - before <= 65536
    served.end()


def test_more_unanswered_frames_than_the_limit_are_all_answered(
    loop: asyncio.AbstractEventLoop,
) -> None:
    places: list[int] = []

    def later(connection: Connection, frame: memoryview) -> bool:
        places.append(connection.reserve())
        return True

    served = Served(loop, later)
    total = 3000
    task = loop.create_task(loop.sock_sendall(served.peer, framed(b"x") * total))
    served.until(lambda: len(places) == 512)
    loop.run_until_complete(asyncio.sleep(0.02))
    assert len(places) == 512, "dispatched beyond the limit of unanswered frames"
    answered = 0
    while answered < total:
        served.until(lambda n=answered: len(places) > n)  # type: ignore[misc]
        served.connection.reply(places[answered], [b"y"])
        answered += 1
    assert served.receive(total) == b"y" * total
    loop.run_until_complete(task)
    served.end()


def test_file_ranges_and_buffers_interleave(
    loop: asyncio.AbstractEventLoop, tmp_path: pathlib.Path
) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "segment").write_bytes(content)
    fd = os.open(tmp_path / "segment", os.O_RDONLY)

    class Range:
        def __init__(self, offset: int, length: int) -> None:
            self.fd, self.offset, self.length = fd, offset, length

    def answer(connection: Connection, frame: memoryview) -> bool:
        parts = [b"head", Range(10, 3_000_000), memoryview(b"middle"), bytearray(b"!"), Range(0, 5)]
        connection.reply(connection.reserve(), parts)
        return True

    served = Served(loop, answer)
    served.send(framed(b"?") * 2)
    want = b"head" + content[10:3_000_010] + b"middle!" + content[:5]
    assert served.receive(2 * len(want)) == want * 2
    os.close(fd)
    served.end()


def test_a_reader_that_does_not_read_stops_the_dispatch(loop: asyncio.AbstractEventLoop) -> None:
    seen = 0

    def large(connection: Connection, frame: memoryview) -> bool:
        nonlocal seen
        seen += 1
        connection.reply(connection.reserve(), [b"z" * 1_000_000])
        return True

    served = Served(loop, large)
    served.send(framed(b"?") * 50)
    served.until(lambda: seen >= 4)
    loop.run_until_complete(asyncio.sleep(0.02))
    assert seen < 10, "answers pile up in memory for a peer that does not read"
    assert served.receive(50_000_000) == b"z" * 50_000_000
    assert seen == 50
    served.end()


@pytest.mark.parametrize("size", [-1, -(2**31), 2**31 - 1, MAX_FRAME + 1])
def test_an_impossible_size_prefix_closes_the_connection(
    loop: asyncio.AbstractEventLoop, size: int
) -> None:
    served = Served(loop, echo)
    before = c.receive_bytes()
    served.send(struct.pack(">i", size))
    served.until(lambda: served.closings)
    assert f"a frame of {size} bytes was announced" in served.closings[0][0]
    assert c.receive_bytes() <= before
    served.peer.close()


def test_a_promised_frame_costs_only_what_arrives(loop: asyncio.AbstractEventLoop) -> None:
    served = Served(loop, echo, max_frame=100 * 2**20)
    before = c.receive_bytes()
    served.send(struct.pack(">i", 100 * 2**20) + b"only this")
    loop.run_until_complete(asyncio.sleep(0.02))
    assert c.receive_bytes() - before <= 2 * 2**20
    served.end()


def test_an_error_in_dispatch_closes_with_the_error(loop: asyncio.AbstractEventLoop) -> None:
    def broken(connection: Connection, frame: memoryview) -> bool:
        raise ValueError("what is this?")

    served = Served(loop, broken)
    served.send(framed(b"??"))
    served.until(lambda: served.closings)
    reason, error = served.closings[0]
    assert reason == "ValueError: what is this?"
    assert isinstance(error, ValueError)
    served.peer.close()


def test_the_peers_end_is_reported_once_and_late_answers_go_nowhere(
    loop: asyncio.AbstractEventLoop,
) -> None:
    served = Served(loop, lambda connection, frame: connection.reserve() is not None)
    served.send(framed(b"?"))
    served.until(lambda: served.connection.unanswered)
    served.peer.close()
    served.until(lambda: served.closings)
    served.connection.reply(0, [b"too late"])
    served.connection.close("again")
    assert [reason for reason, _ in served.closings] == ["closed by the peer"]


def test_what_waits_to_be_sent_is_counted_until_it_is_sent_or_given_up() -> None:
    """Also when the connection closes in the middle of a part."""
    loop = asyncio.new_event_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    before = c.unsent_bytes()
    connection = Connection(
        loop, ours.detach(), lambda *_: True, lambda *_: None, max_frame_bytes=1000
    )
    try:
        connection.send([b"x" * 1000, bytes(4_000_000)])
        assert c.unsent_bytes() - before == 4_001_000
        loop.call_later(0.05, loop.stop)
        loop.run_forever()  # the socket takes a part of it
        assert 0 < c.unsent_bytes() - before < 4_000_000
        assert c.unsent_bytes() - before == connection.unsent_bytes
        connection.close("enough")
        assert c.unsent_bytes() == before
    finally:
        theirs.close()
        loop.close()
