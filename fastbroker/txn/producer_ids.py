"""InitProducerId without a transactional id: no coordinator needs to hear of the producer."""
from __future__ import annotations

from collections.abc import Callable

from fastbroker import errors
from fastbroker.errors import KafkaError
from fastbroker.model import Deferred
from fastbroker.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)


def check_producer(request: InitProducerIdRequest) -> None:
    """Raises InvalidRequest."""
    if (request.producer_id != -1) != (request.producer_epoch != -1):
        raise errors.InvalidRequest("a producer id comes with its epoch")


def fresh_producer(
    request: InitProducerIdRequest, allocate: Callable[[], Deferred[int]]
) -> Deferred[InitProducerIdResponse]:
    """A producer id that nobody else has, with epoch 0. allocate(): such an id."""
    response: Deferred[InitProducerIdResponse] = Deferred()

    def refuse(error: KafkaError) -> None:
        response.complete(InitProducerIdResponse(error_code=error.code, producer_epoch=-1))

    def allocated(answer: Deferred[int]) -> None:
        if isinstance(answer.error, KafkaError):
            refuse(answer.error)
        else:
            response.complete(InitProducerIdResponse(producer_id=answer.result()))

    try:
        check_producer(request)
    except KafkaError as error:
        refuse(error)
    else:
        allocate().then(allocated)
    return response
