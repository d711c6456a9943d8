"""Where users say what happened: counted at once, handed on four times a second."""
from __future__ import annotations

import time
from collections.abc import Sequence

import gevent
from locust.env import Environment

from loadtests.tally import counted_events
from loadtests.tally.series import Cell, Series

HAND_ON_S = 0.25


class Recorder:
    """One per process. Greenlets alone call it; callbacks of other threads must not."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._pending: dict[str, Cell] = {}
        self.series = Series()

    def restart(self) -> None:
        """Forget everything: a new run begins."""
        self._pending.clear()
        self.series = Series()

    def succeeded(
        self, operation: str, latencies_us: Sequence[int], *, size: int = 0, untimed: int = 0
    ) -> None:
        """Count each of `latencies_us`, and `untimed` more; `size` is the bytes of all of them."""
        cell = self._cell(operation)
        cell.count += len(latencies_us) + untimed
        cell.bytes += size
        cell.latencies.add(latencies_us)

    def failed(self, operation: str, error: str, count: int = 1) -> None:
        """Count `count` failures for one reason."""
        self._cell(operation).errors[error] += count

    def gauge(self, name: str, value: float) -> None:
        """A reading of something that goes up and down."""
        self.series.at(int(time.time())).read(name, value)

    def hand_on(self) -> None:
        """Give what is pending to the series and to locust."""
        pending, self._pending = self._pending, {}
        slot = self.series.at(int(time.time()))
        for operation, cell in pending.items():
            slot.cell(operation).merge(cell)
            counted_events.fire(self._environment, operation, cell)

    def taken(self) -> Series:
        """The series so far, which is then empty: for a worker that tells its master."""
        series, self.series = self.series, Series()
        return series

    def run(self) -> None:
        """Hand on until killed."""
        while True:
            gevent.sleep(HAND_ON_S)
            self.hand_on()

    def _cell(self, operation: str) -> Cell:
        return self._pending.setdefault(operation, Cell())
