"""AlterShareGroupOffsets (91): alter share-group start offsets."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, uuid


class AlterShareGroupOffsetsRequest(Struct, key=91, versions="0", flexible="0+"):
    class AlterShareGroupOffsetsRequestTopic(Struct):
        class AlterShareGroupOffsetsRequestPartition(Struct):
            partition_index: int = i32()
            start_offset: int = i64()

        topic_name: str = string()
        partitions: list[AlterShareGroupOffsetsRequestPartition] = array(
            AlterShareGroupOffsetsRequestPartition
        )

    group_id: str = string()
    topics: list[AlterShareGroupOffsetsRequestTopic] = array(AlterShareGroupOffsetsRequestTopic)


class AlterShareGroupOffsetsResponse(Struct, key=91, versions="0", flexible="0+"):
    class AlterShareGroupOffsetsResponseTopic(Struct):
        class AlterShareGroupOffsetsResponsePartition(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")

        topic_name: str = string()
        topic_id: bytes = uuid()
        partitions: list[AlterShareGroupOffsetsResponsePartition] = array(
            AlterShareGroupOffsetsResponsePartition
        )

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(default=None, nullable="0+")
    responses: list[AlterShareGroupOffsetsResponseTopic] = array(
        AlterShareGroupOffsetsResponseTopic
    )
