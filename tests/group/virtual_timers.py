"""A clock that stands still until told to go on, and the calls that wait for it."""
from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class VirtualTimer:
    """A call at a time; `callback` is None once it ran or was cancelled."""

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.callback: Callable[..., Any] | None = callback
        self.args = args

    def cancel(self) -> None:
        self.callback = None


class VirtualTimers:
    """`Timers` under the test's control; calls due at one time run in the order they were made."""

    EPOCH_MS = 1_700_000_000_000

    def __init__(self) -> None:
        self.at_ms = 0.0
        self._due: list[tuple[float, int, VirtualTimer]] = []
        self.made = 0  # how many calls were asked for, ever

    def now_ms(self) -> int:
        return self.EPOCH_MS + int(self.at_ms)

    def monotonic_ms(self) -> int:
        return int(self.at_ms)

    def after(self, delay_ms: float, callback: Callable[..., Any], *args: Any) -> VirtualTimer:
        assert delay_ms >= 0
        timer = VirtualTimer(callback, args)
        self.made += 1
        heapq.heappush(self._due, (self.at_ms + delay_ms, self.made, timer))
        return timer

    def advance(self, ms: float) -> None:
        """Go on by `ms`, running everything that falls due on the way."""
        end = self.at_ms + ms
        while self._due and self._due[0][0] <= end:
            self.at_ms, _, timer = heapq.heappop(self._due)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback(*timer.args)
        self.at_ms = end

    @property
    def waiting(self) -> int:
        """How many calls are still to come."""
        return sum(timer.callback is not None for _, _, timer in self._due)
