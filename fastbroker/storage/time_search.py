"""From a timestamp to the record that it stands for."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader
from fastbroker.storage.damage import checked_batches
from fastbroker.storage.segment import Segment


class Found(NamedTuple):
    """A record found by time; timestamp in ms."""

    timestamp: int
    offset: int
    leader_epoch: int


def first_since(
    segments: Sequence[Segment], timestamp: int, log_start_offset: int
) -> Found | None:
    """The first record from `log_start_offset` on with a timestamp >= `timestamp` (ms).

    None: there is none. Raises CorruptMessage for a batch that cannot be read, OSError.
    Kafka: LogSegment.findOffsetByTimestamp.
    """
    for segment in segments:
        if segment.max_timestamp < timestamp:
            continue
        begin = segment.indexes.time_index.lookup(timestamp)
        located = segment.locate(max(begin, log_start_offset))
        if located is None:
            continue
        for position, header in segment.headers(located.position):
            if header.max_timestamp >= timestamp:
                found = _first_in(segment, position, header, timestamp, log_start_offset)
                if found is not None:
                    return found
    return None


def _first_in(
    segment: Segment, position: int, header: BatchHeader, timestamp: int, log_start_offset: int
) -> Found | None:
    data = segment.read(position, header.size)
    for batch in checked_batches(data, segment.path, position):
        for record in batch.records():
            if record.timestamp >= timestamp and record.offset >= log_start_offset:
                return Found(record.timestamp, record.offset, header.leader_epoch)
    return None
