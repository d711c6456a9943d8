"""InitializeShareGroupState (83): share coordinator: initialise share-partition state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, uuid


class InitializeShareGroupStateRequest(Struct, key=83, versions="0", flexible="0+"):
    class InitializeStateData(Struct):
        class PartitionData(Struct):
            partition: int = i32()
            state_epoch: int = i32()
            start_offset: int = i64()

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    group_id: str = string()
    topics: list[InitializeStateData] = array(InitializeStateData)


class InitializeShareGroupStateResponse(Struct, key=83, versions="0", flexible="0+"):
    class InitializeStateResult(Struct):
        class PartitionResult(Struct):
            partition: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")

        topic_id: bytes = uuid()
        partitions: list[PartitionResult] = array(PartitionResult)

    results: list[InitializeStateResult] = array(InitializeStateResult)
