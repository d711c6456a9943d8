"""AlterUserScramCredentials (51): upsert or delete SCRAM credentials."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, array, blob, i8, i16, i32, string


class AlterUserScramCredentialsRequest(Struct, key=51, versions="0", flexible="0+"):
    class ScramCredentialDeletion(Struct):
        name: str = string()
        mechanism: int = i8()

    class ScramCredentialUpsertion(Struct):
        name: str = string()
        mechanism: int = i8()
        iterations: int = i32()
        salt: Buffer = blob()
        salted_password: Buffer = blob()

    deletions: list[ScramCredentialDeletion] = array(ScramCredentialDeletion)
    upsertions: list[ScramCredentialUpsertion] = array(ScramCredentialUpsertion)


class AlterUserScramCredentialsResponse(Struct, key=51, versions="0", flexible="0+"):
    class AlterUserScramCredentialsResult(Struct):
        user: str = string()
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")

    throttle_time_ms: int = i32()
    results: list[AlterUserScramCredentialsResult] = array(AlterUserScramCredentialsResult)
