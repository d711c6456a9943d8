"""Keys and values of __transaction_state."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, string


class TransactionLogKey(Struct, key=0, versions="0"):
    transactional_id: str = string()


class TransactionLogValue(Struct, key=0, versions="0-1", flexible="1+"):
    class PartitionsSchema(Struct):
        topic: str = string()
        partition_ids: list[int] = array(i32())

    producer_id: int = i64()
    previous_producer_id: int = i64("1+", default=-1, tagged="1+", tag=0)
    next_producer_id: int = i64("1+", default=-1, tagged="1+", tag=1)
    producer_epoch: int = i16()
    next_producer_epoch: int = i16("1+", default=-1, tagged="1+", tag=3)
    transaction_timeout_ms: int = i32()
    transaction_status: int = i8()
    transaction_partitions: list[PartitionsSchema] | None = array(PartitionsSchema, nullable="0+")
    transaction_last_update_timestamp_ms: int = i64()
    transaction_start_timestamp_ms: int = i64()
    client_transaction_version: int = i16("1+", tagged="1+", tag=2)
