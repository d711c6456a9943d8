"""OffsetDelete (47): delete committed offsets of a group for given partitions."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string


class OffsetDeleteRequest(Struct, key=47, versions="0"):
    class OffsetDeleteRequestTopic(Struct):
        class OffsetDeleteRequestPartition(Struct):
            partition_index: int = i32()

        name: str = string()
        partitions: list[OffsetDeleteRequestPartition] = array(OffsetDeleteRequestPartition)

    group_id: str = string()
    topics: list[OffsetDeleteRequestTopic] = array(OffsetDeleteRequestTopic)


class OffsetDeleteResponse(Struct, key=47, versions="0"):
    class OffsetDeleteResponseTopic(Struct):
        class OffsetDeleteResponsePartition(Struct):
            partition_index: int = i32()
            error_code: int = i16()

        name: str = string()
        partitions: list[OffsetDeleteResponsePartition] = array(OffsetDeleteResponsePartition)

    error_code: int = i16()
    throttle_time_ms: int = i32()
    topics: list[OffsetDeleteResponseTopic] = array(OffsetDeleteResponseTopic)
