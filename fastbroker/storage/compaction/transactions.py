"""Which batches were aborted, and which markers are of no use any more. Pure.

Followed over all batches of a log in order: a marker can go when no batch of its transaction has
been met. Kafka: CleanedTransactionMetadata.
"""
from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader
from fastbroker.records.control import ABORT, COMMIT
from fastbroker.storage.txn_index import AbortedTransaction


class MarkerFate(NamedTuple):
    """can_go: nothing that it speaks about is left. aborted: its transaction index entry that is
    still needed."""

    can_go: bool
    aborted: AbortedTransaction | None = None


class _Aborted:
    """An aborted transaction that has begun; is_met: a batch of it is still there."""

    __slots__ = ("is_met", "transaction")

    def __init__(self, transaction: AbortedTransaction) -> None:
        self.transaction, self.is_met = transaction, False


class CleanedTransactions:
    """Bounded by the aborted transactions of one segment, and the producers with open ones."""

    def __init__(self) -> None:
        self._expected: list[tuple[int, AbortedTransaction]] = []  # a heap
        self._aborted: dict[int, _Aborted] = {}  # by producer id
        self._committed: set[int] = set()  # producer ids with a batch that was not aborted

    def expect(self, aborted: Iterable[AbortedTransaction]) -> None:
        """Transactions that the batches to come may be of; some may have been told before."""
        for transaction in aborted:
            heappush(self._expected, (transaction.first_offset, transaction))

    def _begin(self, last_offset: int) -> None:
        while self._expected and self._expected[0][0] <= last_offset:
            _, transaction = heappop(self._expected)
            if transaction.producer_id not in self._aborted:
                self._aborted[transaction.producer_id] = _Aborted(transaction)

    def is_aborted(self, header: BatchHeader) -> bool:
        """Whether a transactional batch of data was aborted."""
        self._begin(header.last_offset)
        aborted = self._aborted.get(header.producer_id)
        if aborted is None:
            self._committed.add(header.producer_id)
            return False
        aborted.is_met = True
        return True

    def marker(self, header: BatchHeader, kind: int) -> MarkerFate:
        """A control batch with one record of this kind; -1: it was emptied before."""
        self._begin(header.last_offset)
        if kind == ABORT:
            aborted = self._aborted.pop(header.producer_id, None)
            if aborted is not None and aborted.is_met:
                return MarkerFate(False, aborted.transaction)
            return MarkerFate(True)
        if kind == COMMIT:
            was_met = header.producer_id in self._committed
            self._committed.discard(header.producer_id)
            return MarkerFate(not was_met)
        return MarkerFate(kind < 0)
