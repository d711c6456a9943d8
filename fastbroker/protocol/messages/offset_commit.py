"""OffsetCommit (8): commit consumer offsets for a group."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, uuid


class OffsetCommitRequest(Struct, key=8, versions="2-10", flexible="8+"):
    class OffsetCommitRequestTopic(Struct):
        class OffsetCommitRequestPartition(Struct):
            partition_index: int = i32()
            committed_offset: int = i64()
            committed_leader_epoch: int = i32("6+", default=-1)
            committed_metadata: str | None = string(nullable="0+")

        name: str = string("2-9")
        topic_id: bytes = uuid("10+")
        partitions: list[OffsetCommitRequestPartition] = array(OffsetCommitRequestPartition)

    group_id: str = string()
    generation_id_or_member_epoch: int = i32(default=-1)
    member_id: str = string()
    group_instance_id: str | None = string("7+", default=None, nullable="7+")
    retention_time_ms: int = i64("2-4", default=-1)
    topics: list[OffsetCommitRequestTopic] = array(OffsetCommitRequestTopic)


class OffsetCommitResponse(Struct, key=8, versions="2-10", flexible="8+"):
    class OffsetCommitResponseTopic(Struct):
        class OffsetCommitResponsePartition(Struct):
            partition_index: int = i32()
            error_code: int = i16()

        name: str = string("2-9")
        topic_id: bytes = uuid("10+")
        partitions: list[OffsetCommitResponsePartition] = array(OffsetCommitResponsePartition)

    throttle_time_ms: int = i32("3+")
    topics: list[OffsetCommitResponseTopic] = array(OffsetCommitResponseTopic)
