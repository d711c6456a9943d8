"""OffsetFetch (9): fetch committed offsets of one or many groups."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string, uuid


class OffsetFetchRequest(Struct, key=9, versions="1-10", flexible="6+"):
    class OffsetFetchRequestTopic(Struct):
        name: str = string("1-7")
        partition_indexes: list[int] = array(i32(), "1-7")

    class OffsetFetchRequestGroup(Struct):
        class OffsetFetchRequestTopics(Struct):
            name: str = string("8-9")
            topic_id: bytes = uuid("10+")
            partition_indexes: list[int] = array(i32(), "8+")

        group_id: str = string("8+")
        member_id: str | None = string("9+", default=None, nullable="9+")
        member_epoch: int = i32("9+", default=-1)
        topics: list[OffsetFetchRequestTopics] | None = array(
            OffsetFetchRequestTopics, "8+", nullable="8+"
        )

    group_id: str = string("1-7")
    topics: list[OffsetFetchRequestTopic] | None = array(
        OffsetFetchRequestTopic, "1-7", nullable="2+"
    )
    groups: list[OffsetFetchRequestGroup] = array(OffsetFetchRequestGroup, "8+")
    require_stable: bool = boolean("7+")


class OffsetFetchResponse(Struct, key=9, versions="1-10", flexible="6+"):
    class OffsetFetchResponseTopic(Struct):
        class OffsetFetchResponsePartition(Struct):
            partition_index: int = i32("1-7")
            committed_offset: int = i64("1-7")
            committed_leader_epoch: int = i32("5-7", default=-1)
            metadata: str | None = string("1-7", nullable="0+")
            error_code: int = i16("1-7")

        name: str = string("1-7")
        partitions: list[OffsetFetchResponsePartition] = array(OffsetFetchResponsePartition, "1-7")

    class OffsetFetchResponseGroup(Struct):
        class OffsetFetchResponseTopics(Struct):
            class OffsetFetchResponsePartitions(Struct):
                partition_index: int = i32("8+")
                committed_offset: int = i64("8+")
                committed_leader_epoch: int = i32("8+", default=-1)
                metadata: str | None = string("8+", nullable="8+")
                error_code: int = i16("8+")

            name: str = string("8-9")
            topic_id: bytes = uuid("10+")
            partitions: list[OffsetFetchResponsePartitions] = array(
                OffsetFetchResponsePartitions, "8+"
            )

        group_id: str = string("8+")
        topics: list[OffsetFetchResponseTopics] = array(OffsetFetchResponseTopics, "8+")
        error_code: int = i16("8+")

    throttle_time_ms: int = i32("3+")
    topics: list[OffsetFetchResponseTopic] = array(OffsetFetchResponseTopic, "1-7")
    error_code: int = i16("2-7")
    groups: list[OffsetFetchResponseGroup] = array(OffsetFetchResponseGroup, "8+")
