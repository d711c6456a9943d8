"""PushTelemetry (72): KIP-714: client pushes OTLP metrics."""

from __future__ import annotations

from fastbroker.protocol.schema import Buffer, Struct, blob, boolean, i8, i16, i32, uuid


class PushTelemetryRequest(Struct, key=72, versions="0", flexible="0+"):
    client_instance_id: bytes = uuid()
    subscription_id: int = i32()
    terminating: bool = boolean()
    compression_type: int = i8()
    metrics: Buffer = blob()


class PushTelemetryResponse(Struct, key=72, versions="0", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
