"""The group coordinator of one broker: its parts, and what happens around groups."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

from fastbroker.config.broker import BrokerConfig
from fastbroker.group.administration import Administration
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.consumer.settings import NO_OVERRIDES, ConsumerSettings, Overrides
from fastbroker.group.member_requests import MemberRequests
from fastbroker.group.offset_requests import OffsetRequests
from fastbroker.group.settings import GroupSettings
from fastbroker.group.shard import Append
from fastbroker.group.shards import Shards
from fastbroker.group.topics import Topics
from fastbroker.group.transactions import Transactions
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.schema import Buffer


class GroupCoordinator:
    """Every group of this broker; belongs to one process and its loop.

    append: writes (key, value) records as one batch into a partition of __consumer_offsets; done
        once they are below the high watermark, failed with a KafkaError. Completes in call order.
    new_member_id: an id that begins with the text given, followed by "-" and a fresh UUID.
    topics: looks topics up in the newest metadata.
    transactions: the same partitions, as parts of transactions.
    overrides: a group's own settings, by its id.
    members, offsets, administration: what answers requests.
    """

    def __init__(
        self,
        config: BrokerConfig,
        timers: Timers,
        *,
        append: Append,
        transactions: Transactions,
        new_member_id: Callable[[str], str],
        topics: Topics,
        overrides: Callable[[str], Overrides] = lambda group_id: NO_OVERRIDES,
        log: logging.Logger | None = None,
    ) -> None:
        self.settings = GroupSettings.of(config)
        self.timers = timers
        log = log or logging.getLogger("fastbroker.group")
        self.consumers = Environment(
            ConsumerSettings.of(config),
            timers,
            log,
            topics=topics,
            overrides=overrides,
            new_member_id=lambda: new_member_id("consumer"),
            count_members=self._count_members,
        )
        self.shards = Shards(
            self.settings,
            timers,
            append=append,
            transactions=transactions,
            consumers=self.consumers,
            log=log,
        )
        self.members = MemberRequests(self.settings, self.shards, self.consumers, new_member_id)
        self.offsets = OffsetRequests(
            self.settings, timers, self.shards, topics, transactions.enlist
        )
        self.administration = Administration(self.shards, self.consumers)

    def partition_for(self, group_id: str) -> int:
        """The partition of __consumer_offsets that keeps a group."""
        return self.shards.partition_for(group_id)

    def groups(self) -> Iterator[AnyGroup]:
        """Every group; others may come and go between two of them."""
        for shard in self.shards:
            yield from list(shard.groups.values())

    def _consumer_groups(self) -> Iterator[ConsumerGroup]:
        for shard in self.shards:
            for group in shard.groups.values():
                if isinstance(group, ConsumerGroup):
                    yield group

    def _count_members(self) -> int:
        return sum(len(group.members) for group in self._consumer_groups())

    # What happens around groups.

    def reconfigure(self, config: BrokerConfig) -> None:
        """Values of the broker were changed at run time."""
        self.consumers.settings = ConsumerSettings.of(config)

    def topic_has(self, partitions: int) -> None:
        """__consumer_offsets is there, with that many partitions."""
        self.shards.count = partitions

    def elected(
        self, partition: int, leader_epoch: int, batches: Iterable[Buffer]
    ) -> Deferred[None]:
        """This broker leads `partition` in `leader_epoch`: replay it, then serve its groups.

        batches: the partition's log from its start to the high watermark, as chunks of whole
        batches, taken one after the other as replay goes on: about a MiB before this returns, the
        rest between other work. An epoch not newer than the one served changes nothing.
        Done when the groups are served, or will not be: a newer epoch, resigned, unreadable log.
        """
        return self.shards.elected(partition, leader_epoch, batches)

    def resigned(self, partition: int) -> None:
        """This broker does not lead `partition` any more: who waits gets NOT_COORDINATOR."""
        self.shards.resigned(partition)

    def on_topics_deleted(self, names: Iterable[str]) -> None:
        """Drop the offsets committed on topics that are no more."""
        gone_topics = set(names)
        for shard in self.shards:
            gone = shard.offsets_on_topics(gone_topics)
            if shard.loaded and gone:
                shard.delete_offsets(gone)

    def on_topics_changed(self, names: set[str], came_or_went: set[str]) -> None:
        """Consumer groups that read these topics look at them with their next heartbeat.

        names: topics that came, went or have another number of partitions; came_or_went: those of
        them that came or went, which may change what a regex matches.
        """
        self.consumers.topics_changed(came_or_went)
        for group in self._consumer_groups():
            if group.reads_any(names):
                group.stale = True

    def expire(self, now_ms: int) -> None:
        """Give up offsets past retention, and groups that nothing is left of.

        To be called every offsets.retention.check.interval.ms; now_ms: wall clock.
        """
        for shard in self.shards:
            if shard.loaded:
                shard.expire(now_ms)
