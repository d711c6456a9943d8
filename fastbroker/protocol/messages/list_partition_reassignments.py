"""ListPartitionReassignments (46): list ongoing reassignments."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string


class ListPartitionReassignmentsRequest(Struct, key=46, versions="0", flexible="0+"):
    class ListPartitionReassignmentsTopics(Struct):
        name: str = string()
        partition_indexes: list[int] = array(i32())

    timeout_ms: int = i32(default=60000)
    topics: list[ListPartitionReassignmentsTopics] | None = array(
        ListPartitionReassignmentsTopics, default=None, nullable="0+"
    )


class ListPartitionReassignmentsResponse(Struct, key=46, versions="0", flexible="0+"):
    class OngoingTopicReassignment(Struct):
        class OngoingPartitionReassignment(Struct):
            partition_index: int = i32()
            replicas: list[int] = array(i32())
            adding_replicas: list[int] = array(i32())
            removing_replicas: list[int] = array(i32())

        name: str = string()
        partitions: list[OngoingPartitionReassignment] = array(OngoingPartitionReassignment)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    topics: list[OngoingTopicReassignment] = array(OngoingTopicReassignment)
