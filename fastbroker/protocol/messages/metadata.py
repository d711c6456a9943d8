"""Metadata (3): cluster/topic/partition metadata: brokers, leaders, replicas, ISR; optional topic
auto-creation.
"""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, string, uuid


class MetadataRequest(Struct, key=3, versions="0-13", flexible="9+"):
    class MetadataRequestTopic(Struct):
        topic_id: bytes = uuid("10+")
        name: str | None = string(nullable="10+")

    topics: list[MetadataRequestTopic] | None = array(MetadataRequestTopic, nullable="1+")
    allow_auto_topic_creation: bool = boolean("4+", default=True)
    include_cluster_authorized_operations: bool = boolean("8-10")
    include_topic_authorized_operations: bool = boolean("8+")


class MetadataResponse(Struct, key=3, versions="0-13", flexible="9+"):
    class MetadataResponseBroker(Struct):
        node_id: int = i32()
        host: str = string()
        port: int = i32()
        rack: str | None = string("1+", default=None, nullable="1+")

    class MetadataResponseTopic(Struct):
        class MetadataResponsePartition(Struct):
            error_code: int = i16()
            partition_index: int = i32()
            leader_id: int = i32()
            leader_epoch: int = i32("7+", default=-1)
            replica_nodes: list[int] = array(i32())
            isr_nodes: list[int] = array(i32())
            offline_replicas: list[int] = array(i32(), "5+")

        error_code: int = i16()
        name: str | None = string(nullable="12+")
        topic_id: bytes = uuid("10+")
        is_internal: bool = boolean("1+")
        partitions: list[MetadataResponsePartition] = array(MetadataResponsePartition)
        topic_authorized_operations: int = i32("8+", default=-2147483648)

    throttle_time_ms: int = i32("3+")
    brokers: list[MetadataResponseBroker] = array(MetadataResponseBroker)
    cluster_id: str | None = string("2+", default=None, nullable="2+")
    controller_id: int = i32("1+", default=-1)
    topics: list[MetadataResponseTopic] = array(MetadataResponseTopic)
    cluster_authorized_operations: int = i32("8-10", default=-2147483648)
    error_code: int = i16("13+")
