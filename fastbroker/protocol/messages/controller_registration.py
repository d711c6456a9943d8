"""ControllerRegistration (70): controller registers its endpoints and features."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, string, u16, uuid


class ControllerRegistrationRequest(Struct, key=70, versions="0", flexible="0+"):
    class Listener(Struct):
        name: str = string()
        host: str = string()
        port: int = u16()
        security_protocol: int = i16()

    class Feature(Struct):
        name: str = string()
        min_supported_version: int = i16()
        max_supported_version: int = i16()

    controller_id: int = i32()
    incarnation_id: bytes = uuid()
    zk_migration_ready: bool = boolean()
    listeners: list[Listener] = array(Listener)
    features: list[Feature] = array(Feature)


class ControllerRegistrationResponse(Struct, key=70, versions="0", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
