"""ListGroups (16): list groups known to this broker, filter by state (v4) and type (v5)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string


class ListGroupsRequest(Struct, key=16, versions="0-5", flexible="3+"):
    states_filter: list[str] = array(string(), "4+")
    types_filter: list[str] = array(string(), "5+")


class ListGroupsResponse(Struct, key=16, versions="0-5", flexible="3+"):
    class ListedGroup(Struct):
        group_id: str = string()
        protocol_type: str = string()
        group_state: str = string("4+")
        group_type: str = string("5+")

    throttle_time_ms: int = i32("1+")
    error_code: int = i16()
    groups: list[ListedGroup] = array(ListedGroup)
