"""What a partition remembers of its idempotent producers (KIP-98), and its .snapshot files.

    snapshot := version:int16=1 crc:uint32 entries    (ProducerSnapshot; the CRC covers entries)

A batch of a known producer continues its last sequence, repeats one of its last five batches (and
is answered with the offsets of then), or is refused. Sequences wrap from 2147483647 to 0.
"""
from __future__ import annotations

from collections import deque
from struct import Struct as Layout
from typing import NamedTuple

from fastbroker._c.checksum import crc32c
from fastbroker._c.codec import Malformed, decode, encode
from fastbroker._c.record_batch import BatchHeader
from fastbroker.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber
from fastbroker.protocol.producer_snapshot import ProducerSnapshot
from fastbroker.protocol.schema import plan

BATCHES_KEPT = 5
VERSION = 1
_VERSION = Layout(">h")
_CRC = Layout(">I")
_HEAD = _VERSION.size + _CRC.size


class KeptBatch(NamedTuple):
    """One of a producer's last batches."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class Producer:
    """One producer's state in one partition."""

    __slots__ = ("batches", "epoch", "last_timestamp")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[KeptBatch] = deque(maxlen=BATCHES_KEPT)
        self.last_timestamp = -1


class ProducerState:
    """Producer id -> Producer, for one partition. Owned by its Log.

    The number of producers is bounded by expiry (`expire`) alone, as in Kafka.
    """

    def __init__(self) -> None:
        self.producers: dict[int, Producer] = {}

    def check(self, batch: BatchHeader) -> KeptBatch | None:
        """Whether `batch` may be appended: None, or the batch that it repeats.

        Raises InvalidProducerEpoch, OutOfOrderSequenceNumber.
        """
        producer = self.producers.get(batch.producer_id)
        if producer is None:
            return None  # nothing is known: any sequence begins (KIP-360)
        if batch.producer_epoch == producer.epoch:
            for kept in producer.batches:
                if (kept.first_sequence, kept.last_sequence) == (
                    batch.base_sequence,
                    batch.last_sequence,
                ):
                    return kept
        if batch.producer_epoch < producer.epoch:
            raise InvalidProducerEpoch(
                f"producer {batch.producer_id} has epoch {producer.epoch} here, the batch has"
                f" {batch.producer_epoch}: another producer has taken over"
            )
        if batch.producer_epoch > producer.epoch:
            expected = 0
        elif producer.batches:
            expected = (producer.batches[-1].last_sequence + 1) & 0x7FFFFFFF
        else:
            return None
        if batch.base_sequence != expected:
            raise OutOfOrderSequenceNumber(
                f"producer {batch.producer_id} sent sequence {batch.base_sequence}, {expected} was"
                " expected: a batch before it is missing"
            )
        return None

    def appended(self, batch: BatchHeader, first_offset: int, timestamp: int) -> None:
        """`batch` of a producer stands at `first_offset` of the log now."""
        producer = self.producers.get(batch.producer_id)
        if producer is None:
            producer = self.producers[batch.producer_id] = Producer(batch.producer_epoch)
        elif batch.producer_epoch != producer.epoch:
            producer.epoch = batch.producer_epoch
            producer.batches.clear()
        producer.last_timestamp = timestamp
        if batch.base_sequence >= 0:
            producer.batches.append(
                KeptBatch(
                    batch.base_sequence,
                    batch.last_sequence,
                    first_offset,
                    first_offset + batch.last_offset_delta,
                    timestamp,
                )
            )

    def expire(self, before_ms: int) -> None:
        """Forget producers whose last batch is older than `before_ms`."""
        for producer_id in [
            pid for pid, producer in self.producers.items() if producer.last_timestamp < before_ms
        ]:
            del self.producers[producer_id]


    def snapshot(self) -> bytes:
        """The content of a .snapshot file."""
        entries = []
        for producer_id, producer in self.producers.items():
            last = producer.batches[-1] if producer.batches else KeptBatch(-1, -1, -1, -1, -1)
            entries.append(
                ProducerSnapshot.ProducerEntry(
                    producer_id=producer_id,
                    epoch=producer.epoch,
                    last_sequence=last.last_sequence,
                    last_offset=last.last_offset,
                    offset_delta=last.last_offset - last.first_offset,
                    timestamp=producer.last_timestamp,
                    coordinator_epoch=-1,
                    current_txn_first_offset=-1,
                )
            )
        body = bytearray(
            encode(
                plan(ProducerSnapshot, VERSION),
                ProducerSnapshot(crc=0, producer_entries=entries),
                _VERSION.pack(VERSION),
            )
        )
        _CRC.pack_into(body, _VERSION.size, crc32c(body[_HEAD:]))
        return bytes(body)

    @classmethod
    def from_snapshot(cls, data: bytes) -> ProducerState | None:
        """The state in a .snapshot file; None when it is damaged."""
        if len(data) < _HEAD or _VERSION.unpack_from(data)[0] != VERSION:
            return None
        if _CRC.unpack_from(data, _VERSION.size)[0] != crc32c(data[_HEAD:]):
            return None
        try:
            decoded, _ = decode(plan(ProducerSnapshot, VERSION), data, _VERSION.size)
        except Malformed:
            return None
        state = cls()
        for entry in decoded.producer_entries:
            producer = state.producers[entry.producer_id] = Producer(entry.epoch)
            producer.last_timestamp = entry.timestamp
            if entry.last_sequence >= 0:
                producer.batches.append(
                    KeptBatch(
                        (entry.last_sequence - entry.offset_delta) & 0x7FFFFFFF,
                        entry.last_sequence,
                        entry.last_offset - entry.offset_delta,
                        entry.last_offset,
                        entry.timestamp,
                    )
                )
        return state
