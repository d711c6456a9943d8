"""CreateDelegationToken (38): create a delegation token."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, array, blob, i16, i32, i64, string


class CreateDelegationTokenRequest(Struct, key=38, versions="1-3", flexible="2+"):
    class CreatableRenewers(Struct):
        principal_type: str = string()
        principal_name: str = string()

    owner_principal_type: str | None = string("3+", nullable="3+")
    owner_principal_name: str | None = string("3+", nullable="3+")
    renewers: list[CreatableRenewers] = array(CreatableRenewers)
    max_lifetime_ms: int = i64()


class CreateDelegationTokenResponse(Struct, key=38, versions="1-3", flexible="2+"):
    error_code: int = i16()
    principal_type: str = string()
    principal_name: str = string()
    token_requester_principal_type: str = string("3+")
    token_requester_principal_name: str = string("3+")
    issue_timestamp_ms: int = i64()
    expiry_timestamp_ms: int = i64()
    max_timestamp_ms: int = i64()
    token_id: str = string()
    hmac: Buffer = blob()
    throttle_time_ms: int = i32()
