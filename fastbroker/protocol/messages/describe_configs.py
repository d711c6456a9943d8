"""DescribeConfigs (32): read topic/broker/logger/client-metrics/group configs."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string


class DescribeConfigsRequest(Struct, key=32, versions="1-4", flexible="4+"):
    class DescribeConfigsResource(Struct):
        resource_type: int = i8()
        resource_name: str = string()
        configuration_keys: list[str] | None = array(string(), nullable="0+")

    resources: list[DescribeConfigsResource] = array(DescribeConfigsResource)
    include_synonyms: bool = boolean()
    include_documentation: bool = boolean("3+")


class DescribeConfigsResponse(Struct, key=32, versions="1-4", flexible="4+"):
    class DescribeConfigsResult(Struct):
        class DescribeConfigsResourceResult(Struct):
            class DescribeConfigsSynonym(Struct):
                name: str = string()
                value: str | None = string(nullable="0+")
                source: int = i8()

            name: str = string()
            value: str | None = string(nullable="0+")
            read_only: bool = boolean()
            config_source: int = i8(default=-1)
            is_sensitive: bool = boolean()
            synonyms: list[DescribeConfigsSynonym] = array(DescribeConfigsSynonym)
            config_type: int = i8("3+")
            documentation: str | None = string("3+", nullable="3+")

        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        resource_type: int = i8()
        resource_name: str = string()
        configs: list[DescribeConfigsResourceResult] = array(DescribeConfigsResourceResult)

    throttle_time_ms: int = i32()
    results: list[DescribeConfigsResult] = array(DescribeConfigsResult)
