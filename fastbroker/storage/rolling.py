"""When a log begins its next segment."""
from __future__ import annotations

from zlib import crc32

from fastbroker.config.topic import TopicConfig
from fastbroker.storage.index import RELATIVE_MAX
from fastbroker.storage.segment import Segment


def is_full(
    segment: Segment, size: int, *, last_offset: int, max_timestamp: int, config: TopicConfig,
    jitter: float, now_ms: int,
) -> bool:  # fmt: skip
    """Whether a batch of `size` bytes, which ends with `last_offset`, begins another segment.

    jitter: the share of segment.jitter.ms by which it does so earlier, see `jitter_of`.
    Kafka: LogSegment.shouldRoll.
    """
    if segment.size == 0:
        return False
    indexes = segment.checked
    begun, latest = indexes.first_timestamp, max_timestamp
    if begun < 0:
        begun, latest = segment.created_ms, now_ms
    roll_ms = config.roll_ms
    if config.segment_jitter_ms:
        roll_ms -= int(jitter * min(config.segment_jitter_ms, roll_ms))
    return (
        segment.size > config.segment_bytes - size
        or latest - begun > roll_ms
        or indexes.are_full(config.segment_index_bytes)
        or last_offset - segment.base_offset > RELATIVE_MAX
    )


def jitter_of(directory: str) -> float:
    """A share, [0, 1), that differs from log to log, so that not all roll at once."""
    return crc32(directory.encode()) / 2**32
