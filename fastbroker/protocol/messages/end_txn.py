"""EndTxn (26): commit or abort a transaction."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, boolean, i16, i32, i64, string


class EndTxnRequest(Struct, key=26, versions="0-5", flexible="3+"):
    transactional_id: str = string()
    producer_id: int = i64()
    producer_epoch: int = i16()
    committed: bool = boolean()


class EndTxnResponse(Struct, key=26, versions="0-5", flexible="3+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    producer_id: int = i64("5+", default=-1)
    producer_epoch: int = i16("5+", default=-1)
