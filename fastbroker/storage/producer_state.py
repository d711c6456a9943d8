"""What a partition remembers of its idempotent and transactional producers (KIP-98, KIP-890), and
its .snapshot files.

    snapshot := version:int16=1 crc:uint32 entries    (ProducerSnapshot; the CRC covers entries)

A batch of a known producer continues its last sequence, repeats one of its last five batches (and
is answered with the offsets of then), or is refused. Sequences wrap from 2147483647 to 0.

A transaction is open here from its first batch to its marker. What its batches begin is unstable
until the marker is below the high watermark, too.
"""
from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from heapq import heappop, heappush
from struct import Struct as Layout
from typing import NamedTuple

from fastbroker._c.checksum import crc32c
from fastbroker._c.codec import Malformed, decode, encode
from fastbroker._c.record_batch import BatchHeader
from fastbroker.errors import (
    InvalidProducerEpoch,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
    TransactionCoordinatorFenced,
)
from fastbroker.protocol.producer_snapshot import ProducerSnapshot
from fastbroker.protocol.schema import plan
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.checkpoints import UnknownVersion
from fastbroker.storage.txn_index import AbortedTransaction

BATCHES_KEPT = 5
VERIFICATIONS_MAX = 10_000  # of one partition; the oldest is forgotten then, and void
EPOCHS_SINCE = 2  # the transaction.version whose transactions each have an epoch of their own
VERSION = 1
_VERSION = Layout(">h")
_CRC = Layout(">I")
_HEAD = _VERSION.size + _CRC.size
_TRANSACTIONAL = 16  # the bit of a batch's attributes


class KeptBatch(NamedTuple):
    """One of a producer's last batches."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class Producer:
    """One producer's state in one partition.

    coordinator_epoch: of the last marker; -1: none. txn_first_offset: where its open transaction
    begins; -1: none is open.
    """

    __slots__ = ("batches", "coordinator_epoch", "epoch", "last_timestamp", "txn_first_offset")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[KeptBatch] = deque(maxlen=BATCHES_KEPT)
        self.last_timestamp = -1
        self.coordinator_epoch = -1
        self.txn_first_offset = -1

    @property
    def last_sequence(self) -> int:
        """-1: none is known."""
        return self.batches[-1].last_sequence if self.batches else -1

    def move_to(self, epoch: int) -> None:
        """Sequences begin again with an epoch."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches.clear()


class Verification:
    """The guard of a transaction's first batch in a partition, from before its coordinator is asked
    until that batch is written. Its transaction's marker, or another batch, written meanwhile makes
    it void.

    lowest_sequence: of the batches that are on their way with it: that one has to be first.
    own_epoch: the transaction has an epoch of its own, so its producer's sequences begin at 0.
    """

    __slots__ = ("is_old", "lowest_sequence", "own_epoch", "producer_epoch")

    def __init__(self, producer_epoch: int, lowest_sequence: int, own_epoch: bool) -> None:
        self.producer_epoch, self.lowest_sequence = producer_epoch, lowest_sequence
        self.own_epoch = own_epoch
        self.is_old = False  # it has been there at the last expiry


class ProducerState:
    """Producer id -> Producer, for one partition. Owned by its Log.

    begun: first offset -> producer id of the transactions that are open, oldest first.
    late: a heap of (first offset, marker's offset) of those that have ended; each whose marker is
        not below the high watermark is in it, and what lies behind such a one.
    The number of producers is bounded by expiry (`expire`) alone, as in Kafka.
    """

    def __init__(self) -> None:
        self.producers: dict[int, Producer] = {}
        self.begun: OrderedDict[int, int] = OrderedDict()
        self.late: list[tuple[int, int]] = []
        self._verifications: dict[int, Verification] = {}

    @property
    def has_verifications(self) -> bool:
        """Whether the first batch of a transaction may be on its way."""
        return bool(self._verifications)

    # ---- a batch is to be written

    def begin_verification(
        self, producer_id: int, producer_epoch: int, *, base_sequence: int, own_epoch: bool
    ) -> Verification | None:
        """A guard for the first batch of a producer's transaction; None: it is open already.

        Batches that come while the same transaction is being verified share one.
        Raises InvalidProducerEpoch: an older epoch need not be asked about.
        """
        producer = self.producers.get(producer_id)
        if (
            producer is not None
            and producer.txn_first_offset >= 0
            and producer.epoch == producer_epoch
        ):
            return None
        if producer is not None:
            self._check_epoch(producer_id, producer_epoch, producer)
        found = self._verifications.get(producer_id)
        if found is None:
            if len(self._verifications) >= VERIFICATIONS_MAX:
                del self._verifications[next(iter(self._verifications))]
            found = Verification(producer_epoch, base_sequence, own_epoch)
            self._verifications[producer_id] = found
        elif producer_epoch > found.producer_epoch:
            found.producer_epoch, found.lowest_sequence = producer_epoch, base_sequence
            found.own_epoch = own_epoch
        elif producer_epoch == found.producer_epoch:
            found.lowest_sequence = min(found.lowest_sequence, base_sequence)
        found.is_old = False
        return found

    def check(
        self, batch: BatchHeader, verification: Verification | None = None
    ) -> KeptBatch | None:
        """Whether a client's `batch` may be appended: None, or the batch that it repeats.

        verification: the guard that a transaction's first batch needs.
        Raises InvalidProducerEpoch, OutOfOrderSequenceNumber, InvalidTxnState.
        """
        producer = self.producers.get(batch.producer_id)
        if producer is not None and batch.producer_epoch == producer.epoch:
            first, last = batch.base_sequence, batch.last_sequence
            if first == (producer.last_sequence + 1) & 0x7FFFFFFF and (
                (batch.attributes & _TRANSACTIONAL != 0) is (producer.txn_first_offset >= 0)
            ):
                return None  # most batches are the next one of what they belong to
            for kept in producer.batches:
                if kept.first_sequence == first and kept.last_sequence == last:
                    return kept
        guard: Verification | None = None
        if batch.attributes & _TRANSACTIONAL:
            self._check_transaction(batch, producer, verification)
            guard = self._verifications.get(batch.producer_id)
        if producer is None:
            # Nothing is known: any sequence begins (KIP-360), but one of a transaction with an
            # epoch of its own, or with batches before it that were not written.
            expected = batch.base_sequence
            if guard is not None:
                expected = 0 if guard.own_epoch else min(expected, guard.lowest_sequence)
        else:
            self._check_epoch(batch.producer_id, batch.producer_epoch, producer)
            if batch.producer_epoch > producer.epoch:
                expected = 0
            else:
                expected = (producer.last_sequence + 1) & 0x7FFFFFFF
            if guard is not None and batch.base_sequence > guard.lowest_sequence:
                expected = guard.lowest_sequence
        if batch.base_sequence != expected:
            raise OutOfOrderSequenceNumber(
                f"producer {batch.producer_id} sent sequence {batch.base_sequence}, {expected} was"
                " expected: a batch before it is missing"
            )
        if producer is not None and producer.txn_first_offset >= 0:
            self._check_in_transaction(batch)
        return None

    def check_internal(
        self, batch: BatchHeader, verification: Verification | None = None
    ) -> None:
        """Whether a coordinator's `batch`, which has no sequence, may be appended.

        Raises InvalidProducerEpoch, InvalidTxnState.
        """
        producer = self.producers.get(batch.producer_id)
        if batch.is_transactional:
            self._check_transaction(batch, producer, verification)
        if producer is not None:
            self._check_epoch(batch.producer_id, batch.producer_epoch, producer)
            if producer.txn_first_offset >= 0:
                self._check_in_transaction(batch)

    def _check_transaction(
        self, batch: BatchHeader, producer: Producer | None, verification: Verification | None
    ) -> None:
        """The transaction is open here, or its coordinator knows that it is about to be."""
        if (
            producer is not None
            and producer.txn_first_offset >= 0
            and producer.epoch == batch.producer_epoch
        ):
            return
        known = self._verifications.get(batch.producer_id)
        if verification is None or known is not verification:
            raise InvalidTxnState(
                f"producer {batch.producer_id} has no open transaction here: it was ended"
                " meanwhile, or the partition was not added to it; abort it and begin again"
            )

    def _check_epoch(self, producer_id: int, epoch: int, producer: Producer) -> None:
        if epoch < producer.epoch:
            raise InvalidProducerEpoch(
                f"producer {producer_id} has epoch {producer.epoch} here, the batch has {epoch}:"
                " another producer has taken over, or its transaction was ended"
            )

    def _check_in_transaction(self, batch: BatchHeader) -> None:
        if not batch.is_transactional:
            raise InvalidTxnState(
                f"producer {batch.producer_id} has an open transaction here and sent a batch"
                " outside of it: end the transaction first"
            )

    def check_marker(self, marker: EndTransactionMarker) -> None:
        """Whether `marker` may be appended.

        Raises InvalidProducerEpoch, TransactionCoordinatorFenced.
        """
        producer = self.producers.get(marker.producer_id)
        if producer is None:
            return
        epoch = marker.producer_epoch
        is_late = epoch < producer.epoch
        if marker.transaction_version >= EPOCHS_SINCE and epoch == producer.epoch:
            # Its own transaction had the epoch before: this is the marker once more, which does no
            # harm, unless the next transaction has begun.
            is_late = producer.txn_first_offset >= 0
        if is_late:
            raise InvalidProducerEpoch(
                f"producer {marker.producer_id} has epoch {producer.epoch} here, the marker has"
                f" {epoch}: it is about an earlier transaction"
            )
        if marker.coordinator_epoch < producer.coordinator_epoch:
            raise TransactionCoordinatorFenced(
                f"coordinator epoch {producer.coordinator_epoch} has ended a transaction of"
                f" producer {marker.producer_id} here, the marker has {marker.coordinator_epoch}:"
                " another coordinator has taken over"
            )

    # ---- a batch has been written

    def appended(self, batch: BatchHeader, first_offset: int, timestamp: int) -> None:
        """`batch` of a producer, no control batch, stands at `first_offset` of the log now."""
        producer = self.producers.get(batch.producer_id)
        if producer is None:
            producer = self.producers[batch.producer_id] = Producer(batch.producer_epoch)
        else:
            producer.move_to(batch.producer_epoch)
        producer.last_timestamp = timestamp
        producer.batches.append(_kept(batch, first_offset, timestamp))
        if batch.attributes & _TRANSACTIONAL:
            self._verifications.pop(batch.producer_id, None)
            if producer.txn_first_offset < 0:
                producer.txn_first_offset = first_offset
                self.begun[first_offset] = batch.producer_id

    def ended(
        self, marker: EndTransactionMarker, offset: int, timestamp: int
    ) -> AbortedTransaction | None:
        """`marker` stands at `offset` now; what was aborted, None: nothing."""
        producer = self.producers.get(marker.producer_id)
        if producer is None:
            producer = self.producers[marker.producer_id] = Producer(marker.producer_epoch)
        else:
            producer.move_to(marker.producer_epoch)
        producer.coordinator_epoch = marker.coordinator_epoch
        producer.last_timestamp = timestamp
        self._void(marker)
        first, producer.txn_first_offset = producer.txn_first_offset, -1
        if first < 0:
            return None
        self.begun.pop(first, None)
        heappush(self.late, (first, offset))
        if marker.commit:
            return None
        stable = next(iter(self.begun), offset + 1)
        return AbortedTransaction(marker.producer_id, first, offset, stable)

    def _void(self, marker: EndTransactionMarker) -> None:
        """The guard of a transaction that `marker` ends is void.

        With epochs of their own, the next transaction may have begun before the marker is here:
        its epoch is the marker's, and its guard holds.
        """
        guard = self._verifications.get(marker.producer_id)
        ends = marker.producer_epoch - (marker.transaction_version >= EPOCHS_SINCE)
        if guard is not None and guard.producer_epoch <= ends:
            del self._verifications[marker.producer_id]

    def recall(self, batches: Sequence[BatchHeader]) -> None:
        """Learn of `batches` that stand, in this order, before those that are known: a snapshot has
        only the last one of a producer, which may repeat any of five."""
        for batch in reversed(batches):
            producer = self.producers.get(batch.producer_id)
            if producer is None or not producer.batches or batch.is_control:
                continue
            first = producer.batches[0]
            if (
                len(producer.batches) < BATCHES_KEPT
                and batch.producer_epoch == producer.epoch
                and batch.last_offset < first.first_offset
                and (batch.last_sequence + 1) & 0x7FFFFFFF == first.first_sequence
            ):
                producer.batches.appendleft(_kept(batch, batch.base_offset, batch.max_timestamp))

    # ---- what is stable

    def commit_below(self, high_watermark: int) -> None:
        """Markers below `high_watermark` have ended their transactions for good."""
        while self.late and self.late[0][1] < high_watermark:
            heappop(self.late)

    def first_unstable_offset(self) -> int:
        """Of what is `begun` or `late`, one at least, as of the last `commit_below`."""
        if not self.late:
            return next(iter(self.begun))
        return min(self.late[0][0], next(iter(self.begun), self.late[0][0]))

    # ---- forgetting

    def expire(self, before_ms: int) -> None:
        """Forget producers whose last batch is not later than `before_ms`, and whose transaction,
        if there was one, has ended; and verifications that were there the last time already."""
        for producer_id in [
            pid
            for pid, producer in self.producers.items()
            if producer.last_timestamp <= before_ms and producer.txn_first_offset < 0
        ]:
            del self.producers[producer_id]
        for producer_id, verification in list(self._verifications.items()):
            if verification.is_old:
                del self._verifications[producer_id]
            verification.is_old = True

    # ---- snapshots

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
                    coordinator_epoch=producer.coordinator_epoch,
                    current_txn_first_offset=producer.txn_first_offset,
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
    def from_snapshot(cls, data: bytes, path: str = "") -> ProducerState | None:
        """The state in a .snapshot file; None when it is damaged.

        Raises UnknownVersion for one that is whole, but of another version.
        """
        if len(data) < _HEAD:
            return None
        if _CRC.unpack_from(data, _VERSION.size)[0] != crc32c(data[_HEAD:]):
            return None
        (version,) = _VERSION.unpack_from(data)
        if version != VERSION:
            raise UnknownVersion(path, version, VERSION, ", or remove the file: it is made anew")
        try:
            decoded, _ = decode(plan(ProducerSnapshot, VERSION), data, _VERSION.size)
        except Malformed:
            return None
        state = cls()
        begun = []
        for entry in decoded.producer_entries:
            producer = state.producers[entry.producer_id] = Producer(entry.epoch)
            producer.last_timestamp = entry.timestamp
            producer.coordinator_epoch = entry.coordinator_epoch
            producer.txn_first_offset = entry.current_txn_first_offset
            if producer.txn_first_offset >= 0:
                begun.append((producer.txn_first_offset, entry.producer_id))
            if entry.last_offset >= 0:
                last = entry.last_sequence
                producer.batches.append(
                    KeptBatch(
                        (last - entry.offset_delta) & 0x7FFFFFFF if last >= 0 else -1,
                        last,
                        entry.last_offset - entry.offset_delta,
                        entry.last_offset,
                        entry.timestamp,
                    )
                )
        state.begun.update(sorted(begun))
        return state


def _kept(batch: BatchHeader, first_offset: int, timestamp: int) -> KeptBatch:
    return KeptBatch(
        batch.base_sequence,
        batch.last_sequence,
        first_offset,
        first_offset + batch.last_offset_delta,
        timestamp,
    )
