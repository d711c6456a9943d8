"""The partitions of this broker, kept as the image says: opened, led, configured, dropped."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING

from fastbroker.config.broker import BrokerConfig
from fastbroker.errors import KafkaError, NotLeaderOrFollower
from fastbroker.handlers.context import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, Broker
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import BROKER, TOPIC, MetadataImage, PartitionImage, TopicImage
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.storage.log import Log
from fastbroker.storage.space import is_passing
from fastbroker.worker.internal_topic import committed_batches

if TYPE_CHECKING:
    from fastbroker.group.coordinator import GroupCoordinator
    from fastbroker.txn.coordinator import TransactionCoordinator

log = logging.getLogger(__name__)

OPEN_AGAIN_MS = 1000  # after something that may pass, such as a lack of space or files


class Refused:
    """Why a log could not be opened, and until when that is not looked at again."""

    __slots__ = ("_cause", "_kind", "_message", "until_ms")

    def __init__(self, error: KafkaError, until_ms: float) -> None:
        self._kind, self._message, self.until_ms = type(error), error.message, until_ms
        self._cause = error.__cause__
        if self._cause is not None:
            self._cause.__traceback__ = None  # it holds what was being opened

    def again(self) -> KafkaError:
        """The same error."""
        error = self._kind(self._message)
        error.__cause__ = self._cause
        return error


class Replicas:
    """Owned by the worker's loop.

    config: the broker's values without those changed at run time.
    request_flush: see Partition. remove(delay_ms, path): removes a renamed directory later.
    """

    def __init__(
        self,
        broker: Broker,
        config: BrokerConfig,
        request_flush: Callable[[Partition], object],
        remove: Callable[[int, str], object],
    ) -> None:
        self.broker, self.config = broker, config
        self.request_flush, self.remove = request_flush, remove
        self._refused: dict[Partition, Refused] = {}  # those whose logs could not be opened

    def apply(self, delta: MetadataDelta, image: MetadataImage) -> None:
        """Make the partitions here those of `image`."""
        if any(kind == BROKER for kind, _ in delta.changed_configs):
            self._configure_broker(image)
            self._configure(image.topics.values(), image)
        for topic in delta.removed_topics:
            self._remove(topic)
        for name in delta.changed_topics:
            topic = image.topics[name]
            coordinator = self._coordinator(name)
            if coordinator is not None:
                coordinator.topic_has(len(topic.partitions))
            before = delta.base.topics.get(name)
            known = before.partitions if before is not None and before.id == topic.id else {}
            for number, partition in topic.partitions.items():
                if known.get(number) != partition:
                    self._update(topic, number, partition, image)
        changed = [name for kind, name in delta.changed_configs if kind == TOPIC]
        self._configure([image.topics[name] for name in changed if name in image.topics], image)
        if self.broker.has_groups:
            self._tell_groups(delta, image)

    def _tell_groups(self, delta: MetadataDelta, image: MetadataImage) -> None:
        """Consumer groups look at topics that are others than they were; leaders do not matter."""
        if delta.removed_topics:
            self.broker.groups.on_topics_deleted(topic.name for topic in delta.removed_topics)
        before = delta.base.topics
        names = {*delta.changed_topics, *(topic.name for topic in delta.removed_topics)}
        came_or_went = {
            name for name in names if _topic_id(before, name) != _topic_id(image.topics, name)
        }
        resized = {
            name
            for name in names - came_or_went
            if name in before and len(before[name].partitions) != len(image.topics[name].partitions)
        }
        if came_or_went or resized:
            self.broker.groups.on_topics_changed(came_or_went | resized, came_or_went)

    def reload(self, config: BrokerConfig, image: MetadataImage) -> None:
        """Go on with other values of the file: those changed at run time stay on top of them."""
        self.config = config
        self._configure_broker(image)
        self._configure(image.topics.values(), image)

    def _configure_broker(self, image: MetadataImage) -> None:
        """Defaults of all brokers, then this one's own."""
        overrides = dict(image.configs.get((BROKER, ""), {}))
        overrides.update(image.configs.get((BROKER, str(self.broker.broker_id)), {}))
        self.broker.config = self.config.with_dynamic(overrides)
        if self.broker.has_groups:
            self.broker.groups.reconfigure(self.broker.config)

    def _configure(self, topics: Iterable[TopicImage], image: MetadataImage) -> None:
        for topic in topics:
            config = self.broker.topic_config(topic.name)
            for number in topic.partitions:
                partition = self.broker.partitions.get(TopicPartition(topic.name, number))
                log = partition.opened if partition is not None else None
                if log is not None:
                    log.config = config

    def _update(
        self, topic: TopicImage, number: int, image: PartitionImage, whole: MetadataImage
    ) -> None:
        name = TopicPartition(topic.name, number)
        partition = self.broker.partitions.get(name)
        if self.broker.broker_id not in image.replicas:
            if partition is not None:
                self._drop(partition)
            return
        if partition is not None and partition.topic_id != topic.id:
            self._drop(partition)  # deleted and made anew in one step
            partition = None
        if partition is None:
            partition = self._add(name, topic.id)
        was_leader = partition.is_leader
        elected = partition.lead(
            Leadership(
                image.leader, image.leader_epoch, image.partition_epoch, image.replicas, image.isr
            )
        )
        coordinator = self._coordinator(name.topic)
        if coordinator is not None:
            if elected:
                coordinator.elected(number, image.leader_epoch, committed_batches(partition))
            elif was_leader and not partition.is_leader:
                coordinator.resigned(number)

    def _coordinator(self, topic: str) -> GroupCoordinator | TransactionCoordinator | None:
        """Who keeps its state in a topic."""
        if topic == OFFSETS_TOPIC:
            return self.broker.groups
        if topic == TRANSACTIONS_TOPIC:
            return self.broker.transactions
        return None

    def _add(self, name: TopicPartition, topic_id: bytes) -> Partition:
        partition = Partition(
            name,
            topic_id,
            lambda: self._open_log(partition),
            broker_id=self.broker.broker_id,
            request_flush=self.request_flush,
        )
        if self.broker.log_dir.failure is not None:
            partition.fail(self.broker.log_dir.failure)
        self.broker.partitions[name] = partition
        return partition

    def _open_log(self, partition: Partition) -> Log:
        """Raises NotLeaderOrFollower, NoSpaceLeft, KafkaStorageError.

        One that failed is not tried again with each request: finding out takes long.
        """
        name, timers = partition.name, self.broker.timers
        if self.broker.partitions.get(name) is not partition:
            raise NotLeaderOrFollower(f"this {name} was deleted, or is not here any more")
        refused = self._refused.get(partition)
        if refused is not None and timers.monotonic_ms() < refused.until_ms:
            raise refused.again()
        try:
            opened = self.broker.log_dir.open_log(
                name, partition.topic_id, self.broker.topic_config(name.topic), timers.now_ms()
            )
        except KafkaError as error:
            # What is damaged stays so for as long as this process has the directory.
            until_ms = timers.monotonic_ms() + OPEN_AGAIN_MS if is_passing(error) else inf
            self._refused[partition] = Refused(error, until_ms)
            raise
        self._refused.pop(partition, None)
        return opened

    def _remove(self, topic: TopicImage) -> None:
        for number in topic.partitions:
            partition = self.broker.partitions.get(TopicPartition(topic.name, number))
            if partition is not None and partition.topic_id == topic.id:
                self._drop(partition)

    def _drop(self, partition: Partition) -> None:
        """Whoever waits is told; the files go after file.delete.delay.ms."""
        coordinator = self._coordinator(partition.name.topic)
        if coordinator is not None and partition.is_leader:
            coordinator.resigned(partition.name.partition)
        opened = partition.opened
        config = self.broker.topic_config(partition.name.topic) if opened is None else opened.config
        del self.broker.partitions[partition.name]
        self._refused.pop(partition, None)
        partition.lead(partition.leadership._replace(leader=-1))
        try:
            renamed = self.broker.log_dir.forget_log(partition.name)
        except (OSError, KafkaError) as error:
            log.error("the files of %s could not be put aside: %s", partition.name, error)
            return
        if renamed is not None:
            self.remove(config.file_delete_delay_ms, renamed)


def _topic_id(topics: dict[str, TopicImage], name: str) -> bytes | None:
    topic = topics.get(name)
    return None if topic is None else topic.id
