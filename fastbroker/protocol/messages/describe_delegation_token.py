"""DescribeDelegationToken (41): describe delegation tokens."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, array, blob, i16, i32, i64, string


class DescribeDelegationTokenRequest(Struct, key=41, versions="1-3", flexible="2+"):
    class DescribeDelegationTokenOwner(Struct):
        principal_type: str = string()
        principal_name: str = string()

    owners: list[DescribeDelegationTokenOwner] | None = array(
        DescribeDelegationTokenOwner, nullable="0+"
    )


class DescribeDelegationTokenResponse(Struct, key=41, versions="1-3", flexible="2+"):
    class DescribedDelegationToken(Struct):
        class DescribedDelegationTokenRenewer(Struct):
            principal_type: str = string()
            principal_name: str = string()

        principal_type: str = string()
        principal_name: str = string()
        token_requester_principal_type: str = string("3+")
        token_requester_principal_name: str = string("3+")
        issue_timestamp: int = i64()
        expiry_timestamp: int = i64()
        max_timestamp: int = i64()
        token_id: str = string()
        hmac: Buffer = blob()
        renewers: list[DescribedDelegationTokenRenewer] = array(DescribedDelegationTokenRenewer)

    error_code: int = i16()
    tokens: list[DescribedDelegationToken] = array(DescribedDelegationToken)
    throttle_time_ms: int = i32()
