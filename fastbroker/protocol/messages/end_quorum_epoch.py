"""EndQuorumEpoch (54): kRaft: leader resigns, suggests successors."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string, u16, uuid


class EndQuorumEpochRequest(Struct, key=54, versions="0-1", flexible="1+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            class ReplicaInfo(Struct):
                candidate_id: int = i32("1+")
                candidate_directory_id: bytes = uuid("1+")

            partition_index: int = i32()
            leader_id: int = i32()
            leader_epoch: int = i32()
            preferred_successors: list[int] = array(i32(), "0")
            preferred_candidates: list[ReplicaInfo] = array(ReplicaInfo, "1+")

        topic_name: str = string()
        partitions: list[PartitionData] = array(PartitionData)

    class LeaderEndpoint(Struct):
        name: str = string("1+")
        host: str = string("1+")
        port: int = u16("1+")

    cluster_id: str | None = string(default=None, nullable="0+")
    topics: list[TopicData] = array(TopicData)
    leader_endpoints: list[LeaderEndpoint] = array(LeaderEndpoint, "1+")


class EndQuorumEpochResponse(Struct, key=54, versions="0-1", flexible="1+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            leader_id: int = i32()
            leader_epoch: int = i32()

        topic_name: str = string()
        partitions: list[PartitionData] = array(PartitionData)

    class NodeEndpoint(Struct):
        node_id: int = i32("1+")
        host: str = string("1+")
        port: int = u16("1+")

    error_code: int = i16()
    topics: list[TopicData] = array(TopicData)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "1+", tagged="1+", tag=0)
