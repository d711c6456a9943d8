"""StreamsGroupHeartbeat (88): KIP-1071 streams group heartbeat."""

from __future__ import annotations

from fastbroker.protocol.schema import (
    Struct,
    array,
    boolean,
    i8,
    i16,
    i32,
    i64,
    string,
    struct,
    u16,
)


class KeyValue(Struct):
    key: str = string()
    value: str = string()


class TopicInfo(Struct):
    name: str = string()
    partitions: int = i32()
    replication_factor: int = i16()
    topic_configs: list[KeyValue] = array(KeyValue)


class Endpoint(Struct):
    host: str = string()
    port: int = u16()


class TaskOffset(Struct):
    subtopology_id: str = string()
    partition: int = i32()
    offset: int = i64()


class TaskIds(Struct):
    subtopology_id: str = string()
    partitions: list[int] = array(i32())


class Status(Struct):
    status_code: int = i8()
    status_detail: str = string()


class TopicPartition(Struct):
    topic: str = string()
    partitions: list[int] = array(i32())


class StreamsGroupHeartbeatRequest(Struct, key=88, versions="0", flexible="0+"):
    class Topology(Struct):
        class Subtopology(Struct):
            class CopartitionGroup(Struct):
                source_topics: list[int] = array(i16())
                source_topic_regex: list[int] = array(i16())
                repartition_source_topics: list[int] = array(i16())

            subtopology_id: str = string()
            source_topics: list[str] = array(string())
            source_topic_regex: list[str] = array(string())
            state_changelog_topics: list[TopicInfo] = array(TopicInfo)
            repartition_sink_topics: list[str] = array(string())
            repartition_source_topics: list[TopicInfo] = array(TopicInfo)
            copartition_groups: list[CopartitionGroup] = array(CopartitionGroup)

        epoch: int = i32()
        subtopologies: list[Subtopology] = array(Subtopology)

    group_id: str = string()
    member_id: str = string()
    member_epoch: int = i32()
    endpoint_information_epoch: int = i32()
    instance_id: str | None = string(default=None, nullable="0+")
    rack_id: str | None = string(default=None, nullable="0+")
    rebalance_timeout_ms: int = i32(default=-1)
    topology: Topology | None = struct(Topology, nullable="0+")
    active_tasks: list[TaskIds] | None = array(TaskIds, default=None, nullable="0+")
    standby_tasks: list[TaskIds] | None = array(TaskIds, default=None, nullable="0+")
    warmup_tasks: list[TaskIds] | None = array(TaskIds, default=None, nullable="0+")
    process_id: str | None = string(default=None, nullable="0+")
    user_endpoint: Endpoint | None = struct(Endpoint, nullable="0+")
    client_tags: list[KeyValue] | None = array(KeyValue, default=None, nullable="0+")
    task_offsets: list[TaskOffset] | None = array(TaskOffset, default=None, nullable="0+")
    task_end_offsets: list[TaskOffset] | None = array(TaskOffset, default=None, nullable="0+")
    shutdown_application: bool = boolean()


class StreamsGroupHeartbeatResponse(Struct, key=88, versions="0", flexible="0+"):
    class EndpointToPartitions(Struct):
        user_endpoint: Endpoint = struct(Endpoint)
        active_partitions: list[TopicPartition] = array(TopicPartition)
        standby_partitions: list[TopicPartition] = array(TopicPartition)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(default=None, nullable="0+")
    member_id: str = string()
    member_epoch: int = i32()
    heartbeat_interval_ms: int = i32()
    acceptable_recovery_lag: int = i32()
    task_offset_interval_ms: int = i32()
    status: list[Status] | None = array(Status, nullable="0+")
    active_tasks: list[TaskIds] | None = array(TaskIds, default=None, nullable="0+")
    standby_tasks: list[TaskIds] | None = array(TaskIds, default=None, nullable="0+")
    warmup_tasks: list[TaskIds] | None = array(TaskIds, default=None, nullable="0+")
    endpoint_information_epoch: int = i32()
    partitions_by_user_endpoint: list[EndpointToPartitions] | None = array(
        EndpointToPartitions, default=None, nullable="0+"
    )
