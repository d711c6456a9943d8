"""Memory ends where the model says: the same is held whenever the state is the same.

In the morning, when nobody has come for as long as anything is kept by time, everything is as it
was the morning before, so the process has to hold as many objects of each type. And a log that has
been in use for hours has to hold what one does that was just opened from its files. Neither can be
missed by a leak, however small. What is no Python object is judged by the slope of a long series:
FASTBROKER_HOURS=240.
"""
from __future__ import annotations

import os
import pathlib
from contextlib import closing
from typing import Any

import pytest

from fastbroker.group.consumer import environment
from fastbroker.model import TopicPartition
from fastbroker.storage import log as log_module
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.producer_state import BATCHES_KEPT, KeptBatch, ProducerState
from fastbroker.worker.removal import Removal
from tests.time.day import Day
from tests.time.memory import (
    Held,
    Inventory,
    Series,
    inventory,
    modules,
    more_than,
    slope,
)
from tests.time.topics import REMADE_HOURS

HOURS = int(os.environ.get("FASTBROKER_HOURS", "24"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
BUSY_HOURS = 1  # before each night
WARM_UP = 2  # nights
LONG = 16
MORNINGS = max(3, HOURS // (BUSY_HOURS + 8))

pytestmark = pytest.mark.usefixtures("errors")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that is bounded is full before the first morning."""
    monkeypatch.setattr(environment, "CHANGES_KEPT", 4)


Differences = list[dict[str, tuple[Held, Held]]]


def mornings(folder: pathlib.Path, count: int) -> tuple[Differences, Series, Day]:
    """In so many, after the first ones: what is held that was not in the first, or is not any more.
    """
    found: Differences = []
    first: Inventory = {}
    series = Series()
    with closing(Day(folder, SEED, restarts=False)) as day:
        day.begin()
        for name in REMADE_HOURS:
            day.ends[name] = 30  # each has to be, once, before anything is compared
        for number in range(WARM_UP + count):
            for _ in range(BUSY_HOURS):
                day.hour()
            day.night()
            held = inventory([*modules(), day.world.bench.broker])
            if number == WARM_UP:
                first = held
            if number >= WARM_UP:
                found += filter(None, [more_than(held, first) | more_than(first, held)])
                series.add(descriptors=len(day.world.open_files()), **day.look.counted())
    return found, series, day


@pytest.mark.timeout(120 + 20 * HOURS)
def test_each_morning_the_same_is_held(folder: pathlib.Path) -> None:
    found, series, day = mornings(folder, MORNINGS)
    print(series.told(MORNINGS // 2 if MORNINGS >= LONG else 0))
    assert not found
    for what in ("dropped", "cleaned", "remade", "timed out"):
        assert day.counts[what] >= MORNINGS, f"too little of: {what}"
    # The keys of compacted topics have all been there by then.
    assert not series.rising(MORNINGS // 2 if MORNINGS >= LONG else 0)


# ---- a log that has lived

def of_log(one: Log) -> Inventory:
    """What an open log holds, caches of what was read last aside."""
    one.let_go_of_files()
    one.segments.forget_recent()
    active = one.segments[-1]
    if active.size:
        _ = active.fd  # it is open in one that is written
    active.indexes.write()
    active.indexes.forget()
    owner: Any = one.fault
    shared = (one.disk, one.config, one.partition, one.fault, owner.__self__)
    return inventory([one], shared)


def lived_and_fresh(
    folder: pathlib.Path, hours: int
) -> dict[TopicPartition, dict[str, tuple[Held, Held]]]:
    """What each log holds after some hours that it would not, had it just been opened."""
    with closing(Day(folder, SEED, restarts=False)) as day:
        day.begin()
        for _ in range(hours):
            day.hour()
        partitions = day.world.bench.broker.partitions
        lived = {name: of_log(one.log) for name, one in partitions.items()}
        day.world.stop()
        day.world.start()
        return {
            name: beyond_kept_batches(more_than(lived[name], of_log(one.log)), one.log)
            for name, one in day.world.bench.broker.partitions.items()
        }


def beyond_kept_batches(
    more: dict[str, tuple[Held, Held]], one: Log
) -> dict[str, tuple[Held, Held]]:
    """A log that was opened looks back for the last batches of its producers, but not for ever."""
    kept = f"{KeptBatch.__module__}.{KeptBatch.__qualname__}"
    if kept in more and more[kept][1].count <= BATCHES_KEPT * len(one.producers.producers):
        more = {name: held for name, held in more.items()
                if name not in (kept, "collections.deque")}  # fmt: skip
    return more


def test_a_log_that_lived_holds_what_a_new_one_does(folder: pathlib.Path) -> None:
    assert not {name: more for name, more in lived_and_fresh(folder, 4).items() if more}


# ---- leaks

def each_batch_leaves_some_bytes(patch: pytest.MonkeyPatch) -> None:
    """Every tenth: some hundred bytes an hour."""
    kept, real, seen = [], log_module.validate, [0]

    def leaky(*given: Any, **how: Any) -> Any:
        seen[0] += 1
        if seen[0] % 10 == 0:
            kept.append(bytes(8))
        return real(*given, **how)

    patch.setattr(log_module, "validate", leaky)


def removals_are_remembered(patch: pytest.MonkeyPatch) -> None:
    def leaky(self: Removal, path: str) -> None:
        self.loop.run_in_executor(None, self._remove, path)

    patch.setattr(Removal, "_begin", leaky)


def closed_logs_outlive_their_topics(patch: pytest.MonkeyPatch) -> None:
    """By their names."""
    real = LogDir.forget_log

    def leaky(self: LogDir, partition: TopicPartition) -> str | None:
        was_closed = partition in self._closed
        path = real(self, partition)
        if was_closed:
            self._closed[partition] = 0, 0
        return path

    patch.setattr(LogDir, "forget_log", leaky)


LEAKS = {
    each_batch_leaves_some_bytes: "builtins.bytes",
    removals_are_remembered: "tests.group.virtual_timers.VirtualTimer",
    closed_logs_outlive_their_topics: "builtins.dict",
}


def test_leaks_are_found(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for leak in LEAKS:
        leak(monkeypatch)
    found, _, _ = mornings(folder, 2)
    print(found)
    for leak, name in LEAKS.items():
        assert name in found[0], leak.__name__


def dropped_segments_leave_their_bases(patch: pytest.MonkeyPatch) -> None:
    real = Log.retain

    def leaky(self: Log, now_ms: int, high_watermark: int) -> list[str]:
        bases = vars(self).setdefault("dropped", [])
        paths = real(self, now_ms, high_watermark)
        bases += [hash(path) for path in paths]
        return paths

    patch.setattr(Log, "retain", leaky)


def expired_producers_leave_a_number(patch: pytest.MonkeyPatch) -> None:
    real = ProducerState.expire

    def leaky(self: ProducerState, before_ms: int) -> None:
        known = set(self.producers)
        real(self, before_ms)
        vars(self).setdefault("gone", set()).update(known - set(self.producers))

    patch.setattr(ProducerState, "expire", leaky)


def test_leaks_in_a_log_are_found(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped_segments_leave_their_bases(monkeypatch)
    expired_producers_leave_a_number(monkeypatch)
    found = [more for more in lived_and_fresh(folder, 3).values() if more]
    print(found)
    assert any("builtins.list" in more for more in found)
    assert any("builtins.set" in more for more in found)


# ---- series


def test_what_rises_and_what_does_not() -> None:
    steady = [1000.0, 1010, 990, 1020, 985, 1000, 1012, 1003]
    assert not slope(steady).rises()
    assert slope([one + 10 * n for n, one in enumerate(steady)]).rises()
    assert not slope([one - 10 * n for n, one in enumerate(steady)]).rises()
