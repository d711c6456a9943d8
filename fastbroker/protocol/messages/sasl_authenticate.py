"""SaslAuthenticate (36): carry SASL authentication bytes."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, blob, i16, i64, string


class SaslAuthenticateRequest(Struct, key=36, versions="0-2", flexible="2+"):
    auth_bytes: Buffer = blob()


class SaslAuthenticateResponse(Struct, key=36, versions="0-2", flexible="2+"):
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    auth_bytes: Buffer = blob()
    session_lifetime_ms: int = i64("1+")
