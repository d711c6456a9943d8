"""Requests that are followed from the socket to the socket: counts, bytes, and times by stage."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastbroker._c.connection import Connection, measure
from fastbroker._c.meter import Histogram, Meter, stage_of
from fastbroker.metrics.catalogue import LATENCY_NS
from fastbroker.metrics.stages import Stage
from tests.net.test_connection import Served, framed

Serve = Callable[[Callable[[Connection, memoryview], Any]], Served]


@pytest.fixture(autouse=True)
def _measured() -> Iterator[None]:
    measure(True)
    yield
    measure(False)


@pytest.fixture
def meter() -> Meter:
    return Meter(0, 0, is_flushed=True)


@pytest.fixture
def serve(loop: asyncio.AbstractEventLoop) -> Iterator[Serve]:
    """Makes connections that end with the test."""
    made: list[Served] = []

    def one(dispatch: Callable[[Connection, memoryview], Any]) -> Served:
        made.append(Served(loop, dispatch))
        return made[-1]

    yield one
    for served in made:
        served.end()
    loop.run_until_complete(asyncio.sleep(0))


def seen(meter: Meter, stage: Stage) -> int:
    counts, _ = stage_of([meter], stage)
    return sum(memoryview(counts).cast("q"))


def seconds(meter: Meter, stage: Stage) -> float:
    return stage_of([meter], stage)[1] / 1e9


def turn(loop: asyncio.AbstractEventLoop, times: int = 4) -> None:
    for _ in range(times):
        loop.run_until_complete(asyncio.sleep(0))


class Later:
    """Answers nothing until it is told to."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.places: list[int] = []

    def __call__(self, connection: Connection, frame: memoryview) -> bool:
        self.places.append(connection.reserve(self.meter))
        return True


def test_an_answer_at_once_waits_for_nothing(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    def dispatch(connection: Connection, frame: memoryview) -> bool:
        connection.reply(connection.reserve(meter), [b"four", memoryview(b"more")])
        return True

    served = serve(dispatch)
    served.send(framed(b"x" * 6) * 3)
    turn(loop)
    assert (meter.requests, meter.request_bytes, meter.response_bytes) == (3, 30, 24)
    for stage in Stage.QUEUE, Stage.APPEND, Stage.SEND, Stage.TOTAL:
        assert seen(meter, stage) == 3, stage
    assert seen(meter, Stage.FLUSH) == seen(meter, Stage.WAIT) == 0
    total = sum(seconds(meter, s) for s in (Stage.QUEUE, Stage.APPEND, Stage.SEND))
    assert 0 < total <= seconds(meter, Stage.TOTAL) + 1e-9


def test_an_answer_that_comes_later_was_waited_for(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    later = Later(meter)
    served = serve(later)
    served.send(framed(b"a") * 2)
    turn(loop)
    assert seen(meter, Stage.APPEND) == 2
    assert seen(meter, Stage.FLUSH) == seen(meter, Stage.TOTAL) == 0
    loop.run_until_complete(asyncio.sleep(0.02))
    served.connection.reply(later.places[1], [b"second"])  # it waits for the first
    turn(loop)
    assert (seen(meter, Stage.FLUSH), seen(meter, Stage.SEND)) == (1, 0)
    served.connection.reply(later.places[0], [b"first"])
    turn(loop)
    assert (seen(meter, Stage.FLUSH), seen(meter, Stage.SEND)) == (2, 2)
    assert seconds(meter, Stage.FLUSH) >= 0.03
    assert meter.response_bytes == len(b"firstsecond")


def test_frames_that_a_held_connection_keeps_are_queued(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    def dispatch(connection: Connection, frame: memoryview) -> bool:
        connection.reply(connection.reserve(meter), [b"answer"])
        return False

    served = serve(dispatch)
    served.send(framed(b"a") * 2)
    turn(loop)
    assert seen(meter, Stage.QUEUE) == 1
    loop.run_until_complete(asyncio.sleep(0.02))
    served.connection.resume()
    turn(loop)
    assert seen(meter, Stage.QUEUE) == 2
    assert seconds(meter, Stage.QUEUE) >= 0.015


def test_a_slow_reader_is_what_sending_takes(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    def dispatch(connection: Connection, frame: memoryview) -> bool:
        connection.reply(connection.reserve(meter), [b"x" * (1 << 20)])
        return True

    served = serve(dispatch)
    served.send(framed(b"a"))
    loop.run_until_complete(asyncio.sleep(0.02))
    assert seen(meter, Stage.SEND) == 0
    served.receive(1 << 20)
    turn(loop)
    assert seen(meter, Stage.SEND) == 1
    assert seconds(meter, Stage.SEND) >= 0.01


def test_more_answers_than_are_followed_are_counted_all_the_same(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    later = Later(meter)
    served = serve(later)
    count = 3000
    for _ in range(count // 100):
        served.send(framed(b"a") * 100)
        turn(loop)
        while later.places:
            served.connection.reply(later.places.pop(0), [b"b" * 100])
    turn(loop, 50)
    served.receive(count * 100)
    turn(loop)
    assert meter.requests == count
    assert seen(meter, Stage.TOTAL) == seen(meter, Stage.FLUSH) == count


def test_a_connection_that_closes_takes_its_requests_along(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    later = Later(meter)
    served = serve(later)
    served.send(framed(b"a") * 20)
    turn(loop)
    served.connection.close("test")
    served.connection.reply(later.places[0], [b"late"])
    assert (meter.requests, seen(meter, Stage.TOTAL)) == (20, 0)


def test_without_a_meter_or_a_measure_nothing_is_counted(
    loop: asyncio.AbstractEventLoop, meter: Meter, serve: Serve
) -> None:
    wanted: list[Meter | None] = [None, meter]

    def dispatch(connection: Connection, frame: memoryview) -> bool:
        connection.reply(connection.reserve(wanted[0]), [b"answer"])
        return True

    served = serve(dispatch)
    served.send(framed(b"a"))
    turn(loop)
    measure(False)
    wanted.pop(0)
    served.send(framed(b"a"))
    turn(loop)
    assert meter.requests == 0
    measure(True)
    served.send(framed(b"a"))
    turn(loop)
    assert (meter.requests, seen(meter, Stage.TOTAL)) == (1, 1)
    served.receive(3 * len(b"answer"))


def test_a_value_is_in_the_bucket_that_it_does_not_exceed() -> None:
    histogram = Histogram(LATENCY_NS)
    for value in 0, 1, 10_000, 10_001, 10**10, 10**10 + 1, 2**62:
        histogram.observe(value)
    counts = memoryview(histogram.counts()).cast("q")
    assert counts[0] == 3
    assert counts[1] == 1
    assert counts[len(LATENCY_NS) - 1] == 1
    assert counts[len(LATENCY_NS)] == 2
    assert histogram.total == 0 + 1 + 10_000 + 10_001 + 2 * 10**10 + 1 + 2**62

