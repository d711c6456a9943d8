"""DescribeQuorum (55): describe the KRaft quorum: leader, voters, observers, lag."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, u16, uuid


class ReplicaState(Struct):
    replica_id: int = i32()
    replica_directory_id: bytes = uuid("2+")
    log_end_offset: int = i64()
    last_fetch_timestamp: int = i64("1+", default=-1)
    last_caught_up_timestamp: int = i64("1+", default=-1)


class DescribeQuorumRequest(Struct, key=55, versions="0-2", flexible="0+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = i32()

        topic_name: str = string()
        partitions: list[PartitionData] = array(PartitionData)

    topics: list[TopicData] = array(TopicData)


class DescribeQuorumResponse(Struct, key=55, versions="0-2", flexible="0+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            error_message: str | None = string("2+", nullable="2+")
            leader_id: int = i32()
            leader_epoch: int = i32()
            high_watermark: int = i64()
            current_voters: list[ReplicaState] = array(ReplicaState)
            observers: list[ReplicaState] = array(ReplicaState)

        topic_name: str = string()
        partitions: list[PartitionData] = array(PartitionData)

    class Node(Struct):
        class Listener(Struct):
            name: str = string("2+")
            host: str = string("2+")
            port: int = u16("2+")

        node_id: int = i32("2+")
        listeners: list[Listener] = array(Listener, "2+")

    error_code: int = i16()
    error_message: str | None = string("2+", nullable="2+")
    topics: list[TopicData] = array(TopicData)
    nodes: list[Node] = array(Node, "2+")
