"""ReadShareGroupStateSummary (87): share coordinator: read start offset/state summary."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, uuid


class ReadShareGroupStateSummaryRequest(Struct, key=87, versions="0-1", flexible="0+"):
    class ReadStateSummaryData(Struct):
        class PartitionData(Struct):
            partition: int = i32()
            leader_epoch: int = i32()

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    group_id: str = string()
    topics: list[ReadStateSummaryData] = array(ReadStateSummaryData)


class ReadShareGroupStateSummaryResponse(Struct, key=87, versions="0-1", flexible="0+"):
    class ReadStateSummaryResult(Struct):
        class PartitionResult(Struct):
            partition: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")
            state_epoch: int = i32()
            leader_epoch: int = i32()
            start_offset: int = i64()
            delivery_complete_count: int = i32("1+", default=-1)

        topic_id: bytes = uuid()
        partitions: list[PartitionResult] = array(PartitionResult)

    results: list[ReadStateSummaryResult] = array(ReadStateSummaryResult)
