"""DescribeProducers (61): describe active producers of partitions."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string


class DescribeProducersRequest(Struct, key=61, versions="0", flexible="0+"):
    class TopicRequest(Struct):
        name: str = string()
        partition_indexes: list[int] = array(i32())

    topics: list[TopicRequest] = array(TopicRequest)


class DescribeProducersResponse(Struct, key=61, versions="0", flexible="0+"):
    class TopicResponse(Struct):
        class PartitionResponse(Struct):
            class ProducerState(Struct):
                producer_id: int = i64()
                producer_epoch: int = i32()
                last_sequence: int = i32(default=-1)
                last_timestamp: int = i64(default=-1)
                coordinator_epoch: int = i32()
                current_txn_start_offset: int = i64(default=-1)

            partition_index: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")
            active_producers: list[ProducerState] = array(ProducerState)

        name: str = string()
        partitions: list[PartitionResponse] = array(PartitionResponse)

    throttle_time_ms: int = i32()
    topics: list[TopicResponse] = array(TopicResponse)
