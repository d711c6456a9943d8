"""Keys and values of share groups: in __consumer_offsets and __share_group_state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, string, uuid


class TopicPartitions(Struct):
    topic_id: bytes = uuid()
    partitions: list[int] = array(i32())


class TopicPartitionsInfo(Struct):
    topic_id: bytes = uuid()
    topic_name: str = string()
    partitions: list[int] = array(i32())


class TopicInfo(Struct):
    topic_id: bytes = uuid()
    topic_name: str = string()


class ShareSnapshotKey(Struct, key=0, versions="0"):
    group_id: str = string()
    topic_id: bytes = uuid()
    partition: int = i32()


class ShareSnapshotValue(Struct, key=0, versions="0", flexible="0+"):
    class StateBatch(Struct):
        first_offset: int = i64()
        last_offset: int = i64()
        delivery_state: int = i8()
        delivery_count: int = i16()

    snapshot_epoch: int = i32()
    state_epoch: int = i32()
    leader_epoch: int = i32()
    start_offset: int = i64()
    delivery_complete_count: int = i32(default=-1, tagged="0+", tag=0)
    create_timestamp: int = i64()
    write_timestamp: int = i64()
    state_batches: list[StateBatch] = array(StateBatch)


class ShareUpdateKey(Struct, key=1, versions="0"):
    group_id: str = string()
    topic_id: bytes = uuid()
    partition: int = i32()


class ShareUpdateValue(Struct, key=1, versions="0", flexible="0+"):
    class StateBatch(Struct):
        first_offset: int = i64()
        last_offset: int = i64()
        delivery_state: int = i8()
        delivery_count: int = i16()

    snapshot_epoch: int = i32()
    leader_epoch: int = i32()
    start_offset: int = i64()
    delivery_complete_count: int = i32(default=-1, tagged="0+", tag=0)
    state_batches: list[StateBatch] = array(StateBatch)


class ShareGroupMemberMetadataKey(Struct, key=10, versions="0"):
    group_id: str = string()
    member_id: str = string()


class ShareGroupMemberMetadataValue(Struct, key=10, versions="0", flexible="0+"):
    rack_id: str | None = string(nullable="0+")
    client_id: str = string()
    client_host: str = string()
    subscribed_topic_names: list[str] = array(string())


class ShareGroupMetadataKey(Struct, key=11, versions="0"):
    group_id: str = string()


class ShareGroupMetadataValue(Struct, key=11, versions="0", flexible="0+"):
    epoch: int = i32()
    metadata_hash: int = i64()


class ShareGroupTargetAssignmentMetadataKey(Struct, key=12, versions="0"):
    group_id: str = string()


class ShareGroupTargetAssignmentMetadataValue(Struct, key=12, versions="0", flexible="0+"):
    assignment_epoch: int = i32()
    assignment_timestamp: int = i64(tagged="0+", tag=0)


class ShareGroupTargetAssignmentMemberKey(Struct, key=13, versions="0"):
    group_id: str = string()
    member_id: str = string()


class ShareGroupTargetAssignmentMemberValue(Struct, key=13, versions="0", flexible="0+"):
    class TopicPartition(Struct):
        topic_id: bytes = uuid()
        partitions: list[int] = array(i32())

    topic_partitions: list[TopicPartition] = array(TopicPartition)


class ShareGroupCurrentMemberAssignmentKey(Struct, key=14, versions="0"):
    group_id: str = string()
    member_id: str = string()


class ShareGroupCurrentMemberAssignmentValue(Struct, key=14, versions="0", flexible="0+"):
    member_epoch: int = i32()
    previous_member_epoch: int = i32()
    state: int = i8()
    assigned_partitions: list[TopicPartitions] = array(TopicPartitions)


class ShareGroupStatePartitionMetadataKey(Struct, key=15, versions="0"):
    group_id: str = string()


class ShareGroupStatePartitionMetadataValue(Struct, key=15, versions="0", flexible="0+"):
    initializing_topics: list[TopicPartitionsInfo] = array(TopicPartitionsInfo)
    initialized_topics: list[TopicPartitionsInfo] = array(TopicPartitionsInfo)
    deleting_topics: list[TopicInfo] = array(TopicInfo)
