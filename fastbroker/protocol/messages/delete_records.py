"""DeleteRecords (21): raise the log start offset of partitions, deleting what lies before it."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string


class DeleteRecordsRequest(Struct, key=21, versions="0-2", flexible="2+"):
    class DeleteRecordsTopic(Struct):
        class DeleteRecordsPartition(Struct):
            partition_index: int = i32()
            offset: int = i64()

        name: str = string()
        partitions: list[DeleteRecordsPartition] = array(DeleteRecordsPartition)

    topics: list[DeleteRecordsTopic] = array(DeleteRecordsTopic)
    timeout_ms: int = i32()


class DeleteRecordsResponse(Struct, key=21, versions="0-2", flexible="2+"):
    class DeleteRecordsTopicResult(Struct):
        class DeleteRecordsPartitionResult(Struct):
            partition_index: int = i32()
            low_watermark: int = i64()
            error_code: int = i16()

        name: str = string()
        partitions: list[DeleteRecordsPartitionResult] = array(DeleteRecordsPartitionResult)

    throttle_time_ms: int = i32()
    topics: list[DeleteRecordsTopicResult] = array(DeleteRecordsTopicResult)
