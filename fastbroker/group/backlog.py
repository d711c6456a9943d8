"""How far a group is behind in one partition: pure arithmetic of offsets and times, for whoever
tells it, the command line and the metrics.

Lag is counted in offsets up to the high watermark, as Apache Kafka's tools and kafka_exporter count
it: what an open transaction holds back and what was deleted unread are part of it, and told apart.
How long a group is behind is the age of its first unread record, which is the honest answer: it
says since when nothing was read, and falls to 0 with the last unread record. The time since the
last commit would blame a group for a topic nobody writes to.
"""
from __future__ import annotations

from typing import NamedTuple

from fastbroker.model import TopicPartition

NO_COMMIT = -1
UNLIMITED = -1
NO_RECORD = -2  # instead of a timestamp: markers are all that is unread


class Bounds(NamedTuple):
    """start: log start offset; stable: last stable offset; end: high watermark."""

    start: int
    stable: int
    end: int


class Retention(NamedTuple):
    """When a topic's old records are deleted; UNLIMITED: never for that reason.

    Both are UNLIMITED where the cleanup policy deletes nothing.
    """

    ms: int
    bytes: int


class Unread(NamedTuple):
    """What a group has not read of one partition.

    committed: the offset it goes on from; NO_COMMIT: none, and what follows is unknown.
    records: unread ones, by offsets, None when unknown; behind_ms: age of the first of them.
    lost: those of them that were deleted before the group read them.
    held: those at the end of the log that an open transaction holds back from readers of committed
        ones.
    beyond: how far the committed offset is past the end, as after a topic was made anew.
    deleted_in_ms: when the first unread record may be deleted, at the earliest; below 0: since when
        it might have been; None: never, or unknown. is_estimate: it follows from bytes, at the rate
        of writing since that record.
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

    oldest_ms: the timestamp of the first record that is there at or after `committed`, None:
    unknown, NO_RECORD: there is none; size: bytes of the partition.
    """
    start, _, end = bounds
    held = end - bounds.stable
    if committed < 0:
        return Unread(partition, NO_COMMIT, bounds, held=held)
    begin = max(committed, start)
    behind: int | None = 0
    if begin < end:
        behind = None if oldest_ms is None else behind_ms(oldest_ms, now_ms)
    left, is_estimate = None, False
    if begin < end and retention is not None:
        left, is_estimate = deleted_in(
            retention, begin=begin, bounds=bounds, oldest_ms=oldest_ms, now_ms=now_ms, size=size
        )
    return Unread(
        partition,
        committed,
        bounds,
        records=lag(committed, end),
        behind_ms=behind,
        lost=lost(committed, start),
        beyond=max(0, committed - end),
        held=held,
        deleted_in_ms=left,
        is_estimate=is_estimate,
    )


def lag(committed: int, end: int) -> int:
    """Offsets from the committed one to the end of the log."""
    return end - committed if committed < end else 0


def lost(committed: int, start: int) -> int:
    """Offsets that were deleted before they were committed."""
    return start - committed if committed < start else 0


def behind_ms(oldest_ms: int, now_ms: int) -> int:
    """The age of the first unread record, by its timestamp; NO_RECORD: there is none."""
    return now_ms - oldest_ms if NO_RECORD != oldest_ms < now_ms else 0


def deleted_in(
    retention: Retention, *, begin: int, bounds: Bounds, oldest_ms: int | None, now_ms: int,
    size: int | None,
) -> tuple[int | None, bool]:  # fmt: skip
    """(ms until the record at `begin` may be deleted, whether that is an estimate).

    By time: not before it is retention.ms old; later, if its segment holds younger records. By
    bytes: when those written after it are retention.bytes; they are taken to be evenly spread over
    the log's offsets, and to go on at the rate at which they came since that record.
    """
    if oldest_ms is None or oldest_ms == NO_RECORD:
        return None, False
    by_time = None if retention.ms < 0 else oldest_ms + retention.ms - now_ms
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
