"""What a group is, from either protocol's answer."""
from __future__ import annotations

from fastbroker.cli import ranges
from fastbroker.cli.group.description import Member, of_classic, of_consumer, waits
from fastbroker.protocol.messages.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeResponse,
    TopicPartitions,
)
from fastbroker.protocol.messages.describe_groups import DescribeGroupsResponse

CLASSIC = DescribeGroupsResponse.DescribedGroup
CONSUMER = ConsumerGroupDescribeResponse.DescribedGroup


def test_of_a_classic_group() -> None:
    answer = CLASSIC(
        group_id="g", group_state="Stable", protocol_type="consumer", protocol_data="range",
        members=[
            CLASSIC.DescribedGroupMember(
                member_id="m-1", client_id="c", client_host="/10.0.0.1", group_instance_id="i",
                member_assignment=ranges.encode_assignment({"t": [0, 1]}),
            )
        ],
    )  # fmt: skip
    found = of_classic(7, answer)
    assert (found.type, found.state, found.assignor, found.coordinator) == (
        "classic", "Stable", "range", 7,
    )  # fmt: skip
    assert found.members == [Member("m-1", "c", "10.0.0.1", "i", {"t": [0, 1]})]


def test_what_is_no_assignment_is_unknown() -> None:
    member = CLASSIC.DescribedGroupMember(member_id="m", member_assignment=b"\0\0\xff")
    mine = of_classic(1, CLASSIC(protocol_type="consumer", members=[member]))
    assert mine.members[0].assigned is None
    other = of_classic(1, CLASSIC(protocol_type="connect", members=[member]))
    assert other.members[0].assigned is None


def test_of_a_consumer_group() -> None:
    def partitions(*numbers: int) -> Assignment:
        return Assignment(
            topic_partitions=[TopicPartitions(topic_name="t", partitions=list(numbers))]
        )

    answer = CONSUMER(
        group_id="g", group_state="Reconciling", group_epoch=5, assignment_epoch=5,
        assignor_name="uniform",
        members=[
            CONSUMER.Member(
                member_id="m", client_id="c", client_host="/h", member_epoch=4,
                assignment=partitions(0, 1, 2), target_assignment=partitions(0),
            )
        ],
    )  # fmt: skip
    found = of_consumer(7, answer)
    assert (found.type, found.is_consumer, found.epoch, found.assignment_epoch) == (
        "consumer", True, 5, 5,
    )  # fmt: skip
    (one,) = found.waits
    assert (one.member_id, one.what) == ("m", "has to give up t:1-2")


def test_who_has_to_give_up_comes_before_who_has_to_take() -> None:
    members = [
        Member("gives", "", "", None, {"t": [0, 1]}, epoch=4, target={"t": [0]}),
        Member("lacks", "", "", None, {}, epoch=5, target={"t": [1]}),
        Member("takes", "", "", None, {}, epoch=4, target={"t": [2]}),
        Member("silent", "", "", None, {"t": [3]}, epoch=4, target={"t": [3]}),
        Member("done", "", "", None, {"t": [4]}, epoch=5, target={"t": [4]}),
    ]
    assert [(one.member_id, one.what) for one in waits(members, 5)] == [
        ("gives", "has to give up t:1"),
        ("takes", "has yet to take t:2"),
        ("silent", "has yet to answer in epoch 5"),
    ]
