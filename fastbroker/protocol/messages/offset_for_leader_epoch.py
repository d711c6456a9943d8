"""OffsetForLeaderEpoch (23): end offset of a leader epoch (log truncation detection)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string


class OffsetForLeaderEpochRequest(Struct, key=23, versions="2-4", flexible="4+"):
    class OffsetForLeaderTopic(Struct):
        class OffsetForLeaderPartition(Struct):
            partition: int = i32()
            current_leader_epoch: int = i32(default=-1)
            leader_epoch: int = i32()

        topic: str = string()
        partitions: list[OffsetForLeaderPartition] = array(OffsetForLeaderPartition)

    replica_id: int = i32("3+", default=-2)
    topics: list[OffsetForLeaderTopic] = array(OffsetForLeaderTopic)


class OffsetForLeaderEpochResponse(Struct, key=23, versions="2-4", flexible="4+"):
    class OffsetForLeaderTopicResult(Struct):
        class EpochEndOffset(Struct):
            error_code: int = i16()
            partition: int = i32()
            leader_epoch: int = i32(default=-1)
            end_offset: int = i64(default=-1)

        topic: str = string()
        partitions: list[EpochEndOffset] = array(EpochEndOffset)

    throttle_time_ms: int = i32()
    topics: list[OffsetForLeaderTopicResult] = array(OffsetForLeaderTopicResult)
