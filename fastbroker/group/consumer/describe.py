"""ConsumerGroupDescribe: what administrators see of a consumer group."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from fastbroker.errors import GroupIdNotFound, KafkaError
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import ConsumerMember
from fastbroker.protocol.messages.consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeResponse,
    TopicPartitions,
)

CLASSIC, CONSUMER = 0, 1  # member types

Described = ConsumerGroupDescribeResponse.DescribedGroup


def described(env: Environment, group: ConsumerGroup) -> Described:
    """The group and its members, with what they own, may still own, and are to own."""
    return Described(
        group_id=group.group_id,
        group_state=str(group.state),
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=group.assignor(env.settings.assignors[0]),
        members=[_member(env, member) for member in group.members.values()],
    )


def not_found(group_id: str, *, is_there: bool) -> Described:
    """The answer for a group of another protocol, or none."""
    why = "is not a consumer group" if is_there else "not found"
    return failed(group_id, GroupIdNotFound(f"Group {group_id} {why}."))


def failed(group_id: str, error: KafkaError) -> Described:
    return Described(group_id=group_id, error_code=error.code, error_message=error.message)


def _member(env: Environment, member: ConsumerMember) -> Described.Member:
    said, now = member.said, member.now
    owned: dict[bytes, set[int]] = {}
    for part in (now.assigned, now.revoking):
        for topic, numbers in part.items():
            owned.setdefault(topic, set()).update(numbers)
    return Described.Member(
        member_id=member.member_id,
        instance_id=said.instance_id,
        rack_id=said.rack_id,
        member_epoch=now.epoch,
        client_id=said.client_id,
        client_host=said.client_host,
        subscribed_topic_names=sorted(said.topics),
        subscribed_topic_regex=said.regex,
        assignment=_assignment(env, owned),
        target_assignment=_assignment(env, member.aim),
        member_type=CLASSIC if member.is_classic else CONSUMER,
    )


def _assignment(env: Environment, partitions: Mapping[bytes, Iterable[int]]) -> Assignment:
    """Topics that are no more are left out."""
    return Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic, topic_name=name, partitions=sorted(numbers))
            for topic, numbers in partitions.items()
            if (name := env.topics.topic_name(topic)) is not None
        ]
    )
