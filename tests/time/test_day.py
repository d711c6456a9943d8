"""24 simulated hours end, hour by hour, where the model says; planted bugs do not pass.

FASTBROKER_HOURS=240 makes it longer, and FASTBROKER_SEED another one; `pytest -s` shows each hour.
"""
from __future__ import annotations

import os
import pathlib
import time
from contextlib import closing

import pytest

from tests.time.conftest import Errors
from tests.time.day import ENDS, Day
from tests.time.memory import Series
from tests.time.planted import PLANTED, Plant
from tests.time.planted_compaction import PLANTED_IN_COMPACTION

HOURS = int(os.environ.get("FASTBROKER_HOURS", "24"))
SEED = int(os.environ.get("FASTBROKER_SEED", "1"))
PLANTED_HOURS = 10
STEADY_FROM = 6  # by then everything has had its time once

pytestmark = pytest.mark.usefixtures("errors")


def live(
    folder: pathlib.Path, *, hours: int, nights: tuple[int, ...] = ()
) -> tuple[Day, Series]:
    """Live through the hours, and a night at their end and after each of `nights`. Raises
    Difference."""
    series = Series()
    with closing(Day(folder, SEED)) as day:
        day.begin()
        for hour in range(hours):
            if hour in nights:
                day.night()
            begun = time.monotonic()
            day.hour()
            descriptors, logs = day.look.held
            held = {"descriptors": descriptors, "logs": logs, **day.look.counted()}
            series.add(**held)
            print(f"hour {hour + 1}: {series.last()}, {dict(day.counts)},"
                  f" {time.monotonic() - begun:.2f} s")  # fmt: skip
        day.night()
    return day, series


@pytest.mark.slow
@pytest.mark.timeout(60 + 20 * HOURS)
def test_a_day(folder: pathlib.Path, errors: Errors) -> None:
    day, series = live(folder, hours=HOURS)
    for what in ("dropped", "cleaned", "remade", "timed out", "killed between", *ENDS):
        assert day.counts[what] >= max(1, HOURS // 24), f"too little of: {what}"
    assert not errors.said
    print(series.told(STEADY_FROM))


@pytest.mark.parametrize(
    "plant", [*PLANTED, *PLANTED_IN_COMPACTION], ids=lambda plant: plant.__name__
)
def test_a_planted_bug_is_found(
    plant: Plant, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        plant(patch)
        with pytest.raises(Exception) as found:  # noqa: PT011  (a Difference, or the broker fails)
            live(folder, hours=PLANTED_HOURS, nights=(1,))
    print(f"{plant.__name__}: {type(found.value).__name__}: {str(found.value)[:300]}")
