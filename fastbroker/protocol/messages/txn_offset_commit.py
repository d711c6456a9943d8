"""TxnOffsetCommit (28): commit consumer offsets inside a transaction."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string


class TxnOffsetCommitRequest(Struct, key=28, versions="0-5", flexible="3+"):
    class TxnOffsetCommitRequestTopic(Struct):
        class TxnOffsetCommitRequestPartition(Struct):
            partition_index: int = i32()
            committed_offset: int = i64()
            committed_leader_epoch: int = i32("2+", default=-1)
            committed_metadata: str | None = string(nullable="0+")

        name: str = string()
        partitions: list[TxnOffsetCommitRequestPartition] = array(TxnOffsetCommitRequestPartition)

    transactional_id: str = string()
    group_id: str = string()
    producer_id: int = i64()
    producer_epoch: int = i16()
    generation_id: int = i32("3+", default=-1)
    member_id: str = string("3+")
    group_instance_id: str | None = string("3+", default=None, nullable="3+")
    topics: list[TxnOffsetCommitRequestTopic] = array(TxnOffsetCommitRequestTopic)


class TxnOffsetCommitResponse(Struct, key=28, versions="0-5", flexible="3+"):
    class TxnOffsetCommitResponseTopic(Struct):
        class TxnOffsetCommitResponsePartition(Struct):
            partition_index: int = i32()
            error_code: int = i16()

        name: str = string()
        partitions: list[TxnOffsetCommitResponsePartition] = array(TxnOffsetCommitResponsePartition)

    throttle_time_ms: int = i32()
    topics: list[TxnOffsetCommitResponseTopic] = array(TxnOffsetCommitResponseTopic)
