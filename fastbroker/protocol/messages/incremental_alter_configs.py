"""IncrementalAlterConfigs (44): set/delete/append/subtract dynamic configs."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string


class IncrementalAlterConfigsRequest(Struct, key=44, versions="0-1", flexible="1+"):
    class AlterConfigsResource(Struct):
        class AlterableConfig(Struct):
            name: str = string()
            config_operation: int = i8()
            value: str | None = string(nullable="0+")

        resource_type: int = i8()
        resource_name: str = string()
        configs: list[AlterableConfig] = array(AlterableConfig)

    resources: list[AlterConfigsResource] = array(AlterConfigsResource)
    validate_only: bool = boolean()


class IncrementalAlterConfigsResponse(Struct, key=44, versions="0-1", flexible="1+"):
    class AlterConfigsResourceResponse(Struct):
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        resource_type: int = i8()
        resource_name: str = string()

    throttle_time_ms: int = i32()
    responses: list[AlterConfigsResourceResponse] = array(AlterConfigsResourceResponse)
