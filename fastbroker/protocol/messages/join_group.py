"""JoinGroup (11): classic protocol: join a group and take part in a rebalance."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, array, blob, boolean, i16, i32, string


class JoinGroupRequest(Struct, key=11, versions="0-9", flexible="6+"):
    class JoinGroupRequestProtocol(Struct):
        name: str = string()
        metadata: Buffer = blob()

    group_id: str = string()
    session_timeout_ms: int = i32()
    rebalance_timeout_ms: int = i32("1+", default=-1)
    member_id: str = string()
    group_instance_id: str | None = string("5+", default=None, nullable="5+")
    protocol_type: str = string()
    protocols: list[JoinGroupRequestProtocol] = array(JoinGroupRequestProtocol)
    reason: str | None = string("8+", default=None, nullable="8+")


class JoinGroupResponse(Struct, key=11, versions="0-9", flexible="6+"):
    class JoinGroupResponseMember(Struct):
        member_id: str = string()
        group_instance_id: str | None = string("5+", default=None, nullable="5+")
        metadata: Buffer = blob()

    throttle_time_ms: int = i32("2+")
    error_code: int = i16()
    generation_id: int = i32(default=-1)
    protocol_type: str | None = string("7+", default=None, nullable="7+")
    protocol_name: str | None = string(nullable="7+")
    leader: str = string()
    skip_assignment: bool = boolean("9+")
    member_id: str = string()
    members: list[JoinGroupResponseMember] = array(JoinGroupResponseMember)
