"""ShareFetch (78): KIP-932: acquire records of share-partitions (with piggybacked acks)."""

from __future__ import annotations

from typing import Any

from fastbroker.protocol.schema import (
    Struct,
    array,
    boolean,
    i8,
    i16,
    i32,
    i64,
    records,
    string,
    struct,
    uuid,
)


class ShareFetchRequest(Struct, key=78, versions="1-2", flexible="1+"):
    class FetchTopic(Struct):
        class FetchPartition(Struct):
            class AcknowledgementBatch(Struct):
                first_offset: int = i64()
                last_offset: int = i64()
                acknowledge_types: list[int] = array(i8())

            partition_index: int = i32()
            acknowledgement_batches: list[AcknowledgementBatch] = array(AcknowledgementBatch)

        topic_id: bytes = uuid()
        partitions: list[FetchPartition] = array(FetchPartition)

    class ForgottenTopic(Struct):
        topic_id: bytes = uuid()
        partitions: list[int] = array(i32())

    group_id: str | None = string(default=None, nullable="0+")
    member_id: str | None = string(nullable="0+")
    share_session_epoch: int = i32()
    max_wait_ms: int = i32()
    min_bytes: int = i32()
    max_bytes: int = i32(default=2147483647)
    max_records: int = i32()
    batch_size: int = i32()
    share_acquire_mode: int = i8("2+")
    is_renew_ack: bool = boolean("2+")
    topics: list[FetchTopic] = array(FetchTopic)
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic)


class ShareFetchResponse(Struct, key=78, versions="1-2", flexible="1+"):
    class ShareFetchableTopicResponse(Struct):
        class PartitionData(Struct):
            class LeaderIdAndEpoch(Struct):
                leader_id: int = i32()
                leader_epoch: int = i32()

            class AcquiredRecords(Struct):
                first_offset: int = i64()
                last_offset: int = i64()
                delivery_count: int = i16()

            partition_index: int = i32()
            error_code: int = i16()
            error_message: str | None = string(default=None, nullable="0+")
            acknowledge_error_code: int = i16()
            acknowledge_error_message: str | None = string(default=None, nullable="0+")
            current_leader: LeaderIdAndEpoch = struct(LeaderIdAndEpoch)
            records: Any = records()
            acquired_records: list[AcquiredRecords] = array(AcquiredRecords)

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
    acquisition_lock_timeout_ms: int = i32()
    responses: list[ShareFetchableTopicResponse] = array(ShareFetchableTopicResponse)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint)
