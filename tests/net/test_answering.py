"""Questions of other processes: answered in small steps, one at a time on a connection."""
from __future__ import annotations

import asyncio
import pathlib
import struct
from collections.abc import Iterator
from time import monotonic_ns

import pytest

from fastbroker.model import Deferred
from fastbroker.net.address import connect_unix
from fastbroker.net.answering import QUESTION_MAX_BYTES, TURN_NS, Answering, Steps, socket_path

DEADLINE_S = 10.0
STEP_NS = TURN_NS // 4


class Questions:
    """Whom a test asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, directory: pathlib.Path) -> None:
        self.loop = loop
        self.path = socket_path(str(directory), "worker-0")
        self.later: Deferred[None] = Deferred()
        self.begun = self.ended = 0
        answers = {b"long": self.long, b"late": self.late, b"echo": self.echo, b"bug": self.bug}
        self.answering = Answering(loop, self.path, answers)
        self.answering.start()

    def long(self, _: bytes) -> Steps:
        self.begun += 1
        for _ in range(40):
            until = monotonic_ns() + STEP_NS
            while monotonic_ns() < until:
                pass
            yield None
        self.ended += 1
        return b"done"

    def late(self, _: bytes) -> Steps:
        yield self.later
        return b"at last"

    def echo(self, body: bytes) -> Steps:
        yield None
        return body

    def bug(self, _: bytes) -> Steps:
        yield from self.long(b"")
        raise ZeroDivisionError("a test's")

    async def ask(self, *questions: bytes) -> list[bytes]:
        """The answers to questions that are sent together on one connection."""
        reader, writer = await asyncio.open_unix_connection(sock=connect_unix(self.path))
        try:
            writer.write(b"".join(struct.pack(">i", len(one)) + one for one in questions))
            found = []
            for _ in questions:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                found.append(await reader.readexactly(size))
            return found
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)

    def run(self, *questions: bytes) -> list[bytes]:
        asked = asyncio.wait_for(self.ask(*questions), DEADLINE_S)
        return self.loop.run_until_complete(asked)


@pytest.fixture
def questions(loop: asyncio.AbstractEventLoop, tmp_path: pathlib.Path) -> Iterator[Questions]:
    one = Questions(loop, tmp_path)
    yield one
    one.answering.close()
    loop.run_until_complete(asyncio.sleep(0))


def test_a_question_may_have_a_body(questions: Questions) -> None:
    assert questions.run(b"echo one two", b"ping", b"echo") == [b"one two", b"", b""]


def test_a_long_answer_lets_others_in(questions: Questions) -> None:
    """A loop that is asked for something short meanwhile has it before the long answer ends."""

    async def both() -> list[list[bytes]]:
        long = asyncio.ensure_future(questions.ask(b"long"))
        while not questions.begun:
            await asyncio.sleep(0)
        short = await questions.ask(b"ping")
        assert questions.ended == 0
        return [short, await long]

    found = questions.loop.run_until_complete(asyncio.wait_for(both(), DEADLINE_S))
    assert found == [[b""], [b"done"]]


def test_what_an_answer_waits_for_comes_later(questions: Questions) -> None:
    questions.loop.call_later(0.01, questions.later.complete, None)
    assert questions.run(b"late") == [b"at last"]


@pytest.mark.parametrize("question", [b"", b"what", b"metric", b"\xff" * 64])
def test_an_unknown_question_ends_the_connection(questions: Questions, question: bytes) -> None:
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        questions.run(question)
    assert questions.run(b"ping") == [b""]


def test_a_bug_in_an_answer_is_told_and_ends_nothing_else(
    questions: Questions, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        questions.run(b"bug")
    assert "a test's" in caplog.text
    assert questions.run(b"ping") == [b""]


def test_a_question_that_is_too_long_ends_the_connection(questions: Questions) -> None:
    async def announce() -> bytes:
        reader, writer = await asyncio.open_unix_connection(sock=connect_unix(questions.path))
        writer.write(struct.pack(">i", QUESTION_MAX_BYTES + 1))
        try:
            return await reader.read()
        finally:
            writer.transport.abort()

    announced = asyncio.wait_for(announce(), DEADLINE_S)
    assert questions.loop.run_until_complete(announced) == b""


def test_who_asks_and_goes_costs_no_more(questions: Questions) -> None:
    async def leave() -> None:
        _, writer = await asyncio.open_unix_connection(sock=connect_unix(questions.path))
        writer.write(struct.pack(">i", 4) + b"long")
        while not questions.begun:
            await asyncio.sleep(0)
        writer.transport.abort()
        while questions.answering.open_connections:
            await asyncio.sleep(0.001)

    questions.loop.run_until_complete(asyncio.wait_for(leave(), DEADLINE_S))
    assert questions.run(b"ping") == [b""]
    assert questions.ended == 0
