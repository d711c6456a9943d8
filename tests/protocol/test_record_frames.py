"""Batches of metadata records, decoded together."""

from __future__ import annotations

import random

import pytest

from fastbroker import errors
from fastbroker._c.record_batch import encode_records
from fastbroker.protocol.metadata_records import (
    ConfigRecord,
    PartitionChangeRecord,
    PartitionRecord,
    TopicRecord,
)
from fastbroker.protocol.record_frames import (
    METADATA_RECORDS,
    decode_metadata_batch,
    decode_metadata_record,
    encode_metadata_record,
)
from fastbroker.protocol.schema import Struct

ID = bytes(range(16))
RECORDS: list[Struct] = [
    TopicRecord(name="t", topic_id=ID),
    ConfigRecord(resource_type=2, resource_name="t", name="a", value="\u00e4"),
    PartitionRecord(partition_id=0, topic_id=ID, replicas=[1, 2], isr=[1], leader=1),
    PartitionRecord(partition_id=1, topic_id=ID, replicas=[1, 2], isr=[1], leader=1),
    PartitionChangeRecord(partition_id=1, topic_id=ID, leader=2, isr=[2], directories=[ID]),
]


def body(*values: bytes | None) -> bytes:
    return encode_records([(None, value, (), 7 + n) for n, value in enumerate(values)], 7)


def test_a_batch_holds_what_its_records_hold_one_by_one() -> None:
    every = [*RECORDS, *(cls() for cls in METADATA_RECORDS.values())]
    values = [encode_metadata_record(record) for record in every]
    assert decode_metadata_batch(body(*values), len(every)) == every
    assert decode_metadata_batch(memoryview(body(*values)), len(every)) == [
        decode_metadata_record(value) for value in values
    ]
    assert decode_metadata_batch(b"", 0) == []


def test_keys_and_headers_are_passed_over() -> None:
    value = encode_metadata_record(RECORDS[0])
    data = encode_records([(b"key", value, [("name", b"content")], 0)] * 2, 0)
    assert decode_metadata_batch(data, 2) == [RECORDS[0]] * 2


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([None], 1),
        ([b""], 1),
        ([b"\x02\x02\x00\x01"], 1),  # a frame of another version
        ([b"\x01\x7f\x00"], 1),  # an unknown type
        ([b"\x01\x02\x63"], 1),  # an unknown version
        ([encode_metadata_record(RECORDS[0])[:-3]], 1),
        ([encode_metadata_record(RECORDS[0])], 2),
        ([encode_metadata_record(RECORDS[0])] * 2, 1),
    ],
)
def test_what_cannot_be_understood_is_refused(values: list[bytes | None], count: int) -> None:
    with pytest.raises(errors.CorruptFrame):
        decode_metadata_batch(body(*values), count)


def test_damaged_bytes_raise_and_do_no_more() -> None:
    seeded = random.Random(2026)
    whole = body(*(encode_metadata_record(record) for record in RECORDS))
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(seeded.randint(1, 3)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        del data[len(data) - seeded.choice((0, 0, 1, 9)) :]
        try:
            decoded = decode_metadata_batch(bytes(data), len(RECORDS))
        except errors.CorruptFrame:
            continue
        assert len(decoded) == len(RECORDS)
