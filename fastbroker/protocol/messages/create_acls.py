"""CreateAcls (30): create ACL bindings."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class CreateAclsRequest(Struct, key=30, versions="1-3", flexible="2+"):
    class AclCreation(Struct):
        resource_type: int = i8()
        resource_name: str = string()
        resource_pattern_type: int = i8(default=3)
        principal: str = string()
        host: str = string()
        operation: int = i8()
        permission_type: int = i8()

    creations: list[AclCreation] = array(AclCreation)


class CreateAclsResponse(Struct, key=30, versions="1-3", flexible="2+"):
    class AclCreationResult(Struct):
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")

    throttle_time_ms: int = i32()
    results: list[AclCreationResult] = array(AclCreationResult)
