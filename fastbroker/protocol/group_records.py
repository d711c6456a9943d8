"""Keys and values of __consumer_offsets: offsets, classic and consumer groups."""

from __future__ import annotations

from fastbroker.protocol.schema import (
    Buffer,
    Struct,
    array,
    blob,
    i8,
    i32,
    i64,
    string,
    struct,
    uuid,
)


class MemberMetadata(Struct):
    member_id: str = string()
    group_instance_id: str | None = string("3+", default=None, nullable="3+")
    client_id: str = string()
    client_host: str = string()
    rebalance_timeout: int = i32("1+", default=-1)
    session_timeout: int = i32()
    subscription: Buffer = blob()
    assignment: Buffer = blob()


class TopicPartitions(Struct):
    topic_id: bytes = uuid()
    partitions: list[int] = array(i32())
    assignment_epochs: list[int] | None = array(i32(), nullable="0+", tagged="0+", tag=0)


class LegacyOffsetCommitKey(Struct, key=0, versions="0"):
    group: str = string()
    topic: str = string()
    partition: int = i32()


class LegacyOffsetCommitValue(Struct, key=0, versions="0"):
    offset: int = i64()
    metadata: str = string()
    commit_timestamp: int = i64()


class OffsetCommitKey(Struct, key=1, versions="0"):
    group: str = string()
    topic: str = string()
    partition: int = i32()


class OffsetCommitValue(Struct, key=1, versions="0-4", flexible="4+"):
    offset: int = i64()
    leader_epoch: int = i32("3+", default=-1)
    metadata: str = string()
    commit_timestamp: int = i64()
    expire_timestamp: int = i64("1", default=-1)
    topic_id: bytes = uuid("4+", tagged="4+", tag=0)


class GroupMetadataKey(Struct, key=2, versions="0"):
    group: str = string()


class GroupMetadataValue(Struct, key=2, versions="0-4", flexible="4+"):
    protocol_type: str = string()
    generation: int = i32()
    protocol: str | None = string(nullable="0+")
    leader: str | None = string(nullable="0+")
    current_state_timestamp: int = i64("2+", default=-1)
    members: list[MemberMetadata] = array(MemberMetadata)


class ConsumerGroupMetadataKey(Struct, key=3, versions="0"):
    group_id: str = string()


class ConsumerGroupMetadataValue(Struct, key=3, versions="0", flexible="0+"):
    epoch: int = i32()
    metadata_hash: int = i64(tagged="0+", tag=0)


class ConsumerGroupPartitionMetadataKey(Struct, key=4, versions="0"):
    group_id: str = string()


class ConsumerGroupPartitionMetadataValue(Struct, key=4, versions="0", flexible="0+"):
    class TopicMetadata(Struct):
        class PartitionMetadata(Struct):
            partition: int = i32()
            racks: list[str] = array(string())

        topic_id: bytes = uuid()
        topic_name: str = string()
        num_partitions: int = i32()
        partition_metadata: list[PartitionMetadata] = array(PartitionMetadata)

    topics: list[TopicMetadata] = array(TopicMetadata)


class ConsumerGroupMemberMetadataKey(Struct, key=5, versions="0"):
    group_id: str = string()
    member_id: str = string()


class ConsumerGroupMemberMetadataValue(Struct, key=5, versions="0", flexible="0+"):
    class ClassicMemberMetadata(Struct):
        class ClassicProtocol(Struct):
            name: str = string()
            metadata: Buffer = blob()

        session_timeout_ms: int = i32()
        supported_protocols: list[ClassicProtocol] = array(ClassicProtocol)

    instance_id: str | None = string(nullable="0+")
    rack_id: str | None = string(nullable="0+")
    client_id: str = string()
    client_host: str = string()
    subscribed_topic_names: list[str] = array(string())
    subscribed_topic_regex: str | None = string(nullable="0+")
    rebalance_timeout_ms: int = i32(default=-1)
    server_assignor: str | None = string(nullable="0+")
    classic_member_metadata: ClassicMemberMetadata | None = struct(
        ClassicMemberMetadata, nullable="0+", tagged="0+", tag=0
    )


class ConsumerGroupTargetAssignmentMetadataKey(Struct, key=6, versions="0"):
    group_id: str = string()


class ConsumerGroupTargetAssignmentMetadataValue(Struct, key=6, versions="0", flexible="0+"):
    assignment_epoch: int = i32()
    assignment_timestamp: int = i64(tagged="0+", tag=0)


class ConsumerGroupTargetAssignmentMemberKey(Struct, key=7, versions="0"):
    group_id: str = string()
    member_id: str = string()


class ConsumerGroupTargetAssignmentMemberValue(Struct, key=7, versions="0", flexible="0+"):
    class TopicPartition(Struct):
        topic_id: bytes = uuid()
        partitions: list[int] = array(i32())

    topic_partitions: list[TopicPartition] = array(TopicPartition)


class ConsumerGroupCurrentMemberAssignmentKey(Struct, key=8, versions="0"):
    group_id: str = string()
    member_id: str = string()


class ConsumerGroupCurrentMemberAssignmentValue(Struct, key=8, versions="0", flexible="0+"):
    member_epoch: int = i32()
    previous_member_epoch: int = i32()
    state: int = i8()
    assigned_partitions: list[TopicPartitions] = array(TopicPartitions)
    partitions_pending_revocation: list[TopicPartitions] = array(TopicPartitions)


class ConsumerGroupRegularExpressionKey(Struct, key=16, versions="0"):
    group_id: str = string()
    regular_expression: str = string()


class ConsumerGroupRegularExpressionValue(Struct, key=16, versions="0", flexible="0+"):
    topics: list[str] = array(string())
    version: int = i64()
    timestamp: int = i64()
