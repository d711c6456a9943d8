"""A run's numbers, for the table and the picture alike."""
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from loadtests.tally.series import Cell, Series, Slot

SHARES = (0.5, 0.95, 0.99, 0.999, 1.0)
DELAY = "generator delay"
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
        numbers = sorted(self._series.slots)
        self._first = numbers[0] if numbers else 0
        self._last = numbers[-1] if numbers else 0
        self._measured_from = self._first + int(self.warm_up_s // self._series.width_s)
        self._whole: Slot = self._series.total(self._measured_from)

    @property
    def seconds(self) -> int:
        """How long the time is that the rows are about."""
        return max(1, self._last + 1 - self._measured_from) * self._series.width_s

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
        """The operation's slots in order of time, from the begin to the end, also empty ones."""
        width = self._series.width_s
        for number in range(self._first, self._last + 1):
            slot = self._series.slots.get(number, Slot())
            cell = slot.cells.get(operation, Cell())
            p50, p99 = cell.latencies.quantiles_ms(0.5, 0.99)
            yield Point(
                (number - self._first + 0.5) * width, cell.count / width, cell.bytes / width,
                cell.errors.total() / width, p50, p99,
            )  # fmt: skip

    def gauge_points(self, gauge: str) -> list[tuple[float, float]]:
        """Mean readings in order of time."""
        return [
            ((number - self._first + 0.5) * self._series.width_s, value / readings)
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
