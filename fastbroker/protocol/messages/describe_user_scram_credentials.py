"""DescribeUserScramCredentials (50): describe SCRAM users (mechanisms and iteration counts)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class DescribeUserScramCredentialsRequest(Struct, key=50, versions="0", flexible="0+"):
    class UserName(Struct):
        name: str = string()

    users: list[UserName] | None = array(UserName, nullable="0+")


class DescribeUserScramCredentialsResponse(Struct, key=50, versions="0", flexible="0+"):
    class DescribeUserScramCredentialsResult(Struct):
        class CredentialInfo(Struct):
            mechanism: int = i8()
            iterations: int = i32()

        user: str = string()
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        credential_infos: list[CredentialInfo] = array(CredentialInfo)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    results: list[DescribeUserScramCredentialsResult] = array(DescribeUserScramCredentialsResult)
