"""InitProducerId (22): obtain or renew a producer id and epoch (idempotent and transactional)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, boolean, i16, i32, i64, string


class InitProducerIdRequest(Struct, key=22, versions="0-6", flexible="2+", unstable="6+"):
    transactional_id: str | None = string(nullable="0+")
    transaction_timeout_ms: int = i32()
    producer_id: int = i64("3+", default=-1)
    producer_epoch: int = i16("3+", default=-1)
    enable2_pc: bool = boolean("6+")
    keep_prepared_txn: bool = boolean("6+")


class InitProducerIdResponse(Struct, key=22, versions="0-6", flexible="2+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    producer_id: int = i64(default=-1)
    producer_epoch: int = i16()
    ongoing_txn_producer_id: int = i64("6+", default=-1)
    ongoing_txn_producer_epoch: int = i16("6+", default=-1)
