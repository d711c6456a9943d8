"""Which part of a log can be cleaned, and whether it is due. Pure."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.segment import Segment


class Candidate(NamedTuple):
    """A log's dirty part: offsets [first_dirty, end); all before it has been cleaned.

    end: the base of a segment. dirty_bytes, clean_bytes: of the segments of both parts.
    is_overdue: it has a record older than max.compaction.lag.ms.
    """

    first_dirty: int
    end: int
    dirty_bytes: int
    clean_bytes: int
    is_overdue: bool

    @property
    def dirty_ratio(self) -> float:
        """Of what a cleaning would read; 0.0 when there is nothing."""
        return self.dirty_bytes / max(self.dirty_bytes + self.clean_bytes, 1)

    def is_due(self, config: TopicConfig) -> bool:
        """Whether it should be cleaned now."""
        if self.is_overdue and self.dirty_bytes > 0:
            return True
        return self.dirty_ratio > config.min_cleanable_dirty_ratio


def candidate(
    segments: Sequence[Segment], *, cleaned: int, log_start_offset: int, log_end_offset: int,
    limit: int, config: TopicConfig, now_ms: int,
) -> Candidate:  # fmt: skip
    """What of a log can be cleaned.

    cleaned: everything below was cleaned before; an offset outside the log is not believed.
    limit: the smaller of the last stable offset and the recovery point.
    Kafka: LogCleanerManager.cleanableOffsets, calculateCleanableBytes.
    """
    first_dirty = cleaned if log_start_offset <= cleaned <= log_end_offset else log_start_offset
    closed = segments[:-1]
    dirty = [
        segment
        for segment, after in zip(closed, segments[1:], strict=True)
        if after.base_offset > first_dirty
    ]
    end = segments[-1].base_offset
    if config.min_compaction_lag_ms > 0:
        too_young = now_ms - config.min_compaction_lag_ms
        end = next((one.base_offset for one in dirty if one.max_timestamp > too_young), end)
    limit = max(min(end, limit), first_dirty)
    # Whole segments alone: the one that holds the limit stays.
    end = max((one.base_offset for one in segments if one.base_offset <= limit), default=0)
    begun = [one.first_timestamp for one in dirty if one.first_timestamp > 0]
    return Candidate(
        first_dirty=first_dirty,
        end=end,
        dirty_bytes=sum(one.size for one in dirty if one.base_offset < end),
        clean_bytes=sum(one.size for one in closed if one.base_offset < first_dirty),
        is_overdue=min(begun, default=now_ms) < now_ms - config.max_compaction_lag_ms,
    )
