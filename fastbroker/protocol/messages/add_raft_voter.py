"""AddRaftVoter (80): KIP-853: add a KRaft voter."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, string, u16, uuid


class AddRaftVoterRequest(Struct, key=80, versions="0-1", flexible="0+"):
    class Listener(Struct):
        name: str = string()
        host: str = string()
        port: int = u16()

    cluster_id: str | None = string(nullable="0+")
    timeout_ms: int = i32()
    voter_id: int = i32()
    voter_directory_id: bytes = uuid()
    listeners: list[Listener] = array(Listener)
    ack_when_committed: bool = boolean("1+", default=True)


class AddRaftVoterResponse(Struct, key=80, versions="0-1", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
