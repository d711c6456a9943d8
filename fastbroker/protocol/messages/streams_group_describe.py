"""StreamsGroupDescribe (89): describe streams groups."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string, struct, u16


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


class Assignment(Struct):
    active_tasks: list[TaskIds] = array(TaskIds)
    standby_tasks: list[TaskIds] = array(TaskIds)
    warmup_tasks: list[TaskIds] = array(TaskIds)


class KeyValue(Struct):
    key: str = string()
    value: str = string()


class TopicInfo(Struct):
    name: str = string()
    partitions: int = i32()
    replication_factor: int = i16()
    topic_configs: list[KeyValue] = array(KeyValue)


class StreamsGroupDescribeRequest(Struct, key=89, versions="0", flexible="0+"):
    group_ids: list[str] = array(string())
    include_authorized_operations: bool = boolean()


class StreamsGroupDescribeResponse(Struct, key=89, versions="0", flexible="0+"):
    class DescribedGroup(Struct):
        class Topology(Struct):
            class Subtopology(Struct):
                subtopology_id: str = string()
                source_topics: list[str] = array(string())
                repartition_sink_topics: list[str] = array(string())
                state_changelog_topics: list[TopicInfo] = array(TopicInfo)
                repartition_source_topics: list[TopicInfo] = array(TopicInfo)

            epoch: int = i32()
            subtopologies: list[Subtopology] | None = array(
                Subtopology, default=None, nullable="0+"
            )

        class Member(Struct):
            member_id: str = string()
            member_epoch: int = i32()
            instance_id: str | None = string(default=None, nullable="0+")
            rack_id: str | None = string(default=None, nullable="0+")
            client_id: str = string()
            client_host: str = string()
            topology_epoch: int = i32()
            process_id: str = string()
            user_endpoint: Endpoint | None = struct(Endpoint, nullable="0+")
            client_tags: list[KeyValue] = array(KeyValue)
            task_offsets: list[TaskOffset] = array(TaskOffset)
            task_end_offsets: list[TaskOffset] = array(TaskOffset)
            assignment: Assignment = struct(Assignment)
            target_assignment: Assignment = struct(Assignment)
            is_classic: bool = boolean()

        error_code: int = i16()
        error_message: str | None = string(default=None, nullable="0+")
        group_id: str = string()
        group_state: str = string()
        group_epoch: int = i32()
        assignment_epoch: int = i32()
        topology: Topology | None = struct(Topology, nullable="0+")
        members: list[Member] = array(Member)
        authorized_operations: int = i32(default=-2147483648)

    throttle_time_ms: int = i32()
    groups: list[DescribedGroup] = array(DescribedGroup)
