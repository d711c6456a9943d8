"""How far a group is behind."""
from __future__ import annotations

import pytest

from fastbroker.cli.group.backlog import NO_COMMIT, Limit, Unread, deleted_in, total, unread
from fastbroker.cli.log_offsets import Bounds
from fastbroker.cli.retention import UNLIMITED, Retention
from fastbroker.model import TopicPartition

T0 = TopicPartition("t", 0)
NOW = 1_000_000
FOREVER = Retention(UNLIMITED, UNLIMITED)


def of(
    committed: int, bounds: Bounds, *, oldest_ms: int | None = None,
    retention: Retention | None = FOREVER, size: int | None = None,
) -> Unread:  # fmt: skip
    return unread(
        T0, committed, bounds, oldest_ms=oldest_ms, now_ms=NOW, retention=retention, size=size
    )


def test_unread_records_are_those_up_to_the_last_stable_offset() -> None:
    one = of(10, Bounds(0, 25, 40), oldest_ms=NOW - 5000)
    assert (one.records, one.held, one.behind_ms, one.lost) == (15, 15, 5000, 0)


def test_who_has_read_all_is_not_behind() -> None:
    one = of(40, Bounds(0, 40, 40))
    assert (one.records, one.behind_ms, one.deleted_in_ms) == (0, 0, None)
    # A reader of uncommitted records may be further than what is stable.
    assert of(40, Bounds(0, 30, 40)).records == 0


def test_records_deleted_before_they_were_read_are_lost_and_not_unread() -> None:
    one = of(10, Bounds(30, 50, 50), oldest_ms=NOW - 1)
    assert (one.records, one.lost) == (20, 20)


def test_an_offset_past_the_end_is_told() -> None:
    one = of(100, Bounds(0, 7, 7))
    assert (one.records, one.beyond) == (0, 93)


def test_without_a_commit_nothing_is_known() -> None:
    one = of(NO_COMMIT, Bounds(0, 7, 7))
    assert (one.records, one.behind_ms) == (None, None)


def test_without_a_time_only_records_are_known() -> None:
    one = of(3, Bounds(0, 7, 7), retention=Retention(1000, UNLIMITED))
    assert (one.records, one.behind_ms, one.deleted_in_ms) == (4, None, None)


def test_a_producer_whose_clock_is_ahead_makes_no_negative_age() -> None:
    assert of(3, Bounds(0, 7, 7), oldest_ms=NOW + 60_000).behind_ms == 0


def left(
    retention: Retention, *, begin: int = 50, size: int | None = 1000, age_ms: int = 10_000
) -> tuple[int | None, bool]:
    return deleted_in(
        retention, begin=begin, bounds=Bounds(0, 100, 100), oldest_ms=NOW - age_ms, now_ms=NOW,
        size=size,
    )  # fmt: skip


def test_retention_by_time_is_counted_from_the_oldest_unread_record() -> None:
    assert left(Retention(60_000, UNLIMITED)) == (50_000, False)
    assert left(Retention(5_000, UNLIMITED)) == (0, False)
    assert left(FOREVER) == (None, False)


def test_retention_by_bytes_is_estimated_from_the_rate_since_that_record() -> None:
    # Half of 1,000 bytes came in the 10 s since; 300 more may come: 6 s.
    assert left(Retention(UNLIMITED, 800)) == (6_000, True)
    assert left(Retention(UNLIMITED, 500)) == (0, True)
    assert left(Retention(UNLIMITED, 800), size=None) == (None, False)
    assert left(Retention(UNLIMITED, 800), age_ms=0) == (None, False)


def test_what_comes_first_counts() -> None:
    assert left(Retention(12_000, 800)) == (2_000, False)
    assert left(Retention(60_000, 800)) == (6_000, True)


def test_a_groups_sum_has_the_worst_of_its_times() -> None:
    parts = [
        Unread(T0, 1, Bounds(0, 9, 9), records=8, behind_ms=50, deleted_in_ms=900),
        Unread(T0, 1, Bounds(0, 9, 9), records=2, behind_ms=70, lost=3, deleted_in_ms=40,
               is_estimate=True),
        Unread(T0, NO_COMMIT, Bounds(0, 9, 9)),
        Unread(T0, NO_COMMIT, Bounds(5, 5, 5)),
        Unread(T0, 1, problem="no leader"),
        Unread(T0, 1, records=0, behind_ms=0, problem="the topic does not exist any more"),
    ]  # fmt: skip
    sum_ = total(parts)
    assert (sum_.partitions, sum_.records, sum_.behind_ms, sum_.lost) == (6, 10, 70, 3)
    assert (sum_.deleted_in_ms, sum_.is_estimate) == (40, True)
    assert (sum_.uncommitted, sum_.unknown) == (1, 1)


@pytest.mark.parametrize(
    ("limit", "is_passed"),
    [
        (Limit(records=9, ms=None), True), (Limit(records=10, ms=None), False),
        (Limit(records=None, ms=69), True), (Limit(records=None, ms=70), False),
    ],
)  # fmt: skip
def test_a_limit_of_records_or_of_time(limit: Limit, is_passed: bool) -> None:
    part = Unread(T0, 1, Bounds(0, 11, 11), records=10, behind_ms=70)
    assert limit.is_passed(total([part])) is is_passed
    assert limit.is_passed(total([part._replace(lost=1)])), "lost records are always too many"


def test_a_limit_is_not_kept_where_it_cannot_be_known() -> None:
    unknown = total([Unread(T0, 1, problem="no leader")])
    assert Limit(records=5, ms=None).is_unclear(unknown)
    read = Unread(T0, 9, Bounds(0, 9, 9), records=0, behind_ms=0)
    untimed = total([Unread(T0, 1, Bounds(0, 9, 9), records=8), read])
    assert untimed.untimed == 1
    assert not Limit(records=9, ms=None).is_unclear(untimed)
    assert Limit(records=None, ms=9).is_unclear(untimed)
