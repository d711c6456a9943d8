"""Heartbeat (12): classic protocol: keep a member alive."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, i16, i32, string


class HeartbeatRequest(Struct, key=12, versions="0-4", flexible="4+"):
    group_id: str = string()
    generation_id: int = i32()
    member_id: str = string()
    group_instance_id: str | None = string("3+", default=None, nullable="3+")


class HeartbeatResponse(Struct, key=12, versions="0-4", flexible="4+"):
    throttle_time_ms: int = i32("1+")
    error_code: int = i16()
