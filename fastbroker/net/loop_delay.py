"""How late the event loop is: what a client waits for that has nothing to do with it."""
from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from time import monotonic_ns

from fastbroker._c.meter import Histogram
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples

EVERY_S = 0.1


class LoopDelay:
    """Sets a timer again and again, and sees when it runs. Owned by the loop.

    A loop's timers are in milliseconds: up to one of them is no delay.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._histogram = Histogram(c.LATENCY_NS)
        self._due = 0
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        self._due = monotonic_ns() + int(EVERY_S * 1e9)
        self._timer = self._loop.call_later(EVERY_S, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._histogram.observe(max(monotonic_ns() - self._due, 0))
        self.start()

    def add(self, samples: Samples) -> None:
        """Add what was seen."""
        samples.histogram(c.LOOP_DELAY, self._histogram.counts(), self._histogram.total / 1e9)
