"""DeleteShareGroupState (86): share coordinator: delete share-partition state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string, uuid


class DeleteShareGroupStateRequest(Struct, key=86, versions="0", flexible="0+"):
    class DeleteStateData(Struct):
        class PartitionData(Struct):
            partition: int = i32()

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    group_id: str = string()
    topics: list[DeleteStateData] = array(DeleteStateData)


class DeleteShareGroupStateResponse(Struct, key=86, versions="0", flexible="0+"):
    class DeleteStateResult(Struct):
        class PartitionResult(Struct):
            partition: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")

        topic_id: bytes = uuid()
        partitions: list[PartitionResult] = array(PartitionResult)

    results: list[DeleteStateResult] = array(DeleteStateResult)
