"""Records of __remote_log_metadata (tiered storage)."""

from __future__ import annotations

from fastbroker.protocol.schema import (
    Buffer,
    Struct,
    array,
    blob,
    boolean,
    i8,
    i32,
    i64,
    string,
    struct,
    uuid,
)


class RemoteLogSegmentMetadataRecord(Struct, key=0, versions="0", flexible="0+"):
    class RemoteLogSegmentIdEntry(Struct):
        class TopicIdPartitionEntry(Struct):
            name: str = string()
            id: bytes = uuid()
            partition: int = i32()

        topic_id_partition: TopicIdPartitionEntry = struct(TopicIdPartitionEntry)
        id: bytes = uuid()

    class SegmentLeaderEpochEntry(Struct):
        leader_epoch: int = i32()
        offset: int = i64()

    remote_log_segment_id: RemoteLogSegmentIdEntry = struct(RemoteLogSegmentIdEntry)
    start_offset: int = i64()
    end_offset: int = i64()
    broker_id: int = i32()
    max_timestamp_ms: int = i64()
    event_timestamp_ms: int = i64()
    segment_leader_epochs: list[SegmentLeaderEpochEntry] = array(SegmentLeaderEpochEntry)
    segment_size_in_bytes: int = i32()
    custom_metadata: Buffer | None = blob(default=None, nullable="0+")
    remote_log_segment_state: int = i8()
    txn_index_empty: bool = boolean(tagged="0+", tag=0)


class RemoteLogSegmentMetadataUpdateRecord(Struct, key=1, versions="0", flexible="0+"):
    class RemoteLogSegmentIdEntry(Struct):
        class TopicIdPartitionEntry(Struct):
            name: str = string()
            id: bytes = uuid()
            partition: int = i32()

        topic_id_partition: TopicIdPartitionEntry = struct(TopicIdPartitionEntry)
        id: bytes = uuid()

    remote_log_segment_id: RemoteLogSegmentIdEntry = struct(RemoteLogSegmentIdEntry)
    broker_id: int = i32()
    event_timestamp_ms: int = i64()
    custom_metadata: Buffer | None = blob(default=None, nullable="0+")
    remote_log_segment_state: int = i8()


class RemotePartitionDeleteMetadataRecord(Struct, key=2, versions="0", flexible="0+"):
    class TopicIdPartitionEntry(Struct):
        name: str = string()
        id: bytes = uuid()
        partition: int = i32()

    topic_id_partition: TopicIdPartitionEntry = struct(TopicIdPartitionEntry)
    broker_id: int = i32()
    event_timestamp_ms: int = i64()
    remote_partition_delete_state: int = i8()


class RemoteLogSegmentMetadataSnapshotRecord(Struct, key=3, versions="0", flexible="0+"):
    class SegmentLeaderEpochEntry(Struct):
        leader_epoch: int = i32()
        offset: int = i64()

    segment_id: bytes = uuid()
    start_offset: int = i64()
    end_offset: int = i64()
    broker_id: int = i32()
    max_timestamp_ms: int = i64()
    event_timestamp_ms: int = i64()
    segment_leader_epochs: list[SegmentLeaderEpochEntry] = array(SegmentLeaderEpochEntry)
    segment_size_in_bytes: int = i32()
    custom_metadata: Buffer | None = blob(default=None, nullable="0+")
    remote_log_segment_state: int = i8()
    txn_index_empty: bool = boolean(tagged="0+", tag=0)
