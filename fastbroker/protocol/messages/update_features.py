"""UpdateFeatures (57): upgrade/downgrade finalized feature levels."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string


class UpdateFeaturesRequest(Struct, key=57, versions="0-2", flexible="0+"):
    class FeatureUpdateKey(Struct):
        feature: str = string()
        max_version_level: int = i16()
        allow_downgrade: bool = boolean("0")
        upgrade_type: int = i8("1+", default=1)

    timeout_ms: int = i32(default=60000)
    feature_updates: list[FeatureUpdateKey] = array(FeatureUpdateKey)
    validate_only: bool = boolean("1+")


class UpdateFeaturesResponse(Struct, key=57, versions="0-2", flexible="0+"):
    class UpdatableFeatureResult(Struct):
        feature: str = string()
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    results: list[UpdatableFeatureResult] = array(UpdatableFeatureResult, "0-1")
