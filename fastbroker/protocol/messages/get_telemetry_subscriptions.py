"""GetTelemetrySubscriptions (71): KIP-714: client asks which metrics to push."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string, uuid


class GetTelemetrySubscriptionsRequest(Struct, key=71, versions="0", flexible="0+"):
    client_instance_id: bytes = uuid()


class GetTelemetrySubscriptionsResponse(Struct, key=71, versions="0", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    client_instance_id: bytes = uuid()
    subscription_id: int = i32()
    accepted_compression_types: list[int] = array(i8())
    push_interval_ms: int = i32()
    telemetry_max_bytes: int = i32()
    delta_temporality: bool = boolean()
    requested_metrics: list[str] = array(string())
