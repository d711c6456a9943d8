"""UnregisterBroker (64): remove a broker registration."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, i16, i32, string


class UnregisterBrokerRequest(Struct, key=64, versions="0", flexible="0+"):
    broker_id: int = i32()


class UnregisterBrokerResponse(Struct, key=64, versions="0", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
