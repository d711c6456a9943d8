"""Fetch (1): read record batches (consumers and follower replicas; also KRaft metadata log
replication on the controller listener).
"""

from __future__ import annotations

from typing import Any

from fastbroker.protocol.schema import (
    Struct,
    array,
    i8,
    i16,
    i32,
    i64,
    records,
    string,
    struct,
    uuid,
)


class FetchRequest(Struct, key=1, versions="4-18", flexible="12+"):
    class ReplicaState(Struct):
        replica_id: int = i32("15+", default=-1)
        replica_epoch: int = i64("15+", default=-1)

    class FetchTopic(Struct):
        class FetchPartition(Struct):
            partition: int = i32()
            current_leader_epoch: int = i32("9+", default=-1)
            fetch_offset: int = i64()
            last_fetched_epoch: int = i32("12+", default=-1)
            log_start_offset: int = i64("5+", default=-1)
            partition_max_bytes: int = i32()
            replica_directory_id: bytes = uuid("17+", tagged="17+", tag=0)
            high_watermark: int = i64("18+", default=9223372036854775807, tagged="18+", tag=1)

        topic: str = string("4-12")
        topic_id: bytes = uuid("13+")
        partitions: list[FetchPartition] = array(FetchPartition)

    class ForgottenTopic(Struct):
        topic: str = string("7-12")
        topic_id: bytes = uuid("13+")
        partitions: list[int] = array(i32(), "7+")

    cluster_id: str | None = string("12+", default=None, nullable="12+", tagged="12+", tag=0)
    replica_id: int = i32("4-14", default=-1)
    replica_state: ReplicaState | None = struct(ReplicaState, "15+", tagged="15+", tag=1)
    max_wait_ms: int = i32()
    min_bytes: int = i32()
    max_bytes: int = i32(default=2147483647)
    isolation_level: int = i8()
    session_id: int = i32("7+")
    session_epoch: int = i32("7+", default=-1)
    topics: list[FetchTopic] = array(FetchTopic)
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, "7+")
    rack_id: str = string("11+")


class FetchResponse(Struct, key=1, versions="4-18", flexible="12+"):
    class FetchableTopicResponse(Struct):
        class PartitionData(Struct):
            class EpochEndOffset(Struct):
                epoch: int = i32("12+", default=-1)
                end_offset: int = i64("12+", default=-1)

            class LeaderIdAndEpoch(Struct):
                leader_id: int = i32("12+", default=-1)
                leader_epoch: int = i32("12+", default=-1)

            class SnapshotId(Struct):
                end_offset: int = i64(default=-1)
                epoch: int = i32(default=-1)

            class AbortedTransaction(Struct):
                producer_id: int = i64()
                first_offset: int = i64()

            partition_index: int = i32()
            error_code: int = i16()
            high_watermark: int = i64()
            last_stable_offset: int = i64(default=-1)
            log_start_offset: int = i64("5+", default=-1)
            diverging_epoch: EpochEndOffset | None = struct(
                EpochEndOffset, "12+", tagged="12+", tag=0
            )
            current_leader: LeaderIdAndEpoch | None = struct(
                LeaderIdAndEpoch, "12+", tagged="12+", tag=1
            )
            snapshot_id: SnapshotId | None = struct(SnapshotId, "12+", tagged="12+", tag=2)
            aborted_transactions: list[AbortedTransaction] | None = array(
                AbortedTransaction, nullable="0+"
            )
            preferred_read_replica: int = i32("11+", default=-1)
            records: Any = records(nullable="0+")

        topic: str = string("4-12")
        topic_id: bytes = uuid("13+")
        partitions: list[PartitionData] = array(PartitionData)

    class NodeEndpoint(Struct):
        node_id: int = i32("16+")
        host: str = string("16+")
        port: int = i32("16+")
        rack: str | None = string("16+", default=None, nullable="16+")

    throttle_time_ms: int = i32()
    error_code: int = i16("7+")
    session_id: int = i32("7+")
    responses: list[FetchableTopicResponse] = array(FetchableTopicResponse)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "16+", tagged="16+", tag=0)
