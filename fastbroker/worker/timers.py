"""The clock of a process, and a wheel of timers: one timer of the loop, whatever waits."""
from __future__ import annotations

import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

TICK_MS = 5
# Long waits are rarely waited out: they share fewer, coarser ticks.
LONG_MS, LONG_TICKS = 1000, 20
DAY_TICKS = 86_400_000 // TICK_MS


class WheelTimer:
    """A pending call."""

    __slots__ = ("_args", "_bucket", "_callback")

    def __init__(
        self, bucket: set[WheelTimer], callback: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self._bucket, self._callback, self._args = bucket, callback, args
        bucket.add(self)

    def cancel(self) -> None:
        """Nothing when it has run."""
        self._bucket.discard(self)
        # What waits holds its timer, mostly: it shall be gone without the garbage collector.
        self._callback, self._args = _nothing, ()

    def run(self) -> None:
        self._callback(*self._args)


def _nothing() -> None:
    """What a timer does that was cancelled."""


class TimerWheel:
    """Timers that run up to a tick late, a long one up to LONG_TICKS; see model.Timers."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self._buckets: dict[int, set[WheelTimer]] = {}
        self._ticks: list[int] = []  # a heap of the buckets' ticks
        self._handle: TimerHandle | None = None
        self._next = 0  # the tick that the handle is for

    def now_ms(self) -> int:
        return int(time.time() * 1000)

    def monotonic_ms(self) -> int:
        return int(self.loop.time() * 1000)

    def after(self, delay_ms: float, callback: Callable[..., Any], *args: Any) -> WheelTimer:
        """Call `callback(*args)` in `delay_ms`, never before."""
        tick = int((self.loop.time() * 1000 + max(delay_ms, 0)) // TICK_MS) + 1
        if delay_ms > LONG_MS:
            tick += -tick % LONG_TICKS
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = set()
            heappush(self._ticks, tick)
            if self._handle is None or tick < self._next:
                self._arm()
        return WheelTimer(bucket, callback, args)

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._ticks:
            # A loop's timer cannot wait for centuries: this one looks again every day.
            self._next = min(self._ticks[0], self._tick() + DAY_TICKS)
            self._handle = self.loop.call_at(self._next * TICK_MS / 1000, self._turn)

    def _tick(self) -> int:
        return int(self.loop.time() * 1000 // TICK_MS)

    def _turn(self) -> None:
        self._handle = None
        now = self._tick()
        try:
            while self._ticks and self._ticks[0] <= now:
                bucket = self._buckets.pop(heappop(self._ticks))
                while bucket:
                    bucket.pop().run()
        finally:
            if self._handle is None:
                self._arm()

    def close(self) -> None:
        """Nothing runs any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._buckets.clear()
        self._ticks.clear()
