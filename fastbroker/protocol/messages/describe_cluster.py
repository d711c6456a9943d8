"""DescribeCluster (60): describe cluster id, controller, brokers (or controllers)."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string


class DescribeClusterRequest(Struct, key=60, versions="0-2", flexible="0+"):
    include_cluster_authorized_operations: bool = boolean()
    endpoint_type: int = i8("1+", default=1)
    include_fenced_brokers: bool = boolean("2+")


class DescribeClusterResponse(Struct, key=60, versions="0-2", flexible="0+"):
    class DescribeClusterBroker(Struct):
        broker_id: int = i32()
        host: str = string()
        port: int = i32()
        rack: str | None = string(default=None, nullable="0+")
        is_fenced: bool = boolean("2+")

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(default=None, nullable="0+")
    endpoint_type: int = i8("1+", default=1)
    cluster_id: str = string()
    controller_id: int = i32(default=-1)
    brokers: list[DescribeClusterBroker] = array(DescribeClusterBroker)
    cluster_authorized_operations: int = i32(default=-2147483648)
