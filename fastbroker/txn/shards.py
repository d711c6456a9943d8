"""Which partitions of __transaction_state this broker serves; see coordination/topic_shards.py."""
from __future__ import annotations

from collections.abc import Callable
from logging import Logger

from fastbroker.coordination.topic_shards import TopicShards
from fastbroker.coordination.topics import TRANSACTIONS_TOPIC
from fastbroker.errors import InvalidRequest
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.record_frames import LONGEST_STRING, is_too_long
from fastbroker.txn.markers import Markers
from fastbroker.txn.settings import TransactionSettings
from fastbroker.txn.shard import Append, Shard


class Shards(TopicShards[Shard]):
    """The shards of one broker, by partition."""

    def __init__(
        self,
        settings: TransactionSettings,
        timers: Timers,
        *,
        append: Append,
        allocate: Callable[[], Deferred[int]],
        markers: Markers,
        version: Callable[[], int],
        log: Logger,
    ) -> None:
        super().__init__(TRANSACTIONS_TOPIC, settings.partitions, timers, log)
        self._settings, self._append, self._allocate = settings, append, allocate
        self._markers, self._version = markers, version

    def of(self, transactional_id: str) -> Shard:
        """The shard of an id. Raises InvalidRequest, NotCoordinator, CoordinatorLoadInProgress."""
        if not transactional_id:
            raise InvalidRequest("the transactional id is empty: set transactional.id")
        if is_too_long(transactional_id):
            raise InvalidRequest(
                f"the transactional id is longer than {LONGEST_STRING} bytes: shorten it"
            )
        return self.at(self.partition_for(transactional_id))

    def make(self, partition: int, leader_epoch: int) -> Shard:
        return Shard(
            partition,
            leader_epoch=leader_epoch,
            settings=self._settings,
            timers=self._timers,
            append=self._append,
            allocate=self._allocate,
            markers=self._markers,
            version=self._version,
            log=self._log,
        )

    def begun(self, shard: Shard) -> None:
        if shard.entries:
            self._log.info(
                "%s-%d: serving %d transactional ids, %d of them with markers to write",
                self.topic, shard.partition, len(shard.entries),
                sum(e.kept is not None and e.kept.state.is_prepared
                    for e in shard.entries.values()),
            )  # fmt: skip
