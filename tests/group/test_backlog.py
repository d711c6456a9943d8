"""How far a group is behind in one partition."""
from __future__ import annotations

from fastbroker.group.backlog import (
    NO_COMMIT,
    NO_RECORD,
    UNLIMITED,
    Bounds,
    Retention,
    Unread,
    deleted_in,
    unread,
)
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


def test_unread_records_are_those_up_to_the_high_watermark() -> None:
    one = of(10, Bounds(0, 25, 40), oldest_ms=NOW - 5000)
    assert (one.records, one.held, one.behind_ms, one.lost) == (30, 15, 5000, 0)


def test_who_has_read_all_is_not_behind() -> None:
    one = of(40, Bounds(0, 40, 40))
    assert (one.records, one.behind_ms, one.deleted_in_ms) == (0, 0, None)
    # A reader of uncommitted records may be further than what is stable.
    assert of(40, Bounds(0, 30, 40)).records == 0


def test_records_deleted_before_they_were_read_are_lost() -> None:
    one = of(10, Bounds(30, 50, 50), oldest_ms=NOW - 1)
    assert (one.records, one.lost, one.behind_ms) == (40, 20, 1)
    one = of(10, Bounds(50, 50, 50))
    assert (one.records, one.lost, one.behind_ms) == (40, 40, 0), "nothing is left to be late with"


def test_markers_are_offsets_and_no_records() -> None:
    one = of(10, Bounds(0, 12, 12), oldest_ms=NO_RECORD, retention=Retention(1000, UNLIMITED))
    assert (one.records, one.behind_ms, one.deleted_in_ms) == (2, 0, None)


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
    assert left(Retention(5_000, UNLIMITED)) == (-5_000, False), "it is overdue"
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
