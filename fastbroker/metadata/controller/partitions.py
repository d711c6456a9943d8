"""CreatePartitions: a topic gets more partitions; records stay where they are."""

from __future__ import annotations

from collections import Counter

from fastbroker import errors
from fastbroker.metadata.controller.outcome import RECORDS_MAX, Outcome
from fastbroker.metadata.controller.placement import (
    check_assignment,
    check_replication_factor,
    partition_record,
    place,
)
from fastbroker.metadata.image import MetadataImage
from fastbroker.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
)
from fastbroker.protocol.schema import Struct

_Topic = CreatePartitionsRequest.CreatePartitionsTopic
_Result = CreatePartitionsResponse.CreatePartitionsTopicResult


def create_partitions(image: MetadataImage, request: CreatePartitionsRequest) -> Outcome:
    """Raise the partition count of every topic of the request that can have it raised."""
    times = Counter(topic.name for topic in request.topics)
    records: list[Struct] = []
    results: list[_Result] = []
    for topic in request.topics:
        if times[topic.name] > 1:
            continue
        try:
            records += _create(image, topic, limit=RECORDS_MAX - len(records))
        except errors.KafkaError as error:
            results.append(
                _Result(name=topic.name, error_code=error.code, error_message=error.message)
            )
        else:
            results.append(_Result(name=topic.name))
    results += [
        _Result(
            name=name,
            error_code=errors.InvalidRequest.code,
            error_message="Duplicate topic name.",
        )
        for name, n in times.items()
        if n > 1
    ]
    response = CreatePartitionsResponse(results=results)
    return Outcome([] if request.validate_only else records, response)


def _create(image: MetadataImage, request: _Topic, *, limit: int) -> list[Struct]:
    topic = image.topics.get(request.name)
    if topic is None:
        raise errors.UnknownTopicOrPartition("This server does not host this topic-partition.")
    first, count = len(topic.partitions), request.count - len(topic.partitions)
    if count == 0:
        raise errors.InvalidPartitions(f"Topic already has {first} partition(s).")
    if count < 0:
        raise errors.InvalidPartitions(
            f"The topic {topic.name} currently has {first} partition(s); {request.count} would not"
            " be an increase."
        )
    if count > limit:
        raise errors.PolicyViolation(
            f"Excessively large number of partitions per request: at most {RECORDS_MAX} can be"
            " added; split the request"
        )
    replication_factor = len(topic.partitions[0].replicas)
    if request.assignments is None:
        replicas = place(
            image, topic.id, first=first, count=count, replication_factor=replication_factor
        )
    else:
        if len(request.assignments) != count:
            raise errors.InvalidReplicaAssignment(
                f"Attempted to add {count} additional partition(s), but only"
                f" {len(request.assignments)} assignment(s) were specified."
            )
        replicas = [tuple(a.broker_ids) for a in request.assignments]
        for n, brokers in enumerate(replicas):
            check_assignment(image, first + n, brokers, replication_factor=replication_factor)
        check_replication_factor(image, replication_factor)
    return [
        partition_record(image, topic.id, first + n, brokers) for n, brokers in enumerate(replicas)
    ]
