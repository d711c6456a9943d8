"""24 simulated hours end, hour by hour, where the model says; planted bugs do not pass.

FASTBROKER_HOURS=240 makes it longer, and FASTBROKER_SEED another one; `pytest -s` shows each hour.
"""
from __future__ import annotations

import logging
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

import pytest

from fastbroker.storage import validator
from tests.time.day import Day
from tests.time.memory import FROM_HOUR, Memory, rising
from tests.time.planted import PLANTED, Plant

HOURS = int(os.environ.get("FASTBROKER_HOURS", "24"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
PLANTED_HOURS = 10
IN_MEMORY = "/dev/shm"  # renames and removals on a disk are what would take time


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not os.access(IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as path:
        yield pathlib.Path(path)


class Errors(logging.Handler):
    """What the broker says is wrong; a test's own handlers would keep all that it says."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(autouse=True)
def errors() -> Iterator[Errors]:
    ours, handler = logging.getLogger("fastbroker"), Errors()
    ours.addHandler(handler)
    ours.propagate = False
    yield handler
    ours.propagate = True
    ours.removeHandler(handler)


def live(folder: pathlib.Path, *, hours: int, steady_from: int | None = None) -> Day:
    """Live through the hours; memory has to stay as it is from one of them on. Raises Difference.
    """
    day, memory = Day(folder, SEED), Memory()
    day.begin()
    try:
        for hour in range(hours):
            if steady_from is not None and hour == FROM_HOUR:
                memory.begin()
            begun = time.monotonic()
            day.hour()
            segments = day.objects()["segments"]
            if steady_from is not None and hour >= steady_from:
                memory.sample(segments)
            kib = f"{memory.samples[-1] / 1024:.0f} KiB" if memory.samples else "not looked at"
            print(
                f"hour {hour + 1}: {day.held[1]} logs open of {len(day.model)},"
                f" {day.held[0]} descriptors, {segments} segments, memory {kib},"
                f" {dict(day.counts)}, {time.monotonic() - begun:.2f} s"
            )
    finally:
        memory.end()
    if memory.samples:
        assert memory.rises() is None, memory.rises()
    return day


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * HOURS)
def test_a_day(folder: pathlib.Path, errors: Errors) -> None:
    day = live(folder, hours=HOURS, steady_from=HOURS // 2)
    for what in ("dropped", "remade", "timed out", "stop", "kill", "killed in retention"):
        assert day.counts[what] > HOURS // 12, f"too little of: {what}"
    assert not errors.said


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(
    plant: Plant, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        plant(patch)
        with pytest.raises(Exception) as found:  # noqa: PT011  (a Difference, or the broker fails)
            live(folder, hours=PLANTED_HOURS)
    print(f"{plant.__name__}: {type(found.value).__name__}: {str(found.value)[:300]}")


def test_a_leak_of_memory_is_found(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, real = [], validator.validate

    def leaky(*given: object, **how: object) -> validator.ValidBatch:
        kept.append(bytearray(50))
        batch: validator.ValidBatch = real(*given, **how)  # type: ignore[arg-type]
        kept.append(batch.header)
        return batch

    monkeypatch.setattr("fastbroker.storage.log.validate", leaky)
    with pytest.raises(AssertionError, match="memory goes up"):
        live(folder, hours=9, steady_from=3)


def test_what_rises_and_what_does_not() -> None:
    steady = [1000.0, 1010, 990, 1020, 985, 1000, 1012, 1003]
    assert rising(steady) is None
    assert "goes up by" in (rising([one + 20 * n for n, one in enumerate(steady)]) or "")
    assert "up and down" in (rising([*steady[:4], 1200, *steady[5:]]) or "")
