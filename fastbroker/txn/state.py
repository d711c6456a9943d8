"""The states of a transactional id, and which may follow which.

                    InitProducerId (new id, epoch + 1)
                  +--------------------------------------+
                  v                                      |
    (none) ---> EMPTY --+                                |
                  ^     | AddPartitions, AddOffsets      |
                  |     v                                |
                  |  ONGOING <---------------------------+--------+
                  |   |   |                              |        |
                  |   |   | EndTxn(commit)               |        |
                  |   |   +--> PREPARE_COMMIT --markers--> COMPLETE_COMMIT
                  |   |                                  |        |
                  |   | EndTxn(abort); fence, timeout    |        |
                  |   +------> PREPARE_ABORT ---markers--> COMPLETE_ABORT
                  |               ^   ^                           |
                  |               |   +-- fence found in the log -+-- PREPARE_EPOCH_FENCE
                  |               +------ EndTxn(abort) of nothing (TV2), from EMPTY, COMPLETE_*
                  +--- InitProducerId -------------------- COMPLETE_*

    EMPTY, COMPLETE_* --- idle for transactional.id.expiration.ms ---> DEAD (a tombstone)

A transition is written to the log first and holds once that is committed; until then it is pending,
and whoever wants another one is told CONCURRENT_TRANSACTIONS. Kafka: TransactionState; the numbers
are those of TransactionLogValue, the names those of DescribeTransactions.
"""
from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Where a transactional id stands; the value is the one in the log."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def title(self) -> str:
        """As clients are told: PrepareCommit."""
        return self.name.title().replace("_", "")

    @property
    def is_prepared(self) -> bool:
        """The outcome is decided, markers are on their way: nothing else is possible."""
        return self in (State.PREPARE_COMMIT, State.PREPARE_ABORT)

    @property
    def is_at_rest(self) -> bool:
        """There is no transaction: one may begin, and the id may expire."""
        return self in AT_REST


AT_REST = frozenset({State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT})
TITLES = {state.title: state for state in State}

# What a state may follow.
PREVIOUS: dict[State, frozenset[State]] = {
    State.EMPTY: AT_REST,
    State.ONGOING: AT_REST | {State.ONGOING},
    State.PREPARE_COMMIT: frozenset({State.ONGOING}),
    State.PREPARE_ABORT: AT_REST | {State.ONGOING, State.PREPARE_EPOCH_FENCE},
    State.COMPLETE_COMMIT: frozenset({State.PREPARE_COMMIT}),
    State.COMPLETE_ABORT: frozenset({State.PREPARE_ABORT}),
    State.DEAD: AT_REST,
    State.PREPARE_EPOCH_FENCE: frozenset({State.ONGOING}),
}
