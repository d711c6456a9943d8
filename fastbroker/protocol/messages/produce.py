"""Produce (0): append record batches to partition leaders."""

from __future__ import annotations

from typing import Any

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, records, string, struct, uuid


class ProduceRequest(Struct, key=0, versions="3-13", flexible="9+"):
    class TopicProduceData(Struct):
        class PartitionProduceData(Struct):
            index: int = i32()
            records: Any = records(nullable="0+")

        name: str = string("3-12")
        topic_id: bytes = uuid("13+")
        partition_data: list[PartitionProduceData] = array(PartitionProduceData)

    transactional_id: str | None = string(default=None, nullable="0+")
    acks: int = i16()
    timeout_ms: int = i32()
    topic_data: list[TopicProduceData] = array(TopicProduceData)


class ProduceResponse(Struct, key=0, versions="3-13", flexible="9+"):
    class TopicProduceResponse(Struct):
        class PartitionProduceResponse(Struct):
            class BatchIndexAndErrorMessage(Struct):
                batch_index: int = i32("8+")
                batch_index_error_message: str | None = string("8+", default=None, nullable="8+")

            class LeaderIdAndEpoch(Struct):
                leader_id: int = i32("10+", default=-1)
                leader_epoch: int = i32("10+", default=-1)

            index: int = i32()
            error_code: int = i16()
            base_offset: int = i64()
            log_append_time_ms: int = i64(default=-1)
            log_start_offset: int = i64("5+", default=-1)
            record_errors: list[BatchIndexAndErrorMessage] = array(BatchIndexAndErrorMessage, "8+")
            error_message: str | None = string("8+", default=None, nullable="8+")
            current_leader: LeaderIdAndEpoch | None = struct(
                LeaderIdAndEpoch, "10+", tagged="10+", tag=0
            )

        name: str = string("3-12")
        topic_id: bytes = uuid("13+")
        partition_responses: list[PartitionProduceResponse] = array(PartitionProduceResponse)

    class NodeEndpoint(Struct):
        node_id: int = i32("10+")
        host: str = string("10+")
        port: int = i32("10+")
        rack: str | None = string("10+", default=None, nullable="10+")

    responses: list[TopicProduceResponse] = array(TopicProduceResponse)
    throttle_time_ms: int = i32()
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "10+", tagged="10+", tag=0)
