"""Times as people write and read them."""
from __future__ import annotations

import pytest

from fastbroker.cli.durations import duration, moment, parse, parse_moment


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500ms", 500), ("90s", 90_000), ("1h30m", 5_400_000), ("2d", 172_800_000),
        ("1w", 604_800_000), ("PT1H", 3_600_000), ("P1DT12H", 129_600_000), ("pt5m", 300_000),
    ],
)  # fmt: skip
def test_durations_are_read(text: str, ms: int) -> None:
    assert parse(text) == ms


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "P", "PT", "1y", "9" * 20 + "w"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        parse(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0s"), (0, "0s"), (350, "350ms"), (1000, "1s"), (59_999, "59s"), (60_000, "1m"),
        (310_000, "5m 10s"), (3_600_000, "1h"), (90_061_000, "1d 1h"), (86_460_000, "1d"),
    ],
)  # fmt: skip
def test_durations_are_shown_in_two_units(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_moments() -> None:
    assert moment(0) == "1970-01-01 00:00:00Z"
    assert moment(2**62) == f"{2**62} ms"
    assert parse_moment("1970-01-01T00:00:01") == 1000
    assert parse_moment("1970-01-01T02:00:00+02:00") == 0
    assert parse_moment("1970-01-02") == 86_400_000
    with pytest.raises(ValueError, match="2026-01-31T12:00:00"):
        parse_moment("yesterday")
