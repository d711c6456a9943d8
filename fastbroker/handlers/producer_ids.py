"""InitProducerId: an id for an idempotent producer."""
from __future__ import annotations

from fastbroker.errors import InvalidRequest, KafkaError, UnsupportedVersion
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)


@handles(InitProducerIdRequest)
def init_producer_id(
    ctx: RequestContext, request: InitProducerIdRequest
) -> InitProducerIdResponse | Deferred[InitProducerIdResponse]:
    """Behaviour
    - Without a transactional id: a fresh producer id with epoch 0, also for a producer that has
      one; ids come in blocks from the controller.
    - A producer id without its epoch, or an epoch alone, is INVALID_REQUEST.
    - An empty transactional id is INVALID_REQUEST; others are UNSUPPORTED_VERSION: transactions
      are not served yet.

    Versions: 3 producer id and epoch (KIP-360); 6 (two-phase commit) is not served.
    """
    if request.transactional_id is not None:
        error = UnsupportedVersion if request.transactional_id else InvalidRequest
        return InitProducerIdResponse(error_code=error.code, producer_epoch=-1)
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        return InitProducerIdResponse(error_code=InvalidRequest.code, producer_epoch=-1)
    response: Deferred[InitProducerIdResponse] = Deferred()

    def allocated(answer: Deferred[int]) -> None:
        if isinstance(answer.error, KafkaError):
            failed = InitProducerIdResponse(error_code=answer.error.code, producer_epoch=-1)
            response.complete(failed)
        else:
            response.complete(InitProducerIdResponse(producer_id=answer.result()))

    ctx.broker.allocate_producer_id().then(allocated)
    return response
