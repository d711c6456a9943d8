"""Snapshots as bytes, and back."""

from __future__ import annotations

import pytest

from fastbroker.errors import CorruptMessage
from fastbroker.model import OffsetAndEpoch
from fastbroker.raft.snapshot import BATCH_RECORDS, SnapshotReader, batches_of, id_of, name_of
from fastbroker.records.control import SNAPSHOT_FOOTER, SNAPSHOT_HEADER, kind_of
from fastbroker.records.reader import iter_batches

VALUES = [b"%d" % n for n in range(2 * BATCH_RECORDS + 1)]
BATCHES = [bytes(batch) for batch in batches_of(VALUES, epoch=3, timestamp_ms=5)]


def values(reader: SnapshotReader, data: bytes) -> list[bytes | None]:
    return [record.value for batch in reader.feed(data) for record in batch.records()]


def test_names_are_kafka_s() -> None:
    snapshot = OffsetAndEpoch(123, 4)
    assert name_of(snapshot) == "00000000000000000123-0000000004.checkpoint"
    assert id_of(name_of(snapshot)) == snapshot
    for name in ("00000000000000000123.log", name_of(snapshot) + ".tmp", "1-1.checkpoint"):
        assert id_of(name) is None


def test_data_is_between_a_header_and_a_footer_and_offsets_count_from_0() -> None:
    first, *data, last = iter_batches(b"".join(BATCHES))
    assert (kind_of(first), kind_of(last)) == (SNAPSHOT_HEADER, SNAPSHOT_FOOTER)
    offset = 0
    for batch in (first, *data, last):
        assert (batch.header.base_offset, batch.header.leader_epoch) == (offset, 3)
        assert batch.header.max_timestamp == 5
        offset = batch.header.last_offset + 1
    assert [batch.header.count for batch in data] == [BATCH_RECORDS, BATCH_RECORDS, 1]


@pytest.mark.parametrize("size", [1, 100, 10**6])
def test_it_is_read_as_it_comes(size: int) -> None:
    whole, reader = b"".join(BATCHES), SnapshotReader()
    found = []
    for at in range(0, len(whole), size):
        assert (reader.size, reader.is_whole) == (at, False)
        found += values(reader, whole[at : at + size])
    assert (found, reader.size, reader.is_whole) == (VALUES, len(whole), True)


def test_an_empty_one_is_whole() -> None:
    reader = SnapshotReader()
    assert values(reader, b"".join(batches_of([], epoch=0, timestamp_ms=-1))) == []
    assert reader.is_whole


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (BATCHES[1], "header"),
        (b"".join([*BATCHES, BATCHES[1]]), "footer"),
        (b"".join([*BATCHES, b"x"]), "footer"),
        (BATCHES[0] + BATCHES[1][:-1] + b"\xff", "CRC"),
    ],
)
def test_what_is_no_snapshot_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(CorruptMessage, match=why):
        values(SnapshotReader(), data)


def test_one_that_ends_early_is_not_whole() -> None:
    reader = SnapshotReader()
    values(reader, b"".join(BATCHES)[:-1])
    assert not reader.is_whole
