"""What the coordinator needs for offsets that are committed in transactions."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from fastbroker.group.classic.record import Record
from fastbroker.model import Deferred
from fastbroker.records.control import EndTransactionMarker


class Producer(NamedTuple):
    """Who writes in a transaction."""

    id: int
    epoch: int


class Enlist(Protocol):
    """Asks the transaction's coordinator about a partition."""

    def __call__(
        self, partition: int, transactional_id: str, producer: Producer, *, add: bool
    ) -> Deferred[int]: ...


class Transactions(NamedTuple):
    """Calls about transactions in the partitions of __consumer_offsets, by their numbers.

    begin_verification: a guard to append with once the transaction has been verified; None when
        the producer's transaction is open in the partition. Raises a KafkaError.
    append: like `Append`, as a batch of the producer's transaction.
    append_marker: like `Append`, a marker.
    enlist: verifies that a partition is part of a transaction; `add`: makes it so. 0 or an error
        code.
    """

    begin_verification: Callable[[int, Producer], object | None]
    append: Callable[[int, list[Record], Producer, object | None], Deferred[None]]
    append_marker: Callable[[int, EndTransactionMarker], Deferred[None]]
    enlist: Enlist
