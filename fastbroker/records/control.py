"""Control records: written by brokers into the log, never shown to an application.

    key     := version:int16=0 type:int16
    marker  := version:int16=0 coordinator_epoch:int32   (EndTxnMarker: value of ABORT and COMMIT)

A transaction ends in a partition with a control batch of one record, with its producer's id and an
epoch.
"""
from __future__ import annotations

from struct import Struct as Layout
from typing import NamedTuple

from fastbroker.errors import CorruptMessage
from fastbroker.records.builder import build_batch
from fastbroker.records.reader import Batch

ABORT, COMMIT, LEADER_CHANGE, SNAPSHOT_HEADER, SNAPSHOT_FOOTER, KRAFT_VERSION, KRAFT_VOTERS = (
    range(7)
)
_KEY = Layout(">hh")
_MARKER = Layout(">hi")


class EndTransactionMarker(NamedTuple):
    """What a transaction coordinator has the leader of a partition write.

    producer_epoch: with transaction_version 2 the epoch after the transaction's, before that the
    transaction's own. coordinator_epoch: the leader epoch of the coordinator's partition.
    """

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    commit: bool
    transaction_version: int


def control_key(kind: int) -> bytes:
    """The key of a control record of type `kind`."""
    return _KEY.pack(0, kind)


def control_kind(key: bytes) -> int:
    """The type in a control record's key; -1 for a key that is none."""
    return int(_KEY.unpack_from(key)[1]) if len(key) >= _KEY.size else -1


def marker_batch(marker: EndTransactionMarker, *, now_ms: int) -> bytearray:
    """The control batch that ends a transaction; offset and leader epoch are stamped later."""
    key = control_key(COMMIT if marker.commit else ABORT)
    value = _MARKER.pack(0, marker.coordinator_epoch)
    return build_batch(
        [(key, value, (), now_ms)],
        producer_id=marker.producer_id,
        producer_epoch=marker.producer_epoch,
        is_transactional=True,
        is_control=True,
    )


def read_marker(batch: Batch) -> EndTransactionMarker | None:
    """The marker that a control batch holds; None for other kinds, and for a batch that compaction
    has emptied. Its transaction_version is not in the log: 0. Raises CorruptMessage."""
    header = batch.header
    for record in batch.records():
        kind = control_kind(record.key or b"")
        if kind not in (ABORT, COMMIT):
            return None
        if len(record.value or b"") < _MARKER.size:
            raise CorruptMessage(f"the marker at {record.offset} has no coordinator epoch")
        _, coordinator_epoch = _MARKER.unpack_from(record.value or b"")
        return EndTransactionMarker(
            header.producer_id, header.producer_epoch, coordinator_epoch, kind == COMMIT, 0
        )
    return None


def kind_of(batch: Batch) -> int:
    """The type of a control batch's record; -1: compaction has emptied it.

    Raises CorruptMessage.
    """
    return next((control_kind(record.key or b"") for record in batch.records()), -1)
