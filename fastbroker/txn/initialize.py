"""InitProducerId of a transactional id: which epoch its next producer gets, and who is fenced.

    state          asked without an id      with id and epoch (KIP-360)
    EMPTY, COMPL.  epoch + 1                current: epoch + 1; the one before: the same again;
                                            any other: PRODUCER_FENCED
      exhausted    a new producer id, 0     current: a new producer id, epoch 0
    ONGOING        fenced and aborted, CONCURRENT_TRANSACTIONS: the producer asks again
    PREPARE_*      CONCURRENT_TRANSACTIONS
"""
from __future__ import annotations

from fastbroker.errors import ConcurrentTransactions, ProducerFenced
from fastbroker.txn.attempt import ProducerIdWanted
from fastbroker.txn.end import aborted
from fastbroker.txn.state import State
from fastbroker.txn.transaction import LAST_EPOCH, NO_EPOCH, NO_PRODUCER_ID, Transaction


def created(producer_id: int, *, timeout_ms: int, now_ms: int) -> Transaction:
    """The first state of an id."""
    return Transaction(
        producer_id=producer_id,
        producer_epoch=0,
        previous_producer_id=producer_id,
        timeout_ms=timeout_ms,
        updated_ms=now_ms,
    )


def initialized(
    kept: Transaction,
    *,
    producer_id: int,
    producer_epoch: int,
    timeout_ms: int,
    version: int,
    fresh_id: int | None,
    now_ms: int,
) -> Transaction:
    """What follows `kept`. A PREPARE_ABORT fences the transaction that is open: ask again later.

    producer_id, producer_epoch: what the producer has; -1: nothing. version: transaction.version
    of the cluster. Raises ProducerIdWanted without `fresh_id`, ProducerFenced,
    ConcurrentTransactions.
    """
    has_id = producer_id != NO_PRODUCER_ID
    # A retry after a rotation whose answer was lost comes with the id before, used up.
    is_rotated = producer_id == kept.previous_producer_id and producer_epoch >= LAST_EPOCH
    if has_id and producer_id != kept.producer_id and not is_rotated:
        raise ProducerFenced(f"the producer id is {kept.producer_id} now")
    if kept.state is State.ONGOING:
        return aborted(kept, version=version, fresh_id=fresh_id, now_ms=now_ms)
    if not kept.state.is_at_rest:
        raise ConcurrentTransactions("the transaction before is being completed: try again")
    if kept.is_exhausted and (not has_id or producer_epoch == kept.producer_epoch):
        if fresh_id is None:
            raise ProducerIdWanted
        return kept.rotated(
            fresh_id, timeout_ms=timeout_ms, is_last_known=has_id, now_ms=now_ms
        )
    if not has_id:
        return kept.initialized(timeout_ms=timeout_ms, last_epoch=NO_EPOCH, now_ms=now_ms)
    if producer_epoch == kept.producer_epoch:
        return kept.initialized(
            timeout_ms=timeout_ms, last_epoch=kept.producer_epoch, now_ms=now_ms
        )
    if producer_epoch == kept.last_producer_epoch:
        return kept.repeated(timeout_ms=timeout_ms, now_ms=now_ms)
    raise ProducerFenced(f"the producer epoch is {kept.producer_epoch} now")
