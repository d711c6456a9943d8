"""Metadata and DescribeTopicPartitions: topics, partitions, and who leads them."""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fastbroker.errors import (
    InvalidRequest,
    InvalidTopicException,
    KafkaError,
    LeaderNotAvailable,
    ListenerNotFound,
    UnknownTopicId,
    UnknownTopicOrPartition,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, RequestContext
from fastbroker.handlers.creation import create_topics
from fastbroker.handlers.registry import handles
from fastbroker.metadata.image import PartitionImage, TopicImage
from fastbroker.model import ZERO_UUID, Deferred
from fastbroker.protocol.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
)
from fastbroker.protocol.messages.metadata import MetadataRequest, MetadataResponse

TopicAnswer = MetadataResponse.MetadataResponseTopic
PartitionAnswer = TopicAnswer.MetadataResponsePartition
Described = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic
DescribedPartition = Described.DescribeTopicPartitionsResponsePartition

ALL_BEFORE = 1  # before this version no topics means all of them
AUTO_CREATION_SINCE = 4
BY_ID_SINCE = 12
# Every operation that Kafka has on a topic and on the cluster: nobody is refused anything yet.
TOPIC_OPERATIONS = sum(1 << n for n in (3, 4, 5, 6, 7, 8, 10, 11))
CLUSTER_OPERATIONS = sum(1 << n for n in (5, 7, 8, 9, 10, 11, 12))
TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def check_topic_name(name: str) -> None:
    """Raises InvalidTopicException."""
    if not TOPIC_NAME.fullmatch(name) or name in (".", ".."):
        raise InvalidTopicException(
            f"{name!r} cannot be a topic's name: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'"
        )


@handles(MetadataRequest)
def metadata(
    ctx: RequestContext, request: MetadataRequest
) -> MetadataResponse | Deferred[MetadataResponse]:
    """Behaviour
    - Lists the live brokers of the client's listener, at addresses that it can reach, and the
      topics asked for, or all. Unlike on Kafka, this host's are listed while they are fenced, too,
      as their supervisor starts them again: librdkafka forgets a broker that is left out once,
      and a transaction whose coordinator it forgot never goes on.
    - The controller is this broker: admin requests can be sent to any.
    - An unknown topic is created when the client and auto.create.topics.enable allow it; the
      answer waits for that up to a second, then says UNKNOWN_TOPIC_OR_PARTITION.
    - A partition without a live leader is LEADER_NOT_AVAILABLE.

    Versions: 0 no topics means all; 1 null means all, controller, internal; 2 cluster id; 4 whether
    to create; 5 offline replicas; 7 leader epochs; 8 authorized operations; 10 topic ids; 12 asks
    by id; 13 an error for all.
    """
    if request.topics is None or (ctx.api_version < ALL_BEFORE and not request.topics):
        return _answer(ctx, request, None)
    for topic in request.topics:
        if topic.name is None and ctx.api_version < BY_ID_SINCE:
            return _all_failed(ctx, request, InvalidRequest)
    wants = request.allow_auto_topic_creation or ctx.api_version < AUTO_CREATION_SINCE
    missing = []
    if wants and ctx.broker.config["auto.create.topics.enable"]:
        for topic in request.topics:
            if topic.name is not None and topic.name not in ctx.broker.image.topics:
                missing.append(topic.name)
    missing = [name for name in dict.fromkeys(missing) if _is_valid(name)]
    if not missing:
        return _answer(ctx, request, request.topics)
    response: Deferred[MetadataResponse] = Deferred()
    create_topics(ctx, missing).then(
        lambda _: response.complete(_answer(ctx, request, request.topics))
    )
    return response


def _is_valid(name: str) -> bool:
    try:
        check_topic_name(name)
    except KafkaError:
        return False
    return True


def _all_failed(
    ctx: RequestContext, request: MetadataRequest, error: type[KafkaError]
) -> MetadataResponse:
    response = _answer(ctx, request, ())
    response.topics = [
        TopicAnswer(error_code=error.code, name=topic.name or "", topic_id=topic.topic_id)
        for topic in request.topics or ()
    ]
    return response


def _answer(
    ctx: RequestContext, request: MetadataRequest, asked: Iterable[Any] | None
) -> MetadataResponse:
    broker = ctx.broker
    response = MetadataResponse(
        brokers=[
            MetadataResponse.MetadataResponseBroker(
                node_id=node.id, host=node.host, port=node.port, rack=node.rack
            )
            for node, is_fenced in broker.nodes(ctx, fenced=True)
            if not is_fenced or broker.comes_back(node.id)
        ],
        cluster_id=broker.log_dir.cluster_id,
        controller_id=broker.broker_id,
    )
    if asked is None:
        topics = [_topic(ctx, image) for image in broker.image.topics.values()]
    else:
        # Named twice, or by name and by id, a topic is answered once.
        once = {(topic.name, topic.topic_id): topic for topic in asked}.values()
        answers = (_asked_topic(ctx, topic) for topic in once)
        topics = list({(one.topic_id, one.name): one for one in answers}.values())
    if request.include_topic_authorized_operations:
        for topic in topics:
            topic.topic_authorized_operations = TOPIC_OPERATIONS
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    response.topics = topics
    return response


def _asked_topic(ctx: RequestContext, asked: Any) -> Any:
    image = ctx.broker.image
    if asked.name is None:
        found = image.topics_by_id.get(asked.topic_id)
        if found is None:
            return TopicAnswer(
                error_code=UnknownTopicId.code, name=None, topic_id=asked.topic_id
            )
        return _topic(ctx, found)
    found = image.topics.get(asked.name)
    if found is not None:
        return _topic(ctx, found)
    error: type[KafkaError] = UnknownTopicOrPartition
    if not _is_valid(asked.name):
        error = InvalidTopicException
    return TopicAnswer(
        error_code=error.code,
        name=asked.name,
        is_internal=asked.name in INTERNAL_TOPICS,
        topic_id=ZERO_UUID,
    )


def _topic(ctx: RequestContext, topic: TopicImage) -> Any:
    return TopicAnswer(
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=[
            _partition(ctx, number, partition)
            for number, partition in sorted(topic.partitions.items())
        ],
    )


def _partition(
    ctx: RequestContext, number: int, partition: PartitionImage, kind: Any = PartitionAnswer
) -> Any:
    """What Metadata and DescribeTopicPartitions both tell of a partition."""
    error, leader = _leader(ctx, partition)
    return kind(
        error_code=error,
        partition_index=number,
        leader_id=leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=list(partition.replicas),
        isr_nodes=list(partition.isr),
        offline_replicas=_offline(ctx, partition),
    )


def _leader(ctx: RequestContext, partition: PartitionImage) -> tuple[int, int]:
    """(error code, leader) as a client is told."""
    if ctx.broker.node(partition.leader, ctx) is not None:
        return 0, partition.leader
    broker = ctx.broker.image.brokers.get(partition.leader)
    if broker is not None and not broker.fenced and ctx.api_version >= 6:
        return ListenerNotFound.code, -1
    return LeaderNotAvailable.code, -1


def _offline(ctx: RequestContext, partition: PartitionImage) -> list[int]:
    brokers = ctx.broker.image.brokers
    return [one for one in partition.replicas if one not in brokers or brokers[one].fenced]


@handles(DescribeTopicPartitionsRequest)
def describe_topic_partitions(
    ctx: RequestContext, request: DescribeTopicPartitionsRequest
) -> DescribeTopicPartitionsResponse:
    """Behaviour
    - Topics in the order of their names, all when none is named, from the cursor on, at most
      response_partition_limit partitions (and max.request.partition.size.limit); next_cursor says
      where to go on (KIP-966).

    Versions: 0.
    """
    image, config = ctx.broker.image, ctx.broker.config
    names = sorted({topic.name for topic in request.topics}) or sorted(image.topics)
    first = 0
    if request.cursor is not None:
        is_among = not request.topics or request.cursor.topic_name in names
        if request.cursor.partition_index < 0 or not is_among:
            # The cursor is none that we gave for this list.
            return DescribeTopicPartitionsResponse(
                topics=[
                    Described(error_code=InvalidRequest.code, name=topic.name)
                    for topic in request.topics
                ],
                next_cursor=None,
            )
        names = [name for name in names if name >= request.cursor.topic_name]
        if names and names[0] == request.cursor.topic_name:
            first = request.cursor.partition_index
    left = min(config["max.request.partition.size.limit"], request.response_partition_limit)
    left = max(left, 1)
    response = DescribeTopicPartitionsResponse(topics=[], next_cursor=None)
    for name in names:
        topic = image.topics.get(name)
        if topic is None:
            if request.topics:
                error = UnknownTopicOrPartition if _is_valid(name) else InvalidTopicException
                response.topics.append(
                    Described(
                        error_code=error.code,
                        name=name,
                        topic_authorized_operations=TOPIC_OPERATIONS,
                    )
                )
            continue
        numbers = [number for number in sorted(topic.partitions) if number >= first]
        first = 0
        if not left:
            response.next_cursor = DescribeTopicPartitionsResponse.Cursor(
                topic_name=name, partition_index=numbers[0] if numbers else 0
            )
            break
        response.topics.append(
            Described(
                name=name,
                topic_id=topic.id,
                is_internal=name in INTERNAL_TOPICS,
                partitions=[
                    _described(ctx, number, topic.partitions[number]) for number in numbers[:left]
                ],
                topic_authorized_operations=TOPIC_OPERATIONS,
            )
        )
        if len(numbers) > left:
            response.next_cursor = DescribeTopicPartitionsResponse.Cursor(
                topic_name=name, partition_index=numbers[left]
            )
            break
        left -= len(numbers)
    return response


def _described(ctx: RequestContext, number: int, partition: PartitionImage) -> Any:
    described = _partition(ctx, number, partition, DescribedPartition)
    described.eligible_leader_replicas = list(partition.elr)
    described.last_known_elr = list(partition.last_known_elr)
    return described
