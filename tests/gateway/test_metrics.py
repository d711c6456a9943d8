"""One page of what several processes say, also when some of them do not."""
from __future__ import annotations

import asyncio
import os
import pathlib
import socket
import struct
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import pytest
import uvloop

from fastbroker.gateway import metrics as gateway_metrics
from fastbroker.gateway.host import Host
from fastbroker.gateway.metrics import Metrics
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples
from fastbroker.net.address import listen
from fastbroker.net.answering import Answering, Steps
from tests.metrics.text import Text

DEADLINE_S = 10.0
PROCESSES = ("controller", "worker-0", "worker-1")
T = TypeVar("T")


class Process:
    """Answers as a process of the host does, or as none should."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: str, samples: Samples) -> None:
        self.samples, self.asked = samples, 0
        self.garbage: bytes | None = None
        answers = {b"metrics": self.metrics, b"committed": self.nothing}
        self.answering = Answering(loop, path, answers)
        self.answering.start()

    def metrics(self, _: bytes) -> Steps:
        self.asked += 1
        yield None
        return self.samples.encode() if self.garbage is None else self.garbage

    def nothing(self, _: bytes) -> Steps:
        yield None
        return b""


class Fixture:
    def __init__(self, directory: pathlib.Path) -> None:
        self.loop = uvloop.new_event_loop()
        os.mkdir(directory / "run")
        self.host = Host(str(directory), 2, os.getppid(), lambda: {"worker-0": 3})
        self.metrics = Metrics(self.host)
        self.processes = {name: self.process(name) for name in PROCESSES}
        self.hanging: list[socket.socket] = []

    def process(self, name: str) -> Process:
        samples = Samples()
        samples.pid(os.getpid())
        if name == "controller":
            samples.value(c.METADATA_COMMITTED, 12)
        else:
            samples.value(c.METADATA_APPLIED, 12 - int(name[-1]))
            samples.value(c.CONNECTIONS, 5)
        return Process(self.loop, self.host.socket_path(name), samples)

    def end(self, name: str) -> None:
        self.processes.pop(name).answering.close()

    def hang(self, name: str) -> None:
        """Its socket takes connections, and nobody is there."""
        self.end(name)
        self.hanging.append(listen(self.host.socket_path(name)))

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, DEADLINE_S))

    def page(self) -> Text:
        self.metrics.forget()
        return Text(self.run(self.metrics.metrics()).body.decode())

    def close(self) -> None:
        for process in self.processes.values():
            process.answering.close()
        for sock in self.hanging:
            sock.close()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()


@pytest.fixture
def fixture(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fixture]:
    monkeypatch.setattr(gateway_metrics, "ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr(gateway_metrics, "HEALTHY_WITHIN_S", 0.2)
    one = Fixture(tmp_path)
    yield one
    one.close()


def up(text: Text) -> dict[str, float]:
    return {name: text.value(c.UP.name, process=name) for name in PROCESSES}


def test_all_that_processes_say_is_on_the_page(fixture: Fixture) -> None:
    text = fixture.page()
    assert up(text) == dict.fromkeys(PROCESSES, 1)
    assert text.value(c.CONNECTIONS.name, process="worker-1") == 5
    assert text.value(c.RESTARTS.name, process="worker-0") == 3
    assert text.value(c.METADATA_LAG.name, process="worker-0") == 0
    assert text.value(c.METADATA_LAG.name, process="worker-1") == 1
    assert text.value(c.RESIDENT.name, process="worker-0") > 1 << 20
    assert text.value(c.CPU.name, process="supervisor") >= 0
    assert text.value(c.OPEN_FDS.name, process="gateway") >= 3
    assert text.value(c.DISK_SIZE.name, directory=fixture.host.data_dir) > 0


def test_a_process_that_is_down_is_missing_and_said_to_be(fixture: Fixture) -> None:
    fixture.end("worker-1")
    text = fixture.page()
    assert up(text) == {"controller": 1, "worker-0": 1, "worker-1": 0}
    assert text.all(c.CONNECTIONS.name) == {frozenset({("process", "worker-0")}): 5}
    fixture.end("controller")
    text = fixture.page()
    assert up(text) == {"controller": 0, "worker-0": 1, "worker-1": 0}
    assert text.all(c.METADATA_LAG.name) == {}


def test_a_process_that_hangs_is_not_waited_for(fixture: Fixture) -> None:
    fixture.hang("worker-0")
    assert up(fixture.page()) == {"controller": 1, "worker-0": 0, "worker-1": 1}


@pytest.mark.parametrize(
    "answer", [b"", b"\x00", b"[\x01\x00\x00\x00N", struct.pack(">i", 5), b"i\x00\x00\x00\x00"]
)
def test_what_nobody_understands_is_no_answer(fixture: Fixture, answer: bytes) -> None:
    fixture.processes["worker-0"].garbage = answer
    assert up(fixture.page())["worker-0"] == 0


def test_many_scrapers_are_one(fixture: Fixture) -> None:
    async def many() -> set[bytes]:
        pages = await asyncio.gather(*[fixture.metrics.metrics() for _ in range(20)])
        return {page.body for page in pages}

    assert len(fixture.run(many())) == 1
    fixture.run(fixture.metrics.metrics())  # soon after: the same page
    assert fixture.processes["worker-0"].asked == 1
    fixture.page()
    assert fixture.processes["worker-0"].asked == 2


def test_health_is_whether_every_process_answers(fixture: Fixture) -> None:
    found = fixture.run(fixture.metrics.health())
    assert (found.status, found.body) == (200, b"ok\n")
    fixture.hang("worker-0")
    fixture.end("worker-1")
    found = fixture.run(fixture.metrics.health())
    assert (found.status, found.body) == (503, b"no answer from worker-0, worker-1\n")
