"""Records in, one batch out."""
from __future__ import annotations

from collections.abc import Sequence

from fastbroker._c.record_batch import assemble, encode_records
from fastbroker.records.compression import CODECS, Buffer, compress

# key, value, headers, timestamp in ms
RawRecord = tuple[Buffer | None, Buffer | None, Sequence[tuple[str, Buffer | None]], int]
APPEND_TIME, TRANSACTIONAL, CONTROL = 8, 16, 32


def build_batch(
    records: Sequence[RawRecord],
    *,
    base_offset: int = 0,
    leader_epoch: int = -1,
    compression: str = "none",
    timestamp_type: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_transactional: bool = False,
    is_control: bool = False,
) -> bytearray:
    """One v2 batch of `records`, at least one, at consecutive offsets from `base_offset`.

    records: (key, value, headers, timestamp_ms) with None for a null key or value; headers are
        (name, value) pairs.
    compression: a name of CODECS. timestamp_type: 0 create time, 1 append time.
    """
    assert records, "a batch holds at least one record"
    codec = CODECS[compression]
    base_timestamp = records[0][3]
    body = compress(codec, encode_records(records, base_timestamp))
    attributes = codec | (APPEND_TIME if timestamp_type else 0)
    attributes |= (TRANSACTIONAL if is_transactional else 0) | (CONTROL if is_control else 0)
    return assemble(
        body,
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        attributes=attributes,
        last_offset_delta=len(records) - 1,
        base_timestamp=base_timestamp,
        max_timestamp=max(record[3] for record in records),
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        count=len(records),
    )
