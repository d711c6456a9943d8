"""Which offset a wish means."""
from __future__ import annotations

import pytest

from fastbroker.cli.group.targets import Target, move, skipped
from fastbroker.group.backlog import NO_COMMIT, Bounds
from fastbroker.model import TopicPartition

T0 = TopicPartition("t", 0)
BOUNDS = Bounds(10, 30, 40)


@pytest.mark.parametrize(
    ("target", "at_time", "after"),
    [
        (Target(is_earliest=True), None, 10),
        (Target(is_latest=True), None, 30),  # the records of an open transaction are not skipped
        (Target(offset=25), None, 25),
        (Target(shift=-5), None, 15),
        (Target(time_ms=5), 17, 17),
    ],
)
def test_a_wish_and_its_offset(target: Target, at_time: int | None, after: int) -> None:
    one = move(target, T0, committed=20, bounds=BOUNDS, at_time=at_time)
    assert (one.before, one.after, one.note) == (20, after, "")


@pytest.mark.parametrize(
    ("target", "at_time", "after", "note"),
    [
        (Target(offset=5), None, 10, "5 is before the start of the log"),
        (Target(offset=99), None, 40, "99 is past the end of the log"),
        (Target(shift=-50), None, 10, "-30 is before the start of the log"),
        (Target(time_ms=5), -1, 30, "no record is that young; set to the end"),
    ],
)
def test_an_offset_outside_of_the_log_is_moved_into_it(
    target: Target, at_time: int | None, after: int, note: str
) -> None:
    one = move(target, T0, committed=20, bounds=BOUNDS, at_time=at_time)
    assert (one.after, one.note) == (after, note)


def test_what_was_never_committed_cannot_be_shifted() -> None:
    with pytest.raises(ValueError, match="t-0 has no committed offset"):
        move(Target(shift=1), T0, committed=NO_COMMIT, bounds=BOUNDS)


def test_what_a_move_skips_or_reads_again() -> None:
    for committed, offset, over in ((20, 35, 15), (20, 12, -8), (5, 30, 20), (NO_COMMIT, 30, 0)):
        one = move(Target(offset=offset), T0, committed=committed, bounds=BOUNDS)
        assert skipped(one, BOUNDS) == over
