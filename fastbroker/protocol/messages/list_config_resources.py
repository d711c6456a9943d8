"""ListConfigResources (74): list config resources by type (v0: client-metrics only)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, string


class ListConfigResourcesRequest(Struct, key=74, versions="0-1", flexible="0+"):
    resource_types: list[int] = array(i8(), "1+")


class ListConfigResourcesResponse(Struct, key=74, versions="0-1", flexible="0+"):
    class ConfigResource(Struct):
        resource_name: str = string()
        resource_type: int = i8("1+", default=16)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    config_resources: list[ConfigResource] = array(ConfigResource)
