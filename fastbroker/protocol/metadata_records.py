"""Records of the metadata log, __cluster_metadata-0 (KRaft)."""

from __future__ import annotations

from fastbroker.protocol.schema import (
    Buffer,
    Struct,
    array,
    blob,
    boolean,
    f64,
    i8,
    i16,
    i32,
    i64,
    string,
    u16,
    uuid,
)


class RegisterBrokerRecord(Struct, key=0, versions="0-4", flexible="0+"):
    class BrokerEndpoint(Struct):
        name: str = string()
        host: str = string()
        port: int = u16()
        security_protocol: int = i16()

    class BrokerFeature(Struct):
        name: str = string()
        min_supported_version: int = i16()
        max_supported_version: int = i16()

    broker_id: int = i32()
    is_migrating_zk_broker: bool = boolean("2+")
    incarnation_id: bytes = uuid()
    broker_epoch: int = i64()
    end_points: list[BrokerEndpoint] = array(BrokerEndpoint)
    features: list[BrokerFeature] = array(BrokerFeature)
    rack: str | None = string(nullable="0+")
    fenced: bool = boolean(default=True)
    in_controlled_shutdown: bool = boolean("1+")
    log_dirs: list[bytes] = array(uuid(), "3+", tagged="3+", tag=0)
    cordoned_log_dirs: list[bytes] | None = array(
        uuid(), "4+", default=None, nullable="4+", tagged="4+", tag=1
    )


class UnregisterBrokerRecord(Struct, key=1, versions="0", flexible="0+"):
    broker_id: int = i32()
    broker_epoch: int = i64()


class TopicRecord(Struct, key=2, versions="0", flexible="0+"):
    name: str = string()
    topic_id: bytes = uuid()


class PartitionRecord(Struct, key=3, versions="0-2", flexible="0+"):
    partition_id: int = i32(default=-1)
    topic_id: bytes = uuid()
    replicas: list[int] = array(i32())
    isr: list[int] = array(i32())
    removing_replicas: list[int] = array(i32())
    adding_replicas: list[int] = array(i32())
    leader: int = i32(default=-1)
    leader_recovery_state: int = i8(tagged="0+", tag=0)
    leader_epoch: int = i32(default=-1)
    partition_epoch: int = i32(default=-1)
    directories: list[bytes] = array(uuid(), "1+")
    eligible_leader_replicas: list[int] | None = array(
        i32(), "2+", default=None, nullable="2+", tagged="2+", tag=1
    )
    last_known_elr: list[int] | None = array(
        i32(), "2+", default=None, nullable="2+", tagged="2+", tag=2
    )


class ConfigRecord(Struct, key=4, versions="0", flexible="0+"):
    resource_type: int = i8()
    resource_name: str = string()
    name: str = string()
    value: str | None = string(nullable="0+")


class PartitionChangeRecord(Struct, key=5, versions="0-2", flexible="0+"):
    partition_id: int = i32(default=-1)
    topic_id: bytes = uuid()
    isr: list[int] | None = array(i32(), default=None, nullable="0+", tagged="0+", tag=0)
    leader: int = i32(default=-2, tagged="0+", tag=1)
    replicas: list[int] | None = array(i32(), default=None, nullable="0+", tagged="0+", tag=2)
    removing_replicas: list[int] | None = array(
        i32(), default=None, nullable="0+", tagged="0+", tag=3
    )
    adding_replicas: list[int] | None = array(
        i32(), default=None, nullable="0+", tagged="0+", tag=4
    )
    leader_recovery_state: int = i8(default=-1, tagged="0+", tag=5)
    directories: list[bytes] | None = array(
        uuid(), "1+", default=None, nullable="1+", tagged="1+", tag=8
    )
    eligible_leader_replicas: list[int] | None = array(
        i32(), "2+", default=None, nullable="2+", tagged="2+", tag=6
    )
    last_known_elr: list[int] | None = array(
        i32(), "2+", default=None, nullable="2+", tagged="2+", tag=7
    )


class FenceBrokerRecord(Struct, key=7, versions="0", flexible="0+"):
    id: int = i32()
    epoch: int = i64()


class UnfenceBrokerRecord(Struct, key=8, versions="0", flexible="0+"):
    id: int = i32()
    epoch: int = i64()


class RemoveTopicRecord(Struct, key=9, versions="0", flexible="0+"):
    topic_id: bytes = uuid()


class DelegationTokenRecord(Struct, key=10, versions="0", flexible="0+"):
    owner: str = string()
    requester: str = string()
    renewers: list[str] = array(string())
    issue_timestamp: int = i64()
    max_timestamp: int = i64()
    expiration_timestamp: int = i64()
    token_id: str = string()


class UserScramCredentialRecord(Struct, key=11, versions="0", flexible="0+"):
    name: str = string()
    mechanism: int = i8()
    salt: Buffer = blob()
    stored_key: Buffer = blob()
    server_key: Buffer = blob()
    iterations: int = i32()


class FeatureLevelRecord(Struct, key=12, versions="0", flexible="0+"):
    name: str = string()
    feature_level: int = i16()


class ClientQuotaRecord(Struct, key=14, versions="0", flexible="0+"):
    class EntityData(Struct):
        entity_type: str = string()
        entity_name: str | None = string(nullable="0+")

    entity: list[EntityData] = array(EntityData)
    key: str = string()
    value: float = f64()
    remove: bool = boolean()


class ProducerIdsRecord(Struct, key=15, versions="0", flexible="0+"):
    broker_id: int = i32()
    broker_epoch: int = i64(default=-1)
    next_producer_id: int = i64()


class BrokerRegistrationChangeRecord(Struct, key=17, versions="0-3", flexible="0+"):
    broker_id: int = i32()
    broker_epoch: int = i64()
    fenced: int = i8(tagged="0+", tag=0)
    in_controlled_shutdown: int = i8("1+", tagged="1+", tag=1)
    log_dirs: list[bytes] = array(uuid(), "2+", tagged="2+", tag=2)
    cordoned_log_dirs: list[bytes] | None = array(
        uuid(), "3+", default=None, nullable="3+", tagged="3+", tag=3
    )


class AccessControlEntryRecord(Struct, key=18, versions="0", flexible="0+"):
    id: bytes = uuid()
    resource_type: int = i8()
    resource_name: str = string()
    pattern_type: int = i8()
    principal: str = string()
    host: str = string()
    operation: int = i8()
    permission_type: int = i8()


class RemoveAccessControlEntryRecord(Struct, key=19, versions="0", flexible="0+"):
    id: bytes = uuid()


class NoOpRecord(Struct, key=20, versions="0", flexible="0+"):
    pass


class ZkMigrationStateRecord(Struct, key=21, versions="0", flexible="0+"):
    zk_migration_state: int = i8()


class RemoveUserScramCredentialRecord(Struct, key=22, versions="0", flexible="0+"):
    name: str = string()
    mechanism: int = i8()


class BeginTransactionRecord(Struct, key=23, versions="0", flexible="0+"):
    name: str | None = string(default=None, nullable="0+", tagged="0+", tag=0)


class EndTransactionRecord(Struct, key=24, versions="0", flexible="0+"):
    pass


class AbortTransactionRecord(Struct, key=25, versions="0", flexible="0+"):
    reason: str | None = string(default=None, nullable="0+", tagged="0+", tag=0)


class RemoveDelegationTokenRecord(Struct, key=26, versions="0", flexible="0+"):
    token_id: str = string()


class RegisterControllerRecord(Struct, key=27, versions="0", flexible="0+"):
    class ControllerEndpoint(Struct):
        name: str = string()
        host: str = string()
        port: int = u16()
        security_protocol: int = i16()

    class ControllerFeature(Struct):
        name: str = string()
        min_supported_version: int = i16()
        max_supported_version: int = i16()

    controller_id: int = i32()
    incarnation_id: bytes = uuid()
    zk_migration_ready: bool = boolean()
    end_points: list[ControllerEndpoint] = array(ControllerEndpoint)
    features: list[ControllerFeature] = array(ControllerFeature)


class ClearElrRecord(Struct, key=28, versions="0", flexible="0+"):
    topic_name: str = string()
