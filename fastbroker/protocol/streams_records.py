"""Keys and values of streams groups in __consumer_offsets."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i8, i16, i32, i64, string, struct, u16


class LastAssignmentConfig(Struct):
    key: str = string()
    value: str = string()


class Endpoint(Struct):
    host: str = string()
    port: int = u16()


class KeyValue(Struct):
    key: str = string()
    value: str = string()


class TaskIds(Struct):
    subtopology_id: str = string()
    partitions: list[int] = array(i32())


class OwnedTaskIds(Struct):
    subtopology_id: str = string()
    partitions: list[int] = array(i32())
    assignment_epochs: list[int] | None = array(i32(), nullable="0+", tagged="0+", tag=0)


class TopicConfig(Struct):
    key: str = string()
    value: str = string()


class TopicInfo(Struct):
    name: str = string()
    partitions: int = i32()
    replication_factor: int = i16()
    topic_configs: list[TopicConfig] = array(TopicConfig)


class StreamsGroupMetadataKey(Struct, key=17, versions="0"):
    group_id: str = string()


class StreamsGroupMetadataValue(Struct, key=17, versions="0", flexible="0+"):
    epoch: int = i32()
    metadata_hash: int = i64()
    validated_topology_epoch: int = i32(default=-1, tagged="0+", tag=0)
    last_assignment_configs: list[LastAssignmentConfig] | None = array(
        LastAssignmentConfig, nullable="0+", tagged="0+", tag=1
    )


class StreamsGroupMemberMetadataKey(Struct, key=19, versions="0"):
    group_id: str = string()
    member_id: str = string()


class StreamsGroupMemberMetadataValue(Struct, key=19, versions="0", flexible="0+"):
    instance_id: str | None = string(nullable="0+")
    rack_id: str | None = string(nullable="0+")
    client_id: str = string()
    client_host: str = string()
    rebalance_timeout_ms: int = i32(default=-1)
    topology_epoch: int = i32()
    process_id: str = string()
    user_endpoint: Endpoint | None = struct(Endpoint, nullable="0+")
    client_tags: list[KeyValue] = array(KeyValue)


class StreamsGroupTargetAssignmentMetadataKey(Struct, key=20, versions="0"):
    group_id: str = string()


class StreamsGroupTargetAssignmentMetadataValue(Struct, key=20, versions="0", flexible="0+"):
    assignment_epoch: int = i32()
    assignment_timestamp: int = i64(tagged="0+", tag=0)


class StreamsGroupTargetAssignmentMemberKey(Struct, key=21, versions="0"):
    group_id: str = string()
    member_id: str = string()


class StreamsGroupTargetAssignmentMemberValue(Struct, key=21, versions="0", flexible="0+"):
    active_tasks: list[TaskIds] = array(TaskIds)
    standby_tasks: list[TaskIds] = array(TaskIds)
    warmup_tasks: list[TaskIds] = array(TaskIds)


class StreamsGroupCurrentMemberAssignmentKey(Struct, key=22, versions="0"):
    group_id: str = string()
    member_id: str = string()


class StreamsGroupCurrentMemberAssignmentValue(Struct, key=22, versions="0", flexible="0+"):
    member_epoch: int = i32()
    previous_member_epoch: int = i32()
    state: int = i8()
    active_tasks: list[OwnedTaskIds] = array(OwnedTaskIds)
    standby_tasks: list[OwnedTaskIds] = array(OwnedTaskIds)
    warmup_tasks: list[OwnedTaskIds] = array(OwnedTaskIds)
    active_tasks_pending_revocation: list[OwnedTaskIds] = array(OwnedTaskIds)
    standby_tasks_pending_revocation: list[OwnedTaskIds] = array(OwnedTaskIds)
    warmup_tasks_pending_revocation: list[OwnedTaskIds] = array(OwnedTaskIds)


class StreamsGroupTopologyKey(Struct, key=23, versions="0"):
    group_id: str = string()


class StreamsGroupTopologyValue(Struct, key=23, versions="0", flexible="0+"):
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
