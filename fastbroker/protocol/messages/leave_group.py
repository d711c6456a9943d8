"""LeaveGroup (13): classic protocol: leave a group (batch of members from v3)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string


class LeaveGroupRequest(Struct, key=13, versions="0-5", flexible="4+"):
    class MemberIdentity(Struct):
        member_id: str = string("3+")
        group_instance_id: str | None = string("3+", default=None, nullable="3+")
        reason: str | None = string("5+", default=None, nullable="5+")

    group_id: str = string()
    member_id: str = string("0-2")
    members: list[MemberIdentity] = array(MemberIdentity, "3+")


class LeaveGroupResponse(Struct, key=13, versions="0-5", flexible="4+"):
    class MemberResponse(Struct):
        member_id: str = string("3+")
        group_instance_id: str | None = string("3+", nullable="3+")
        error_code: int = i16("3+")

    throttle_time_ms: int = i32("1+")
    error_code: int = i16()
    members: list[MemberResponse] = array(MemberResponse, "3+")
