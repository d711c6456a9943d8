"""AddOffsetsToTxn (25): add the consumer group offsets partition to a transaction."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, i16, i32, i64, string


class AddOffsetsToTxnRequest(Struct, key=25, versions="0-4", flexible="3+"):
    transactional_id: str = string()
    producer_id: int = i64()
    producer_epoch: int = i16()
    group_id: str = string()


class AddOffsetsToTxnResponse(Struct, key=25, versions="0-4", flexible="3+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
