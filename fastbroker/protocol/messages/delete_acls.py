"""DeleteAcls (31): delete ACL bindings matching filters."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class DeleteAclsRequest(Struct, key=31, versions="1-3", flexible="2+"):
    class DeleteAclsFilter(Struct):
        resource_type_filter: int = i8()
        resource_name_filter: str | None = string(nullable="0+")
        pattern_type_filter: int = i8(default=3)
        principal_filter: str | None = string(nullable="0+")
        host_filter: str | None = string(nullable="0+")
        operation: int = i8()
        permission_type: int = i8()

    filters: list[DeleteAclsFilter] = array(DeleteAclsFilter)


class DeleteAclsResponse(Struct, key=31, versions="1-3", flexible="2+"):
    class DeleteAclsFilterResult(Struct):
        class DeleteAclsMatchingAcl(Struct):
            error_code: int = i16()
            error_message: str | None = string(nullable="0+")
            resource_type: int = i8()
            resource_name: str = string()
            pattern_type: int = i8(default=3)
            principal: str = string()
            host: str = string()
            operation: int = i8()
            permission_type: int = i8()

        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        matching_acls: list[DeleteAclsMatchingAcl] = array(DeleteAclsMatchingAcl)

    throttle_time_ms: int = i32()
    filter_results: list[DeleteAclsFilterResult] = array(DeleteAclsFilterResult)
