"""DeleteGroups (42): delete empty groups."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string


class DeleteGroupsRequest(Struct, key=42, versions="0-2", flexible="2+"):
    groups_names: list[str] = array(string())


class DeleteGroupsResponse(Struct, key=42, versions="0-2", flexible="2+"):
    class DeletableGroupResult(Struct):
        group_id: str = string()
        error_code: int = i16()

    throttle_time_ms: int = i32()
    results: list[DeletableGroupResult] = array(DeletableGroupResult)
