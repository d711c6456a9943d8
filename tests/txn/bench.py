"""A coordinator with a clock, a log, producer ids and brokers under the test's control.

    bench = Bench()
    first = bench.init("t")                         # an answer that is there is the answer itself
    bench.add("t", first, ("orders", 0))
    bench.brokers.instant = False                   # markers wait now
    bench.end("t", first, commit=True)
    bench.reload(2)                                 # the partitions move away and come back
    bench.brokers.answer()
    bench.kept("t")
"""
from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.coordination.added_partitions import topics_of
from fastbroker.model import Deferred, TopicPartition
from fastbroker.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from fastbroker.protocol.messages.end_txn import EndTxnRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.list_transactions import ListTransactionsRequest
from fastbroker.protocol.messages.write_txn_markers import (
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from fastbroker.txn.coordinator import TransactionCoordinator
from fastbroker.txn.entry import Entry
from fastbroker.txn.producer_ids import fresh_producer
from fastbroker.txn.transaction import Transaction
from tests.group.bench import Log, now
from tests.group.virtual_timers import VirtualTimers

PARTITIONS = 4  # of __transaction_state
BATCH = 5  # the version of AddPartitionsToTxn that brokers use
Result = WriteTxnMarkersResponse.WritableTxnMarkerResult
ResultTopic = Result.WritableTxnMarkerTopicResult


class Producer(NamedTuple):
    """What a producer has to show."""

    id: int
    epoch: int


class Marker(NamedTuple):
    """A marker in a partition."""

    producer_id: int
    producer_epoch: int
    commit: bool
    coordinator_epoch: int
    version: int


@dataclass
class Asked:
    """A WriteTxnMarkers on its way to a broker."""

    broker: int
    request: WriteTxnMarkersRequest
    done: Deferred[WriteTxnMarkersResponse]


class Brokers:
    """The leaders of partitions: requests wait until the test lets them through, unless `instant`.

    leaders: by partition, -1: nobody; a partition that is missing is led by broker 1 if its topic
    is not in `gone`. codes: what a partition answers instead of writing.
    """

    def __init__(self) -> None:
        self.instant = True
        self.pending: list[Asked] = []
        self.leaders: dict[TopicPartition, int] = {}
        self.gone: set[str] = set()
        self.codes: dict[TopicPartition, int] = {}
        self.markers: dict[TopicPartition, list[Marker]] = defaultdict(list)
        self.requests = 0

    def leader_of(self, partition: TopicPartition) -> int | None:
        if partition.topic in self.gone:
            return None
        return self.leaders.get(partition, 1)

    def write_markers(
        self, broker: int, request: WriteTxnMarkersRequest
    ) -> Deferred[WriteTxnMarkersResponse]:
        self.requests += 1
        asked = Asked(broker, request, Deferred())
        self.pending.append(asked)
        if self.instant:
            self.answer()
        return asked.done

    def answer(self, at: int = 0) -> None:
        """Write the markers of a waiting request and answer it; all that wait: again and again."""
        asked = self.pending.pop(at)
        asked.done.complete(self._written(asked))

    def answer_all(self) -> None:
        while self.pending:
            self.answer()

    def lose(self, *, written: bool, at: int = 0) -> None:
        """The answer of a waiting request does not arrive; its markers may be written all the
        same."""
        asked = self.pending.pop(at)
        if written:
            self._written(asked)
        asked.done.fail(errors.NetworkException("lost"))

    def _written(self, asked: Asked) -> WriteTxnMarkersResponse:
        return WriteTxnMarkersResponse(
            markers=[self._write(asked.broker, marker) for marker in asked.request.markers]
        )

    def _write(self, broker: int, marker: Any) -> Any:
        result = Result(producer_id=marker.producer_id, topics=[])
        for topic in marker.topics:
            answered = ResultTopic(name=topic.name, partitions=[])
            result.topics.append(answered)
            for number in topic.partition_indexes:
                at = TopicPartition(topic.name, number)
                code = self.codes.get(at, 0)
                if self.leader_of(at) is None:
                    code = errors.UnknownTopicOrPartition.code
                elif self.leader_of(at) != broker:
                    code = errors.NotLeaderOrFollower.code
                if not code:
                    self.markers[at].append(
                        Marker(
                            marker.producer_id,
                            marker.producer_epoch,
                            marker.transaction_result,
                            marker.coordinator_epoch,
                            marker.transaction_version,
                        )
                    )
                answered.partitions.append(
                    ResultTopic.WritableTxnMarkerPartitionResult(
                        partition_index=number, error_code=code
                    )
                )
        return result


class Bench:
    """One coordinator that leads every partition, and short ways to ask it things.

    Answers that are there are returned as they are, others as their Deferred. version:
    transaction.version of the cluster. given: settings, with underscores for dots.
    """

    def __init__(
        self,
        *,
        elect: bool = True,
        log: Log | None = None,
        brokers: Brokers | None = None,
        version: int = 2,
        config: BrokerConfig | None = None,
        **given: Any,
    ) -> None:
        self.timers = VirtualTimers()
        self.log, self.brokers, self.version = log or Log(), brokers or Brokers(), version
        self.next_id = 1000
        self.allocations: list[Deferred[int]] | None = None  # a list: they wait in it
        if config is None:
            given = {"transaction_state_log_num_partitions": PARTITIONS} | given
            config = BrokerConfig({n.replace("_", "."): str(v) for n, v in given.items()})
        self.coordinator = TransactionCoordinator(
            config,
            self.timers,
            append=self.log.append,
            allocate_producer_id=self._allocate,
            write_markers=self.brokers.write_markers,
            leader_of=self.brokers.leader_of,
            offsets_partition=lambda group_id: len(group_id),
            version=lambda: self.version,
            log=logging.getLogger("tests.txn"),
        )
        if elect:
            self.elect()

    def elect(self, epoch: int = 1) -> None:
        for partition in range(PARTITIONS):
            self.elect_one(partition, epoch)

    def elect_one(self, partition: int, epoch: int) -> None:
        self.coordinator.elected(partition, epoch, self.log.batches(partition))

    def resign(self) -> None:
        for partition in range(PARTITIONS):
            self.coordinator.resigned(partition)

    def reload(self, epoch: int) -> None:
        """The partitions move away and come back."""
        self.resign()
        self.elect(epoch)

    def _allocate(self) -> Deferred[int]:
        answer: Deferred[int] = Deferred()
        if self.allocations is not None:
            self.allocations.append(answer)
        else:
            self.give_id(answer)
        return answer

    def give_id(self, answer: Deferred[int]) -> None:
        self.next_id += 1
        answer.complete(self.next_id)

    def entry(self, name: str = "t") -> Entry:
        return self.coordinator.shards.of(name).entries[name]

    def kept(self, name: str = "t") -> Transaction:
        kept = self.entry(name).kept
        assert kept is not None
        return kept

    def put(self, kept: Transaction, name: str = "t") -> Producer:
        """Set a state that would take long to reach."""
        self.coordinator.shards.of(name).entries[name] = Entry(name, kept)
        return Producer(kept.producer_id, kept.producer_epoch)

    # Requests.

    def init(
        self,
        name: str | None = "t",
        producer: Producer = Producer(-1, -1),  # noqa: B008
        *,
        timeout: int = 60_000,
        version: int = 5,
    ) -> Any:
        """The Producer; the error code if there is one."""
        request = InitProducerIdRequest(
            transactional_id=name,
            transaction_timeout_ms=timeout,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
        )
        answer = (
            fresh_producer(request, self._allocate)
            if name is None
            else self.coordinator.init_producer_id(request, api_version=version)
        )
        return _mapped(answer, lambda said: _producer(said))

    def add(
        self, name: str, producer: Producer, *partitions: tuple[str, int], version: int = 3
    ) -> Any:
        """A client's AddPartitionsToTxn: the error codes by partition, or the one of all."""
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=name,
            v3_and_below_producer_id=producer.id,
            v3_and_below_producer_epoch=producer.epoch,
            v3_and_below_topics=topics_of(TopicPartition(*one) for one in partitions),
        )
        answer = self.coordinator.add_partitions_to_txn(request, api_version=version)
        return _mapped(answer, lambda said: _codes(said.results_by_topic_v3_and_below))

    def enlist(
        self,
        name: str,
        producer: Producer,
        *partitions: tuple[str, int],
        verify: bool = False,
        version: int = BATCH,
    ) -> Any:
        """A broker's AddPartitionsToTxn for one transaction."""
        one = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
            transactional_id=name,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            verify_only=verify,
            topics=topics_of(TopicPartition(*at) for at in partitions),
        )
        request = AddPartitionsToTxnRequest(transactions=[one])
        answer = self.coordinator.add_partitions_to_txn(request, api_version=version)
        return _mapped(answer, lambda said: _codes(said.results_by_transaction[0].topic_results))

    def offsets(
        self, name: str, producer: Producer, group_id: str = "g", *, version: int = 4
    ) -> Any:
        request = AddOffsetsToTxnRequest(
            transactional_id=name,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            group_id=group_id,
        )
        answer = self.coordinator.add_offsets_to_txn(request, api_version=version)
        return _mapped(answer, lambda said: said.error_code)

    def end(
        self, name: str, producer: Producer, *, commit: bool = True, version: int = 5
    ) -> Any:
        """EndTxn: the Producer to go on with (version 5), or 0; the error code if there is one."""
        request = EndTxnRequest(
            transactional_id=name,
            producer_id=producer.id,
            producer_epoch=producer.epoch,
            committed=commit,
        )
        answer = self.coordinator.end_txn(request, api_version=version)
        if version < 5:
            return _mapped(answer, lambda said: said.error_code)
        return _mapped(answer, lambda said: _producer(said))

    def describe(self, name: str = "t") -> Any:
        request = DescribeTransactionsRequest(transactional_ids=[name])
        (one,) = self.coordinator.describe_transactions(request).transaction_states
        return one

    def list(
        self,
        *,
        states: tuple[str, ...] = (),
        producers: tuple[int, ...] = (),
        duration: int = -1,
        pattern: str | None = None,
    ) -> Any:
        return self.coordinator.list_transactions(
            ListTransactionsRequest(
                state_filters=list(states),
                producer_id_filters=list(producers),
                duration_filter=duration,
                transactional_id_pattern=pattern,
            )
        )

    # Lives.

    def ongoing(self, name: str = "t", *partitions: tuple[str, int]) -> Producer:
        """A producer with an open transaction."""
        producer = self.init(name)
        assert isinstance(producer, Producer)
        assert self.add(name, producer, *(partitions or (("orders", 0),))) == 0
        return producer


def _producer(said: Any) -> Any:
    if said.error_code:
        assert (said.producer_id, said.producer_epoch) == (-1, -1)
        return said.error_code
    return Producer(said.producer_id, said.producer_epoch)


def _codes(topics: Any) -> Any:
    codes = {
        (topic.name, one.partition_index): one.partition_error_code
        for topic in topics
        for one in topic.results_by_partition
    }
    values = set(codes.values())
    return values.pop() if len(values) == 1 else codes


def _mapped(answer: Deferred[Any], change: Callable[[Any], Any]) -> Any:
    """`change(answer)`, or a Deferred of it."""
    changed: Deferred[Any] = Deferred()
    answer.then(lambda done: changed.complete(change(done.result())))
    return now(changed)
