"""A run's numbers, for the table and the picture alike."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from loadtests.tally.series import Cell, Series, Slot

SHARES = (0.5, 0.95, 0.99, 0.999, 1.0)
DELAY = "generator delay"
MOST_POINTS = 150  # of a line: more make it a band
P99_NEEDS = 20  # latencies in a point; the p99 of fewer is only the largest
# Everything else follows in the order of its name.
FIRST = (
    "produce record", "transaction commit", "consume record", "end-to-end acknowledged",
    "end-to-end read",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One operation over the whole time that is measured; latencies in milliseconds."""

    operation: str
    per_s: float
    bytes_per_s: float
    latencies_ms: list[float | None]  # at SHARES
    count: int
    errors: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Point:
    """One operation in one slot, `at_s` seconds after the begin."""

    at_s: float
    per_s: float
    bytes_per_s: float
    errors_per_s: float
    p50_ms: float | None
    p99_ms: float | None


class Figures:
    """What can be asked of a run.json."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.label: str = told["label"]
        self.began: str = told["began"]
        self.options: dict[str, Any] = told["options"]
        self.machine: dict[str, Any] = told["machine"]
        self.warm_up_s: float = told["warm_up_s"]
        self._series = Series.from_json(told["series"])
        self._drawn = self._series.widened(MOST_POINTS)
        self._began_s: float = told["began_s"]
        self._ended_s: float = told["ended_s"]
        width = self._series.width_s
        measured_from = int(self._began_s) // width
        if self.warm_up_s:
            measured_from = math.ceil((self._began_s + self.warm_up_s) / width)
        self._measured_s = max(self._began_s, measured_from * width)
        self._whole: Slot = self._series.total(measured_from)

    @property
    def seconds(self) -> float:
        """How long the time is that the rows are about."""
        return max(1e-3, self._ended_s - self._measured_s)

    def rows(self) -> list[Row]:
        """Every operation that happened, or failed."""
        names = [name for name in FIRST if name in self._whole.cells]
        names += sorted(set(self._whole.cells) - {*FIRST, DELAY})
        return [self._row(name, self._whole.cells[name]) for name in names]

    def _row(self, name: str, cell: Cell) -> Row:
        return Row(
            name, cell.count / self.seconds, cell.bytes / self.seconds,
            cell.latencies.quantiles_ms(*SHARES), cell.count, dict(cell.errors),
        )  # fmt: skip

    def points(self, operation: str) -> Iterator[Point]:
        """The operation's slots in order of time, from the begin to the end, also empty ones.

        The first and the last slot are only part of the run: a rate is of that part, and what is
        less than half a slot is left out.
        """
        width = self._drawn.width_s
        for number in range(int(self._began_s) // width, int(self._ended_s) // width + 1):
            start_s = max(self._began_s, number * width)
            part_s = min(self._ended_s, (number + 1) * width) - start_s
            if part_s < width / 2:
                continue
            slot = self._drawn.slots.get(number, Slot())
            cell = slot.cells.get(operation, Cell())
            p50, p99 = cell.latencies.quantiles_ms(0.5, 0.99)
            if cell.latencies.count() < P99_NEEDS:
                p99 = None
            yield Point(
                start_s + part_s / 2 - self._began_s, cell.count / part_s, cell.bytes / part_s,
                cell.errors.total() / part_s, p50, p99,
            )  # fmt: skip

    def gauge_points(self, gauge: str) -> list[tuple[float, float]]:
        """Mean readings in order of time, also those before and after the users."""
        return [
            ((number + 0.5) * self._series.width_s - self._began_s, value / readings)
            for number, slot in sorted(self._series.slots.items())
            for value, readings in [slot.gauges.get(gauge, [0.0, 0.0])]
            if readings
        ]

    def gauge(self, name: str) -> float | None:
        """The mean of a gauge over the time that is measured."""
        value, readings = self._whole.gauges.get(name, [0.0, 0.0])
        return value / readings if readings else None

    def delay_ms(self) -> list[float | None]:
        """How late the generator's greenlets came to run, at SHARES."""
        return self._whole.cells.get(DELAY, Cell()).latencies.quantiles_ms(*SHARES)
