"""AlterConfigs (33): replace all dynamic configs of a resource (legacy; use 44)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string


class AlterConfigsRequest(Struct, key=33, versions="0-2", flexible="2+"):
    class AlterConfigsResource(Struct):
        class AlterableConfig(Struct):
            name: str = string()
            value: str | None = string(nullable="0+")

        resource_type: int = i8()
        resource_name: str = string()
        configs: list[AlterableConfig] = array(AlterableConfig)

    resources: list[AlterConfigsResource] = array(AlterConfigsResource)
    validate_only: bool = boolean()


class AlterConfigsResponse(Struct, key=33, versions="0-2", flexible="2+"):
    class AlterConfigsResourceResponse(Struct):
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        resource_type: int = i8()
        resource_name: str = string()

    throttle_time_ms: int = i32()
    responses: list[AlterConfigsResourceResponse] = array(AlterConfigsResourceResponse)
