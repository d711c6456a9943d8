"""Log starts go to disk before they are promised."""
from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from fastbroker.worker.log_starts import LogStarts


class Executor:
    """A loop's executor whose jobs end when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], Future[None]]] = []

    def run_in_executor(self, _: object, job: Callable[[], None]) -> Future[None]:
        future: Future[None] = Future()
        self.jobs.append((job, future))
        return future

    def run(self) -> None:
        job, future = self.jobs.pop(0)
        try:
            job()
        except OSError as error:
            future.set_exception(error)
        else:
            future.set_result(None)


class Writes:
    """A log directory that counts."""

    def __init__(self) -> None:
        self.count = 0
        self.error: OSError | None = None

    def write_log_starts(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error


def test_what_is_asked_meanwhile_shares_the_next_write() -> None:
    loop, writes = Executor(), Writes()
    starts = LogStarts(loop, writes)  # type: ignore[arg-type]
    first, *others = [starts.save() for _ in range(5)]
    loop.run()
    assert first.done
    assert not any(one.done for one in others), "that write may have begun before they moved"
    loop.run()
    assert all(one.done and one.error is None for one in others)
    assert writes.count == 2
    assert not loop.jobs


def test_who_waits_for_a_write_that_fails_is_told() -> None:
    loop, writes = Executor(), Writes()
    starts = LogStarts(loop, writes)  # type: ignore[arg-type]
    writes.error = OSError(28, os.strerror(28))
    lost, later = starts.save(), starts.save()
    loop.run()
    assert lost.error is writes.error
    writes.error = None
    loop.run()
    assert later.done
    assert later.error is None


def test_the_loop_goes_on_meanwhile() -> None:
    go = threading.Event()

    class Slow:
        def write_log_starts(self) -> None:
            assert go.wait(10)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        saved = LogStarts(loop, Slow()).save()  # type: ignore[arg-type]
        done: asyncio.Future[Any] = loop.create_future()
        saved.then(done.set_result)
        await asyncio.sleep(0)
        assert not saved.done
        go.set()
        await asyncio.wait_for(done, 10)

    asyncio.run(scenario())
