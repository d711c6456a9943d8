"""ApiVersions (18): advertise supported API versions and finalized/supported features."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string


class ApiVersionsRequest(Struct, key=18, versions="0-4", flexible="3+"):
    client_software_name: str = string("3+")
    client_software_version: str = string("3+")


class ApiVersionsResponse(Struct, key=18, versions="0-4", flexible="3+"):
    class ApiVersion(Struct):
        api_key: int = i16()
        min_version: int = i16()
        max_version: int = i16()

    class SupportedFeatureKey(Struct):
        name: str = string("3+")
        min_version: int = i16("3+")
        max_version: int = i16("3+")

    class FinalizedFeatureKey(Struct):
        name: str = string("3+")
        max_version_level: int = i16("3+")
        min_version_level: int = i16("3+")

    error_code: int = i16()
    api_keys: list[ApiVersion] = array(ApiVersion)
    throttle_time_ms: int = i32("1+")
    supported_features: list[SupportedFeatureKey] = array(
        SupportedFeatureKey, "3+", tagged="3+", tag=0
    )
    finalized_features_epoch: int = i64("3+", default=-1, tagged="3+", tag=1)
    finalized_features: list[FinalizedFeatureKey] = array(
        FinalizedFeatureKey, "3+", tagged="3+", tag=2
    )
    zk_migration_ready: bool = boolean("3+", tagged="3+", tag=3)
