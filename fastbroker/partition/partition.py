"""A partition on the broker that leads it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastbroker.errors import (
    FencedLeaderEpoch,
    KafkaStorageError,
    NotLeaderOrFollower,
    OffsetOutOfRange,
    UnknownLeaderEpoch,
)
from fastbroker.model import OffsetAndEpoch, TopicPartition
from fastbroker.partition.purgatory import Purgatory
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.log import AppendInfo, Log
from fastbroker.storage.producer_state import Producer, Verification
from fastbroker.storage.segments import Slice
from fastbroker.storage.time_search import Found
from fastbroker.storage.txn_index import AbortedTransaction

NOBODY = -1
READ_UNCOMMITTED, READ_COMMITTED = 0, 1  # isolation levels
# ListOffsets: what a negative timestamp asks for.
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING_UPLOAD = (
    -1, -2, -3, -4, -5, -6,
)  # fmt: skip


class Leadership(NamedTuple):
    """Who leads, as the metadata log says."""

    leader: int
    leader_epoch: int
    partition_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


class Kept(NamedTuple):
    """What is known of a partition whose log is closed.

    records, bytes: appended by this process before. start, end: the log's; the least int64: not
    known until it is opened.
    """

    records: int
    bytes: int
    size: int
    segments: int
    start: int
    end: int


class Partition:
    """Owned by one worker.

    name: topic and number. leadership: as of the image last applied.
    open_log(): its log, called when it is first needed: most partitions of a large broker are idle,
        and cost next to nothing until then. Raises KafkaStorageError.
    request_flush(self): called when something waits to be flushed; `flushed` follows.
    kept: of the log when it was closed; None: it was never open, and nobody looked.
    sent_bytes: of batches in answers to fetches.
    """

    __slots__ = (
        "_open_log", "broker_id", "failure", "high_watermark", "kept", "leadership", "log", "name",
        "purgatory", "request_flush", "sent_bytes", "topic_id",
    )  # fmt: skip
    log: Log
    high_watermark: int
    purgatory: Purgatory

    def __init__(
        self,
        name: TopicPartition,
        topic_id: bytes,
        open_log: Callable[[], Log],
        *,
        broker_id: int,
        request_flush: Callable[[Partition], object],
    ) -> None:
        self.name, self.topic_id, self._open_log = name, topic_id, open_log
        self.broker_id, self.request_flush = broker_id, request_flush
        self.leadership = Leadership(NOBODY, -1, -1, (), ())
        self.failure: BaseException | None = None
        self.kept: Kept | None = None
        self.sent_bytes = 0

    # ---- its log

    def __getattr__(self, name: str) -> Any:
        """Of what comes with the log, when that is not open: a slot that is filled asks nobody."""
        if name not in ("log", "high_watermark", "purgatory"):
            raise AttributeError(name)
        self._open()
        return getattr(self, name)

    def _open(self) -> None:
        if self.failure is not None:
            raise KafkaStorageError(f"{self.name}: its log directory is offline: {self.failure}")
        log = self._open_log()
        self.purgatory = Purgatory()
        self.high_watermark = log.flushed_offset
        log.producers.commit_below(self.high_watermark)
        self.log = log
        if self.is_leader:
            log.epochs.assign(self.leader_epoch, log.log_end_offset)

    @property
    def opened(self) -> Log | None:
        """Its log, when it is open."""
        try:
            return object.__getattribute__(self, "log")  # type: ignore[no-any-return]
        except AttributeError:
            return None

    @property
    def is_idle(self) -> bool:
        """Whether its open log can be closed: all of it is synced, and nobody waits for more."""
        log, purgatory = self.log, self.purgatory
        return (
            log.recovery_point == log.log_end_offset == self.high_watermark
            and log.unflushed.is_synced
            and not (purgatory.commits or purgatory.readers)
            and not log.producers.has_verifications
            and self.failure is None
        )

    def forget_log(self) -> None:
        """Its log was closed; it is opened again when needed."""
        log = self.log
        self.kept = Kept(
            *self.appended(), log.size, len(log.segments), log.log_start_offset, log.log_end_offset
        )
        del self.log, self.high_watermark, self.purgatory

    def appended(self) -> tuple[int, int]:
        """Records and bytes that this process has appended so far."""
        log, kept = self.opened, self.kept
        records, size = (kept.records, kept.bytes) if kept is not None else (0, 0)
        if log is None:
            return records, size
        unflushed = log.unflushed
        return (
            records + log.log_end_offset - unflushed.opened_at, size + unflushed.written_bytes
        )

    # ---- leadership

    @property
    def is_leader(self) -> bool:
        return self.leadership.leader == self.broker_id

    @property
    def leader_epoch(self) -> int:
        return self.leadership.leader_epoch

    def lead(self, leadership: Leadership) -> bool:
        """Take over what the metadata log says; whether this broker has become leader anew."""
        before, self.leadership = self.leadership, leadership
        log = self.opened
        if not self.is_leader:
            if log is not None:
                self.purgatory.empty()
            return False
        elected = leadership.leader_epoch != before.leader_epoch or before.leader != self.broker_id
        if elected and log is not None:
            log.epochs.assign(leadership.leader_epoch, log.log_end_offset)
            self._advance()
            self.purgatory.wake_readers()  # who believes in the epoch before is fenced
        return elected

    def check_leader(self, current_leader_epoch: int = -1) -> None:
        """Raise unless this broker leads, in the epoch that a client believes in; -1: any.

        Raises NotLeaderOrFollower, FencedLeaderEpoch, UnknownLeaderEpoch, KafkaStorageError.
        """
        if self.failure is not None:
            raise KafkaStorageError(f"{self.name}: its log directory is offline: {self.failure}")
        if current_leader_epoch >= 0:
            if current_leader_epoch < self.leader_epoch:
                raise FencedLeaderEpoch(
                    f"{self.name} is in leader epoch {self.leader_epoch}, the request names"
                    f" {current_leader_epoch}: refresh metadata"
                )
            if current_leader_epoch > self.leader_epoch:
                raise UnknownLeaderEpoch(
                    f"{self.name} is in leader epoch {self.leader_epoch} here, the request names"
                    f" {current_leader_epoch}"
                )
        if not self.is_leader:
            raise NotLeaderOrFollower(
                f"broker {self.leadership.leader} leads {self.name}, this is {self.broker_id}"
            )

    # ---- writing

    def begin_verification(
        self, producer_id: int, producer_epoch: int, *, base_sequence: int = -1,
        own_epoch: bool = False,
    ) -> Verification | None:  # fmt: skip
        """A guard for the first batch of a transaction, taken before its coordinator is asked
        whether this partition belongs to it; None: the transaction is open here already.

        The guard is void once a marker has been appended that may end this transaction: what the
        coordinator said is of the past then. base_sequence: of that batch, -1: it has none.
        own_epoch: each of the producer's transactions has an epoch of its own (KIP-890).
        Raises InvalidProducerEpoch when a newer one is known.
        """
        return self.log.producers.begin_verification(
            producer_id, producer_epoch, base_sequence=base_sequence, own_epoch=own_epoch
        )

    def append(
        self, data: memoryview, *, now_ms: int, produce_version: int,
        verification: Verification | None = None,
    ) -> AppendInfo:  # fmt: skip
        """Append a client's batch; see Log.append. `await_commit` says when it is on disk.

        A transactional one needs an open transaction or `verification`.
        """
        info = self.log.append(
            data,
            leader_epoch=self.leadership.leader_epoch,
            now_ms=now_ms,
            produce_version=produce_version,
            verification=verification,
        )
        self._appended()
        return info

    def append_internal(
        self, batch: bytes | bytearray, *, now_ms: int, verification: Verification | None = None
    ) -> AppendInfo:
        """Append a batch of this broker's own making; see Log.append_internal."""
        info = self.log.append_internal(
            batch,
            leader_epoch=self.leadership.leader_epoch,
            now_ms=now_ms,
            verification=verification,
        )
        self._appended()
        return info

    def append_marker(self, marker: EndTransactionMarker, *, now_ms: int) -> AppendInfo:
        """End a producer's transaction here; see Log.append_marker."""
        info = self.log.append_marker(
            marker, leader_epoch=self.leadership.leader_epoch, now_ms=now_ms
        )
        self._appended()
        return info

    def _appended(self) -> None:
        log = self.log
        unflushed, flush_messages = log.unflushed, log.config.flush_messages
        if log.log_end_offset - unflushed.flushed_offset >= flush_messages:
            self.request_flush(self)
        if flush_messages > 1:
            if unflushed.has_rolled:
                self.request_flush(self)  # as Kafka: a closed segment is flushed at leisure
            self._advance()

    def await_commit(self, offset: int, committed: Callable[..., object], *args: Any) -> None:
        """`committed(*args)` once everything below `offset` is committed, or never will be: look
        at `high_watermark` then."""
        if self.high_watermark >= offset or not self.is_leader:
            committed(*args)
        else:
            self.purgatory.await_commit(offset, committed, *args)

    def flushed(self, job: FlushJob, *, is_journaled: bool = False) -> None:
        """A flush of this partition's log has ended well; too late after `fail`."""
        if self.failure is None:
            self.log.end_flush(job, is_journaled=is_journaled)
            self._advance()

    def fail(self, error: BaseException) -> None:
        """Writing or syncing failed: nothing of this partition can be promised any more."""
        self.failure = error
        if self.opened is not None:
            self.purgatory.empty()

    def _advance(self) -> None:
        """The high watermark of an ISR of one: what the leader itself has."""
        log = self.log
        is_flushed = log.config.flush_messages == 1
        durable = log.unflushed.flushed_offset if is_flushed else log.log_end_offset
        if durable > self.high_watermark:
            self.high_watermark = durable
            if log.producers.late:
                log.producers.commit_below(durable)
            self.purgatory.advance(durable)

    # ---- reading

    @property
    def last_stable_offset(self) -> int:
        """The first offset that a transaction which is open, or has ended at or above the high
        watermark, may still decide; the high watermark when there is none.

        It moves only when the high watermark or the log's start does: readers are woken then.
        """
        producers = self.log.producers
        if not (producers.begun or producers.late):
            return self.high_watermark
        first = max(producers.first_unstable_offset(), self.log.log_start_offset)
        return min(first, self.high_watermark)

    def end_for(self, isolation_level: int) -> int:
        """The offset that a consumer can read up to."""
        return self.last_stable_offset if isolation_level else self.high_watermark

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """What a reader of [start, end) that wants committed data has to leave out."""
        return self.log.aborted_transactions(start, end)

    def producers(self) -> dict[int, Producer]:
        """Producer id -> what is known of it; not to be changed."""
        return self.log.producers.producers

    def read(
        self, offset: int, *, max_bytes: int, at_least_one: bool,
        isolation_level: int = READ_UNCOMMITTED,
    ) -> Slice:  # fmt: skip
        """What a consumer may have from `offset` on: up to the high watermark, or with
        READ_COMMITTED up to the last stable offset.

        max_bytes, at_least_one: see Log.read. Raises OffsetOutOfRange, KafkaStorageError.
        """
        high_watermark = self.high_watermark
        if offset > high_watermark:
            raise OffsetOutOfRange(
                f"offset {offset} of {self.name}: consumers can read up to {high_watermark}"
            )
        return self.log.read(
            offset,
            max_bytes=max_bytes,
            max_offset=self.last_stable_offset if isolation_level else high_watermark,
            at_least_one=at_least_one,
        )

    def diverging_epoch(self, offset: int, last_fetched_epoch: int) -> OffsetAndEpoch | None:
        """Where a reader's log has left ours; None when it has not (KIP-320, KIP-595)."""
        if last_fetched_epoch < 0:
            return None
        end = self.log.epochs.end_of(last_fetched_epoch, self.log.log_end_offset)
        if end.epoch < 0 or end.offset < 0:
            raise OffsetOutOfRange(
                f"{self.name}: nothing is known of leader epoch {last_fetched_epoch}"
            )
        if end.epoch < last_fetched_epoch or end.offset < offset:
            return end
        return None

    def end_of_epoch(self, epoch: int) -> OffsetAndEpoch:
        """The last offset of a leader epoch; see LeaderEpochs.end_of."""
        return self.log.epochs.end_of(epoch, self.log.log_end_offset)

    def find(self, timestamp: int, isolation_level: int = READ_UNCOMMITTED) -> Found | None:
        """ListOffsets: the offset that a timestamp, or a special one, stands for.

        Found.timestamp is -1 for the log's start and end. What a consumer cannot read yet is not
        found.
        """
        epochs = self.log.epochs
        end = self.end_for(isolation_level)
        if timestamp == LATEST:
            return Found(-1, end, self.leader_epoch)
        if timestamp in (EARLIEST, EARLIEST_LOCAL):
            start = self.log.log_start_offset
            return Found(-1, start, epochs.epoch_of(start))
        if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
            return None  # nothing is tiered
        if timestamp == MAX_TIMESTAMP:
            found = self.log.record_of_max_timestamp()
        else:
            found = self.log.offset_for_timestamp(timestamp)
        if found is None or found.offset >= end:
            return None
        return found

    def delete_records(self, offset: int) -> int:
        """Move the log's start to `offset`, -1: to the high watermark; the new start.

        Raises OffsetOutOfRange.
        """
        wanted = self.high_watermark if offset == -1 else offset
        if not 0 <= wanted <= self.high_watermark:
            raise OffsetOutOfRange(
                f"records of {self.name} below {offset} cannot be deleted: its high watermark is"
                f" {self.high_watermark}"
            )
        if self.log.advance_start(wanted):
            self.purgatory.wake_readers()
        return self.log.log_start_offset
