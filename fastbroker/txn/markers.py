"""Markers of decided transactions, on their way to the leaders of the partitions.

    send --> by leader --> one WriteTxnMarkers at a time for each broker --> marked
                ^                                     |
                +--- back-off, leaders looked up anew +  what was not written

What is decided while a broker answers goes into its next request. A partition without a leader is
tried again, one that is gone needs no marker. A partition that knows a newer coordinator or a newer
epoch of the producer ends it: whoever wrote that goes on.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from itertools import islice
from logging import Logger
from typing import Any

from fastbroker import errors
from fastbroker.coordination.rated_log import RatedLog
from fastbroker.model import Deferred, Timers, TopicPartition
from fastbroker.protocol.messages.write_txn_markers import (
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from fastbroker.txn.entry import Entry
from fastbroker.txn.state import State
from fastbroker.txn.transaction import Transaction

NO_LEADER = -1
PARTITIONS_A_REQUEST = 5_000
RETRY_FIRST_MS, RETRY_MAX_MS = 20, 1_000

_SUPERSEDED = frozenset(
    {errors.InvalidProducerEpoch.code, errors.TransactionCoordinatorFenced.code}
)
# The partition could not hold anything of the transaction.
_NEEDLESS = frozenset({errors.UnsupportedVersion.code, errors.UnsupportedForMessageFormat.code})

Marker = WriteTxnMarkersRequest.WritableTxnMarker
LeaderOf = Callable[[TopicPartition], int | None]
WriteMarkers = Callable[[int, WriteTxnMarkersRequest], Deferred[WriteTxnMarkersResponse]]


class Decision:
    """A transaction whose markers are not all written."""

    __slots__ = ("coordinator_epoch", "entry", "is_over", "marked", "owner", "prepared")

    def __init__(
        self,
        owner: Any,
        entry: Entry,
        prepared: Transaction,
        marked: Callable[[], object],
    ) -> None:
        self.owner, self.entry, self.prepared, self.marked = owner, entry, prepared, marked
        self.coordinator_epoch = owner.leader_epoch
        self.is_over = False

    def done(self, partition: TopicPartition) -> None:
        """`partition` needs no marker any more."""
        if self.is_over:
            return
        unmarked = self.entry.unmarked
        assert isinstance(unmarked, set)
        unmarked.discard(partition)
        if not unmarked:
            self.is_over = True
            self.marked()


Wanted = dict[Decision, set[TopicPartition]]


class Markers:
    """Belongs to the coordinator.

    write_markers(broker, request): has a broker write them. leader_of(partition): the broker that
    leads it, NO_LEADER: nobody now, None: there is no such partition.
    """

    def __init__(
        self, timers: Timers, *, write_markers: WriteMarkers, leader_of: LeaderOf, log: Logger
    ) -> None:
        self._timers = timers
        self._log = RatedLog(log, timers, "transactional id", "transactional ids")
        self._write_markers, self._leader_of = write_markers, leader_of
        self._queues: dict[int, Wanted] = {}
        self._busy: set[int] = set()
        self._later: Wanted = {}
        self._is_retrying = False
        self._retry_ms = RETRY_FIRST_MS
        self._decisions: dict[Hashable, set[Decision]] = defaultdict(set)

    def send(
        self,
        owner: Any,
        entry: Entry,
        prepared: Transaction,
        marked: Callable[[], object],
    ) -> None:
        """Have a marker written into each of `entry.unmarked`; then `marked()`.

        owner: the shard, whose leader epoch the markers carry; `cancel` ends all of its.
        """
        decision = Decision(owner, entry, prepared, marked)
        self._decisions[owner].add(decision)
        self._enqueue({decision: set(entry.unmarked)})

    def cancel(self, owner: Any) -> None:
        """Send no more for `owner`: another coordinator does."""
        for decision in self._decisions.pop(owner, ()):
            decision.is_over = True

    @property
    def waiting(self) -> int:
        """Decisions whose markers are not all written."""
        return sum(len(decisions) for decisions in self._decisions.values())

    def _enqueue(self, wanted: Wanted) -> None:
        brokers = set()
        for decision, partitions in wanted.items():
            for partition in partitions:
                if decision.is_over:
                    break
                leader = self._leader_of(partition)
                if leader is None:
                    self._log.info(
                        "transaction %r: %s is gone and needs no marker",
                        decision.entry.transactional_id, partition,
                    )  # fmt: skip
                    self._done(decision, partition)
                elif leader == NO_LEADER:
                    self._try_later(decision, partition)
                else:
                    queue = self._queues.setdefault(leader, {})
                    queue.setdefault(decision, set()).add(partition)
                    brokers.add(leader)
        for broker in brokers:
            self._flush(broker)

    def _flush(self, broker: int) -> None:
        """Send what waits for `broker`, unless it has not answered yet."""
        if broker in self._busy:
            return
        taken = self._take(broker)
        if not taken:
            return
        self._busy.add(broker)
        self._write_markers(broker, _request(taken)).then(
            lambda answer: self._answered(broker, taken, answer)
        )

    def _take(self, broker: int) -> list[tuple[Decision, set[TopicPartition]]]:
        queue = self._queues.get(broker, {})
        taken: list[tuple[Decision, set[TopicPartition]]] = []
        count = 0
        while queue and count < PARTITIONS_A_REQUEST:
            decision = next(iter(queue))
            waiting = queue[decision]
            partitions = set(islice(waiting, PARTITIONS_A_REQUEST - count))
            waiting -= partitions
            if not waiting or decision.is_over:
                del queue[decision]
            if not decision.is_over:
                taken.append((decision, partitions))
                count += len(partitions)
        if not queue:
            self._queues.pop(broker, None)
        return taken

    def _answered(
        self,
        broker: int,
        taken: list[tuple[Decision, set[TopicPartition]]],
        answer: Deferred[WriteTxnMarkersResponse],
    ) -> None:
        self._busy.discard(broker)
        # A producer id names a decision: it belongs to one id, which has one at a time.
        results = answer.result().markers if answer.error is None else []
        by_producer = {result.producer_id: _codes(result) for result in results}
        for decision, partitions in taken:
            codes = by_producer.get(decision.prepared.producer_id, {})
            for partition in partitions:
                if not decision.is_over:
                    self._judge(decision, partition, codes.get(partition))
        if answer.error is None and not self._later:
            self._retry_ms = RETRY_FIRST_MS
        self._flush(broker)

    def _judge(self, decision: Decision, partition: TopicPartition, code: int | None) -> None:
        """What an answer means; None: there was none."""
        if code == 0 or code in _NEEDLESS:
            self._done(decision, partition)
        elif code in _SUPERSEDED:
            self._log.warning(
                "transaction %r: %s takes no marker with producer epoch %d, coordinator epoch %d"
                " (%s): somebody newer has taken over",
                decision.entry.transactional_id, partition, decision.prepared.producer_epoch,
                decision.coordinator_epoch, errors.of(code or 0).name,
            )  # fmt: skip
            decision.is_over = True
            self._decisions[decision.owner].discard(decision)
        else:
            if code is not None and not errors.of(code).retriable:
                self._log.error(
                    "transaction %r: the marker of %s could not be written, trying again: %s",
                    decision.entry.transactional_id, partition, errors.of(code).name,
                )  # fmt: skip
            self._try_later(decision, partition)

    def _done(self, decision: Decision, partition: TopicPartition) -> None:
        decision.done(partition)
        if decision.is_over:
            self._decisions[decision.owner].discard(decision)

    def _try_later(self, decision: Decision, partition: TopicPartition) -> None:
        self._later.setdefault(decision, set()).add(partition)
        if not self._is_retrying:
            self._is_retrying = True
            self._timers.after(self._retry_ms, self._retry)
            self._retry_ms = min(self._retry_ms * 2, RETRY_MAX_MS)

    def _retry(self) -> None:
        self._is_retrying = False
        later, self._later = self._later, {}
        self._enqueue(later)


def _request(taken: list[tuple[Decision, set[TopicPartition]]]) -> WriteTxnMarkersRequest:
    return WriteTxnMarkersRequest(
        markers=[_marker(decision, partitions) for decision, partitions in taken]
    )


def _marker(decision: Decision, partitions: set[TopicPartition]) -> Any:
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(partitions):
        by_topic[topic].append(number)
    prepared = decision.prepared
    return Marker(
        producer_id=prepared.producer_id,
        producer_epoch=prepared.producer_epoch,
        transaction_result=prepared.state is State.PREPARE_COMMIT,
        topics=[
            Marker.WritableTxnMarkerTopic(name=topic, partition_indexes=numbers)
            for topic, numbers in by_topic.items()
        ],
        coordinator_epoch=decision.coordinator_epoch,
        transaction_version=prepared.client_version,
    )


def _codes(result: Any) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic.name, partition.partition_index): partition.error_code
        for topic in result.topics
        for partition in topic.partitions
    }
