"""One partition of __transaction_state: the transactional ids in it, from its records and back.

State follows the log: a transition is applied when `append` completes, as its replay would be. A
failed write leaves memory as it was, whatever reached the log: writes of a partition complete in
order, so the last one to complete is the last one that a reload would find.

Invariants
- One transition of an id at a time is on its way.
- Markers are sent only for a decision that is committed, and COMPLETE_* is written only when every
  partition has its marker or is gone.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from logging import Logger

from fastbroker.coordination.append_error import append_error
from fastbroker.coordination.rated_log import RatedLog
from fastbroker.errors import ConcurrentTransactions, KafkaError, NotCoordinator, of
from fastbroker.model import Deferred, Timers
from fastbroker.txn.attempt import attempted
from fastbroker.txn.end import aborted
from fastbroker.txn.entry import Entry
from fastbroker.txn.markers import Markers
from fastbroker.txn.record import Record, read_key, read_value, record, tombstone
from fastbroker.txn.settings import TransactionSettings
from fastbroker.txn.state import State
from fastbroker.txn.transaction import Transaction

RECORDS_A_WRITE = 1_000  # tombstones are written in batches of at most so many records
# Until a completion that could not be written is written again, first and after many tries.
COMPLETE_RETRY_MS, COMPLETE_RETRY_MAX_MS = 100, 5_000

Append = Callable[[int, list[Record]], Deferred[None]]


class Shard:
    """The ids that hash to one partition, on the broker that leads it.

    loaded: replay is over; until then requests are refused. version(): transaction.version.
    allocate(): a fresh producer id.
    """

    def __init__(
        self,
        partition: int,
        *,
        leader_epoch: int,
        settings: TransactionSettings,
        timers: Timers,
        append: Append,
        allocate: Callable[[], Deferred[int]],
        markers: Markers,
        version: Callable[[], int],
        log: Logger,
    ) -> None:
        self.partition, self.leader_epoch = partition, leader_epoch
        self.settings, self.timers, self.log = settings, timers, log
        self._id_log = RatedLog(log, timers, "transactional id", "transactional ids")
        self.markers, self.version = markers, version
        self.entries: dict[str, Entry] = {}
        self.loaded = self.ended = False
        self._append, self._allocate = append, allocate

    # Writing.

    def write(self, entry: Entry, following: Transaction) -> Deferred[Transaction]:
        """Write a transition; done when it is in force. Fails with what a client is told.

        A decision's markers are on their way then, too.
        """
        assert entry.pending is None
        entry.pending = following
        done: Deferred[Transaction] = Deferred()

        def written(write: Deferred[None]) -> None:
            error = self._failure(write)
            if error is None:
                self._apply(entry, following)
                done.complete(following)
                return
            self._undo(entry)
            done.fail(error)

        self._log_record(entry, following).then(written)
        return done

    def _log_record(self, entry: Entry, following: Transaction) -> Deferred[None]:
        kept = record(entry.transactional_id, following, version=self.version())
        return self._append(self.partition, [kept])

    def _failure(self, write: Deferred[None]) -> KafkaError | None:
        """What a client is told of a write; None: it is in force."""
        if self.ended:
            return NotCoordinator(f"__transaction_state-{self.partition} is led by another broker")
        if write.error is None:
            return None
        return of(append_error(write.error))(str(write.error))

    def _undo(self, entry: Entry) -> None:
        if entry.kept is None and self.entries.get(entry.transactional_id) is entry:
            del self.entries[entry.transactional_id]  # it was never made
        entry.settle(entry.kept)

    def _apply(self, entry: Entry, following: Transaction) -> None:
        entry.settle(following)
        if entry.kept is following and following.state.is_prepared:
            self._send_markers(entry, following)

    # What follows a decision.

    def _send_markers(self, entry: Entry, prepared: Transaction) -> None:
        """Have markers written; then the transaction is complete."""
        entry.unmarked = set(prepared.partitions)
        if not entry.unmarked:
            self._complete(entry, prepared)
            return

        def marked() -> None:
            if not self.ended:
                self._complete(entry, prepared)

        self.markers.send(self, entry, prepared, marked)

    def _complete(self, entry: Entry, prepared: Transaction) -> None:
        """Write COMPLETE_*, again and again until it is written or another broker leads."""
        assert entry.kept is prepared
        following = prepared.completed(self.timers.now_ms())
        entry.pending = following
        delay_ms = COMPLETE_RETRY_MS

        def written(write: Deferred[None]) -> None:
            nonlocal delay_ms
            if self.ended:
                entry.settle(entry.kept)
            elif write.error is None:
                self._apply(entry, following)
            else:
                self._id_log.warning(
                    "transaction %r: its completion could not be written, trying again: %s",
                    entry.transactional_id, write.error,
                )  # fmt: skip
                self.timers.after(delay_ms, again)
                delay_ms = min(delay_ms * 2, COMPLETE_RETRY_MAX_MS)

        def again() -> None:
            if not self.ended:
                self._log_record(entry, following).then(written)

        self._log_record(entry, following).then(written)

    # Time.

    def abort_timed_out(self, now_ms: int) -> int:
        """Abort transactions that have been open for too long; how many."""
        late = [entry for entry in self.entries.values() if _is_late(entry, now_ms)]
        for entry in late:
            attempted(partial(self._abort_late, entry), self._allocate)
        return len(late)

    def _abort_late(self, entry: Entry, fresh_id: int | None) -> Deferred[Transaction]:
        """Abort a transaction that is open for too long. Raises ProducerIdWanted without
        `fresh_id`, ConcurrentTransactions when it is not so any more."""
        now_ms, kept = self.timers.now_ms(), entry.kept
        if kept is None or self.ended or not _is_late(entry, now_ms):
            raise ConcurrentTransactions("it has ended meanwhile")
        following = aborted(kept, version=self.version(), fresh_id=fresh_id, now_ms=now_ms)
        self._id_log.info(
            "transaction %r of producer %d, epoch %d, is aborted: open for longer than %d ms"
            " (transaction.timeout.ms of its producer)",
            entry.transactional_id, kept.producer_id, kept.producer_epoch, kept.timeout_ms,
        )  # fmt: skip
        return self.write(entry, following)

    def expire(self, now_ms: int) -> None:
        """Give up ids without a transaction that nothing has been heard of for long."""
        before = now_ms - self.settings.id_expiration_ms
        idle = [
            entry
            for entry in self.entries.values()
            if entry.kept is not None
            and entry.pending is None
            and entry.kept.state.is_at_rest
            and entry.kept.updated_ms <= before
        ]
        for at in range(0, len(idle), RECORDS_A_WRITE):
            self._delete(idle[at : at + RECORDS_A_WRITE])

    def _delete(self, entries: list[Entry]) -> None:
        for entry in entries:
            entry.pending = entry.kept

        def written(write: Deferred[None]) -> None:
            for entry in entries:
                if write.error is None and not self.ended:
                    del self.entries[entry.transactional_id]
                    entry.settle(None)
                else:
                    entry.settle(entry.kept)
            if write.error is None:
                self.log.info(
                    "__transaction_state-%d: %d transactional ids expired",
                    self.partition, len(entries),
                )  # fmt: skip

        records = [tombstone(entry.transactional_id) for entry in entries]
        self._append(self.partition, records).then(written)

    # A coordinator takes over, and gives up.

    def replay(self, key: bytes | None, value: bytes | None) -> None:
        """Apply one record of the log. Raises CorruptFrame."""
        transactional_id = read_key(key)
        if transactional_id is None:
            return
        kept = read_value(value) if value is not None else None
        if kept is None or kept.state is State.DEAD:
            self.entries.pop(transactional_id, None)
        else:
            self.entries[transactional_id] = Entry(transactional_id, kept)

    def begin(self) -> None:
        """The log is replayed: serve, and finish what was decided before."""
        self.loaded = True
        for entry in list(self.entries.values()):
            kept = entry.kept
            assert kept is not None
            if kept.state.is_prepared:
                self._send_markers(entry, kept)
            elif kept.state is State.PREPARE_EPOCH_FENCE:
                # Nobody writes it; it would hold the epoch that was raised already.
                following = kept.prepared(
                    State.PREPARE_ABORT, client_version=0, now_ms=self.timers.now_ms()
                )
                self.write(entry, following)

    def end(self, error: type[KafkaError]) -> None:
        """Another broker serves from now on: markers are its affair; who waits looks elsewhere."""
        self.ended = True
        self.markers.cancel(self)
        for entry in list(self.entries.values()):
            entry.wake()


def _is_late(entry: Entry, now_ms: int) -> bool:
    kept = entry.kept
    return (
        kept is not None
        and entry.pending is None
        and kept.state is State.ONGOING
        and kept.start_ms + kept.timeout_ms < now_ms
    )
