"""FindCoordinator: which broker looks after a group, or after a transactional id."""
from __future__ import annotations

from typing import Any

from fastbroker.coordination.hashing import partition_of
from fastbroker.errors import (
    CoordinatorNotAvailable,
    InvalidRequest,
    KafkaError,
    UnsupportedVersion,
)
from fastbroker.handlers.context import OFFSETS_TOPIC, TRANSACTIONS_TOPIC, RequestContext
from fastbroker.handlers.creation import create_topics
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.protocol.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

Coordinator = FindCoordinatorResponse.Coordinator
GROUP, TRANSACTION, SHARE = 0, 1, 2
SEVERAL_SINCE = 4
TOPICS = {GROUP: OFFSETS_TOPIC, TRANSACTION: TRANSACTIONS_TOPIC}


@handles(FindCoordinatorRequest)
def find_coordinator(
    ctx: RequestContext, request: FindCoordinatorRequest
) -> FindCoordinatorResponse | Deferred[FindCoordinatorResponse]:
    """Behaviour
    - A group's coordinator leads the partition of __consumer_offsets that its id falls on, that of
      a transactional id one of __transaction_state. The topic is created when it is first needed;
      the answer waits for that up to a second.
    - Share groups are UNSUPPORTED_VERSION: they are not served yet.

    Versions: 1 key type; 4 several keys; 6 share groups.
    """
    topic = TOPICS.get(request.key_type)
    if topic is not None and topic not in ctx.broker.image.topics:
        response: Deferred[FindCoordinatorResponse] = Deferred()
        create_topics(ctx, [topic]).then(
            lambda _: response.complete(_answer(ctx, request))
        )
        return response
    return _answer(ctx, request)


def _answer(ctx: RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    if ctx.api_version >= SEVERAL_SINCE:
        return FindCoordinatorResponse(
            coordinators=[_find(ctx, request.key_type, key) for key in request.coordinator_keys]
        )
    found = _find(ctx, request.key_type, request.key)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _find(ctx: RequestContext, key_type: int, key: str) -> Any:
    broker = ctx.broker
    try:
        if key_type == SHARE:
            raise UnsupportedVersion("share groups are not supported yet")
        if key_type not in TOPICS:
            raise InvalidRequest(f"no coordinator has the key type {key_type}")
        topic = broker.image.topics.get(TOPICS[key_type])
        if topic is None:
            raise CoordinatorNotAvailable(f"{TOPICS[key_type]} is being created: ask again")
        partition = topic.partitions[partition_of(key, len(topic.partitions))]
        node = broker.node(partition.leader, ctx)
        if node is None:
            raise CoordinatorNotAvailable(f"the coordinator of {key!r} is not there now: ask again")
    except KafkaError as error:
        return Coordinator(
            key=key, node_id=-1, host="", port=-1, error_code=error.code,
            error_message=error.message,
        )  # fmt: skip
    return Coordinator(key=key, node_id=node.id, host=node.host, port=node.port, error_message="")
