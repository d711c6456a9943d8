"""SyncGroup (14): classic protocol: leader distributes assignment, members receive it."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, array, blob, i16, i32, string


class SyncGroupRequest(Struct, key=14, versions="0-5", flexible="4+"):
    class SyncGroupRequestAssignment(Struct):
        member_id: str = string()
        assignment: Buffer = blob()

    group_id: str = string()
    generation_id: int = i32()
    member_id: str = string()
    group_instance_id: str | None = string("3+", default=None, nullable="3+")
    protocol_type: str | None = string("5+", default=None, nullable="5+")
    protocol_name: str | None = string("5+", default=None, nullable="5+")
    assignments: list[SyncGroupRequestAssignment] = array(SyncGroupRequestAssignment)


class SyncGroupResponse(Struct, key=14, versions="0-5", flexible="4+"):
    throttle_time_ms: int = i32("1+")
    error_code: int = i16()
    protocol_type: str | None = string("5+", default=None, nullable="5+")
    protocol_name: str | None = string("5+", default=None, nullable="5+")
    assignment: Buffer = blob()
