"""One partition of __consumer_offsets: the groups and offsets in it, from its records and back.

State follows the log: what is written is applied when `append` completes, as its replay would be.
So a failed write leaves memory as it was, whatever reached the log; and since writes complete in
the order of the log, the last one to complete is the last one a reload would find. The exception
is a group's rebalance, which lives in memory and is stored when its assignment is made.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from logging import Logger
from typing import Any

from fastbroker.errors import CoordinatorLoadInProgress, CorruptFrame, GroupIdNotFound, KafkaError
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.record import Record, group_tombstone
from fastbroker.group.classic.state import State
from fastbroker.group.consumer import conversion
from fastbroker.group.consumer import replay as consumer_records
from fastbroker.group.consumer.change import Change, Written
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.consumer.member import ConsumerMember
from fastbroker.group.group_log import GroupLog
from fastbroker.group.offsets import CommittedOffset, OffsetTable, expired, tombstone
from fastbroker.group.pending_offsets import PendingOffsets, Place
from fastbroker.group.settings import GroupSettings
from fastbroker.group.transactions import Producer, Transactions
from fastbroker.model import Deferred, Timers, TopicPartition
from fastbroker.protocol.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    LegacyOffsetCommitKey,
    LegacyOffsetCommitValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from fastbroker.protocol.record_frames import decode_key, decode_value, key_types
from fastbroker.records.control import EndTransactionMarker

KEYS = key_types(
    [LegacyOffsetCommitKey, OffsetCommitKey, GroupMetadataKey, *consumer_records.KEYS]
)
RECORDS_A_WRITE = 1_000  # deletions are written in batches of at most so many records

Append = Callable[[int, list[Record]], Deferred[None]]
Deletion = tuple[Record, Callable[[], object]]  # a tombstone, and what it does once written


class Shard:
    """The groups whose ids hash to one partition, on the broker that leads it.

    loaded: replay is over; until then requests are refused. replaying: the producer id of the
    transaction whose records are replayed; None: of none. in_flight: changes of consumer groups
    that are being written, oldest first.
    """

    def __init__(
        self,
        partition: int,
        *,
        leader_epoch: int,
        settings: GroupSettings,
        timers: Timers,
        append: Append,
        transactions: Transactions,
        consumers: Environment,
        log: Logger,
    ) -> None:
        self.partition, self.leader_epoch = partition, leader_epoch
        self.settings, self.timers, self.log = settings, timers, log
        self.group_log = GroupLog(log, timers)
        self.groups: dict[str, AnyGroup] = {}
        self.in_flight: list[Written] = []
        self.offsets = OffsetTable()
        self.pending = PendingOffsets()
        self.loaded = False
        self.replaying: int | None = None
        self.ended = False
        self._append, self._transactions, self._consumers = append, transactions, consumers
        self._newest_write: Deferred[None] | None = None

    # Groups.

    def group(self, group_id: str) -> AnyGroup:
        """The group. Raises GroupIdNotFound."""
        group = self.groups.get(group_id)
        if group is None:
            raise GroupIdNotFound(f"group {group_id!r} does not exist")
        return group

    def group_or_new(self, group_id: str) -> AnyGroup:
        """The group; an empty classic one if there was none."""
        group = self.groups.get(group_id)
        if group is None:
            group = self.groups[group_id] = self.make_classic(group_id)
        return group

    def make_classic(self, group_id: str) -> ClassicGroup:
        """A classic group that is not among the groups yet."""
        return ClassicGroup(
            group_id,
            settings=self.settings,
            timers=self.timers,
            store=self.write,
            log=self.group_log,
            vacated=self.forget_if_vacant,
        )

    def make_consumer(self, group_id: str) -> ConsumerGroup:
        """A consumer group that is not among the groups yet."""
        return ConsumerGroup(group_id, timers=self.timers, log=self.group_log, watch=self)

    def forget_if_vacant(self, group: AnyGroup) -> None:
        """Drop a group that has no record: nobody ever joined it, and it has no offsets.

        One whose offsets were all deleted stays until expiry comes by, as in Apache Kafka.
        """
        if isinstance(group, ConsumerGroup):
            vacant = consumer_records.is_gone(group)
        else:
            vacant = (
                group.state is State.EMPTY
                and group.generation_id == 0
                and not group.roster.pending
            )
        if (
            vacant
            and group.group_id not in self.offsets.groups
            and group.group_id not in self.pending
            and self.groups.get(group.group_id) is group
        ):
            del self.groups[group.group_id]

    # Writing.

    def write(self, records: list[Record]) -> Deferred[None]:
        """Append one batch; done when it is below the high watermark."""
        assert records
        self._newest_write = done = self._append(self.partition, records)
        return done

    def when_settled(self, then: Callable[[], object]) -> None:
        """Call `then` once everything written so far has succeeded or failed."""
        newest = self._newest_write
        if newest is None or newest.done:
            self._newest_write = None
            then()
        else:
            newest.then(lambda _: then())

    def commit(
        self, group_id: str, commits: list[tuple[TopicPartition, CommittedOffset]]
    ) -> Deferred[None]:
        """Write offsets of a group; they count once that is done.

        Commits may overlap: each is applied when it completes, in the order of the log. One that
        fails changes nothing here, even if a reload should find it in the log.
        """
        done: Deferred[None] = Deferred()

        def written(write: Deferred[None]) -> None:
            if write.error is None and not self.ended:
                for at, committed in commits:
                    self.put_offset(group_id, at, committed)
            _pass_on(write, done)

        self.write([committed.record(group_id, at) for at, committed in commits]).then(written)
        return done

    def put_offset(self, group_id: str, at: TopicPartition, committed: CommittedOffset) -> None:
        """Set an offset; a group that only commits exists from its first offset on."""
        self.group_or_new(group_id)
        self.offsets.put(group_id, at, committed)
        if group_id in self.pending:
            self.pending.overtake(group_id, at)

    def has_offset(self, group_id: str, at: TopicPartition) -> bool:
        """Whether an offset is set, or pending in a transaction."""
        return at in self.offsets.of(group_id) or at in self.pending.of(group_id)

    def _remove_offset(self, group_id: str, at: TopicPartition) -> None:
        self.offsets.remove(group_id, at)
        self.pending.remove(group_id, at)

    def offsets_on_topics(self, names: set[str]) -> set[Place]:
        """Every place with an offset, set or pending, on one of the topics."""
        return {*self.offsets.on_topics(names), *self.pending.on_topics(names)}

    def delete_offsets(self, gone: Iterable[Place]) -> Deferred[None]:
        """Write tombstones for offsets, and drop them as that succeeds; pending ones, too."""
        return self._delete([(tombstone(*one), partial(self._remove_offset, *one)) for one in gone])

    # Transactions.

    def begin_verification(self, producer: Producer) -> object | None:
        """See Transactions. Raises a KafkaError."""
        return self._transactions.begin_verification(self.partition, producer)

    def commit_in_transaction(
        self,
        group_id: str,
        commits: list[tuple[TopicPartition, CommittedOffset]],
        producer: Producer,
        verification: object | None,
    ) -> Deferred[None]:
        """Write offsets that are to count when the producer's transaction is committed."""
        done: Deferred[None] = Deferred()

        def written(write: Deferred[None]) -> None:
            if write.error is None and not self.ended:
                for at, committed in commits:
                    self._put_pending(producer.id, group_id, at, committed)
            _pass_on(write, done)

        records = [committed.record(group_id, at) for at, committed in commits]
        self._newest_write = write = self._transactions.append(
            self.partition, records, producer, verification
        )
        write.then(written)
        return done

    def _put_pending(
        self, producer_id: int, group_id: str, at: TopicPartition, committed: CommittedOffset
    ) -> None:
        self.group_or_new(group_id)
        self.pending.put(producer_id, group_id, at, committed)

    def complete_transaction(self, marker: EndTransactionMarker) -> Deferred[None]:
        """Write a marker; what was pending in its transaction counts, or is gone, when that is
        done. A marker for a transaction that nothing is pending in is only written."""
        done: Deferred[None] = Deferred()

        def written(write: Deferred[None]) -> None:
            if write.error is None and not self.ended:
                self.end_transaction(marker.producer_id, commit=marker.commit)
            _pass_on(write, done)

        self._newest_write = write = self._transactions.append_marker(self.partition, marker)
        write.then(written)
        return done

    def end_transaction(self, producer_id: int, *, commit: bool) -> None:
        """A marker is in the log."""
        for group_id, at, committed in self.pending.end(producer_id, commit=commit):
            if committed is not None:
                self.offsets.put(group_id, at, committed)

    def delete_group(self, group: AnyGroup) -> Deferred[None]:
        """Delete an empty group and all its offsets; it takes no requests meanwhile."""
        assert group.is_empty
        group.end(CoordinatorLoadInProgress)
        group_id = group.group_id
        deletions: list[Deletion] = [
            (tombstone(group_id, at), partial(self._remove_offset, group_id, at))
            for at in {**self.offsets.of(group_id), **dict.fromkeys(self.pending.of(group_id))}
        ]
        records = [group_tombstone(group_id)]
        if isinstance(group, ConsumerGroup):
            records = group.tombstones()
        *most, last = records
        deletions += [(record, lambda: None) for record in most]
        deletions.append((last, partial(self._drop_group, group_id)))

        def over(write: Deferred[None]) -> None:
            if write.error is not None and not self.ended:
                group.revive()

        done = self._delete(deletions)
        done.then(over)
        return done

    def _delete(self, deletions: list[Deletion]) -> Deferred[None]:
        """Write records in batches, apply those that were written; the first error, if any."""
        done: Deferred[None] = Deferred()
        batches = [
            deletions[at : at + RECORDS_A_WRITE]
            for at in range(0, len(deletions), RECORDS_A_WRITE)
        ]
        left = len(batches)
        failure: BaseException | None = None

        def written(batch: list[Deletion], write: Deferred[None]) -> None:
            nonlocal left, failure
            left -= 1
            failure = failure or write.error
            if write.error is None and not self.ended:
                for _, apply in batch:
                    apply()
            if not left:
                done.complete(None) if failure is None else done.fail(failure)

        for batch in batches:
            self.write([record for record, _ in batch]).then(partial(written, batch))
        if not batches:
            done.complete(None)
        return done

    # Time.

    def expire(self, now_ms: int) -> None:
        """Give up offsets past their retention, and groups that nothing is left of."""
        retention_ms = self.settings.offsets_retention_ms
        gone: list[Place] = []
        for group in list(self.groups.values()):
            if group.dead:
                continue
            offsets = self.offsets.of(group.group_id)
            pending = self.pending.of(group.group_id)
            over = [
                at
                for at in expired(group, offsets, now_ms=now_ms, retention_ms=retention_ms)
                if at not in pending
            ]
            idle = group.is_empty and not pending
            if isinstance(group, ClassicGroup):
                idle = idle and not group.roster.pending
            if idle and len(over) == len(offsets):
                self.delete_group(group)
            else:
                gone += [(group.group_id, at) for at in over]
        if gone:
            self.log.info(
                "__consumer_offsets-%d: %d offsets expired", self.partition, len(gone)
            )
            self.delete_offsets(gone)

    # What consumer groups ask; see Watch.

    def overdue(self, group: ConsumerGroup, member: ConsumerMember, why: str) -> None:
        """Time is up for a member: it goes."""
        change = Change(self, group)
        name = member.said.instance_id or member.member_id
        conversion.fence(self._consumers, change, [member], f"member {name} {why}")
        change.write()

    def session_timeout_ms(self, group_id: str) -> int:
        return self._consumers.session_timeout_ms(group_id)

    # A coordinator takes over, and gives up.

    def replay(self, key: bytes | None, value: bytes | None) -> None:
        """Apply one record of the log, of the transaction of `replaying`. Raises CorruptFrame.

        Records of kinds that are not ours to keep (share groups and later ones) are passed over.
        """
        if key is None:
            raise CorruptFrame("a record without a key")
        what = decode_key(key, KEYS)
        if isinstance(what, GroupMetadataKey):
            self._replay_group(what.group, value)
        elif isinstance(what, consumer_records.KEYS):
            self._replay_consumer(what, value)
        elif what is not None:
            at = TopicPartition(what.topic, what.partition)
            if value is None:
                self._remove_offset(what.group, at)
                return
            old = isinstance(what, LegacyOffsetCommitKey)
            kept = decode_value(value, LegacyOffsetCommitValue if old else OffsetCommitValue)
            if self.replaying is None:
                self.put_offset(what.group, at, CommittedOffset.of(kept))
            else:
                self._put_pending(self.replaying, what.group, at, CommittedOffset.of(kept))

    def _replay_group(self, group_id: str, value: bytes | None) -> None:
        if value is not None:
            kept = decode_value(value, GroupMetadataValue)
            group = self.groups[group_id] = self.make_classic(group_id)
            group.restore(kept)
        elif not isinstance(self.groups.get(group_id), ConsumerGroup):
            self._drop_group(group_id)

    def _replay_consumer(self, key: Any, value: bytes | None) -> None:
        group = self.groups.get(key.group_id)
        if not isinstance(group, ConsumerGroup):
            if value is None:
                return  # of a group that has been deleted, or is a classic one by now
            group = self.groups[key.group_id] = self.make_consumer(key.group_id)
        consumer_records.replay(group, key, value)
        if consumer_records.is_gone(group):
            self._drop_group(key.group_id)

    def _drop_group(self, group_id: str) -> None:
        """It is deleted; with offsets that are set, it exists as one that only commits."""
        self.groups.pop(group_id, None)
        if group_id in self.offsets.groups or group_id in self.pending:
            self.group_or_new(group_id)

    def begin(self) -> None:
        """The log is replayed: serve."""
        self.loaded, self.replaying = True, None
        for group in list(self.groups.values()):
            group.begin()

    def end(self, error: type[KafkaError]) -> None:
        """Another broker serves from now on: who waits is told `error`."""
        self.ended = True
        for group in list(self.groups.values()):
            group.end(error)


def _pass_on(write: Deferred[None], done: Deferred[None]) -> None:
    if write.error is None:
        done.complete(None)
    else:
        done.fail(write.error)
