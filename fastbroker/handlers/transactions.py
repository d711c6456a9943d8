"""Transactional ids and their transactions; fastbroker.txn decides, see its guide.

An id that another broker serves is NOT_COORDINATOR, one that is still being loaded
COORDINATOR_LOAD_IN_PROGRESS, an empty one INVALID_REQUEST. A producer id that is not the one of the
transactional id is INVALID_PRODUCER_ID_MAPPING, another epoch PRODUCER_FENCED (before KIP-588's
versions: INVALID_PRODUCER_EPOCH), and what has to wait for a transition CONCURRENT_TRANSACTIONS.
"""
from __future__ import annotations

from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)
from fastbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
)
from fastbroker.protocol.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from fastbroker.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from fastbroker.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from fastbroker.protocol.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from fastbroker.txn.producer_ids import fresh_producer


@handles(InitProducerIdRequest)
def init_producer_id(
    ctx: RequestContext, request: InitProducerIdRequest
) -> Deferred[InitProducerIdResponse]:
    """Behaviour
    - Without a transactional id: a fresh producer id with epoch 0, also for a producer that has
      one; ids come in blocks from the controller.
    - With one: the next epoch, which fences whoever had the one before; an open transaction is
      aborted first, and the producer asks again. Used up epochs are followed by another id.
    - A producer id without its epoch, or an epoch alone, is INVALID_REQUEST.

    Versions: 3 producer id and epoch (KIP-360); 4 PRODUCER_FENCED; 6 (two-phase commit) is not
    served.
    """
    if request.transactional_id is None:
        return fresh_producer(request, ctx.broker.allocate_producer_id)
    return ctx.broker.transactions.init_producer_id(request, api_version=ctx.api_version)


@handles(AddPartitionsToTxnRequest)
def add_partitions_to_txn(
    ctx: RequestContext, request: AddPartitionsToTxnRequest
) -> Deferred[AddPartitionsToTxnResponse]:
    """Behaviour
    - All partitions of a transaction are added, or none: one that does not exist is
      UNKNOWN_TOPIC_OR_PARTITION, the others are OPERATION_NOT_ATTEMPTED.
    - Of a broker (4 and later): several transactions, added to or looked at (verify_only); an
      addition waits a moment for the transaction before.

    Versions: 2 PRODUCER_FENCED; 4 for brokers (KIP-890); 5 TRANSACTION_ABORTABLE.
    """
    return ctx.broker.transactions.add_partitions_to_txn(request, api_version=ctx.api_version)


@handles(AddOffsetsToTxnRequest)
def add_offsets_to_txn(
    ctx: RequestContext, request: AddOffsetsToTxnRequest
) -> Deferred[AddOffsetsToTxnResponse]:
    """Behaviour
    - Adds the partition of __consumer_offsets that keeps the group's offsets.

    Versions: 2 PRODUCER_FENCED; 4 TRANSACTION_ABORTABLE.
    """
    return ctx.broker.transactions.add_offsets_to_txn(request, api_version=ctx.api_version)


@handles(EndTxnRequest)
def end_txn(ctx: RequestContext, request: EndTxnRequest) -> Deferred[EndTxnResponse]:
    """Behaviour
    - Answered when the decision is on disk; markers follow. A repeated request gets the same
      answer, one for the other outcome INVALID_TXN_STATE.

    Versions: 2 PRODUCER_FENCED; 4 TRANSACTION_ABORTABLE; 5 the epoch, or the id, to go on with
    (KIP-890).
    """
    return ctx.broker.transactions.end_txn(request, api_version=ctx.api_version)


@handles(DescribeTransactionsRequest)
def describe_transactions(
    ctx: RequestContext, request: DescribeTransactionsRequest
) -> DescribeTransactionsResponse:
    """Behaviour
    - The state of ids, and the partitions that are waiting for their markers.
    """
    return ctx.broker.transactions.describe_transactions(request)


@handles(ListTransactionsRequest)
def list_transactions(
    ctx: RequestContext, request: ListTransactionsRequest
) -> ListTransactionsResponse:
    """Behaviour
    - The ids that this broker serves: a client asks every broker.
    - States that there are not are said back; a pattern that is none is
      INVALID_REGULAR_EXPRESSION.

    Versions: 1 duration; 2 pattern of the id, in RE2's syntax (KIP-1152).
    """
    return ctx.broker.transactions.list_transactions(request)
