"""ConsumerGroupHeartbeat and ConsumerGroupDescribe through the handlers."""
from __future__ import annotations

import pathlib
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.handlers.context import OFFSETS_TOPIC
from fastbroker.handlers.groups import GROUP_OPERATIONS
from fastbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from fastbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from fastbroker.protocol.metadata_records import FeatureLevelRecord
from tests.handlers.bench import Bench

ON = FeatureLevelRecord(name="group.version", feature_level=1)


def join(bench: Bench, group_id: str = "g", version: int = 1) -> Any:
    request = ConsumerGroupHeartbeatRequest(
        group_id=group_id,
        member_id="m",
        member_epoch=0,
        rebalance_timeout_ms=60_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    return bench.ask(request, version)


def describe(bench: Bench, group_id: str = "g", version: int = 1, **how: Any) -> Any:
    (one,) = bench.ask(ConsumerGroupDescribeRequest(group_ids=[group_id], **how), version).groups
    return one


@pytest.mark.parametrize("version", [0, 1])
def test_a_member_joins_and_is_described(bench: Bench, version: int) -> None:
    bench.apply(ON)
    bench.create(OFFSETS_TOPIC)
    bench.create("t", partitions=3)
    answer = join(bench, version=version)
    assert (answer.error_code, answer.member_epoch) == (0, 2)
    assert [one.partitions for one in answer.assignment.topic_partitions] == [[0, 1, 2]]
    one = describe(bench, version=version, include_authorized_operations=True)
    assert (one.group_state, one.authorized_operations) == ("Stable", GROUP_OPERATIONS)
    (member,) = one.members
    assert member.assignment == member.target_assignment
    assert member.assignment.topic_partitions[0].topic_name == "t"
    assert member.member_type == (1 if version else -1)
    missing = describe(bench, "other", include_authorized_operations=True)
    assert missing.error_code == errors.GroupIdNotFound.code
    assert missing.authorized_operations == -(2**31)


def test_without_the_feature_clients_are_sent_to_the_classic_protocol(bench: Bench) -> None:
    for answer in (join(bench), describe(bench)):
        assert answer.error_code == errors.UnsupportedVersion.code
        assert "group.version" in answer.error_message


def test_the_protocol_may_be_left_out_of_the_configuration(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path, {"group.coordinator.rebalance.protocols": "classic"})
    bench.apply(ON)
    for answer in (join(bench), describe(bench)):
        assert answer.error_code == errors.UnsupportedVersion.code
        assert "group.coordinator.rebalance.protocols" in answer.error_message


def test_another_broker_s_group(bench: Bench) -> None:
    bench.apply(ON)
    for answer in (join(bench), describe(bench)):
        assert answer.error_code == errors.NotCoordinator.code
        assert answer.error_message
