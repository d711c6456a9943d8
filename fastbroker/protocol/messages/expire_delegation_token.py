"""ExpireDelegationToken (40): expire a delegation token."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, blob, i16, i32, i64


class ExpireDelegationTokenRequest(Struct, key=40, versions="1-2", flexible="2+"):
    hmac: Buffer = blob()
    expiry_time_period_ms: int = i64()


class ExpireDelegationTokenResponse(Struct, key=40, versions="1-2", flexible="2+"):
    error_code: int = i16()
    expiry_timestamp_ms: int = i64()
    throttle_time_ms: int = i32()
