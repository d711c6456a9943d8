"""ShareAcknowledge (79): KIP-932: acknowledge delivered records."""

from __future__ import annotations

from fastbroker.protocol.schema import (
    Struct,
    array,
    boolean,
    i8,
    i16,
    i32,
    i64,
    string,
    struct,
    uuid,
)


class ShareAcknowledgeRequest(Struct, key=79, versions="1-2", flexible="1+"):
    class AcknowledgeTopic(Struct):
        class AcknowledgePartition(Struct):
            class AcknowledgementBatch(Struct):
                first_offset: int = i64()
                last_offset: int = i64()
                acknowledge_types: list[int] = array(i8())

            partition_index: int = i32()
            acknowledgement_batches: list[AcknowledgementBatch] = array(AcknowledgementBatch)

        topic_id: bytes = uuid()
        partitions: list[AcknowledgePartition] = array(AcknowledgePartition)

    group_id: str | None = string(default=None, nullable="0+")
    member_id: str | None = string(nullable="0+")
    share_session_epoch: int = i32()
    is_renew_ack: bool = boolean("2+")
    topics: list[AcknowledgeTopic] = array(AcknowledgeTopic)


class ShareAcknowledgeResponse(Struct, key=79, versions="1-2", flexible="1+"):
    class ShareAcknowledgeTopicResponse(Struct):
        class PartitionData(Struct):
            class LeaderIdAndEpoch(Struct):
                leader_id: int = i32()
                leader_epoch: int = i32()

            partition_index: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")
            current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch)

        topic_id: bytes = uuid()
        partitions: list[PartitionData] = array(PartitionData)

    class NodeEndpoint(Struct):
        node_id: int = i32()
        host: str = string()
        port: int = i32()
        rack: str | None = string(default=None, nullable="0+")

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(default=None, nullable="0+")
    acquisition_lock_timeout_ms: int = i32("2+")
    responses: list[ShareAcknowledgeTopicResponse] = array(ShareAcknowledgeTopicResponse)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint)
