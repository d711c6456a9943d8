"""FindCoordinator."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.handlers.context import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from tests.handlers.bench import ELSEWHERE, ME, NEIGHBOUR, Bench


def find(bench: Bench, *keys: str, version: int = 6, key_type: int = 0) -> Any:
    """(error, broker) of each key; before version 4 of the only one."""
    if version < 4:
        request = FindCoordinatorRequest(key=keys[0], key_type=key_type)
        response = bench.ask(request, version)
        return [(response.error_code, response.node_id)]
    request = FindCoordinatorRequest(coordinator_keys=list(keys), key_type=key_type)
    response = bench.ask(request, version)
    assert [one.key for one in response.coordinators] == list(keys)
    return [(one.error_code, one.node_id) for one in response.coordinators]


@pytest.fixture
def led(bench: Bench) -> Bench:
    """__consumer_offsets is there, led by this broker."""
    bench.create(OFFSETS_TOPIC, partitions=50)
    return bench


@pytest.mark.parametrize("version", range(7))
def test_the_leader_of_the_group_s_partition(led: Bench, version: int) -> None:
    assert find(led, "g", version=version) == [(0, ME)]
    number = led.broker.groups.partition_for("g")
    led.elect(ELSEWHERE, OFFSETS_TOPIC, number)
    assert find(led, "g", version=version) == [(0, ELSEWHERE)]


def test_it_is_named_as_the_client_reaches_it(led: Bench) -> None:
    led.elect(NEIGHBOUR, OFFSETS_TOPIC, led.broker.groups.partition_for("g"))
    request = FindCoordinatorRequest(coordinator_keys=["g"], key_type=0)
    (found,) = led.ask(request, 4).coordinators
    assert (found.node_id, found.host, found.port) == (NEIGHBOUR, "192.168.0.7", 9093)


def test_several_keys_each_for_itself(led: Bench) -> None:
    led.elect(-1, OFFSETS_TOPIC, led.broker.groups.partition_for("g"))
    unavailable = (errors.CoordinatorNotAvailable.code, -1)
    other = next(
        name for name in map(str, range(99))
        if led.broker.groups.partition_for(name) != led.broker.groups.partition_for("g")
    )  # fmt: skip
    assert find(led, "g", other) == [unavailable, (0, ME)]


def test_the_topic_is_made_when_it_is_first_needed(slow: Bench) -> None:
    request = FindCoordinatorRequest(coordinator_keys=["g"], key_type=0)
    pending = slow.send(request, 6)
    assert pending.held
    ((create, _, _),) = slow.forwarded
    (topic,) = create.topics
    assert (topic.name, topic.num_partitions) == (OFFSETS_TOPIC, 50)
    assert {one.name: one.value for one in topic.configs}["cleanup.policy"] == "compact"
    slow.decide(image_first=False)
    (found,) = pending.response.coordinators
    assert found.error_code == 0


def test_a_topic_that_cannot_be_made(slow: Bench) -> None:
    request = FindCoordinatorRequest(coordinator_keys=["g"], key_type=0)
    pending = slow.send(request, 6)
    slow.forwarded.pop()[2].fail(errors.RequestTimedOut("the controller was lost"))
    (found,) = pending.response.coordinators
    assert found.error_code == errors.CoordinatorNotAvailable.code


def test_a_topic_of_another_size_than_the_setting_serves_every_group(bench: Bench) -> None:
    bench.create(OFFSETS_TOPIC, partitions=2)
    for name in map(str, range(20)):
        assert find(bench, name) == [(0, ME)]


@pytest.mark.parametrize(("key_type", "error"), [
    (2, errors.UnsupportedVersion), (9, errors.InvalidRequest),
])  # fmt: skip
def test_other_coordinators(led: Bench, key_type: int, error: Any) -> None:
    assert find(led, "x", key_type=key_type) == [(error.code, -1)]
    assert find(led, "x", key_type=key_type, version=3) == [(error.code, -1)]


@pytest.mark.parametrize("version", range(1, 7))
def test_the_leader_of_a_transactional_id_s_partition(bench: Bench, version: int) -> None:
    bench.create(TRANSACTIONS_TOPIC, partitions=3)
    number = bench.broker.transactions.partition_for("tx")
    assert find(bench, "tx", version=version, key_type=1) == [(0, ME)]
    bench.elect(ELSEWHERE, TRANSACTIONS_TOPIC, number)
    assert find(bench, "tx", version=version, key_type=1) == [(0, ELSEWHERE)]


def test_the_topic_of_transactions_is_made_as_kafka_makes_it(slow: Bench) -> None:
    request = FindCoordinatorRequest(coordinator_keys=["tx"], key_type=1)
    pending = slow.send(request, 6)
    ((create, _, _),) = slow.forwarded
    (topic,) = create.topics
    assert (topic.name, topic.num_partitions) == (TRANSACTIONS_TOPIC, 50)
    assert {one.name: one.value for one in topic.configs} == {
        "cleanup.policy": "compact",
        "compression.type": "uncompressed",
        "min.insync.replicas": "1",
        "segment.bytes": "104857600",
        "unclean.leader.election.enable": "false",
    }
    slow.decide()
    (found,) = pending.response.coordinators
    assert found.error_code == 0
