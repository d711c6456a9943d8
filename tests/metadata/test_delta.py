"""Records make the image that they say, and leave the one before alone."""

from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import TOPIC, Endpoint, MetadataImage
from fastbroker.protocol import metadata_records as records
from fastbroker.protocol.record_frames import decode_metadata_record, encode_metadata_record
from fastbroker.protocol.schema import Struct

ID, OTHER = bytes(15) + b"\x07", bytes(15) + b"\x08"


def applied(base: MetadataImage, *changes: Struct) -> tuple[MetadataDelta, MetadataImage]:
    delta = MetadataDelta(base)
    for change in changes:
        delta.replay(decode_metadata_record(encode_metadata_record(change)))
    return delta, delta.image(base.offset + len(changes), 1)


def topic(name: str = "t", topic_id: bytes = ID, partitions: int = 1) -> list[Struct]:
    out: list[Struct] = [records.TopicRecord(name=name, topic_id=topic_id)]
    out += [
        records.PartitionRecord(
            partition_id=i,
            topic_id=topic_id,
            replicas=[1],
            isr=[1],
            leader=1,
            leader_epoch=0,
            partition_epoch=0,
        )
        for i in range(partitions)
    ]
    return out


def test_a_topic_and_its_partitions() -> None:
    delta, image = applied(MetadataImage.empty(), *topic(partitions=3))
    assert (image.offset, image.epoch) == (3, 1)
    assert image.topics_by_id[ID] is image.topics["t"]
    assert sorted(image.topics["t"].partitions) == [0, 1, 2]
    assert delta.changed_topics == {"t"}
    assert MetadataImage.empty().topics == {}


def test_partitions_in_the_same_state_are_one_object() -> None:
    _, base = applied(MetadataImage.empty(), *topic(partitions=2), *topic("u", OTHER))
    t, u = base.topics["t"].partitions, base.topics["u"].partitions
    assert t[0] is t[1] is u[0]
    elect = [
        records.PartitionChangeRecord(partition_id=n, topic_id=ID, leader=2) for n in (0, 1, 1)
    ]
    _, image = applied(base, *elect[:2])
    assert image.topics["t"].partitions[0] is image.topics["t"].partitions[1]
    _, image = applied(base, *elect)
    first, twice = image.topics["t"].partitions.values()
    assert (first.leader_epoch, twice.leader_epoch, twice.partition_epoch) == (1, 2, 2)
    assert image.topics["u"].partitions[0] is u[0]


def test_topics_of_one_partition_share_more_and_part_when_one_changes() -> None:
    _, base = applied(MetadataImage.empty(), *topic(), *topic("u", OTHER))
    assert base.topics["t"].partitions is base.topics["u"].partitions
    assert base.topics["t"] is base.topics_by_id[ID]
    _, image = applied(
        base,
        records.PartitionRecord(partition_id=1, topic_id=ID, replicas=[1], isr=[1], leader=1),
        records.PartitionChangeRecord(partition_id=0, topic_id=OTHER, leader=2),
    )
    assert sorted(image.topics["t"].partitions) == [0, 1]
    assert [p.leader for p in image.topics["u"].partitions.values()] == [2]
    assert [p.leader for p in base.topics["t"].partitions.values()] == [1]


def test_the_same_leader_elected_with_another_isr_is_another_state() -> None:
    _, base = applied(MetadataImage.empty(), *topic(partitions=2))
    change = records.PartitionChangeRecord(partition_id=0, topic_id=ID, leader=3)
    other = records.PartitionChangeRecord(partition_id=1, topic_id=ID, leader=3, isr=[3])
    _, image = applied(base, change, other)
    assert [p.isr for p in image.topics["t"].partitions.values()] == [(1,), (3,)]


def test_a_change_copies_only_what_it_touches() -> None:
    _, base = applied(MetadataImage.empty(), *topic(), *topic("u", OTHER))
    delta, image = applied(
        base, records.PartitionChangeRecord(partition_id=0, topic_id=ID, leader=-1)
    )
    assert base.topics["t"].partitions[0].leader == 1
    changed = image.topics["t"].partitions[0]
    assert (changed.leader, changed.leader_epoch, changed.partition_epoch) == (-1, 1, 1)
    assert changed.isr == (1,)
    assert image.topics["u"] is base.topics["u"]
    assert image.brokers is base.brokers
    assert delta.changed_topics == {"t"}


def test_naming_the_same_leader_raises_the_leader_epoch_and_an_isr_change_does_not() -> None:
    _, base = applied(MetadataImage.empty(), *topic())
    _, again = applied(base, records.PartitionChangeRecord(partition_id=0, topic_id=ID, leader=1))
    assert again.topics["t"].partitions[0].leader_epoch == 1
    _, isr = applied(base, records.PartitionChangeRecord(partition_id=0, topic_id=ID, isr=[]))
    assert isr.topics["t"].partitions[0].leader_epoch == 0
    assert isr.topics["t"].partitions[0].partition_epoch == 1


def test_a_removed_topic_takes_its_configs_along() -> None:
    config = records.ConfigRecord(resource_type=TOPIC, resource_name="t", name="a", value="1")
    _, base = applied(MetadataImage.empty(), *topic(), config)
    assert base.topic_configs("t") == {"a": "1"}
    delta, image = applied(base, records.RemoveTopicRecord(topic_id=ID))
    assert (image.topics, image.topics_by_id, image.configs) == ({}, {}, {})
    assert delta.removed_topics == [base.topics["t"]]
    assert not delta.changed_topics
    assert base.topic_configs("t") == {"a": "1"}


def test_a_topic_deleted_and_created_anew_is_in_both_lists() -> None:
    _, base = applied(MetadataImage.empty(), *topic())
    delta, image = applied(base, records.RemoveTopicRecord(topic_id=ID), *topic("t", OTHER))
    assert delta.removed_topics == [base.topics["t"]]
    assert delta.changed_topics == {"t"}
    assert image.topics["t"].id == OTHER


def test_configs_are_set_and_deleted_by_name() -> None:
    def config(name: str, value: str | None) -> Struct:
        return records.ConfigRecord(resource_type=4, resource_name="1", name=name, value=value)

    _, base = applied(MetadataImage.empty(), config("a", "1"), config("b", "2"))
    delta, image = applied(base, config("a", None))
    assert image.configs == {(4, "1"): {"b": "2"}}
    assert base.configs == {(4, "1"): {"a": "1", "b": "2"}}
    assert delta.changed_configs == {(4, "1")}
    assert applied(image, config("b", None))[1].configs == {}


def test_a_broker_registers_unfences_and_fences() -> None:
    endpoint = records.RegisterBrokerRecord.BrokerEndpoint(
        name="PLAINTEXT", host="h", port=9092, security_protocol=0
    )
    register = records.RegisterBrokerRecord(
        broker_id=1, broker_epoch=7, end_points=[endpoint], log_dirs=[ID]
    )
    delta, image = applied(MetadataImage.empty(), register)
    assert image.brokers[1].endpoints == {"PLAINTEXT": Endpoint("h", 9092, 0)}
    assert (image.brokers[1].fenced, image.brokers[1].epoch) == (True, 7)
    assert delta.changed_brokers == {1}

    def change(**fields: int) -> Struct:
        return records.BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=7, **fields)

    _, image = applied(image, change(fenced=-1))
    assert image.brokers[1].is_active
    _, image = applied(image, change(in_controlled_shutdown=1))
    assert not image.brokers[1].is_active
    assert not image.brokers[1].fenced
    _, image = applied(image, change(fenced=1))
    assert image.brokers[1].fenced
    _, image = applied(image, records.UnregisterBrokerRecord(broker_id=1, broker_epoch=7))
    assert image.brokers == {}


def test_features_and_producer_ids() -> None:
    _, image = applied(
        MetadataImage.empty(),
        records.FeatureLevelRecord(name="metadata.version", feature_level=30),
        records.FeatureLevelRecord(name="x", feature_level=1),
        records.ProducerIdsRecord(broker_id=1, broker_epoch=7, next_producer_id=1000),
        records.FeatureLevelRecord(name="x", feature_level=0),
    )
    assert image.features == {"metadata.version": 30}
    assert image.next_producer_id == 1000


def test_a_record_whose_meaning_would_be_lost_stops_the_replay() -> None:
    acl = records.AccessControlEntryRecord(id=ID, resource_name="t", principal="User:a", host="*")
    with pytest.raises(errors.UnsupportedVersion, match="AccessControlEntryRecord"):
        applied(MetadataImage.empty(), acl)
