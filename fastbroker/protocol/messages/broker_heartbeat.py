"""BrokerHeartbeat (63): broker heartbeats with the controller (fencing, controlled shutdown)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, uuid


class BrokerHeartbeatRequest(Struct, key=63, versions="0-2", flexible="0+"):
    broker_id: int = i32()
    broker_epoch: int = i64(default=-1)
    current_metadata_offset: int = i64()
    want_fence: bool = boolean()
    want_shut_down: bool = boolean()
    offline_log_dirs: list[bytes] = array(uuid(), "1+", tagged="1+", tag=0)
    cordoned_log_dirs: list[bytes] | None = array(
        uuid(), "2+", default=None, nullable="2+", tagged="2+", tag=1
    )


class BrokerHeartbeatResponse(Struct, key=63, versions="0-2", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    is_caught_up: bool = boolean()
    is_fenced: bool = boolean(default=True)
    should_shut_down: bool = boolean()
