"""Control records of the metadata log and its snapshots, and the end-of-transaction marker."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string, struct, u16, uuid


class Voter(Struct):
    voter_id: int = i32()
    voter_directory_id: bytes = uuid("1+")


class EndTxnMarker(Struct, versions="0"):
    coordinator_epoch: int = i32()


class KRaftVersionRecord(Struct, versions="0", flexible="0+"):
    version: int = i16()
    k_raft_version: int = i16()


class LeaderChangeMessage(Struct, versions="0-1", flexible="0+"):
    version: int = i16()
    leader_id: int = i32()
    voters: list[Voter] = array(Voter)
    granting_voters: list[Voter] = array(Voter)


class SnapshotFooterRecord(Struct, versions="0", flexible="0+"):
    version: int = i16()


class SnapshotHeaderRecord(Struct, versions="0", flexible="0+"):
    version: int = i16()
    last_contained_log_timestamp: int = i64()


class VotersRecord(Struct, versions="0", flexible="0+"):
    class Voter(Struct):
        class Endpoint(Struct):
            name: str = string()
            host: str = string()
            port: int = u16()

        class KRaftVersionFeature(Struct):
            min_supported_version: int = i16()
            max_supported_version: int = i16()

        voter_id: int = i32()
        voter_directory_id: bytes = uuid()
        endpoints: list[Endpoint] = array(Endpoint)
        k_raft_version_feature: KRaftVersionFeature = struct(KRaftVersionFeature)

    version: int = i16()
    voters: list[Voter] = array(Voter)
