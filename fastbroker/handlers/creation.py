"""Topics created because somebody asked for them, and waiting until this broker knows a change."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from fastbroker.handlers.context import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, RequestContext
from fastbroker.model import Deferred
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse

CREATE_VERSION = 7
# How long an answer is held back for a change that is committed, but has not arrived here.
ARRIVAL_MS = 1000
TOPICS_MAX = 100  # created by one request; who asks for more asks again

Creatable = CreateTopicsRequest.CreatableTopic


def create_topics(ctx: RequestContext, names: Sequence[str]) -> Deferred[None]:
    """Have `names` created with the broker's defaults; done when they are known here, or cannot be
    made, or after ARRIVAL_MS."""
    done: Deferred[None] = Deferred()
    names = names[:TOPICS_MAX]
    request = CreateTopicsRequest(topics=[_creatable(ctx, name) for name in names])
    forwarded = ctx._replace(api_key=CreateTopicsRequest.KEY, api_version=CREATE_VERSION)

    def answered(answer: Deferred[CreateTopicsResponse]) -> None:
        if answer.error is not None:
            done.complete(None)
            return
        failed = {topic.name for topic in answer.result().topics if topic.error_code}
        wanted = [name for name in names if name not in failed]
        arrived(ctx, lambda: all(map(_is_led, wanted))).then(lambda _: done.complete(None))

    def _is_led(name: str) -> bool:
        topic = ctx.broker.image.topics.get(name)
        return topic is not None and all(p.leader >= 0 for p in topic.partitions.values())

    ctx.broker.forward(request, forwarded).then(answered)
    return done


def _creatable(ctx: RequestContext, name: str) -> Creatable:
    config = ctx.broker.config
    partitions, replicas, values = -1, -1, {}
    if name == OFFSETS_TOPIC:
        partitions = config["offsets.topic.num.partitions"]
        replicas = config["offsets.topic.replication.factor"]
        values = {
            "cleanup.policy": "compact",
            "compression.type": "producer",
            "segment.bytes": str(config["offsets.topic.segment.bytes"]),
        }
    elif name == TRANSACTIONS_TOPIC:
        partitions = config["transaction.state.log.num.partitions"]
        replicas = config["transaction.state.log.replication.factor"]
        values = {
            "unclean.leader.election.enable": "false",
            "compression.type": "uncompressed",
            "cleanup.policy": "compact",
            "min.insync.replicas": str(config["transaction.state.log.min.isr"]),
            "segment.bytes": str(config["transaction.state.log.segment.bytes"]),
        }
    return Creatable(
        name=name,
        num_partitions=partitions,
        replication_factor=replicas,
        assignments=[],
        configs=[Creatable.CreatableTopicConfig(name=k, value=v) for k, v in values.items()],
    )


def arrived(
    ctx: RequestContext, condition: Callable[[], bool], *, within_ms: int = ARRIVAL_MS
) -> Deferred[None]:
    """Done once `condition()` holds for this broker's image, or after `within_ms`."""
    return ctx.broker.when(condition, within_ms)
