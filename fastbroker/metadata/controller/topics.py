"""CreateTopics and DeleteTopics. Kafka: ReplicationControlManager, ControllerApis."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from fastbroker import errors
from fastbroker.config.topic import TOPIC_KEYS, BrokerValues, broker_values, validate_override
from fastbroker.metadata.controller.outcome import RECORDS_MAX, Outcome
from fastbroker.metadata.controller.placement import (
    check_assignment,
    check_replication_factor,
    partition_record,
    place,
)
from fastbroker.metadata.image import TOPIC, MetadataImage
from fastbroker.model import METADATA_TOPIC, ZERO_UUID
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from fastbroker.protocol.metadata_records import ConfigRecord, RemoveTopicRecord, TopicRecord
from fastbroker.protocol.schema import Struct

NAME_MAX = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")
# Where a value comes from, as responses say it.
DYNAMIC_TOPIC_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG = 1, 4, 5

_Topic = CreateTopicsRequest.CreatableTopic
_Result = CreateTopicsResponse.CreatableTopicResult
_Deleted = DeleteTopicsResponse.DeletableTopicResult


def create_topics(
    image: MetadataImage,
    request: CreateTopicsRequest,
    *,
    config: BrokerValues,
    new_id: Callable[[], bytes],
) -> Outcome:
    """Create every topic of the request that can be, each with its configs and partitions.

    config: the controller's, for defaults; new_id: a random topic id.
    """
    times = Counter(topic.name for topic in request.topics)
    taken: dict[str, str] = {}
    if any(_collides(name) for name in times):
        taken = {_unified(name): name for name in image.topics if _collides(name)}
    partitions = sum(
        max(len(t.assignments), config["num.partitions"] if t.num_partitions == -1 else
            t.num_partitions)
        for t in request.topics
    )  # fmt: skip
    records: list[Struct] = []
    results: list[_Result] = []
    defaults = _effective({}, config)
    for topic in request.topics:
        if times[topic.name] > 1:
            continue
        try:
            if partitions > RECORDS_MAX:
                raise errors.PolicyViolation(
                    f"Excessively large number of partitions per request: {partitions} are more"
                    f" than {RECORDS_MAX}; split the request"
                )
            check_new_name(image, topic.name, taken)
            made, result = _create(image, topic, config, defaults, new_id)
        except errors.KafkaError as error:
            results.append(_refusal(topic.name, error))
        else:
            records += made
            results.append(result)
            if _collides(topic.name):
                taken[_unified(topic.name)] = topic.name
    twice = errors.InvalidRequest("Duplicate topic name.")
    results += [_refusal(name, twice) for name, n in times.items() if n > 1]
    response = CreateTopicsResponse(topics=results)
    return Outcome([] if request.validate_only else records, response)


def check_name(name: str) -> None:
    """Raise InvalidTopicException unless `name` may name a topic."""
    if not name:
        raise errors.InvalidTopicException("Topic name is invalid: the empty string is not allowed")
    if name in (".", ".."):
        raise errors.InvalidTopicException("Topic name is invalid: '.' or '..' is not allowed")
    if len(name) > NAME_MAX:
        raise errors.InvalidTopicException(
            "Topic name is invalid: the length of the name is longer than the max allowed length"
            f" {NAME_MAX}"
        )
    if not _LEGAL.fullmatch(name):
        raise errors.InvalidTopicException(
            f"Topic name is invalid: {name!r} contains one or more characters other than ASCII"
            " alphanumerics, '.', '_' and '-'"
        )


def check_new_name(image: MetadataImage, name: str, taken: dict[str, str]) -> None:
    """Raise InvalidTopicException, InvalidRequest or TopicAlreadyExists.

    taken: existing names with a collision character, by their unified form.
    """
    if name == METADATA_TOPIC:
        raise errors.InvalidRequest(f"Creation of internal topic {name} is prohibited.")
    if name in image.topics:
        raise errors.TopicAlreadyExists(f"Topic '{name}' already exists.")
    check_name(name)
    if _collides(name) and (other := taken.get(_unified(name))) is not None:
        raise errors.InvalidTopicException(
            f"Topic '{name}' collides with existing topic: {other}: names that differ only in '.'"
            " and '_' have the same metrics"
        )


def delete_topics(
    image: MetadataImage, request: DeleteTopicsRequest, *, version: int, config: BrokerValues
) -> Outcome:
    """Delete topics by name or, from version 6, by id.

    All are refused when delete.topic.enable is false; so is a topic that is named both ways.
    """
    asked: list[tuple[str | None, bytes]] = [(name, ZERO_UUID) for name in request.topic_names]
    asked += [(topic.name, topic.topic_id) for topic in request.topics]
    times = Counter(asked)
    ids = {topic_id for name, topic_id in asked if name is None}
    both_ways = {
        image.topics[name].id
        for (name, topic_id), n in times.items()
        if name in image.topics and topic_id == ZERO_UUID and n == 1
    } & ids
    results: list[_Deleted] = []
    for name, topic_id in times:
        try:
            if not config["delete.topic.enable"]:
                # Versions before 3 do not know the code.
                refused = errors.InvalidRequest if version < 3 else errors.TopicDeletionDisabled
                raise refused("Topic deletion is disabled: delete.topic.enable is false.")
            topic = _topic_to_delete(image, name, topic_id, times[name, topic_id])
            if topic in both_ways:
                if name is None:
                    continue  # the name's answer is for both
                topic_id = topic
                raise errors.InvalidRequest(
                    "The provided topic name maps to an ID that was already supplied."
                )
        except errors.KafkaError as error:
            results.append(
                _Deleted(
                    name=name,
                    topic_id=topic_id,
                    error_code=error.code,
                    error_message=error.message,
                )
            )
        else:
            results.append(_Deleted(name=image.topics_by_id[topic].name, topic_id=topic))
    records: list[Struct] = [
        RemoveTopicRecord(topic_id=r.topic_id) for r in results if not r.error_code
    ]
    return Outcome(records, DeleteTopicsResponse(responses=results))


def _topic_to_delete(image: MetadataImage, name: str | None, topic_id: bytes, times: int) -> bytes:
    if name is None and topic_id == ZERO_UUID:
        raise errors.InvalidRequest("Neither topic name nor id were specified.")
    if name is not None and topic_id != ZERO_UUID:
        raise errors.InvalidRequest("You may not specify both topic name and topic id.")
    if times > 1:
        raise errors.InvalidRequest(f"Duplicate topic {'id' if name is None else 'name'}.")
    if name is None:
        if topic_id not in image.topics_by_id:
            raise errors.UnknownTopicId("This server does not host this topic ID.")
        return topic_id
    if name not in image.topics:
        raise errors.UnknownTopicOrPartition("This server does not host this topic-partition.")
    return image.topics[name].id


def _create(
    image: MetadataImage,
    topic: _Topic,
    config: BrokerValues,
    defaults: list[_Result.CreatableTopicConfigs],
    new_id: Callable[[], bytes],
) -> tuple[list[Struct], _Result]:
    overrides: dict[str, str] = {}
    for entry in topic.configs:
        validate_override(entry.name, entry.value)
        overrides[entry.name] = entry.value or ""
    topic_id = new_id()
    if topic.assignments:
        replicas = _assigned(image, topic)
    else:
        replicas = _placed(image, topic, topic_id, config)
    records: list[Struct] = [TopicRecord(name=topic.name, topic_id=topic_id)]
    records += [
        ConfigRecord(resource_type=TOPIC, resource_name=topic.name, name=name, value=value)
        for name, value in overrides.items()
    ]
    records += [
        partition_record(image, topic_id, index, brokers) for index, brokers in enumerate(replicas)
    ]
    result = _Result(
        name=topic.name,
        topic_id=topic_id,
        error_message=None,
        num_partitions=len(replicas),
        replication_factor=len(replicas[0]),
        configs=_effective(overrides, config) if overrides else defaults,
    )
    return records, result


def _placed(
    image: MetadataImage, topic: _Topic, topic_id: bytes, config: BrokerValues
) -> list[tuple[int, ...]]:
    if topic.replication_factor < -1 or topic.replication_factor == 0:
        raise errors.InvalidReplicationFactor(
            "Replication factor must be larger than 0, or -1 to use the default value."
        )
    if topic.num_partitions < -1 or topic.num_partitions == 0:
        raise errors.InvalidPartitions(
            "Number of partitions was set to an invalid non-positive value."
        )
    factor, count = topic.replication_factor, topic.num_partitions
    return place(
        image,
        topic_id,
        first=0,
        count=config["num.partitions"] if count == -1 else count,
        replication_factor=config["default.replication.factor"] if factor == -1 else factor,
    )


def _assigned(image: MetadataImage, topic: _Topic) -> Sequence[tuple[int, ...]]:
    if topic.replication_factor != -1:
        raise errors.InvalidRequest(
            "A manual partition assignment was specified, but replication factor was not set to -1."
        )
    if topic.num_partitions != -1:
        raise errors.InvalidRequest(
            "A manual partition assignment was specified, but numPartitions was not set to -1."
        )
    by_index: dict[int, tuple[int, ...]] = {}
    for assignment in topic.assignments:
        index, replicas = assignment.partition_index, tuple(assignment.broker_ids)
        if index in by_index:
            raise errors.InvalidReplicaAssignment(
                f"Found multiple manual partition assignments for partition {index}"
            )
        first = next(iter(by_index.values()), replicas)
        check_assignment(image, index, replicas, replication_factor=len(first))
        by_index[index] = replicas
    if set(by_index) != set(range(len(by_index))):
        raise errors.InvalidReplicaAssignment(
            "partitions should be a consecutive 0-based integer sequence"
        )
    check_replication_factor(image, len(by_index[0]))
    return [by_index[index] for index in range(len(by_index))]


def _effective(
    overrides: dict[str, str], config: BrokerValues
) -> list[_Result.CreatableTopicConfigs]:
    out = []
    for name in sorted(TOPIC_KEYS):
        key = TOPIC_KEYS[name]
        value, source = key.kind.format(key.default), DEFAULT_CONFIG
        for broker_name, broker_value in broker_values(key, config):
            if broker_name in config.explicit:
                value, source = key.kind.format(broker_value), STATIC_BROKER_CONFIG
                break
        if name in overrides:
            value, source = overrides[name], DYNAMIC_TOPIC_CONFIG
        out.append(_Result.CreatableTopicConfigs(name=name, value=value, config_source=source))
    return out


def _refusal(name: str, error: errors.KafkaError) -> _Result:
    return _Result(name=name, error_code=error.code, error_message=error.message)


def _collides(name: str) -> bool:
    return "." in name or "_" in name


def _unified(name: str) -> str:
    return name.replace(".", "_")
