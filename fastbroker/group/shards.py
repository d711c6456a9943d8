"""Which partitions of __consumer_offsets this broker serves: elections, loading, finding a shard.

A group belongs to partition `abs(hash(group id)) mod` the number of partitions, and to
whichever broker leads that: any other answers NOT_COORDINATOR, and this one
COORDINATOR_LOAD_IN_PROGRESS until it has replayed the partition.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from logging import Logger

from fastbroker.errors import (
    CoordinatorLoadInProgress,
    CorruptFrame,
    InvalidGroupId,
    KafkaError,
    NotCoordinator,
)
from fastbroker.group.settings import GroupSettings
from fastbroker.group.shard import Append, Shard
from fastbroker.group.transactions import Transactions
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.schema import Buffer
from fastbroker.records.control import ABORT, COMMIT, control_kind
from fastbroker.records.reader import iter_batches

LOAD_BYTES_A_TURN = 1 << 20  # replay lets other work in between after so much

Pairs = Iterable[tuple[bytes | None, bytes | None]]


class Shards:
    """The shards of one broker, by partition."""

    def __init__(
        self,
        settings: GroupSettings,
        timers: Timers,
        *,
        append: Append,
        transactions: Transactions,
        log: Logger,
    ) -> None:
        self._settings, self._timers, self._log = settings, timers, log
        self._append, self._transactions = append, transactions
        self._by_partition: dict[int, Shard] = {}
        # Of the topic once it is known; the setting only says how many it is made with.
        self.count = settings.partitions

    def __iter__(self) -> Iterator[Shard]:
        return iter(list(self._by_partition.values()))

    def partition_for(self, group_id: str) -> int:
        """The partition that keeps a group."""
        hashed = java_hash(group_id)
        return 0 if hashed == -(1 << 31) else abs(hashed) % self.count

    def of(self, group_id: str, *, may_be_empty: bool = False) -> Shard:
        """The shard of a group. Raises InvalidGroupId, NotCoordinator, CoordinatorLoadInProgress.

        may_be_empty: the request takes "" for a group, as those that need no member do.
        """
        if not group_id and not may_be_empty:
            raise InvalidGroupId("the group id is empty: set group.id")
        return self.at(self.partition_for(group_id))

    def at(self, partition: int) -> Shard:
        """The shard of a partition. Raises NotCoordinator, CoordinatorLoadInProgress."""
        shard = self._by_partition.get(partition)
        if shard is None:
            raise NotCoordinator(f"__consumer_offsets-{partition} is led by another broker")
        if not shard.loaded:
            raise CoordinatorLoadInProgress(f"__consumer_offsets-{partition} is loading")
        return shard

    def elected(
        self, partition: int, leader_epoch: int, batches: Iterable[Buffer]
    ) -> Deferred[None]:
        """Replay `partition`, then serve its groups; see GroupCoordinator.elected."""
        done: Deferred[None] = Deferred()
        shard = self._by_partition.get(partition)
        if shard is not None and shard.leader_epoch >= leader_epoch:
            done.complete(None)
            return done
        self.resigned(partition)
        shard = Shard(
            partition,
            leader_epoch=leader_epoch,
            settings=self._settings,
            timers=self._timers,
            append=self._append,
            transactions=self._transactions,
            log=self._log,
        )
        self._by_partition[partition] = shard
        self._load(shard, iter(batches), done)
        return done

    def resigned(self, partition: int) -> None:
        """Serve `partition` no more; who waits is sent elsewhere."""
        shard = self._by_partition.pop(partition, None)
        if shard is not None:
            shard.end(NotCoordinator)

    def _load(self, shard: Shard, batches: Iterator[Buffer], done: Deferred[None]) -> None:
        """One turn of replay; the next one is left to a timer."""
        name = f"__consumer_offsets-{shard.partition}"
        taken = 0
        try:
            while not shard.ended:
                if taken >= LOAD_BYTES_A_TURN:
                    self._timers.after(0, self._load, shard, batches, done)
                    return
                chunk = next(batches, None)
                if chunk is None:
                    shard.begin()
                    if shard.groups:
                        self._log.info("%s: serving %d groups", name, len(shard.groups))
                    break
                taken += len(chunk)
                self._replay_chunk(shard, chunk)
        except (KafkaError, OSError) as error:
            self._log.error("%s: not served, its log cannot be read: %s", name, error)
            self.resigned(shard.partition)
        done.complete(None)

    def _replay_chunk(self, shard: Shard, chunk: Buffer) -> None:
        for batch in iter_batches(chunk):
            header = batch.header
            if header.is_control:
                for record in batch.records():
                    kind = control_kind(record.key or b"")
                    if kind in (ABORT, COMMIT):
                        shard.end_transaction(header.producer_id, commit=kind == COMMIT)
                continue
            producer_id = header.producer_id if header.is_transactional else None
            pairs = ((record.key, record.value) for record in batch.records())
            self.replay(shard, pairs, producer_id)

    def replay(self, shard: Shard, records: Pairs, producer_id: int | None) -> None:
        """Apply records, of a producer's transaction if one is given.

        One that is no record of a coordinator is logged and passed over.
        """
        for key, value in records:
            try:
                shard.replay(key, value, producer_id)
            except CorruptFrame as error:
                self._log.error(
                    "__consumer_offsets-%d: a record is passed over: %s", shard.partition, error
                )


def java_hash(text: str) -> int:
    """String.hashCode of Java: over UTF-16 code units, as a signed 32-bit number."""
    hashed = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        hashed = (31 * hashed + (units[at] << 8) + units[at + 1]) & 0xFFFFFFFF
    return hashed - (1 << 32) if hashed >= 1 << 31 else hashed
