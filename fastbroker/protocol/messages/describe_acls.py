"""DescribeAcls (29): list ACL bindings matching a filter."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class DescribeAclsRequest(Struct, key=29, versions="1-3", flexible="2+"):
    resource_type_filter: int = i8()
    resource_name_filter: str | None = string(nullable="0+")
    pattern_type_filter: int = i8(default=3)
    principal_filter: str | None = string(nullable="0+")
    host_filter: str | None = string(nullable="0+")
    operation: int = i8()
    permission_type: int = i8()


class DescribeAclsResponse(Struct, key=29, versions="1-3", flexible="2+"):
    class DescribeAclsResource(Struct):
        class AclDescription(Struct):
            principal: str = string()
            host: str = string()
            operation: int = i8()
            permission_type: int = i8()

        resource_type: int = i8()
        resource_name: str = string()
        pattern_type: int = i8(default=3)
        acls: list[AclDescription] = array(AclDescription)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    resources: list[DescribeAclsResource] = array(DescribeAclsResource)
