"""Snapshots of the metadata log: a file each, that stands for all records before an offset.

    <end offset:020>-<epoch:010>.checkpoint := header data* footer
    header := control batch of one record, a SnapshotHeaderRecord
    data   := batch of metadata records
    footer := control batch of one record, a SnapshotFooterRecord

end offset: of the first record that is not in it; epoch: that of the record before. Offsets in its
batches count from 0. Kafka: Snapshots, RecordsSnapshotWriter; KIP-630.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from fastbroker._c.codec import encode
from fastbroker.errors import CorruptMessage
from fastbroker.model import OffsetAndEpoch
from fastbroker.protocol.raft_records import SnapshotFooterRecord, SnapshotHeaderRecord
from fastbroker.protocol.schema import plan
from fastbroker.records.builder import build_batch
from fastbroker.records.control import SNAPSHOT_FOOTER, SNAPSHOT_HEADER, control_key, kind_of
from fastbroker.records.reader import Batch, iter_batches

BATCH_RECORDS = 1000
_NAME = re.compile(r"(\d{20})-(\d{10})\.checkpoint")


def name_of(snapshot: OffsetAndEpoch) -> str:
    """The name of a snapshot's file."""
    return f"{snapshot.offset:020}-{snapshot.epoch:010}.checkpoint"


def id_of(name: str) -> OffsetAndEpoch | None:
    """The snapshot in the file of that name; None: the file is none."""
    found = _NAME.fullmatch(name)
    return OffsetAndEpoch(int(found[1]), int(found[2])) if found is not None else None


def batches_of(values: Iterable[bytes], *, epoch: int, timestamp_ms: int) -> Iterator[bytearray]:
    """A snapshot of the records with these values; timestamp_ms: of the last record that it stands
    for."""
    header = SnapshotHeaderRecord(version=0, last_contained_log_timestamp=timestamp_ms)
    footer = SnapshotFooterRecord(version=0)

    def batch(key: bytes | None, values: list[bytes]) -> bytearray:
        return build_batch(
            [(key, value, (), timestamp_ms) for value in values],
            base_offset=offset,
            leader_epoch=epoch,
            is_control=key is not None,
        )

    offset = 0
    yield batch(control_key(SNAPSHOT_HEADER), [encode(plan(SnapshotHeaderRecord, 0), header)])
    offset, rest = 1, iter(values)
    while some := list(islice(rest, BATCH_RECORDS)):
        yield batch(None, some)
        offset += len(some)
    yield batch(control_key(SNAPSHOT_FOOTER), [encode(plan(SnapshotFooterRecord, 0), footer)])


class SnapshotReader:
    """Takes a snapshot's bytes as they come, cut anywhere.

    size: how many it has been given. is_whole: whether the last ones were the footer's.
    """

    def __init__(self) -> None:
        self.size = 0
        self._begun = self.is_whole = False
        self._rest = b""

    def feed(self, data: bytes | memoryview) -> Iterator[Batch]:
        """The batches of metadata records that `data`, which follows what was given before, brings
        to an end. Raises CorruptMessage."""
        self.size += len(data)
        whole, end = self._rest + data, 0
        for batch in iter_batches(whole):
            end += len(batch.data)
            if self.is_whole:
                raise CorruptMessage("a snapshot goes on behind its footer")
            if not self._begun:
                if not batch.header.is_control or kind_of(batch) != SNAPSHOT_HEADER:
                    raise CorruptMessage("a snapshot does not begin with its header")
                self._begun = True
            elif not batch.header.is_control:
                yield batch
            elif kind_of(batch) == SNAPSHOT_FOOTER:
                self.is_whole = True
        self._rest = whole[end:]
        if self._rest and self.is_whole:
            raise CorruptMessage("a snapshot goes on behind its footer")
