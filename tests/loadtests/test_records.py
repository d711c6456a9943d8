"""A value is as long as it was asked to be, and tells its age and who sent it."""
from __future__ import annotations

import time
import zlib

import pytest

from loadtests.users.records import VARIANTS, age_us, fillers, header, whose


@pytest.mark.parametrize("size", [0, 16, 17, 100, 1024, 1_000_001])
def test_a_value_has_its_size(size: int) -> None:
    made = fillers(size)
    assert len(made) == VARIANTS
    assert {len(header() + filler) for filler in made} == {max(16, size)}


def test_half_of_a_value_can_be_compressed() -> None:
    assert len(zlib.compress(fillers(10_000)[0])) == pytest.approx(5000, rel=0.1)


def test_a_value_tells_its_age() -> None:
    now_ns = time.time_ns()
    value = header(7)
    assert whose(value) == 7
    age = age_us(value, now_ns + 3_000_000_000)
    assert age == pytest.approx(3_000_000, abs=1_000_000)
    assert age_us(value, now_ns - 1_000_000_000) == 0, "clocks may differ a little"


def test_a_value_of_somebody_else_has_no_age() -> None:
    assert age_us(b"two apples, and one pear", time.time_ns()) is None
    assert age_us(b"short", time.time_ns()) is None
    assert age_us(None, time.time_ns()) is None
    assert whose(b"short") is None
