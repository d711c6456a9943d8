"""WriteShareGroupState (85): share coordinator: write share-partition state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, string, uuid


class WriteShareGroupStateRequest(Struct, key=85, versions="0-1", flexible="0+"):
    class WriteStateData(Struct):
        class PartitionData(Struct):
            class StateBatch(Struct):
                first_offset: int = i64()
                last_offset: int = i64()
                delivery_state: int = i8()
                delivery_count: int = i16()

            partition: int = i32()
            state_epoch: int = i32()
            leader_epoch: int = i32()
            start_offset: int = i64()
            delivery_complete_count: int = i32("1+", default=-1)
            state_batches: list[StateBatch] = array(StateBatch)

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    group_id: str = string()
    topics: list[WriteStateData] = array(WriteStateData)


class WriteShareGroupStateResponse(Struct, key=85, versions="0-1", flexible="0+"):
    class WriteStateResult(Struct):
        class PartitionResult(Struct):
            partition: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")

        topic_id: bytes = uuid()
        partitions: list[PartitionResult] = array(PartitionResult)

    results: list[WriteStateResult] = array(WriteStateResult)
