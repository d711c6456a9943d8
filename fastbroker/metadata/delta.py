"""The change from one image to the next: records in, a new image and a list of differences out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastbroker import errors
from fastbroker.metadata.image import (
    TOPIC,
    BrokerImage,
    Endpoint,
    MetadataImage,
    PartitionImage,
    ResourceKey,
    TopicImage,
    shared,
    shared_single,
)
from fastbroker.protocol import metadata_records as records
from fastbroker.protocol.schema import Struct

NO_LEADER_CHANGE = -2
NOWHERE: tuple[bytes, dict[int, PartitionImage]] = (b"", {})
ELECTED_MAX = 4096  # outcomes of elections that are remembered within a delta


class MetadataDelta:
    """Applies records on top of `base`, which stays as it is.

    changed_topics: names that were created or have a partition created or changed.
    removed_topics: topics of `base` that are gone; a name may be in both (deleted, created anew).
    changed_brokers: ids registered, changed or unregistered.
    changed_configs: resources whose overrides changed (not those of deleted topics).
    Costs what it touches: a dict is copied at its first change, a topic's partitions at theirs.
    """

    def __init__(self, base: MetadataImage) -> None:
        self.base = base
        self.changed_topics: set[str] = set()
        self.removed_topics: list[TopicImage] = []
        self.changed_brokers: set[int] = set()
        self.changed_configs: set[ResourceKey] = set()
        self._topics, self._by_id, self._brokers = base.topics, base.topics_by_id, base.brokers
        self._configs, self._features = base.configs, base.features
        self._next_producer_id = base.next_producer_id
        self._own_partitions: set[bytes] = set()  # topics whose dict of partitions is ours
        self._own_configs: set[ResourceKey] = set()
        self._at = NOWHERE  # the topic changed last
        # (id of the partition before, leader) -> it, and what it is then
        self._elected: dict[tuple[int, int], tuple[PartitionImage, PartitionImage]] = {}

    def replay(self, record: Struct) -> None:
        """Apply one record; a record for what does not exist is our bug or a damaged log.

        Raises UnsupportedVersion for a kind of record whose meaning would be lost.
        """
        self.replay_all((record,))

    def replay_all(self, records: Iterable[Struct]) -> None:
        """`replay` each of them."""
        for record in records:
            apply = _REPLAY.get(type(record))
            if apply is None:
                raise errors.UnsupportedVersion(
                    f"the metadata log holds a {type(record).__name__}, which this version does not"
                    " know: it was written by a newer version or by another broker; start that one"
                )
            apply(self, record)

    def image(self, offset: int, epoch: int) -> MetadataImage:
        """The next image; the delta is spent then.

        offset: of the last record applied; epoch: the leader epoch of its batch.
        """
        for topic_id in self._own_partitions:
            topic = self._by_id.get(topic_id)
            if topic is not None and len(topic.partitions) == 1:
                alike = topic._replace(partitions=shared_single(topic.partitions))
                self._topics[topic.name] = self._by_id[topic_id] = alike
        self._at = NOWHERE
        return MetadataImage(
            offset,
            epoch,
            self._topics,
            self._by_id,
            self._brokers,
            self._configs,
            self._features,
            self._next_producer_id,
        )

    def _put_topic(self, topic: TopicImage) -> None:
        if self._topics is self.base.topics:
            self._topics, self._by_id = dict(self._topics), dict(self._by_id)
        self._topics[topic.name] = self._by_id[topic.id] = topic
        self._own_partitions.add(topic.id)
        self.changed_topics.add(topic.name)

    def _partitions_to_change(self, topic_id: bytes) -> dict[int, PartitionImage]:
        last_id, partitions = self._at
        if topic_id == last_id:
            return partitions
        topic = self._by_id[topic_id]
        if topic_id not in self._own_partitions:
            topic = topic._replace(partitions=dict(topic.partitions))
            self._put_topic(topic)
        self._at = (topic_id, topic.partitions)
        return topic.partitions

    def _put_broker(self, broker: BrokerImage) -> None:
        self._brokers_to_change()[broker.id] = broker
        self.changed_brokers.add(broker.id)

    def _brokers_to_change(self) -> dict[int, BrokerImage]:
        if self._brokers is self.base.brokers:
            self._brokers = dict(self._brokers)
        return self._brokers

    def _configs_to_change(self) -> dict[ResourceKey, dict[str, str]]:
        if self._configs is self.base.configs:
            self._configs = dict(self._configs)
        return self._configs

    def _register_broker(self, record: records.RegisterBrokerRecord) -> None:
        endpoints = {
            e.name: Endpoint(e.host, e.port, e.security_protocol) for e in record.end_points
        }
        broker = BrokerImage(
            record.broker_id,
            record.broker_epoch,
            record.incarnation_id,
            endpoints,
            record.rack,
            record.fenced,
            record.in_controlled_shutdown,
            tuple(record.log_dirs),
            {f.name: (f.min_supported_version, f.max_supported_version) for f in record.features},
        )
        self._put_broker(broker)

    def _unregister_broker(self, record: records.UnregisterBrokerRecord) -> None:
        del self._brokers_to_change()[record.broker_id]
        self.changed_brokers.add(record.broker_id)

    def _change_registration(self, record: records.BrokerRegistrationChangeRecord) -> None:
        broker = self._brokers[record.broker_id]
        if record.fenced:
            broker = broker._replace(fenced=record.fenced > 0)
        if record.in_controlled_shutdown:
            broker = broker._replace(in_controlled_shutdown=True)
        if record.log_dirs:
            broker = broker._replace(log_dirs=tuple(record.log_dirs))
        self._put_broker(broker)

    def _fence_broker(self, record: records.FenceBrokerRecord) -> None:
        self._put_broker(self._brokers[record.id]._replace(fenced=True))

    def _unfence_broker(self, record: records.UnfenceBrokerRecord) -> None:
        self._put_broker(self._brokers[record.id]._replace(fenced=False))

    def _add_topic(self, record: records.TopicRecord) -> None:
        self._put_topic(TopicImage(record.name, record.topic_id, {}))

    def _remove_topic(self, record: records.RemoveTopicRecord) -> None:
        topic = self._by_id[record.topic_id]
        if self._topics is self.base.topics:
            self._topics, self._by_id = dict(self._topics), dict(self._by_id)
        del self._topics[topic.name], self._by_id[topic.id]
        self._at = NOWHERE
        self.changed_topics.discard(topic.name)
        in_base = self.base.topics_by_id.get(topic.id)
        if in_base is not None:
            self.removed_topics.append(in_base)
        # The log has no tombstones for the configs of a topic: they go with it.
        key = (TOPIC, topic.name)
        if key in self._configs:
            del self._configs_to_change()[key]
        self._own_configs.discard(key)
        self.changed_configs.discard(key)

    def _add_partition(self, record: records.PartitionRecord) -> None:
        partition = PartitionImage(
            shared(tuple(record.replicas)),
            shared(tuple(record.isr)),
            record.leader,
            record.leader_epoch,
            record.partition_epoch,
            record.leader_recovery_state,
            tuple(record.eligible_leader_replicas or ()),
            tuple(record.last_known_elr or ()),
            tuple(record.adding_replicas),
            tuple(record.removing_replicas),
            shared(tuple(record.directories)),
        )
        self._partitions_to_change(record.topic_id)[record.partition_id] = shared(partition)

    def _change_partition(self, record: records.PartitionChangeRecord) -> None:
        partitions = self._partitions_to_change(record.topic_id)
        before = partitions[record.partition_id]
        if not _only_elects(record):
            partitions[record.partition_id] = shared(changed(before, record))
            return
        # A broker that comes or goes changes thousands of partitions in the same way.
        key = (id(before), record.leader)
        found = self._elected.get(key)
        if found is None:
            if len(self._elected) >= ELECTED_MAX:
                self._elected.clear()
            found = self._elected[key] = (before, shared(changed(before, record)))
        partitions[record.partition_id] = found[1]

    def _set_config(self, record: records.ConfigRecord) -> None:
        key = (record.resource_type, record.resource_name)
        configs = self._configs_to_change()
        if key not in self._own_configs:
            configs[key] = dict(configs.get(key, ()))
            self._own_configs.add(key)
        if record.value is None:
            configs[key].pop(record.name, None)
        else:
            configs[key][record.name] = record.value
        if not configs[key]:
            del configs[key]
            self._own_configs.discard(key)
        self.changed_configs.add(key)

    def _set_feature(self, record: records.FeatureLevelRecord) -> None:
        self._features = {**self._features, record.name: record.feature_level}
        if record.feature_level == 0:
            del self._features[record.name]

    def _set_producer_ids(self, record: records.ProducerIdsRecord) -> None:
        self._next_producer_id = record.next_producer_id

    def _clear_elr(self, record: records.ClearElrRecord) -> None:
        # An empty name means every topic.
        for name in [record.topic_name] if record.topic_name else list(self._topics):
            for index, partition in list(self._topics[name].partitions.items()):
                if partition.elr or partition.last_known_elr:
                    cleared = partition._replace(elr=(), last_known_elr=())
                    self._partitions_to_change(self._topics[name].id)[index] = cleared

    def _nothing(self, _: Struct) -> None:
        pass


def changed(partition: PartitionImage, record: records.PartitionChangeRecord) -> PartitionImage:
    """`partition` after `record`.

    The leader epoch rises whenever the record names a leader, be it the same or none; the
    partition epoch always. Kafka: PartitionRegistration.merge.
    """
    leader, leader_epoch = partition.leader, partition.leader_epoch
    if record.leader != NO_LEADER_CHANGE:
        leader, leader_epoch = record.leader, leader_epoch + 1
    recovery = partition.leader_recovery_state
    if record.leader_recovery_state >= 0:
        recovery = record.leader_recovery_state
    return PartitionImage(
        _or(record.replicas, partition.replicas),
        _or(record.isr, partition.isr),
        leader,
        leader_epoch,
        partition.partition_epoch + 1,
        recovery,
        _or(record.eligible_leader_replicas, partition.elr),
        _or(record.last_known_elr, partition.last_known_elr),
        _or(record.adding_replicas, partition.adding_replicas),
        _or(record.removing_replicas, partition.removing_replicas),
        _or(record.directories, partition.directories),
    )


def _only_elects(record: records.PartitionChangeRecord) -> bool:
    """Whether it says nothing but who leads."""
    return (
        record.isr is None
        and record.replicas is None
        and record.directories is None
        and record.adding_replicas is None
        and record.removing_replicas is None
        and record.eligible_leader_replicas is None
        and record.last_known_elr is None
        and record.leader_recovery_state < 0
    )


def _or(values: Any, otherwise: Any) -> Any:
    return otherwise if values is None else tuple(values)


_REPLAY: dict[type[Struct], Callable[[MetadataDelta, Any], None]] = {
    records.RegisterBrokerRecord: MetadataDelta._register_broker,
    records.UnregisterBrokerRecord: MetadataDelta._unregister_broker,
    records.BrokerRegistrationChangeRecord: MetadataDelta._change_registration,
    records.FenceBrokerRecord: MetadataDelta._fence_broker,
    records.UnfenceBrokerRecord: MetadataDelta._unfence_broker,
    records.TopicRecord: MetadataDelta._add_topic,
    records.RemoveTopicRecord: MetadataDelta._remove_topic,
    records.PartitionRecord: MetadataDelta._add_partition,
    records.PartitionChangeRecord: MetadataDelta._change_partition,
    records.ConfigRecord: MetadataDelta._set_config,
    records.FeatureLevelRecord: MetadataDelta._set_feature,
    records.ProducerIdsRecord: MetadataDelta._set_producer_ids,
    records.ClearElrRecord: MetadataDelta._clear_elr,
    records.NoOpRecord: MetadataDelta._nothing,
    records.RegisterControllerRecord: MetadataDelta._nothing,
}
