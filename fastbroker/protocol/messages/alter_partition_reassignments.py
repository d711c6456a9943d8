"""AlterPartitionReassignments (45): start, change or cancel partition reassignments."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, string


class AlterPartitionReassignmentsRequest(Struct, key=45, versions="0-1", flexible="0+"):
    class ReassignableTopic(Struct):
        class ReassignablePartition(Struct):
            partition_index: int = i32()
            replicas: list[int] | None = array(i32(), default=None, nullable="0+")

        name: str = string()
        partitions: list[ReassignablePartition] = array(ReassignablePartition)

    timeout_ms: int = i32(default=60000)
    allow_replication_factor_change: bool = boolean("1+", default=True)
    topics: list[ReassignableTopic] = array(ReassignableTopic)


class AlterPartitionReassignmentsResponse(Struct, key=45, versions="0-1", flexible="0+"):
    class ReassignableTopicResponse(Struct):
        class ReassignablePartitionResponse(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            error_message: str | None = string(nullable="0+")

        name: str = string()
        partitions: list[ReassignablePartitionResponse] = array(ReassignablePartitionResponse)

    throttle_time_ms: int = i32()
    allow_replication_factor_change: bool = boolean("1+", default=True)
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    responses: list[ReassignableTopicResponse] = array(ReassignableTopicResponse)
