"""Latencies keep their size to a few percent; series keep their sums however long they become."""
from __future__ import annotations

import json
import random

import pytest

from loadtests.tally import series as series_module
from loadtests.tally.distribution import Distribution, bucket, middle_us
from loadtests.tally.series import Cell, Series


def test_a_bucket_is_close_to_what_is_in_it() -> None:
    numbers = [bucket(us) for us in range(100_000)]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(numbers[-1] + 1)), "no number is left out"
    for us in [*range(5000), 10**6, 10**9, 10**12]:
        assert abs(middle_us(bucket(us)) - us) <= us / 60
    assert bucket(-5) == 0


def test_quantiles_are_those_of_all_latencies() -> None:
    chance = random.Random(1)
    latencies = [int(chance.lognormvariate(8, 1.5)) for _ in range(10_000)]
    spread = Distribution()
    spread.add(latencies[:1000])
    rest = Distribution()
    rest.add(latencies[1000:])
    spread.merge(rest)
    latencies.sort()
    found = spread.quantiles_ms(0.5, 0.95, 0.99, 0.999, 1.0)
    for share, ms in zip((0.5, 0.95, 0.99, 0.999, 1.0), found, strict=True):
        assert ms == pytest.approx(latencies[int(share * 10_000) - 1] / 1000, rel=0.02)


def test_quantiles_of_few_and_of_none() -> None:
    few = Distribution()
    few.add([1000, 2000])
    assert few.quantiles_ms(0.5, 0.99) == pytest.approx([1.0, 2.0], rel=0.02)
    assert Distribution().quantiles_ms(0.5, 1.0) == [None, None]


def cell(count: int) -> Cell:
    made = Cell()
    made.count, made.bytes = count, count * 10
    made.errors["REQUEST_TIMED_OUT"] = 1
    made.latencies.add([count * 1000])
    return made


def test_a_long_series_is_bounded_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "MAX_SLOTS", 10)
    long = Series()
    for second in range(1000, 1100):
        slot = long.at(second)
        slot.cell("produce record").merge(cell(1))
        slot.read("users", 5)
    assert (long.width_s, len(long.slots) <= 10) == (16, True)
    whole = long.total()
    assert whole.cells["produce record"].count == 100
    assert whole.cells["produce record"].errors == {"REQUEST_TIMED_OUT": 100}
    assert whole.gauges["users"] == [500.0, 100.0]
    assert long.total(first=1090 // 16).cells["produce record"].count == 1100 - 1088


def test_series_of_two_processes_become_one() -> None:
    one, other = Series(), Series()
    for second in range(100, 104):
        one.at(second).cell("consume record").merge(cell(1))
        other.at(second).cell("consume record").merge(cell(2))
    told = json.loads(json.dumps(other.as_json()))
    one.merge(Series.from_json(told))
    assert [one.slots[n].cells["consume record"].count for n in range(100, 104)] == [3] * 4
    assert one.slots[100].cells["consume record"].latencies.count() == 2
    other.width_s, other.slots = 2, {50: other.slots[100]}
    one.merge(other)
    assert (one.width_s, one.slots[50].cells["consume record"].count) == (2, 8)
