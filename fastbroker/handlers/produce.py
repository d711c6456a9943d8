"""Produce: batches of clients go into the log, acknowledged when they are on disk."""
from __future__ import annotations

from fastbroker.errors import InvalidRequiredAcks
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.produce_answer import (
    ALL,
    LEADER,
    NO_ACK,
    NOBODY,
    Answered,
    ProduceAnswer,
    all_failed,
)
from fastbroker.handlers.produce_transaction import produce_transaction
from fastbroker.handlers.registry import handles
from fastbroker.protocol.messages.produce import ProduceRequest

# Where a batch's header has the two bytes that tell a transactional one.
AT_MAGIC, AT_ATTRIBUTES, TRANSACTIONAL = 16, 22, 0x10


@handles(ProduceRequest, two_stage=True)
def produce(ctx: RequestContext, request: ProduceRequest) -> Answered:
    """Behaviour
    - Appends each partition's batch; partitions fail one by one, in request order.
    - acks 1 and all: answered when everything appended is committed, which with flush.messages=1
      means on disk; after timeout_ms what is not is REQUEST_TIMED_OUT, though it may stay. As on
      Kafka the time is for other replicas: our own disk has FLUSH_PATIENCE_MS, however short it is.
    - acks 0: never answered; an error closes the connection, the only sign a client gets.
    - A batch of a transaction that is open in its partition is appended as any other. For those
      that begin one there, the coordinator is asked once, for all partitions of the request,
      whether the transaction has them, or from version 12 on to add them (KIP-890); everything is
      appended afterwards, and the connection's next request waits until then.
    - A transactional batch in a request without a transactional id is
      TRANSACTIONAL_ID_AUTHORIZATION_FAILED; batches of two producers INVALID_PRODUCER_ID_MAPPING:
      the request is refused as a whole.
    - A batch that a producer repeats is answered with the offset it got the first time.
    - Internal topics take nothing from clients but the admin client.

    Versions: 3 is the first (batches v2); 5 log_start_offset; 7 zstd; 8 record errors and messages;
    10 hints to the leader (KIP-951); 11 TRANSACTION_ABORTABLE; 12 partitions are added to their
    transaction here; 13 topics by id.
    """
    if request.acks not in (NO_ACK, LEADER, ALL):
        error = InvalidRequiredAcks(f"acks={request.acks}: 0, 1 and -1 (all) are known")
        return all_failed(request, error)
    answer = ProduceAnswer(ctx.broker, request.acks)
    if _is_transactional(request):
        return produce_transaction(ctx, request, answer)
    return answer.append_all(ctx, request, NOBODY)


def _is_transactional(request: ProduceRequest) -> bool:
    """Whether a batch of the request is part of a transaction."""
    for topic in request.topic_data:
        for part in topic.partition_data:
            data = part.records
            if data is None or len(data) <= AT_ATTRIBUTES:
                continue
            if data[AT_ATTRIBUTES] & TRANSACTIONAL and data[AT_MAGIC] == 2:
                return True
    return False
