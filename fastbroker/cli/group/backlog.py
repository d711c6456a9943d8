"""How far a group is behind: pure arithmetic of offsets and times.

What is unread is counted up to the last stable offset, which is where a reader of committed records
must stop; what an open transaction holds back beyond it is told apart. How long a group is behind
is the age of its oldest unread record, which is the honest answer: it says since when nothing was
read, and falls to 0 with the last unread record. The time since the last commit would blame a
group for a topic nobody writes to; and a ListOffsets by time would answer from an offset of some
time on, not the time of an offset, and times need not ascend with offsets. So one record of each
partition with unread ones is fetched, the first one at or after the committed offset.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastbroker.cli.log_offsets import Bounds
from fastbroker.cli.retention import Retention
from fastbroker.model import TopicPartition

NO_COMMIT = -1


class Unread(NamedTuple):
    """What a group has not read of one partition.

    committed: the offset it goes on from; NO_COMMIT: none, and what follows is unknown.
    records: unread records, by offsets, None when unknown; behind_ms: age of the oldest one.
    lost: records that were deleted before the group read them.
    beyond: how far the committed offset is past the end, as after a topic was made anew.
    held: records that an open transaction holds back from readers of committed ones.
    deleted_in_ms: when the oldest unread record may be deleted, at the earliest; None: never, or
        unknown. is_estimate: it follows from bytes, at the rate of writing since that record.
    problem: why the partition could not be asked.
    """

    partition: TopicPartition
    committed: int
    bounds: Bounds | None = None
    records: int | None = None
    behind_ms: int | None = None
    lost: int = 0
    beyond: int = 0
    held: int = 0
    deleted_in_ms: int | None = None
    is_estimate: bool = False
    problem: str | None = None


def unread(
    partition: TopicPartition, committed: int, bounds: Bounds, *, oldest_ms: int | None,
    now_ms: int, retention: Retention | None, size: int | None,
) -> Unread:  # fmt: skip
    """What is unread of one partition.

    oldest_ms: the timestamp of the first unread record; size: bytes of the partition.
    """
    held = bounds.end - bounds.stable
    if committed < 0:
        return Unread(partition, NO_COMMIT, bounds, held=held)
    begin = max(committed, bounds.start)
    records = max(0, bounds.stable - begin)
    behind = 0 if not records else None if oldest_ms is None else max(0, now_ms - oldest_ms)
    left, is_estimate = None, False
    if records and oldest_ms is not None and retention is not None:
        left, is_estimate = deleted_in(
            retention, begin=begin, bounds=bounds, oldest_ms=oldest_ms, now_ms=now_ms, size=size
        )
    return Unread(
        partition,
        committed,
        bounds,
        records=records,
        behind_ms=behind,
        lost=max(0, bounds.start - committed),
        beyond=max(0, committed - bounds.end),
        held=held,
        deleted_in_ms=left,
        is_estimate=is_estimate,
    )


def deleted_in(
    retention: Retention, *, begin: int, bounds: Bounds, oldest_ms: int, now_ms: int,
    size: int | None,
) -> tuple[int | None, bool]:  # fmt: skip
    """(ms until the record at `begin` may be deleted, whether that is an estimate).

    By time: not before it is retention.ms old; later, if its segment holds younger records. By
    bytes: when those written after it are retention.bytes; they are taken to be evenly spread over
    the log's offsets, and to go on at the rate at which they came since that record.
    """
    by_time = None if retention.ms < 0 else max(0, oldest_ms + retention.ms - now_ms)
    by_bytes = None
    if retention.bytes >= 0 and size is not None and bounds.end > bounds.start:
        later = size * (bounds.end - begin) // (bounds.end - bounds.start)
        age = now_ms - oldest_ms
        if later >= retention.bytes:
            by_bytes = 0
        elif later > 0 and age > 0:
            by_bytes = (retention.bytes - later) * age // later
    if by_bytes is not None and (by_time is None or by_bytes < by_time):
        return by_bytes, True
    return by_time, False


class Total(NamedTuple):
    """The sum of a group's partitions: records add up, times are those of the worst one.

    uncommitted: partitions with records and no committed offset; unknown: those not answered for;
    untimed: those with unread records of unknown age.
    """

    partitions: int
    records: int
    behind_ms: int | None
    lost: int
    deleted_in_ms: int | None
    is_estimate: bool
    uncommitted: int
    unknown: int
    untimed: int


def total(partitions: Iterable[Unread]) -> Total:
    """Add up."""
    parts = list(partitions)
    behind = [one.behind_ms for one in parts if one.behind_ms is not None]
    left = [(one.deleted_in_ms, one.is_estimate) for one in parts if one.deleted_in_ms is not None]
    soonest: tuple[int | None, bool] = min(left, default=(None, False))
    return Total(
        partitions=len(parts),
        records=sum(one.records or 0 for one in parts),
        behind_ms=max(behind, default=None),
        lost=sum(one.lost for one in parts),
        deleted_in_ms=soonest[0],
        is_estimate=soonest[1],
        uncommitted=sum(is_uncommitted(one) for one in parts),
        unknown=sum(one.problem is not None and one.records is None for one in parts),
        untimed=sum(bool(one.records) and one.behind_ms is None for one in parts),
    )


def is_uncommitted(one: Unread) -> bool:
    """Whether there are records, and no offset was ever committed."""
    bounds = one.bounds
    return one.committed < 0 and bounds is not None and bounds.end > bounds.start


class Limit(NamedTuple):
    """How far a group may be behind: records, or ms."""

    records: int | None
    ms: int | None

    def is_passed(self, sum_: Total) -> bool:
        """Whether the group is further behind, or lost records."""
        if sum_.lost:
            return True
        if self.records is not None:
            return sum_.records > self.records
        return self.ms is not None and sum_.behind_ms is not None and sum_.behind_ms > self.ms

    def is_unclear(self, sum_: Total) -> bool:
        """Whether it may be further behind than what could be found out."""
        return sum_.unknown > 0 or (self.ms is not None and sum_.untimed > 0)
