"""ReadShareGroupState (84): share coordinator: read share-partition state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, string, uuid


class ReadShareGroupStateRequest(Struct, key=84, versions="0", flexible="0+"):
    class ReadStateData(Struct):
        class PartitionData(Struct):
            partition: int = i32()
            leader_epoch: int = i32()

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    group_id: str = string()
    topics: list[ReadStateData] = array(ReadStateData)


class ReadShareGroupStateResponse(Struct, key=84, versions="0", flexible="0+"):
    class ReadStateResult(Struct):
        class PartitionResult(Struct):
            class StateBatch(Struct):
                first_offset: int = i64()
                last_offset: int = i64()
                delivery_state: int = i8()
                delivery_count: int = i16()

            partition: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")
            state_epoch: int = i32()
            start_offset: int = i64()
            state_batches: list[StateBatch] = array(StateBatch)

        topic_id: bytes = uuid()
        partitions: list[PartitionResult] = array(PartitionResult)

    results: list[ReadStateResult] = array(ReadStateResult)
