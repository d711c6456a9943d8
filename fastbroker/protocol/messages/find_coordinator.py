"""FindCoordinator (10): find the coordinator broker of a group (0), transaction (1) or share-group
partition (2).
"""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class FindCoordinatorRequest(Struct, key=10, versions="0-6", flexible="3+"):
    key: str = string("0-3")
    key_type: int = i8("1+")
    coordinator_keys: list[str] = array(string(), "4+")


class FindCoordinatorResponse(Struct, key=10, versions="0-6", flexible="3+"):
    class Coordinator(Struct):
        key: str = string("4+")
        node_id: int = i32("4+")
        host: str = string("4+")
        port: int = i32("4+")
        error_code: int = i16("4+")
        error_message: str | None = string("4+", nullable="4+")

    throttle_time_ms: int = i32("1+")
    error_code: int = i16("0-3")
    error_message: str | None = string("1-3", nullable="1+")
    node_id: int = i32("0-3")
    host: str = string("0-3")
    port: int = i32("0-3")
    coordinators: list[Coordinator] = array(Coordinator, "4+")
