"""CreateTopics, DeleteTopics, CreatePartitions: forwarded to the controller."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastbroker.errors import RequestTimedOut, TopicDeletionDisabled
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.creation import arrived
from fastbroker.handlers.registry import handles
from fastbroker.model import ZERO_UUID, Deferred
from fastbroker.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
)
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse

Response = Deferred[Any]


def _forwarded(
    ctx: RequestContext, request: Any, is_known: Callable[[Any], bool], failed: Callable[[int], Any]
) -> Response:
    """The controller's answer, given once this broker knows what it says.

    Without time nothing is begun, as on Kafka.
    """
    response: Response = Deferred()
    if request.timeout_ms <= 0:
        response.complete(failed(RequestTimedOut.code))
        return response

    def answered(answer: Response) -> None:
        if answer.error is not None:
            code = getattr(answer.error, "code", RequestTimedOut.code)
            response.complete(failed(code))
            return
        said = answer.result()
        arrived(ctx, lambda: is_known(said)).then(lambda _: response.complete(said))

    ctx.broker.forward(request, ctx).then(answered)
    return response


@handles(CreateTopicsRequest)
def create_topics(ctx: RequestContext, request: CreateTopicsRequest) -> Response:
    """Behaviour
    - The controller validates and creates; each topic fails for itself. See
      metadata/controller/topics.py.
    - Answered when this broker knows the topics that were made.

    Versions: 2 is the first; 4 defaults (-1); 5 configs in the answer; 7 topic ids.
    """

    def is_known(said: CreateTopicsResponse) -> bool:
        topics = ctx.broker.image.topics
        made = [topic.name for topic in said.topics if not topic.error_code]
        return request.validate_only or all(name in topics for name in made)

    def failed(code: int) -> CreateTopicsResponse:
        return CreateTopicsResponse(
            topics=[
                CreateTopicsResponse.CreatableTopicResult(
                    name=topic.name, error_code=code, error_message=None, configs=[]
                )
                for topic in request.topics
            ]
        )

    return _forwarded(ctx, request, is_known, failed)


@handles(DeleteTopicsRequest)
def delete_topics(
    ctx: RequestContext, request: DeleteTopicsRequest
) -> DeleteTopicsResponse | Response:
    """Behaviour
    - By name, or from version 6 by id. Answered when this broker has let go of them.
    - delete.topic.enable=false: TOPIC_DELETION_DISABLED.

    Versions: 1 is the first; 5 messages; 6 ids.
    """

    def failed(code: int) -> DeleteTopicsResponse:
        names: list[tuple[str | None, bytes]]
        names = [(name, ZERO_UUID) for name in request.topic_names]
        names += [(topic.name, topic.topic_id) for topic in request.topics]
        return DeleteTopicsResponse(
            responses=[
                DeleteTopicsResponse.DeletableTopicResult(
                    name=name, topic_id=topic_id, error_code=code, error_message=None
                )
                for name, topic_id in names
            ]
        )

    if not ctx.broker.config["delete.topic.enable"]:
        return failed(TopicDeletionDisabled.code)

    def is_known(said: DeleteTopicsResponse) -> bool:
        image = ctx.broker.image
        return not any(
            topic.topic_id in image.topics_by_id
            for topic in said.responses
            if not topic.error_code
        )

    return _forwarded(ctx, request, is_known, failed)


@handles(CreatePartitionsRequest)
def create_partitions(ctx: RequestContext, request: CreatePartitionsRequest) -> Response:
    """Behaviour
    - Adds partitions up to a count; answered when this broker knows them.

    Versions: 2 is flexible.
    """
    wanted = {topic.name: topic.count for topic in request.topics}

    def is_known(said: CreatePartitionsResponse) -> bool:
        topics = ctx.broker.image.topics
        return request.validate_only or all(
            one.name not in topics or len(topics[one.name].partitions) >= wanted.get(one.name, 0)
            for one in said.results
            if not one.error_code
        )

    def failed(code: int) -> CreatePartitionsResponse:
        return CreatePartitionsResponse(
            results=[
                CreatePartitionsResponse.CreatePartitionsTopicResult(
                    name=name, error_code=code, error_message=None
                )
                for name in wanted
            ]
        )

    return _forwarded(ctx, request, is_known, failed)
