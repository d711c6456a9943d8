"""What happened in each second of a run, and that as JSON. Bounded: long runs get longer slots."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from loadtests.tally.distribution import Distribution

MAX_SLOTS = 1200  # a picture has no room for more


class Cell:
    """One operation in one slot: what succeeded (count, bytes, latencies) and what did not.

    errors: by Kafka's name for them. Not everything that is counted has a latency.
    """

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0
        self.errors: Counter[str] = Counter()
        self.latencies = Distribution()

    def merge(self, other: Cell) -> None:
        self.count += other.count
        self.bytes += other.bytes
        self.errors.update(other.errors)
        self.latencies.merge(other.latencies)

    def as_json(self) -> dict[str, Any]:
        return {
            "count": self.count, "bytes": self.bytes, "errors": dict(self.errors),
            "latencies": {str(number): n for number, n in sorted(self.latencies.counts.items())},
        }  # fmt: skip

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Cell:
        cell = cls()
        cell.count, cell.bytes = told["count"], told["bytes"]
        cell.errors.update(told["errors"])
        cell.latencies = Distribution({int(number): n for number, n in told["latencies"].items()})
        return cell


class Slot:
    """`width` seconds: cells by operation, and gauges as [sum of the readings, how many]."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self.gauges: dict[str, list[float]] = {}

    def cell(self, operation: str) -> Cell:
        return self.cells.setdefault(operation, Cell())

    def read(self, gauge: str, value: float, readings: float = 1) -> None:
        """Add `readings` readings of a gauge whose sum is `value`."""
        held = self.gauges.setdefault(gauge, [0.0, 0.0])
        held[0] += value
        held[1] += readings

    def merge(self, other: Slot) -> None:
        for operation, cell in other.cells.items():
            self.cell(operation).merge(cell)
        for gauge, (value, readings) in other.gauges.items():
            self.read(gauge, value, readings)


class Series:
    """Slots by number; slot n is the time [n * width_s, (n + 1) * width_s) of the wall clock."""

    def __init__(self, width_s: int = 1) -> None:
        self.width_s = width_s
        self.slots: dict[int, Slot] = {}

    def at(self, second: int) -> Slot:
        """The slot that a second of the wall clock belongs to."""
        slot = self.slots.setdefault(second // self.width_s, Slot())
        if len(self.slots) > MAX_SLOTS:
            self._widen()
            slot = self.slots[second // self.width_s]
        return slot

    def merge(self, other: Series) -> None:
        """Add the other's slots, which are at most as wide as these or become so."""
        while self.width_s < other.width_s:
            self._widen()
        for number, slot in other.slots.items():
            self.at(number * other.width_s).merge(slot)

    def widened(self, most: int) -> Series:
        """The same in slots so wide that there are at most `most` of them."""
        wide = Series(self.width_s)
        wide.slots = dict(self.slots)
        while len(wide.slots) > most:
            wide._widen()
        return wide

    def total(self, first: int | None = None) -> Slot:
        """All slots in one, or those from number `first` on."""
        whole = Slot()
        for number, slot in self.slots.items():
            if first is None or number >= first:
                whole.merge(slot)
        return whole

    def _widen(self) -> None:
        before, self.slots = self.slots, {}
        self.width_s *= 2
        for number, slot in before.items():
            self.slots.setdefault(number // 2, Slot()).merge(slot)

    def as_json(self) -> dict[str, Any]:
        return {
            "width_s": self.width_s,
            "slots": {
                str(number): {
                    "cells": {name: cell.as_json() for name, cell in slot.cells.items()},
                    "gauges": slot.gauges,
                }
                for number, slot in sorted(self.slots.items())
            },
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Series:
        series = cls(told["width_s"])
        for number, held in told["slots"].items():
            slot = series.slots[int(number)] = Slot()
            slot.cells = {name: Cell.from_json(cell) for name, cell in held["cells"].items()}
            slot.gauges = {name: list(gauge) for name, gauge in held["gauges"].items()}
        return series
