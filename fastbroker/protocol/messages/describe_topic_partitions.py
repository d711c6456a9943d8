"""DescribeTopicPartitions (75): paged topic/partition description incl. ELR (KIP-966)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, string, struct, uuid


class DescribeTopicPartitionsRequest(Struct, key=75, versions="0", flexible="0+"):
    class TopicRequest(Struct):
        name: str = string()

    class Cursor(Struct):
        topic_name: str = string()
        partition_index: int = i32()

    topics: list[TopicRequest] = array(TopicRequest)
    response_partition_limit: int = i32(default=2000)
    cursor: Cursor | None = struct(Cursor, nullable="0+")


class DescribeTopicPartitionsResponse(Struct, key=75, versions="0", flexible="0+"):
    class DescribeTopicPartitionsResponseTopic(Struct):
        class DescribeTopicPartitionsResponsePartition(Struct):
            error_code: int = i16()
            partition_index: int = i32()
            leader_id: int = i32()
            leader_epoch: int = i32(default=-1)
            replica_nodes: list[int] = array(i32())
            isr_nodes: list[int] = array(i32())
            eligible_leader_replicas: list[int] | None = array(i32(), default=None, nullable="0+")
            last_known_elr: list[int] | None = array(i32(), default=None, nullable="0+")
            offline_replicas: list[int] = array(i32())

        error_code: int = i16()
        name: str | None = string(nullable="0+")
        topic_id: bytes = uuid()
        is_internal: bool = boolean()
        partitions: list[DescribeTopicPartitionsResponsePartition] = array(
            DescribeTopicPartitionsResponsePartition
        )
        topic_authorized_operations: int = i32(default=-2147483648)

    class Cursor(Struct):
        topic_name: str = string()
        partition_index: int = i32()

    throttle_time_ms: int = i32()
    topics: list[DescribeTopicPartitionsResponseTopic] = array(DescribeTopicPartitionsResponseTopic)
    next_cursor: Cursor | None = struct(Cursor, nullable="0+")
