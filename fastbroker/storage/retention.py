"""Which segments of a log have been kept for long enough."""
from __future__ import annotations

from collections.abc import Sequence

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.segment import Segment


def expired(
    segments: Sequence[Segment], *, log_start_offset: int, log_end_offset: int, high_watermark: int,
    config: TopicConfig, now_ms: int,
) -> int:  # fmt: skip
    """How many of the oldest segments may go: too old, too many bytes, or below the log's start.

    Oldest first, up to the first that has to stay. One that holds an offset at or above
    `high_watermark` stays; the last one never goes for being below the start. A segment's age is
    that of its largest timestamp. Kafka: UnifiedLog.deleteOldSegments.
    """
    by_policy = "delete" in config.cleanup_policy
    excess = sum(segment.size for segment in segments) - config.retention_bytes
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        end = log_end_offset if is_last else segments[number + 1].base_offset
        if segment.size == 0 or end > high_watermark:
            return number
        latest = segment.max_timestamp if segment.max_timestamp >= 0 else segment.created_ms
        is_old = by_policy and 0 <= config.retention_ms < now_ms - latest
        is_excess = by_policy and config.retention_bytes >= 0 and excess >= segment.size
        is_below = end <= log_start_offset and not is_last
        if not (is_old or is_excess or is_below):
            return number
        excess -= segment.size
    return len(segments)
