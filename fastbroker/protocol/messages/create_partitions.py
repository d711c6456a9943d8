"""CreatePartitions (37): raise the partition count of topics."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, string


class CreatePartitionsRequest(Struct, key=37, versions="0-3", flexible="2+"):
    class CreatePartitionsTopic(Struct):
        class CreatePartitionsAssignment(Struct):
            broker_ids: list[int] = array(i32())

        name: str = string()
        count: int = i32()
        assignments: list[CreatePartitionsAssignment] | None = array(
            CreatePartitionsAssignment, nullable="0+"
        )

    topics: list[CreatePartitionsTopic] = array(CreatePartitionsTopic)
    timeout_ms: int = i32()
    validate_only: bool = boolean()


class CreatePartitionsResponse(Struct, key=37, versions="0-3", flexible="2+"):
    class CreatePartitionsTopicResult(Struct):
        name: str = string()
        error_code: int = i16()
        error_message: str | None = string(default=None, nullable="0+")

    throttle_time_ms: int = i32()
    results: list[CreatePartitionsTopicResult] = array(CreatePartitionsTopicResult)
