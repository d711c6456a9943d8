"""RemoveRaftVoter (81): KIP-853: remove a KRaft voter."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, i16, i32, string, uuid


class RemoveRaftVoterRequest(Struct, key=81, versions="0", flexible="0+"):
    cluster_id: str | None = string(nullable="0+")
    voter_id: int = i32()
    voter_directory_id: bytes = uuid()


class RemoveRaftVoterResponse(Struct, key=81, versions="0", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
