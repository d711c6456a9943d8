"""DescribeShareGroupOffsets (90): describe share-group start offsets and lag."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, uuid


class DescribeShareGroupOffsetsRequest(Struct, key=90, versions="0-1", flexible="0+"):
    class DescribeShareGroupOffsetsRequestGroup(Struct):
        class DescribeShareGroupOffsetsRequestTopic(Struct):
            topic_name: str = string()
            partitions: list[int] = array(i32())

        group_id: str = string()
        topics: list[DescribeShareGroupOffsetsRequestTopic] | None = array(
            DescribeShareGroupOffsetsRequestTopic, nullable="0+"
        )

    groups: list[DescribeShareGroupOffsetsRequestGroup] = array(
        DescribeShareGroupOffsetsRequestGroup
    )


class DescribeShareGroupOffsetsResponse(Struct, key=90, versions="0-1", flexible="0+"):
    class DescribeShareGroupOffsetsResponseGroup(Struct):
        class DescribeShareGroupOffsetsResponseTopic(Struct):
            class DescribeShareGroupOffsetsResponsePartition(Struct):
                partition_index: int = i32()
                start_offset: int = i64()
                leader_epoch: int = i32()
                lag: int = i64("1+", default=-1)
                error_code: int = i16()
                error_message: str | None = string(default=None, nullable="0+")

            topic_name: str = string()
            topic_id: bytes = uuid()
            partitions: list[DescribeShareGroupOffsetsResponsePartition] = array(
                DescribeShareGroupOffsetsResponsePartition
            )

        group_id: str = string()
        topics: list[DescribeShareGroupOffsetsResponseTopic] = array(
            DescribeShareGroupOffsetsResponseTopic
        )
        error_code: int = i16()
        error_message: str | None = string(default=None, nullable="0+")

    throttle_time_ms: int = i32()
    groups: list[DescribeShareGroupOffsetsResponseGroup] = array(
        DescribeShareGroupOffsetsResponseGroup
    )
