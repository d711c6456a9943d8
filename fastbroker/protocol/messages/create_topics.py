"""CreateTopics (19): create topics."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i8, i16, i32, string, uuid


class CreateTopicsRequest(Struct, key=19, versions="2-7", flexible="5+"):
    class CreatableTopic(Struct):
        class CreatableReplicaAssignment(Struct):
            partition_index: int = i32()
            broker_ids: list[int] = array(i32())

        class CreatableTopicConfig(Struct):
            name: str = string()
            value: str | None = string(nullable="0+")

        name: str = string()
        num_partitions: int = i32()
        replication_factor: int = i16()
        assignments: list[CreatableReplicaAssignment] = array(CreatableReplicaAssignment)
        configs: list[CreatableTopicConfig] = array(CreatableTopicConfig)

    topics: list[CreatableTopic] = array(CreatableTopic)
    timeout_ms: int = i32(default=60000)
    validate_only: bool = boolean()


class CreateTopicsResponse(Struct, key=19, versions="2-7", flexible="5+"):
    class CreatableTopicResult(Struct):
        class CreatableTopicConfigs(Struct):
            name: str = string("5+")
            value: str | None = string("5+", nullable="5+")
            read_only: bool = boolean("5+")
            config_source: int = i8("5+", default=-1)
            is_sensitive: bool = boolean("5+")

        name: str = string()
        topic_id: bytes = uuid("7+")
        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        topic_config_error_code: int = i16("5+", tagged="5+", tag=0)
        num_partitions: int = i32("5+", default=-1)
        replication_factor: int = i16("5+", default=-1)
        configs: list[CreatableTopicConfigs] | None = array(
            CreatableTopicConfigs, "5+", nullable="5+"
        )

    throttle_time_ms: int = i32()
    topics: list[CreatableTopicResult] = array(CreatableTopicResult)
