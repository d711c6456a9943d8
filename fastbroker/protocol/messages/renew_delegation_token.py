"""RenewDelegationToken (39): renew a delegation token."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, blob, i16, i32, i64


class RenewDelegationTokenRequest(Struct, key=39, versions="1-2", flexible="2+"):
    hmac: Buffer = blob()
    renew_period_ms: int = i64()


class RenewDelegationTokenResponse(Struct, key=39, versions="1-2", flexible="2+"):
    error_code: int = i16()
    expiry_timestamp_ms: int = i64()
    throttle_time_ms: int = i32()
