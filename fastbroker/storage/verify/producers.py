"""What the batches say of their producers: sequences, transactions, and what follows for the
.snapshot and .txnindex files.

Below `compacted_to` batches were taken out, so nothing is said of what is missing there. After a
batch that is not good nothing is certain until a good snapshot says what was known.
"""
from __future__ import annotations

from fastbroker._c.record_batch import BatchHeader
from fastbroker.errors import CorruptMessage
from fastbroker.records.control import read_marker
from fastbroker.records.reader import Batch
from fastbroker.storage.producer_state import Producer, ProducerState
from fastbroker.storage.txn_index import AbortedTransaction
from fastbroker.storage.verify.finding import Faults, Severity


class ProducerHistory:
    """Producers, as a walk over the log meets them.

    is_certain: what is known is all there is to know.
    """

    def __init__(self, faults: Faults, *, is_certain: bool, compacted_to: int) -> None:
        self.faults, self.compacted_to = faults, compacted_to
        self.is_certain = is_certain
        self.state = ProducerState()

    def lose(self) -> None:
        """A batch is not good: somebody's is missing."""
        self.is_certain = False

    def batch(
        self, path: str, position: int, header: BatchHeader, data: memoryview
    ) -> AbortedTransaction | None:
        """The next good batch; what it aborted."""
        if header.producer_id < 0:
            return None
        producer = self.state.producers.get(header.producer_id)
        if self.is_certain and header.base_offset >= self.compacted_to:
            for what, if_left in _wrong(header, producer):
                place = f"position {position}"
                self.faults.add(path, what, place=place, if_left=if_left)
        if not header.is_control:
            self.state.appended(header, header.base_offset, header.max_timestamp)
            return None
        try:
            marker = read_marker(Batch(header, data))
        except CorruptMessage:
            return None  # told of where records are looked at
        if marker is None:
            return None
        if (
            self.is_certain and producer is not None
            and marker.coordinator_epoch < producer.coordinator_epoch
        ):  # fmt: skip
            what = (
                f"the marker has coordinator epoch {marker.coordinator_epoch}, one before it has"
                f" {producer.coordinator_epoch}"
            )
            place = f"position {position}"
            self.faults.add(path, what, place=place, if_left=Severity.NOTE)
        aborted = self.state.ended(marker, header.base_offset, header.max_timestamp)
        self.state.commit_below(header.base_offset + 1)
        return aborted

    def snapshot(self, path: str, data: bytes, offset: int) -> None:
        """The log is at `offset`, where the snapshot in `data` is of."""
        found = ProducerState.from_snapshot(data)
        if found is None:
            self.faults.add(path, "it is damaged: its CRC or its form is wrong")
            return
        if self.is_certain and offset > self.compacted_to:
            for what in _differences(found.producers, self.state.producers):
                self.faults.add(path, what)
        if not self.is_certain:
            self.state, self.is_certain = found, True


def _wrong(header: BatchHeader, producer: Producer | None) -> list[tuple[str, Severity]]:
    """What does not follow from what is known of its producer."""
    if producer is None:
        return []
    name = f"producer {header.producer_id}"
    if header.producer_epoch < producer.epoch:
        what = f"{name} has epoch {header.producer_epoch}, it had {producer.epoch} before"
        return [(what, Severity.NOTE)]
    if header.is_control:
        return []
    found = []
    is_next = header.producer_epoch > producer.epoch
    if producer.txn_first_offset >= 0:
        begun = f"its transaction, open since offset {producer.txn_first_offset}"
        if not header.is_transactional:
            found.append((f"{name} writes outside of {begun}", Severity.DAMAGE))
        elif is_next:
            what = f"{name} has a new epoch without a marker for {begun}"
            found.append((what, Severity.DAMAGE))
    if header.base_sequence < 0 or (not is_next and not producer.batches):
        return found
    expected = 0 if is_next else (producer.last_sequence + 1) & 0x7FFFFFFF
    if header.base_sequence != expected and producer.last_sequence >= 0:
        what = (
            f"{name} continues with sequence {header.base_sequence}, {expected} would follow: a"
            " batch between is not there, or the broker had forgotten the producer"
        )
        found.append((what, Severity.NOTE))
    return found


def _differences(found: dict[int, Producer], replayed: dict[int, Producer]) -> list[str]:
    out = []
    for producer_id, one in found.items():
        other = replayed.get(producer_id)
        if other is None:
            out.append(f"it has producer {producer_id}, who has no batch in the log")
            continue
        for name, here, there in zip(_FACTS, _facts(one), _facts(other), strict=True):
            if here != there:
                out.append(f"producer {producer_id}: {name} {here}, by the batches {there}")
    for producer_id, other in replayed.items():
        # One without an open transaction may have been forgotten for being idle.
        if producer_id not in found and other.txn_first_offset >= 0:
            first = other.txn_first_offset
            out.append(f"it misses producer {producer_id}, whose transaction begins at {first}")
    return out


_FACTS = (
    "epoch", "last sequence", "last offset", "timestamp", "coordinator epoch",
    "the open transaction begins at",
)  # fmt: skip


def _facts(one: Producer) -> tuple[int, ...]:
    last = one.batches[-1].last_offset if one.batches else -1
    return (
        one.epoch, one.last_sequence, last, one.last_timestamp, one.coordinator_epoch,
        one.txn_first_offset,
    )  # fmt: skip
