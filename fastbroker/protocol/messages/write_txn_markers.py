"""WriteTxnMarkers (27): a transaction coordinator has partition leaders write commit or abort."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, i64, string


class WriteTxnMarkersRequest(Struct, key=27, versions="1-2", flexible="1+"):
    class WritableTxnMarker(Struct):
        class WritableTxnMarkerTopic(Struct):
            name: str = string()
            partition_indexes: list[int] = array(i32())

        producer_id: int = i64()
        producer_epoch: int = i16()
        transaction_result: bool = boolean()
        topics: list[WritableTxnMarkerTopic] = array(WritableTxnMarkerTopic)
        coordinator_epoch: int = i32()
        transaction_version: int = i8("2+")

    markers: list[WritableTxnMarker] = array(WritableTxnMarker)


class WriteTxnMarkersResponse(Struct, key=27, versions="1-2", flexible="1+"):
    class WritableTxnMarkerResult(Struct):
        class WritableTxnMarkerTopicResult(Struct):
            class WritableTxnMarkerPartitionResult(Struct):
                partition_index: int = i32()
                error_code: int = i16()

            name: str = string()
            partitions: list[WritableTxnMarkerPartitionResult] = array(
                WritableTxnMarkerPartitionResult
            )

        producer_id: int = i64()
        topics: list[WritableTxnMarkerTopicResult] = array(WritableTxnMarkerTopicResult)

    markers: list[WritableTxnMarkerResult] = array(WritableTxnMarkerResult)
