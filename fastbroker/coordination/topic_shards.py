"""Which partitions of an internal topic this broker serves: elections, loading, finding a shard.

A key belongs to partition `abs(hash(key)) mod` the number of partitions, and to whichever broker
leads that: any other answers NOT_COORDINATOR, and this one COORDINATOR_LOAD_IN_PROGRESS until it
has replayed the partition.

    elected -> loading -> (begin) serving -> (end) resigned
                  |                             ^
                  +--- newer epoch, bad log ----+
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from logging import Logger
from typing import Generic, Protocol, TypeVar

from fastbroker.coordination.hashing import partition_of
from fastbroker.errors import CoordinatorLoadInProgress, CorruptFrame, KafkaError, NotCoordinator
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.schema import Buffer
from fastbroker.records.reader import Batch, iter_batches

LOAD_BYTES_A_TURN = 1 << 20  # replay lets other work in between after so much
# Between two looks for what is not there yet: twice as long each time.
LOAD_WAIT_MS, LOAD_WAIT_MAX_MS = 10, 1000

Pairs = Iterable[tuple[bytes | None, bytes | None]]


class Shard(Protocol):
    """One partition's state. loaded: replay is over; ended: another broker serves, or nobody."""

    partition: int
    leader_epoch: int
    loaded: bool
    ended: bool

    def replay(self, key: bytes | None, value: bytes | None) -> None:
        """Apply one record of the log. Raises CorruptFrame."""

    def begin(self) -> None:
        """The log is replayed: serve."""

    def end(self, error: type[KafkaError]) -> None:
        """Serve no more: who waits is told `error`."""


S = TypeVar("S", bound=Shard)


class TopicShards(ABC, Generic[S]):
    """The shards of one broker, by partition of `topic`.

    count: partitions of the topic once it is known; before, how many it will be made with.
    """

    def __init__(self, topic: str, count: int, timers: Timers, log: Logger) -> None:
        self.topic, self.count = topic, count
        self._timers, self._log = timers, log
        self._by_partition: dict[int, S] = {}

    @abstractmethod
    def make(self, partition: int, leader_epoch: int) -> S:
        """An empty shard."""

    def begun(self, shard: S) -> None:
        """A shard has been loaded and serves from now on."""

    def __iter__(self) -> Iterator[S]:
        return iter(list(self._by_partition.values()))

    def partition_for(self, key: str) -> int:
        """The partition that keeps a key."""
        return partition_of(key, self.count)

    def at(self, partition: int) -> S:
        """The shard of a partition. Raises NotCoordinator, CoordinatorLoadInProgress."""
        shard = self._by_partition.get(partition)
        if shard is None:
            raise NotCoordinator(f"{self.topic}-{partition} is led by another broker")
        if not shard.loaded:
            raise CoordinatorLoadInProgress(f"{self.topic}-{partition} is loading")
        return shard

    def elected(
        self, partition: int, leader_epoch: int, batches: Iterable[Buffer]
    ) -> Deferred[None]:
        """This broker leads `partition` in `leader_epoch`: replay it, then serve its keys.

        batches: the partition's log from its start to the high watermark, as chunks of whole
        batches, taken one after the other as replay goes on: about a MiB before this returns, the
        rest between other work. An empty chunk: there is nothing now, ask again in a moment.
        An epoch not newer than the one served changes nothing.
        Done when the keys are served, or will not be: a newer epoch, resigned, unreadable log.
        """
        done: Deferred[None] = Deferred()
        shard = self._by_partition.get(partition)
        if shard is not None and shard.leader_epoch >= leader_epoch:
            done.complete(None)
            return done
        self.resigned(partition)
        shard = self._by_partition[partition] = self.make(partition, leader_epoch)
        self._load(shard, iter(batches), done)
        return done

    def resigned(self, partition: int) -> None:
        """Serve `partition` no more; who waits is sent elsewhere."""
        shard = self._by_partition.pop(partition, None)
        if shard is not None:
            shard.end(NotCoordinator)

    def _load(
        self, shard: S, batches: Iterator[Buffer], done: Deferred[None],
        wait_ms: int = LOAD_WAIT_MS,
    ) -> None:  # fmt: skip
        """One turn of replay; the next one is left to a timer. wait_ms: should nothing be there."""
        taken = 0
        try:
            while not shard.ended:
                if taken >= LOAD_BYTES_A_TURN:
                    self._timers.after(0, self._load, shard, batches, done)
                    return
                chunk = next(batches, None)
                if chunk is None:
                    shard.begin()
                    self.begun(shard)
                    break
                if not len(chunk):
                    longer_ms = min(2 * wait_ms, LOAD_WAIT_MAX_MS)
                    self._timers.after(wait_ms, self._load, shard, batches, done, longer_ms)
                    return
                wait_ms = LOAD_WAIT_MS
                taken += len(chunk)
                for batch in iter_batches(chunk):
                    self.replay_batch(shard, batch)
        except (KafkaError, OSError) as error:
            self._log.error(
                "%s-%d: not served, its log cannot be read: %s", self.topic, shard.partition, error
            )
            self.resigned(shard.partition)
        done.complete(None)

    def replay_batch(self, shard: S, batch: Batch) -> None:
        """Apply one batch of the log; control batches say nothing to a coordinator."""
        if not batch.header.is_control:
            self.replay(shard, ((record.key, record.value) for record in batch.records()))

    def replay(self, shard: S, records: Pairs) -> None:
        """Apply records; one that is no record of a coordinator is logged and passed over."""
        for key, value in records:
            try:
                shard.replay(key, value)
            except CorruptFrame as error:
                self._log.error(
                    "%s-%d: a record is passed over: %s", self.topic, shard.partition, error
                )
