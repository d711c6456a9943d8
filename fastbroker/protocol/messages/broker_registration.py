"""BrokerRegistration (62): broker registers with the controller."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string, u16, uuid


class BrokerRegistrationRequest(Struct, key=62, versions="0-4", flexible="0+"):
    class Listener(Struct):
        name: str = string()
        host: str = string()
        port: int = u16()
        security_protocol: int = i16()

    class Feature(Struct):
        name: str = string()
        min_supported_version: int = i16()
        max_supported_version: int = i16()

    broker_id: int = i32()
    cluster_id: str = string()
    incarnation_id: bytes = uuid()
    listeners: list[Listener] = array(Listener)
    features: list[Feature] = array(Feature)
    rack: str | None = string(nullable="0+")
    is_migrating_zk_broker: bool = boolean("1+")
    log_dirs: list[bytes] = array(uuid(), "2+")
    previous_broker_epoch: int = i64("3+", default=-1)


class BrokerRegistrationResponse(Struct, key=62, versions="0-4", flexible="0+"):
    throttle_time_ms: int = i32()
    error_code: int = i16()
    broker_epoch: int = i64(default=-1)
