"""ConsumerGroupDescribe (69): describe KIP-848 consumer groups."""

from __future__ import annotations

from fastbroker.protocol.explanation import Explanation
from fastbroker.protocol.schema import (
    PRIVATE_TAG,
    Struct,
    array,
    boolean,
    i8,
    i16,
    i32,
    string,
    struct,
    uuid,
)


class TopicPartitions(Struct):
    topic_id: bytes = uuid()
    topic_name: str = string()
    partitions: list[int] = array(i32())


class Assignment(Struct):
    topic_partitions: list[TopicPartitions] = array(TopicPartitions)


class ConsumerGroupDescribeRequest(Struct, key=69, versions="0-1", flexible="0+"):
    group_ids: list[str] = array(string())
    include_authorized_operations: bool = boolean()
    explain: bool = boolean(tagged="0+", tag=PRIVATE_TAG)


class ConsumerGroupDescribeResponse(Struct, key=69, versions="0-1", flexible="0+"):
    class DescribedGroup(Struct):
        class Member(Struct):
            member_id: str = string()
            instance_id: str | None = string(default=None, nullable="0+")
            rack_id: str | None = string(default=None, nullable="0+")
            member_epoch: int = i32()
            client_id: str = string()
            client_host: str = string()
            subscribed_topic_names: list[str] = array(string())
            subscribed_topic_regex: str | None = string(default=None, nullable="0+")
            assignment: Assignment = struct(Assignment)
            target_assignment: Assignment = struct(Assignment)
            member_type: int = i8("1+", default=-1)

        error_code: int = i16()
        error_message: str | None = string(default=None, nullable="0+")
        group_id: str = string()
        group_state: str = string()
        group_epoch: int = i32()
        assignment_epoch: int = i32()
        assignor_name: str = string()
        members: list[Member] = array(Member)
        authorized_operations: int = i32(default=-2147483648)
        explanation: Explanation | None = struct(Explanation, tagged="0+", tag=PRIVATE_TAG)

    throttle_time_ms: int = i32()
    groups: list[DescribedGroup] = array(DescribedGroup)
