"""AlterReplicaLogDirs (34): move replicas between log directories of one broker."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string


class AlterReplicaLogDirsRequest(Struct, key=34, versions="1-2", flexible="2+"):
    class AlterReplicaLogDir(Struct):
        class AlterReplicaLogDirTopic(Struct):
            name: str = string()
            partitions: list[int] = array(i32())

        path: str = string()
        topics: list[AlterReplicaLogDirTopic] = array(AlterReplicaLogDirTopic)

    dirs: list[AlterReplicaLogDir] = array(AlterReplicaLogDir)


class AlterReplicaLogDirsResponse(Struct, key=34, versions="1-2", flexible="2+"):
    class AlterReplicaLogDirTopicResult(Struct):
        class AlterReplicaLogDirPartitionResult(Struct):
            partition_index: int = i32()
            error_code: int = i16()

        topic_name: str = string()
        partitions: list[AlterReplicaLogDirPartitionResult] = array(
            AlterReplicaLogDirPartitionResult
        )

    throttle_time_ms: int = i32()
    results: list[AlterReplicaLogDirTopicResult] = array(AlterReplicaLogDirTopicResult)
