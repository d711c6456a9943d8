"""EndTxn: what follows a state when its transaction is to be committed or aborted.

TV1 (EndTxn before 5): the producer keeps its epoch, so a repeated request looks like the first.

    state             commit                      abort
    ONGOING           PREPARE_COMMIT              PREPARE_ABORT
    PREPARE_COMMIT    CONCURRENT_TRANSACTIONS     INVALID_TXN_STATE
    PREPARE_ABORT     INVALID_TXN_STATE           CONCURRENT_TRANSACTIONS
    COMPLETE_COMMIT   done                        INVALID_TXN_STATE
    COMPLETE_ABORT    INVALID_TXN_STATE           done
    EMPTY             INVALID_TXN_STATE           INVALID_TXN_STATE

TV2 (KIP-890): every end raises the epoch, so a request with the epoch before is a repeated one
(or, after an overflow, one with the last epoch of the previous producer id), and one with the
epoch in force is about the next transaction, which may have no partitions.

    state             repeated                    with the epoch in force
    EMPTY             PRODUCER_FENCED             commit: INVALID_TXN_STATE, abort: PREPARE_ABORT
    ONGOING           PRODUCER_FENCED             PREPARE_COMMIT, PREPARE_ABORT
    PREPARE_*         as in TV1                   PRODUCER_FENCED
    COMPLETE_*        as in TV1                   commit: INVALID_TXN_STATE, abort: PREPARE_ABORT

Another producer id is INVALID_PRODUCER_ID_MAPPING, another epoch PRODUCER_FENCED.
"""
from __future__ import annotations

from fastbroker.errors import (
    ConcurrentTransactions,
    InvalidProducerIdMapping,
    InvalidTxnState,
    ProducerFenced,
)
from fastbroker.txn.attempt import ProducerIdWanted
from fastbroker.txn.state import State
from fastbroker.txn.transaction import (
    BUMPS_EPOCHS,
    EPOCH_MAX,
    LAST_EPOCH,
    NO_PRODUCER_ID,
    Transaction,
)


def ended(
    kept: Transaction,
    *,
    producer_id: int,
    producer_epoch: int,
    commit: bool,
    version: int,
    fresh_id: int | None,
    now_ms: int,
) -> Transaction | None:
    """What follows `kept`, PREPARE_COMMIT or PREPARE_ABORT; None: it is so already.

    version: transaction.version that the client speaks. Raises ProducerIdWanted without
    `fresh_id`, and what the tables above say.
    """
    if version >= BUMPS_EPOCHS:
        is_repeated = _check_v2(kept, producer_id, producer_epoch)
        if kept.state.is_at_rest and not is_repeated:
            if commit:
                raise InvalidTxnState("there is no transaction to commit: nothing was added to it")
            return _prepared(kept, State.PREPARE_ABORT, version, fresh_id, now_ms)
    else:
        check_owner(kept, producer_id, producer_epoch)
    if kept.state is State.ONGOING:
        state = State.PREPARE_COMMIT if commit else State.PREPARE_ABORT
        return _prepared(kept, state, version, fresh_id, now_ms)
    outcome = _OUTCOMES.get(kept.state)
    if outcome is not commit:
        wanted = "committed" if commit else "aborted"
        raise InvalidTxnState(f"it cannot be {wanted}: the transaction is {kept.state.title}")
    if kept.state.is_prepared:
        raise ConcurrentTransactions("the transaction is being completed: try again")
    return None


def aborted(
    kept: Transaction, *, version: int, fresh_id: int | None, now_ms: int
) -> Transaction:
    """The abort of an open transaction on behalf of nobody: of a new producer, or of time.

    version: transaction.version of the cluster. The epoch is raised, which fences the producer;
    with TV2 as for every end, so that one that aborts, too, goes on as if it had done it.
    Raises ProducerIdWanted without `fresh_id`.
    """
    if version >= BUMPS_EPOCHS:
        return _prepared(kept, State.PREPARE_ABORT, version, fresh_id, now_ms)
    return kept.fenced().prepared(State.PREPARE_ABORT, client_version=0, now_ms=now_ms)


# Whether it was, or is being, committed; nothing for a transaction that is neither.
_OUTCOMES = {
    State.PREPARE_COMMIT: True,
    State.COMPLETE_COMMIT: True,
    State.PREPARE_ABORT: False,
    State.COMPLETE_ABORT: False,
}


def check_owner(kept: Transaction, producer_id: int, producer_epoch: int) -> None:
    """Raise unless they are those in force: InvalidProducerIdMapping, ProducerFenced."""
    if producer_id != kept.producer_id:
        raise InvalidProducerIdMapping(f"the producer id is {kept.producer_id}")
    check_epoch(kept, producer_epoch)


def check_epoch(kept: Transaction, producer_epoch: int) -> None:
    """Raise ProducerFenced unless it is the one in force; the last of all is nobody's."""
    if producer_epoch != kept.producer_epoch or producer_epoch == EPOCH_MAX:
        raise ProducerFenced(f"the producer epoch is {kept.producer_epoch} now")


def _check_v2(kept: Transaction, producer_id: int, producer_epoch: int) -> bool:
    """Whether the request is a repeated one."""
    is_next_id = (
        kept.previous_producer_id == producer_id
        and producer_epoch == LAST_EPOCH
        and kept.producer_epoch == 0
        and kept.bumps_epochs
        and kept.state in (State.COMPLETE_COMMIT, State.COMPLETE_ABORT)
    )
    if is_next_id:
        return True
    if producer_id != kept.producer_id:
        raise InvalidProducerIdMapping(f"the producer id is {kept.producer_id}")
    is_bumped = kept.bumps_epochs and kept.producer_epoch == producer_epoch + 1
    if kept.state in _OUTCOMES and is_bumped:
        return True
    check_epoch(kept, producer_epoch)
    if kept.state.is_prepared:
        raise ProducerFenced(f"the producer epoch is {kept.producer_epoch} now")
    return False


def _prepared(
    kept: Transaction, state: State, version: int, fresh_id: int | None, now_ms: int
) -> Transaction:
    next_id = NO_PRODUCER_ID
    if version >= BUMPS_EPOCHS and kept.is_exhausted:
        if fresh_id is None:
            raise ProducerIdWanted
        next_id = fresh_id
    return kept.prepared(state, client_version=version, next_producer_id=next_id, now_ms=now_ms)
