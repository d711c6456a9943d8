"""ConsumerGroupHeartbeat (68): KIP-848 consumer group heartbeat: join, reconcile, leave."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string, struct, uuid


class TopicPartitions(Struct):
    topic_id: bytes = uuid()
    partitions: list[int] = array(i32())


class ConsumerGroupHeartbeatRequest(Struct, key=68, versions="0-1", flexible="0+"):
    class TopicPartitions(Struct):
        topic_id: bytes = uuid()
        partitions: list[int] = array(i32())

    group_id: str = string()
    member_id: str = string()
    member_epoch: int = i32()
    instance_id: str | None = string(default=None, nullable="0+")
    rack_id: str | None = string(default=None, nullable="0+")
    rebalance_timeout_ms: int = i32(default=-1)
    subscribed_topic_names: list[str] | None = array(string(), default=None, nullable="0+")
    subscribed_topic_regex: str | None = string("1+", default=None, nullable="1+")
    server_assignor: str | None = string(default=None, nullable="0+")
    topic_partitions: list[TopicPartitions] | None = array(
        TopicPartitions, default=None, nullable="0+"
    )


class ConsumerGroupHeartbeatResponse(Struct, key=68, versions="0-1", flexible="0+"):
    class Assignment(Struct):
        topic_partitions: list[TopicPartitions] = array(TopicPartitions)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(default=None, nullable="0+")
    member_id: str | None = string(default=None, nullable="0+")
    member_epoch: int = i32()
    heartbeat_interval_ms: int = i32()
    assignment: Assignment | None = struct(Assignment, nullable="0+")
