"""Overrides are set, deleted, appended to and refused."""

from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.metadata.controller.configs import (
    APPEND,
    DELETE,
    SET,
    SUBTRACT,
    alter_configs,
    incremental_alter_configs,
)
from fastbroker.protocol.messages.alter_configs import AlterConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from tests.metadata.controller.cluster import Cluster

SESSION = "consumer.session.timeout.ms"


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.start(1)
    cluster.topic("t", (1,))
    return cluster


def resource(*changes: tuple[str, int, str | None], kind: int = 2, name: str = "t") -> Any:
    Resource = IncrementalAlterConfigsRequest.AlterConfigsResource
    configs = [
        Resource.AlterableConfig(name=key, config_operation=op, value=value)
        for key, op, value in changes
    ]
    return Resource(resource_type=kind, resource_name=name, configs=configs)


def change(cluster: Cluster, *resources: Any, validate_only: bool = False) -> list[Any]:
    request = IncrementalAlterConfigsRequest(
        resources=list(resources), validate_only=validate_only
    )
    outcome = incremental_alter_configs(cluster.image, request, config=BrokerConfig())
    return list(cluster.keep(outcome).response.responses)


def code(cluster: Cluster, *resources: Any) -> int:
    [result] = change(cluster, *resources)
    assert bool(result.error_code) == bool(result.error_message)
    return int(result.error_code)


def replace(cluster: Cluster, configs: dict[str, str | None]) -> int:
    Resource = AlterConfigsRequest.AlterConfigsResource
    entries = [Resource.AlterableConfig(name=key, value=value) for key, value in configs.items()]
    request = AlterConfigsRequest(
        resources=[Resource(resource_type=2, resource_name="t", configs=entries)]
    )
    outcome = alter_configs(cluster.image, request, config=BrokerConfig())
    [result] = cluster.keep(outcome).response.responses
    return int(result.error_code)


def test_set_and_delete(cluster: Cluster) -> None:
    assert code(cluster, resource(("retention.ms", SET, "5"), ("segment.ms", SET, "7"))) == 0
    assert cluster.image.topic_configs("t") == {"retention.ms": "5", "segment.ms": "7"}
    assert code(cluster, resource(("retention.ms", DELETE, None))) == 0
    assert cluster.image.topic_configs("t") == {"segment.ms": "7"}


def test_an_unchanged_value_writes_no_record(cluster: Cluster) -> None:
    change(cluster, resource(("retention.ms", SET, "5")))
    offset = cluster.image.offset
    assert code(cluster, resource(("retention.ms", SET, "5"), ("segment.ms", DELETE, None))) == 0
    assert cluster.image.offset == offset


def test_append_and_subtract_start_from_the_default(cluster: Cluster) -> None:
    assert code(cluster, resource(("cleanup.policy", APPEND, "compact"))) == 0
    assert cluster.image.topic_configs("t") == {"cleanup.policy": "delete,compact"}
    assert code(cluster, resource(("cleanup.policy", APPEND, "compact"))) == 0
    assert code(cluster, resource(("cleanup.policy", SUBTRACT, "delete"))) == 0
    assert cluster.image.topic_configs("t") == {"cleanup.policy": "compact"}


def test_alter_configs_replaces_all(cluster: Cluster) -> None:
    change(cluster, resource(("retention.ms", SET, "5")))
    assert replace(cluster, {"segment.ms": "7"}) == 0
    assert cluster.image.topic_configs("t") == {"segment.ms": "7"}
    assert replace(cluster, {"segment.ms": None}) == errors.InvalidRequest.code
    assert replace(cluster, {"x": "1"}) == errors.InvalidConfig.code
    assert replace(cluster, {}) == 0
    assert cluster.image.configs == {}


def test_validate_only_changes_nothing(cluster: Cluster) -> None:
    [result] = change(cluster, resource(("retention.ms", SET, "5")), validate_only=True)
    assert result.error_code == 0
    assert cluster.image.configs == {}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (resource(("x", SET, "1")), errors.InvalidConfig),
        (resource(("x", DELETE, None)), errors.InvalidConfig),
        (resource(("retention.ms", SET, "x")), errors.InvalidConfig),
        (resource(("retention.ms", SET, None)), errors.InvalidRequest),
        (resource(("retention.ms", APPEND, "1")), errors.InvalidConfig),
        (resource(("retention.ms", 9, "1")), errors.InvalidRequest),
        (resource(("a", SET, "1"), ("a", SET, "2")), errors.InvalidRequest),
        (resource(name="missing"), errors.UnknownTopicOrPartition),
        (resource(name=""), errors.InvalidRequest),
        (resource(name="a b"), errors.InvalidTopicException),
        (resource(kind=99), errors.InvalidRequest),
        (resource(kind=16, name="g"), errors.InvalidRequest),
        (resource(kind=32, name=""), errors.InvalidRequest),
        (resource(("x", SET, "1"), kind=32, name="g"), errors.InvalidConfig),
        (resource((SESSION, SET, "5"), kind=32, name="g"), errors.InvalidConfig),
        (resource((SESSION, SET, "60001"), kind=32, name="g"), errors.InvalidConfig),
        (resource((SESSION, SET, "x"), kind=32, name="g"), errors.InvalidConfig),
        (resource((SESSION, SET, "50_000"), kind=32, name="g"), errors.InvalidConfig),
        (resource((SESSION, SET, None), kind=32, name="g"), errors.InvalidRequest),
        (resource((SESSION, APPEND, "1"), kind=32, name="g"), errors.InvalidConfig),
        (resource(("share.isolation.level", SET, "read_committed"), kind=32, name="g"),
         errors.InvalidConfig),
        (resource(kind=4, name="x"), errors.InvalidRequest),
        (resource(kind=4, name="-1"), errors.InvalidRequest),
        (resource(kind=4, name="7"), errors.InvalidRequest),
        (resource(kind=4, name="7" * 5_000), errors.InvalidRequest),
        (resource(("node.id", SET, "3"), kind=4, name="1"), errors.InvalidRequest),
        (resource(("x", SET, "3"), kind=4, name="1"), errors.InvalidRequest),
        (resource(("log.retention.ms", SET, "x"), kind=4, name="1"), errors.InvalidRequest),
    ],
)
def test_changes_that_are_refused(
    cluster: Cluster, bad: Any, error: type[errors.KafkaError]
) -> None:
    assert code(cluster, bad) == error.code
    assert cluster.image.configs == {}


def test_a_bad_resource_leaves_the_others(cluster: Cluster) -> None:
    results = change(
        cluster,
        resource(("x", SET, "1")),
        resource(("log.retention.ms", SET, "9"), kind=4, name=""),
    )
    assert [r.error_code for r in results] == [40, 0]
    assert cluster.image.configs == {(4, ""): {"log.retention.ms": "9"}}


def test_a_resource_named_twice_is_refused_both_times(cluster: Cluster) -> None:
    results = change(cluster, resource(("retention.ms", SET, "5")), resource())
    assert [r.error_code for r in results] == [42, 42]
    assert cluster.image.configs == {}


def test_a_broker_s_value_is_written_even_when_it_is_the_same(cluster: Cluster) -> None:
    same = resource(("log.retention.ms", SET, "9"), kind=4, name="1")
    change(cluster, same)
    offset = cluster.image.offset
    change(cluster, same)
    assert cluster.image.offset == offset + 1


def test_a_group_has_values_of_its_own(cluster: Cluster) -> None:
    own = resource((SESSION, SET, "50000"), ("unknown", DELETE, None), kind=32, name="g")
    assert code(cluster, own) == 0
    assert cluster.image.group_configs("g") == {SESSION: "50000"}
    assert cluster.image.group_configs("other") == {}
    assert code(cluster, resource((SESSION, DELETE, None), kind=32, name="g")) == 0
    assert cluster.image.configs == {}
