"""Vote (52): kRaft: request (pre-)vote."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string, u16, uuid


class VoteRequest(Struct, key=52, versions="0-2", flexible="0+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = i32()
            replica_epoch: int = i32()
            replica_id: int = i32()
            replica_directory_id: bytes = uuid("1+")
            voter_directory_id: bytes = uuid("1+")
            last_offset_epoch: int = i32()
            last_offset: int = i64()
            pre_vote: bool = boolean("2+")

        topic_name: str = string()
        partitions: list[PartitionData] = array(PartitionData)

    cluster_id: str | None = string(default=None, nullable="0+")
    voter_id: int = i32("1+", default=-1)
    topics: list[TopicData] = array(TopicData)


class VoteResponse(Struct, key=52, versions="0-2", flexible="0+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = i32()
            error_code: int = i16()
            leader_id: int = i32()
            leader_epoch: int = i32()
            vote_granted: bool = boolean()

        topic_name: str = string()
        partitions: list[PartitionData] = array(PartitionData)

    class NodeEndpoint(Struct):
        node_id: int = i32("1+")
        host: str = string("1+")
        port: int = u16("1+")

    error_code: int = i16()
    topics: list[TopicData] = array(TopicData)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, "1+", tagged="1+", tag=0)
