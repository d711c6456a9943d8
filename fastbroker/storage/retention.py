"""Which segments of a log have been kept for long enough, and when the next will have been."""
from __future__ import annotations

from collections.abc import Sequence

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.segment import Segment

NEVER = 2**63 - 1


def expired(
    segments: Sequence[Segment], *, log_start_offset: int, log_end_offset: int, high_watermark: int,
    config: TopicConfig, now_ms: int,
) -> int:  # fmt: skip
    """How many of the oldest segments may go: too old, too many bytes, or below the log's start.

    Oldest first, up to the first that has to stay. One that holds an offset at or above
    `high_watermark` stays, so does a last one that is empty; the last one never goes for being
    below the start. A segment's age is that of its largest timestamp: a record from the future
    keeps it and all behind it. Kafka: UnifiedLog.deleteOldSegments.
    """
    by_policy = "delete" in config.cleanup_policy
    excess = sum(segment.size for segment in segments) - config.retention_bytes
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        end = log_end_offset if is_last else segments[number + 1].base_offset
        if end > high_watermark or (is_last and segment.size == 0):
            return number
        is_old = by_policy and 0 <= config.retention_ms < now_ms - segment.latest_ms
        is_excess = by_policy and config.retention_bytes >= 0 and excess >= segment.size
        is_below = end <= log_start_offset and not is_last
        if not (is_old or is_excess or is_below):
            return number
        excess -= segment.size
    return len(segments)


def next_due_ms(
    segments: Sequence[Segment], *, log_start_offset: int, log_end_offset: int, high_watermark: int,
    config: TopicConfig, now_ms: int,
) -> int:  # fmt: skip
    """When `expired` may give something for a log that stays as it is; `now_ms`: it does already.

    Only time passes for such a log: its oldest segment is the next to go, when its largest
    timestamp is older than retention.ms. NEVER: not without an append, a commit, a new start or
    another configuration, after each of which this is to be asked again.
    """
    if expired(
        segments, log_start_offset=log_start_offset, log_end_offset=log_end_offset,
        high_watermark=high_watermark, config=config, now_ms=now_ms,
    ):  # fmt: skip
        return now_ms
    if "delete" not in config.cleanup_policy or config.retention_ms < 0:
        return NEVER
    first = segments[0]
    end = segments[1].base_offset if len(segments) > 1 else log_end_offset
    if end > high_watermark or (len(segments) == 1 and first.size == 0):
        return NEVER
    return min(first.latest_ms + config.retention_ms + 1, NEVER)
