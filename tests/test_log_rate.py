"""Few lines about each thing, and what was left out is counted."""
from __future__ import annotations

from fastbroker.log_rate import BURST, NAMES_MAX, LogRate


def test_a_burst_then_one_a_second() -> None:
    rate = LogRate()
    assert [rate.allows("a", 5.0) for _ in range(BURST + 3)] == [True] * BURST + [False] * 3
    assert rate.allows("b", 5.0)
    assert not rate.allows("a", 5.9)
    assert rate.allows("a", 6.0)
    assert rate.held_back("a") == 4
    assert rate.held_back("a") == 0
    assert rate.held_back("unknown") == 0


def test_what_is_not_used_is_saved_up_to_a_burst() -> None:
    rate = LogRate(burst=2, line_every_s=0.5)
    rate.allows("a", 0.0)
    assert [rate.allows("a", 1000.0) for _ in range(3)] == [True, True, False]
    assert rate.allows("a", 1000.5)


def test_names_are_bounded() -> None:
    rate = LogRate(burst=1)
    assert rate.allows("first", 0.0)
    for n in range(NAMES_MAX):
        rate.allows(str(n), 0.0)
    assert rate.allows("first", 0.0), "it was forgotten"
