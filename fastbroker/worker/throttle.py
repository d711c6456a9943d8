"""A thread's share of the disk: so many bytes a second, on average."""
from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event


class Stopped(Exception):
    """The work is to end here; what it has begun is taken back."""


class Throttle:
    """Used by one thread, stopped by another.

    rate(): bytes a second that are allowed now. now(): seconds.
    """

    def __init__(
        self, rate: Callable[[], float], now: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate, self.now = rate, now
        self._free_at = 0.0
        self._stopping = Event()

    def __call__(self, size: int) -> None:
        """`size` bytes were read or written: wait for as long as they are worth.

        Raises Stopped.
        """
        now = self.now()
        self._free_at = max(self._free_at, now) + size / self.rate()
        if self._stopping.wait(max(self._free_at - now, 0)):
            raise Stopped

    def stop(self) -> None:
        """Whoever waits, or would, is stopped."""
        self._stopping.set()
