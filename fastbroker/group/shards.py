"""Which partitions of __consumer_offsets this broker serves; see coordination/topic_shards.py."""
from __future__ import annotations

from logging import Logger

from fastbroker.coordination.topic_shards import TopicShards
from fastbroker.coordination.topics import OFFSETS_TOPIC
from fastbroker.errors import InvalidGroupId
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.settings import GroupSettings
from fastbroker.group.shard import Append, Shard
from fastbroker.group.transactions import Transactions
from fastbroker.model import Timers
from fastbroker.protocol.record_frames import LONGEST_STRING, is_too_long
from fastbroker.records.control import read_marker
from fastbroker.records.reader import Batch


class Shards(TopicShards[Shard]):
    """The shards of one broker, by partition."""

    def __init__(
        self,
        settings: GroupSettings,
        timers: Timers,
        *,
        append: Append,
        transactions: Transactions,
        consumers: Environment,
        log: Logger,
    ) -> None:
        super().__init__(OFFSETS_TOPIC, settings.partitions, timers, log)
        self._settings, self._append, self._transactions = settings, append, transactions
        self._consumers = consumers

    def of(self, group_id: str, *, may_be_empty: bool = False) -> Shard:
        """The shard of a group. Raises InvalidGroupId, NotCoordinator, CoordinatorLoadInProgress.

        may_be_empty: the request takes "" for a group, as those that need no member do.
        """
        if not group_id and not may_be_empty:
            raise InvalidGroupId("the group id is empty: set group.id")
        if is_too_long(group_id):
            raise InvalidGroupId(f"the group id is longer than {LONGEST_STRING} bytes: shorten it")
        return self.at(self.partition_for(group_id))

    def make(self, partition: int, leader_epoch: int) -> Shard:
        return Shard(
            partition,
            leader_epoch=leader_epoch,
            settings=self._settings,
            timers=self._timers,
            append=self._append,
            transactions=self._transactions,
            consumers=self._consumers,
            log=self._log,
        )

    def begun(self, shard: Shard) -> None:
        if shard.groups:
            self._log.info(
                "%s-%d: serving %d groups", self.topic, shard.partition, len(shard.groups)
            )

    def replay_batch(self, shard: Shard, batch: Batch) -> None:
        header = batch.header
        if header.is_control:
            marker = read_marker(batch)
            if marker is not None:
                shard.end_transaction(marker.producer_id, commit=marker.commit)
            return
        shard.replaying = header.producer_id if header.is_transactional else None
        super().replay_batch(shard, batch)
