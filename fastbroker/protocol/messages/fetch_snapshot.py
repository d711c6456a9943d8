"""FetchSnapshot (59): kRaft: fetch a metadata snapshot chunk."""

from __future__ import annotations

from typing import Any

from fastbroker.protocol.schema import (
    Struct,
    array,
    i16,
    i32,
    i64,
    records,
    string,
    struct,
    u16,
    uuid,
)


class FetchSnapshotRequest(Struct, key=59, versions="0-1", flexible="0+"):
    class TopicSnapshot(Struct):
        class PartitionSnapshot(Struct):
            class SnapshotId(Struct):
                end_offset: int = i64()
                epoch: int = i32()

            partition: int = i32()
            current_leader_epoch: int = i32()
            snapshot_id: SnapshotId = struct(SnapshotId)
            position: int = i64()
            replica_directory_id: bytes = uuid("1+", tagged="1+", tag=0)

        name: str = string()
        partitions: list[PartitionSnapshot] = array(PartitionSnapshot)

    cluster_id: str | None = string(default=None, nullable="0+", tagged="0+", tag=0)
    replica_id: int = i32(default=-1)
    max_bytes: int = i32(default=2147483647)
    topics: list[TopicSnapshot] = array(TopicSnapshot)


class FetchSnapshotResponse(Struct, key=59, versions="0-1", flexible="0+"):
    class TopicSnapshot(Struct):
        class PartitionSnapshot(Struct):
            class SnapshotId(Struct):
                end_offset: int = i64()
                epoch: int = i32()

            class LeaderIdAndEpoch(Struct):
                leader_id: int = i32()
                leader_epoch: int = i32()

            index: int = i32()
            error_code: int = i16()
            snapshot_id: SnapshotId = struct(SnapshotId)
            current_leader: LeaderIdAndEpoch | None = struct(LeaderIdAndEpoch, tagged="0+", tag=0)
            size: int = i64()
            position: int = i64()
            unaligned_records: Any = records()

        name: str = string()
        partitions: list[PartitionSnapshot] = array(PartitionSnapshot)

    class NodeEndpoint(Struct):
        node_id: int = i32("1+")
        host: str = string("1+")
        port: int = u16("1+")

    throttle_time_ms: int = i32()
    error_code: int = i16()
    topics: list[TopicSnapshot] = array(TopicSnapshot)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "1+", tagged="1+", tag=0)
