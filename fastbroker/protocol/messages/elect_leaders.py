"""ElectLeaders (43): trigger preferred or unclean leader election."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class ElectLeadersRequest(Struct, key=43, versions="0-2", flexible="2+"):
    class TopicPartitions(Struct):
        topic: str = string()
        partitions: list[int] = array(i32())

    election_type: int = i8("1+")
    topic_partitions: list[TopicPartitions] | None = array(TopicPartitions, nullable="0+")
    timeout_ms: int = i32(default=60000)


class ElectLeadersResponse(Struct, key=43, versions="0-2", flexible="2+"):
    class ReplicaElectionResult(Struct):
        class PartitionResult(Struct):
            partition_id: int = i32()
            error_code: int = i16()
            error_message: str | None = string(nullable="0+")

        topic: str = string()
        partition_result: list[PartitionResult] = array(PartitionResult)

    throttle_time_ms: int = i32()
    error_code: int = i16("1+")
    replica_election_results: list[ReplicaElectionResult] = array(ReplicaElectionResult)
