"""One case: two topics of as many partitions, written to in turns."""
from __future__ import annotations

import json
import os
import pathlib
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from loadtests.durability.syncs import Counted
from loadtests.limit.__main__ import warm_pages

FLUSHED, CACHED = "flushed", "cached"
SIDES = (FLUSHED, CACHED)
MANY = 100  # partitions in a request of the profile `many`
TRIAL_REQUESTS = 2000
TURN_TIMEOUT_S = 300.0

# The generator with these options against this topic: see syncs.counted.
Generate = Callable[[str, dict[str, int]], Counted]


class Case(NamedTuple):
    """profile: `single` or `many`. records: of 1 KiB in a batch.

    in_flight: batches that each of the generator's connections has under way, more or less.
    """

    profile: str
    partitions: int
    records: int
    connections: int
    in_flight: int

    @property
    def depth(self) -> int:
        """Requests that a connection has under way."""
        return max(self.in_flight // self.together, 1)

    @property
    def together(self) -> int:
        """Partitions in a request."""
        return 1 if self.profile == "single" else min(self.partitions, MANY)

    def topic(self, side: str) -> str:
        return f"{side}-{self.partitions}"

    def options(self) -> dict[str, int]:
        """The generator's, but how many requests."""
        return {
            "partitions": self.partitions,
            "together": self.together,
            "connections": self.connections,
            "depth": self.depth,
            "record_bytes": 1024,
            "batch_bytes": 61 + 1024 * self.records + (12 if self.records == 1 else 0),
        }


class Turns:
    """What the generator found, by side."""

    def __init__(self, case: Case, generate: Generate, folder: pathlib.Path) -> None:
        self.case, self.generate, self.folder = case, generate, folder
        self.found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        self._requests: dict[str, int] = {}

    def prepare(self, turn_s: float) -> None:
        """Write to every partition, and see how many requests make a turn."""
        for side in SIDES:
            once = -(-self.case.partitions // self.case.together)
            trial = max(TRIAL_REQUESTS // self.case.together, 2 * once, self._in_flight)
            self._turn(side, once, trial)
            rate = trial / self._turn(side, self._in_flight, trial)["seconds"]
            self._requests[side] = max(int(rate * turn_s), 2 * self._in_flight)

    def round(self, number: int) -> None:
        """A turn of each side; who begins changes."""
        for side in SIDES if number % 2 else SIDES[::-1]:
            self.found[side].append(self._turn(side, self._in_flight, self._requests[side]))

    @property
    def _in_flight(self) -> int:
        return self.case.connections * self.case.depth

    def _turn(self, side: str, warm: int, requests: int) -> dict[str, Any]:
        options = self.case.options()
        size = (warm + requests) * self.case.together * options["batch_bytes"]
        os.sync()
        warm_pages(self.folder, min(2 * size, 256 << 20))
        counted = self.generate(
            self.case.topic(side), {**options, "warm": max(warm, 1), "requests": requests}
        )
        found: dict[str, Any] = json.loads(counted.output)
        found["records"] = requests * self.case.together * found["batch_records"]
        if counted.syncs is not None:
            found["syncs"] = sum(counted.syncs.values())
            batches = (warm + requests) * self.case.together
            found["syncs_per_1000"] = 1000 * found["syncs"] / batches
        return found

    def row(self) -> dict[str, Any]:
        """Medians of both sides, and the throughput of one in the other's."""
        row: dict[str, Any] = {"profile": self.case.profile, "partitions": self.case.partitions}
        for side, rounds in self.found.items():
            row[side] = {
                "records_per_s": statistics.median(r["records"] / r["seconds"] for r in rounds),
                "p50_ms": statistics.median(r["p50_us"] for r in rounds) / 1000,
                "p99_ms": statistics.median(r["p99_us"] for r in rounds) / 1000,
                "cpu_us": statistics.median(1e6 * r["cpu_s"] / r["records"] for r in rounds),
                "syncs_per_1000": None,
                "syncs_per_s": None,
            }
            if all("syncs" in r for r in rounds):
                per_1000 = statistics.median(r["syncs_per_1000"] for r in rounds)
                row[side]["syncs_per_1000"] = per_1000  # batches
                batches_per_s = row[side]["records_per_s"] / self.case.records
                row[side]["syncs_per_s"] = per_1000 * batches_per_s / 1000
        row["ratio"] = row[FLUSHED]["records_per_s"] / row[CACHED]["records_per_s"]
        return row
