"""UpdateRaftVoter (82): KIP-853: voter updates its endpoints/supported kraft.version."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string, struct, u16, uuid


class UpdateRaftVoterRequest(Struct, key=82, versions="0", flexible="0+"):
    class Listener(Struct):
        name: str = string()
        host: str = string()
        port: int = u16()

    class KRaftVersionFeature(Struct):
        min_supported_version: int = i16()
        max_supported_version: int = i16()

    cluster_id: str | None = string(nullable="0+")
    current_leader_epoch: int = i32()
    voter_id: int = i32()
    voter_directory_id: bytes = uuid()
    listeners: list[Listener] = array(Listener)
    k_raft_version_feature: KRaftVersionFeature = struct(KRaftVersionFeature)


class UpdateRaftVoterResponse(Struct, key=82, versions="0", flexible="0+"):
    class CurrentLeader(Struct):
        leader_id: int = i32(default=-1)
        leader_epoch: int = i32(default=-1)
        host: str = string()
        port: int = i32()

    throttle_time_ms: int = i32()
    error_code: int = i16()
    current_leader: CurrentLeader | None = struct(CurrentLeader, tagged="0+", tag=0)
