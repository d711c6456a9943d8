"""Topics are created and deleted by Kafka's rules."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.metadata.controller.partitions import create_partitions
from fastbroker.metadata.controller.topics import create_topics, delete_topics
from fastbroker.protocol.messages.create_partitions import CreatePartitionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from tests.metadata.controller.cluster import Cluster, uuid

Topic = CreateTopicsRequest.CreatableTopic


class Defaults:
    """A broker's configuration of which only this is asked."""

    def __init__(self, **explicit: Any) -> None:
        self.explicit = {name.replace("_", "."): str(v) for name, v in explicit.items()}
        self.values = {
            "num.partitions": 1,
            "default.replication.factor": 1,
            "delete.topic.enable": True,
        } | {name.replace("_", "."): v for name, v in explicit.items()}

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.start(1, 1001)
    return cluster


ids = itertools.count(5000)


def topic(name: str = "t", partitions: int = 1, replicas: int = 1, **fields: Any) -> Topic:
    configs = [
        Topic.CreatableTopicConfig(name=key, value=value)
        for key, value in fields.pop("configs", {}).items()
    ]
    return Topic(
        name=name,
        num_partitions=partitions,
        replication_factor=replicas,
        configs=configs,
        **fields,
    )


def create(cluster: Cluster, *topics: Topic, **fields: Any) -> list[Any]:
    config = fields.pop("config", None) or Defaults()
    request = CreateTopicsRequest(topics=list(topics), **fields)
    outcome = create_topics(
        cluster.image, request, config=config, new_id=lambda: uuid(next(ids))
    )
    return list(cluster.keep(outcome).response.topics)


def code(cluster: Cluster, *topics: Topic, **fields: Any) -> int:
    *_, result = create(cluster, *topics, **fields)
    assert bool(result.error_code) == bool(result.error_message)
    return int(result.error_code)


def test_a_topic_is_created_with_partitions_on_all_brokers(cluster: Cluster) -> None:
    [result] = create(cluster, topic(partitions=4))
    made = cluster.image.topics["t"]
    assert (result.error_code, result.topic_id, result.num_partitions) == (0, made.id, 4)
    assert result.replication_factor == 1
    assert {p.leader for p in made.partitions.values()} == {1, 1001}
    assert all(p.isr == p.replicas == (p.leader,) for p in made.partitions.values())


def test_minus_one_means_the_configured_default(cluster: Cluster) -> None:
    [result] = create(cluster, topic(partitions=-1, replicas=-1), config=Defaults(num_partitions=3))
    assert (result.num_partitions, result.replication_factor) == (3, 1)


def test_configs_are_kept_and_answered_with_their_source(cluster: Cluster) -> None:
    [result] = create(
        cluster,
        topic(configs={"retention.ms": "5", "cleanup.policy": "compact"}),
        config=Defaults(log_segment_bytes=2097152),
    )
    assert cluster.image.topic_configs("t") == {"retention.ms": "5", "cleanup.policy": "compact"}
    values = {c.name: (c.value, c.config_source) for c in result.configs}
    assert values["retention.ms"] == ("5", 1)
    assert values["segment.bytes"] == ("2097152", 4)
    assert values["max.message.bytes"] == ("1048588", 5)
    assert list(values) == sorted(values)


def test_validate_only_changes_nothing(cluster: Cluster) -> None:
    assert code(cluster, topic(), validate_only=True) == 0
    assert cluster.image.topics == {}


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 250, "a b", "ä", "a/b", "a\n"])
def test_names_that_are_not_allowed(cluster: Cluster, name: str) -> None:
    assert code(cluster, topic(name)) == errors.InvalidTopicException.code


def test_the_metadata_topic_cannot_be_created(cluster: Cluster) -> None:
    assert code(cluster, topic("__cluster_metadata")) == errors.InvalidRequest.code


def test_a_topic_exists_once(cluster: Cluster) -> None:
    create(cluster, topic("a.b"))
    assert code(cluster, topic("a.b")) == errors.TopicAlreadyExists.code


def test_names_that_differ_only_in_dots_and_underscores_collide(cluster: Cluster) -> None:
    first, second = create(cluster, topic("a.b"), topic("a_b"))
    assert (first.error_code, second.error_code) == (0, errors.InvalidTopicException.code)
    assert "collides with existing topic: a.b" in second.error_message
    assert code(cluster, topic("a_b")) == errors.InvalidTopicException.code
    assert code(cluster, topic("a-b")) == 0


def test_a_name_twice_in_a_request_is_refused_once_and_creates_nothing(cluster: Cluster) -> None:
    results = create(cluster, topic("x"), topic("t"), topic("t"))
    assert [(r.name, r.error_code) for r in results] == [("x", 0), ("t", 42)]
    assert set(cluster.image.topics) == {"x"}


@pytest.mark.parametrize("partitions", [0, -2])
def test_partition_counts_below_one(cluster: Cluster, partitions: int) -> None:
    assert code(cluster, topic(partitions=partitions)) == errors.InvalidPartitions.code


@pytest.mark.parametrize("replicas", [0, -2, 2, 3])
def test_replication_factors_that_cannot_be_had(cluster: Cluster, replicas: int) -> None:
    assert code(cluster, topic(replicas=replicas)) == errors.InvalidReplicationFactor.code


def test_too_many_partitions_in_one_request(cluster: Cluster) -> None:
    results = create(cluster, topic("a", partitions=9_999), topic("b", partitions=2))
    assert {r.error_code for r in results} == {errors.PolicyViolation.code}


def test_a_config_that_is_unknown_bad_or_null(cluster: Cluster) -> None:
    for configs in ({"x": "1"}, {"retention.ms": "x"}, {"retention.ms": None}):
        assert code(cluster, topic(configs=configs)) == errors.InvalidConfig.code
    assert cluster.image.topics == {}


def assigned(*replicas: tuple[int, list[int]], partitions: int = -1, factor: int = -1) -> Topic:
    return topic(
        partitions=partitions,
        replicas=factor,
        assignments=[
            Topic.CreatableReplicaAssignment(partition_index=index, broker_ids=ids)
            for index, ids in replicas
        ],
    )


def test_a_manual_assignment(cluster: Cluster) -> None:
    assert code(cluster, assigned((1, [1]), (0, [1001]))) == 0
    assert [cluster.partition("t", i).leader for i in range(2)] == [1001, 1]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (assigned((0, [1]), factor=1), errors.InvalidRequest),
        (assigned((0, [1]), partitions=1), errors.InvalidRequest),
        (assigned((0, [1]), (0, [1])), errors.InvalidReplicaAssignment),
        (assigned((0, [1]), (2, [1])), errors.InvalidReplicaAssignment),
        (assigned((0, [])), errors.InvalidReplicaAssignment),
        (assigned((0, [5])), errors.InvalidReplicaAssignment),
        (assigned((0, [1, 1])), errors.InvalidReplicaAssignment),
        (assigned((0, [1]), (1, [1, 1001])), errors.InvalidReplicaAssignment),
        (assigned((0, [2])), errors.InvalidReplicaAssignment),  # fenced
        (assigned((0, [1, 1001])), errors.InvalidReplicationFactor),
    ],
)
def test_manual_assignments_that_are_refused(
    cluster: Cluster, bad: Topic, error: type[errors.KafkaError]
) -> None:
    cluster.register(2)
    assert code(cluster, bad) == error.code


def delete(cluster: Cluster, *topics: Any, version: int = 6, **config: Any) -> list[Any]:
    request = DeleteTopicsRequest()
    if version < 6:
        request.topic_names = list(topics)
    else:
        request.topics = [
            DeleteTopicsRequest.DeleteTopicState(name=name, topic_id=topic_id)
            for name, topic_id in topics
        ]
    outcome = delete_topics(
        cluster.image, request, version=version, config=Defaults(**config)
    )
    return list(cluster.keep(outcome).response.responses)


def test_topics_are_deleted_by_name_and_by_id(cluster: Cluster) -> None:
    create(cluster, topic("a"), topic("b"), topic("c"))
    b = cluster.image.topics["b"].id
    results = delete(cluster, ("a", bytes(16)), (None, b))
    assert {(r.name, r.error_code) for r in results} == {("a", 0), ("b", 0)}
    assert all(r.topic_id != bytes(16) for r in results)
    assert set(cluster.image.topics) == {"c"}
    assert delete(cluster, "c", version=5)[0].error_code == 0
    assert cluster.image.topics == {}


def test_deletions_that_are_refused(cluster: Cluster) -> None:
    create(cluster, topic("a"))
    a = cluster.image.topics["a"].id
    assert delete(cluster, ("x", bytes(16)))[0].error_code == 3
    assert delete(cluster, (None, uuid(1)))[0].error_code == 100
    assert delete(cluster, (None, bytes(16)))[0].error_code == 42
    assert delete(cluster, ("a", a))[0].error_code == 42
    assert [r.error_code for r in delete(cluster, "a", "a", version=5)] == [42]
    assert set(cluster.image.topics) == {"a"}
    [both] = delete(cluster, ("a", bytes(16)), (None, a))
    assert (both.name, both.topic_id, both.error_code) == ("a", a, 42)
    assert set(cluster.image.topics) == {"a"}
    results = delete(cluster, ("a", bytes(16)), (None, a), ("a", bytes(16)))
    assert [(r.name, r.error_code) for r in results] == [("a", 42), ("a", 0)]
    assert cluster.image.topics == {}


@pytest.mark.parametrize(
    ("version", "error"), [(2, errors.InvalidRequest), (3, errors.TopicDeletionDisabled)]
)
def test_deletion_can_be_disabled(
    cluster: Cluster, version: int, error: type[errors.KafkaError]
) -> None:
    create(cluster, topic("a"))
    [result] = delete(cluster, "a", version=version, delete_topic_enable=False)
    assert result.error_code == error.code
    assert set(cluster.image.topics) == {"a"}


def add(cluster: Cluster, count: int, assignments: Any = None, **fields: Any) -> int:
    Wanted = CreatePartitionsRequest.CreatePartitionsTopic
    if assignments is not None:
        assignments = [Wanted.CreatePartitionsAssignment(broker_ids=ids) for ids in assignments]
    wanted = Wanted(name=fields.pop("name", "t"), count=count, assignments=assignments)
    request = CreatePartitionsRequest(topics=[wanted], **fields)
    [result] = cluster.keep(create_partitions(cluster.image, request)).response.results
    return int(result.error_code)


def test_partitions_are_added(cluster: Cluster) -> None:
    create(cluster, topic(partitions=2))
    before = dict(cluster.image.topics["t"].partitions)
    assert add(cluster, 5, validate_only=True) == 0
    assert len(cluster.image.topics["t"].partitions) == 2
    assert add(cluster, 5) == 0
    after = cluster.image.topics["t"].partitions
    assert sorted(after) == [0, 1, 2, 3, 4]
    assert {i: after[i] for i in before} == before
    assert add(cluster, 6, [[1001]]) == 0
    assert cluster.partition("t", 5).leader == 1001


def test_additions_that_are_refused(cluster: Cluster) -> None:
    create(cluster, topic(partitions=2))
    assert add(cluster, 3, name="x") == 3
    assert add(cluster, 2) == add(cluster, 1) == errors.InvalidPartitions.code
    assert add(cluster, 4, [[1]]) == errors.InvalidReplicaAssignment.code
    assert add(cluster, 3, [[1, 1001]]) == errors.InvalidReplicaAssignment.code
    assert add(cluster, 20_000) == errors.PolicyViolation.code
    both = CreatePartitionsRequest.CreatePartitionsTopic(name="t", count=3, assignments=None)
    request = CreatePartitionsRequest(topics=[both, both])
    outcome = create_partitions(cluster.image, request)
    assert [r.error_code for r in outcome.response.results] == [42]
    assert outcome.records == []
