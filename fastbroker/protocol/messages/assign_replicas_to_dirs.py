"""AssignReplicasToDirs (73): broker reports replica-to-log-directory assignment (JBOD, KIP-858)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, uuid


class AssignReplicasToDirsRequest(Struct, key=73, versions="0", flexible="0+"):
    class DirectoryData(Struct):
        class TopicData(Struct):
            class PartitionData(Struct):
                partition_index: int = i32()

            topic_id: bytes = uuid()
            partitions: list[PartitionData] = array(PartitionData)

        id: bytes = uuid()
        topics: list[TopicData] = array(TopicData)

    broker_id: int = i32()
    broker_epoch: int = i64(default=-1)
    directories: list[DirectoryData] = array(DirectoryData)


class AssignReplicasToDirsResponse(Struct, key=73, versions="0", flexible="0+"):
    class DirectoryData(Struct):
        class TopicData(Struct):
            class PartitionData(Struct):
                partition_index: int = i32()
                error_code: int = i16()

            topic_id: bytes = uuid()
            partitions: list[PartitionData] = array(PartitionData)

        id: bytes = uuid()
        topics: list[TopicData] = array(TopicData)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    directories: list[DirectoryData] = array(DirectoryData)
