"""AddPartitionsToTxn (24): add partitions to a transaction (clients v0-3; v4+ is broker-to-
coordinator batched/verify).
"""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string


class AddPartitionsToTxnTopic(Struct):
    name: str = string()
    partitions: list[int] = array(i32())


class AddPartitionsToTxnPartitionResult(Struct):
    partition_index: int = i32()
    partition_error_code: int = i16()


class AddPartitionsToTxnTopicResult(Struct):
    name: str = string()
    results_by_partition: list[AddPartitionsToTxnPartitionResult] = array(
        AddPartitionsToTxnPartitionResult
    )


class AddPartitionsToTxnRequest(Struct, key=24, versions="0-5", flexible="3+"):
    class AddPartitionsToTxnTransaction(Struct):
        transactional_id: str = string("4+")
        producer_id: int = i64("4+")
        producer_epoch: int = i16("4+")
        verify_only: bool = boolean("4+")
        topics: list[AddPartitionsToTxnTopic] = array(AddPartitionsToTxnTopic, "4+")

    transactions: list[AddPartitionsToTxnTransaction] = array(AddPartitionsToTxnTransaction, "4+")
    v3_and_below_transactional_id: str = string("0-3")
    v3_and_below_producer_id: int = i64("0-3")
    v3_and_below_producer_epoch: int = i16("0-3")
    v3_and_below_topics: list[AddPartitionsToTxnTopic] = array(AddPartitionsToTxnTopic, "0-3")


class AddPartitionsToTxnResponse(Struct, key=24, versions="0-5", flexible="3+"):
    class AddPartitionsToTxnResult(Struct):
        transactional_id: str = string("4+")
        topic_results: list[AddPartitionsToTxnTopicResult] = array(
            AddPartitionsToTxnTopicResult, "4+"
        )

    throttle_time_ms: int = i32()
    error_code: int = i16("4+")
    results_by_transaction: list[AddPartitionsToTxnResult] = array(AddPartitionsToTxnResult, "4+")
    results_by_topic_v3_and_below: list[AddPartitionsToTxnTopicResult] = array(
        AddPartitionsToTxnTopicResult, "0-3"
    )
