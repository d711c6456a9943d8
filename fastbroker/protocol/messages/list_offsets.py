"""ListOffsets (2): look up offsets by timestamp or special value per partition."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, string


class ListOffsetsRequest(Struct, key=2, versions="1-11", flexible="6+"):
    class ListOffsetsTopic(Struct):
        class ListOffsetsPartition(Struct):
            partition_index: int = i32()
            current_leader_epoch: int = i32("4+", default=-1)
            timestamp: int = i64()

        name: str = string()
        partitions: list[ListOffsetsPartition] = array(ListOffsetsPartition)

    replica_id: int = i32()
    isolation_level: int = i8("2+")
    topics: list[ListOffsetsTopic] = array(ListOffsetsTopic)
    timeout_ms: int = i32("10+")


class ListOffsetsResponse(Struct, key=2, versions="1-11", flexible="6+"):
    class ListOffsetsTopicResponse(Struct):
        class ListOffsetsPartitionResponse(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            timestamp: int = i64(default=-1)
            offset: int = i64(default=-1)
            leader_epoch: int = i32("4+", default=-1)

        name: str = string()
        partitions: list[ListOffsetsPartitionResponse] = array(ListOffsetsPartitionResponse)

    throttle_time_ms: int = i32("2+")
    topics: list[ListOffsetsTopicResponse] = array(ListOffsetsTopicResponse)
