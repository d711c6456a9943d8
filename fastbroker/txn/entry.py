"""A transactional id in memory: its state, the one it is on the way to, and who waits for that."""
from __future__ import annotations

from collections.abc import Callable

from fastbroker.errors import ConcurrentTransactions
from fastbroker.model import TopicPartition
from fastbroker.txn.transaction import NO_PARTITIONS, Transaction

WAITING_MAX = 1_000  # calls that wait for one id; a further one is told to come back


class Entry:
    """Belongs to a shard.

    kept: what a reload would find; None: the id is being made. pending: what is being written;
    while the id is being deleted, `kept` itself. unmarked: partitions without their marker, while
    prepared.
    """

    __slots__ = ("_waiting", "kept", "pending", "transactional_id", "unmarked")

    def __init__(self, transactional_id: str, kept: Transaction | None = None) -> None:
        self.transactional_id, self.kept = transactional_id, kept
        self.pending: Transaction | None = None
        self.unmarked: frozenset[TopicPartition] | set[TopicPartition] = NO_PARTITIONS
        self._waiting: list[Callable[[], object]] = []

    def check_settled(self) -> None:
        """Raise ConcurrentTransactions while a transition is being written."""
        if self.pending is not None:
            raise ConcurrentTransactions("a transition is being written: try again")

    def await_change(self, then: Callable[[], object]) -> bool:
        """Call `then` once, after the next transition; False: too many wait already."""
        if len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(then)
        return True

    def forget(self, then: Callable[[], object]) -> None:
        """`then` waits no longer."""
        if then in self._waiting:
            self._waiting.remove(then)

    def settle(self, kept: Transaction | None) -> None:
        """The transition is over: this is the state now."""
        self.kept, self.pending = kept, None
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then()
