"""ShareGroupHeartbeat (76): KIP-932 share group heartbeat."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string, struct, uuid


class TopicPartitions(Struct):
    topic_id: bytes = uuid()
    partitions: list[int] = array(i32())


class ShareGroupHeartbeatRequest(Struct, key=76, versions="1", flexible="1+"):
    group_id: str = string()
    member_id: str = string()
    member_epoch: int = i32()
    rack_id: str | None = string(default=None, nullable="0+")
    subscribed_topic_names: list[str] | None = array(string(), default=None, nullable="0+")


class ShareGroupHeartbeatResponse(Struct, key=76, versions="1", flexible="1+"):
    class Assignment(Struct):
        topic_partitions: list[TopicPartitions] = array(TopicPartitions)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(default=None, nullable="0+")
    member_id: str | None = string(default=None, nullable="0+")
    member_epoch: int = i32()
    heartbeat_interval_ms: int = i32()
    assignment: Assignment | None = struct(Assignment, nullable="0+")
