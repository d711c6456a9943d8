"""WriteTxnMarkers and DescribeProducers: how transactions end in partitions, and who is in one."""
from __future__ import annotations

from typing import Any

from fastbroker.errors import (
    CoordinatorLoadInProgress,
    CoordinatorNotAvailable,
    InvalidRequest,
    InvalidTopicException,
    KafkaError,
    NotCoordinator,
    NotLeaderOrFollower,
    UnknownServerError,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, OFFSETS_TOPIC, Broker, RequestContext
from fastbroker.handlers.metadata import check_topic_name
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.partition.partition import Partition
from fastbroker.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
)
from fastbroker.protocol.messages.write_txn_markers import (
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from fastbroker.records.control import EndTransactionMarker

MarkerResult = WriteTxnMarkersResponse.WritableTxnMarkerResult
MarkerTopic = MarkerResult.WritableTxnMarkerTopicResult
MarkerPartition = MarkerTopic.WritableTxnMarkerPartitionResult
DescribedTopic = DescribeProducersResponse.TopicResponse
DescribedPartition = DescribedTopic.PartitionResponse
DescribedProducer = DescribedPartition.ProducerState

# What a transaction's coordinator does not expect of a group's: it looks for the leader again then.
GROUP_TROUBLE = (CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator)


@handles(WriteTxnMarkersRequest, two_stage=True)
def write_txn_markers(
    ctx: RequestContext, request: WriteTxnMarkersRequest
) -> WriteTxnMarkersResponse | Deferred[WriteTxnMarkersResponse]:
    """Behaviour
    - Ends a transaction in each partition: appends a commit or abort marker, in request order,
      whether the producer has a transaction open there or not. Answered when all are committed.
    - A marker with an epoch of an earlier transaction is INVALID_PRODUCER_EPOCH; from version 2 on
      with transaction_version 2 so is one with the epoch of the open transaction itself, because
      the epoch moves with its end (KIP-890). An older coordinator is
      TRANSACTION_COORDINATOR_FENCED.
    - Partitions of __consumer_offsets go through the group coordinator, which makes the
      transaction's offsets those of their groups, or drops them.
    - Other internal topics have no clients' transactions: INVALID_TOPIC_EXCEPTION.
    - Markers of one producer are answered together. No markers: an empty answer.

    Versions: 1 is the first, and flexible; 2 transaction version.
    """
    answer = _Answer(ctx.broker)
    for marker in request.markers:
        wanted = EndTransactionMarker(
            marker.producer_id, marker.producer_epoch, marker.coordinator_epoch,
            marker.transaction_result, marker.transaction_version,
        )  # fmt: skip
        for topic in marker.topics:
            for number in topic.partition_indexes:
                answer.write(wanted, topic.name, number)
    return answer.finish()


class _Answer:
    """One request's response in the making.

    results: producer id -> topic -> partition -> its part of the response.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.results: dict[int, dict[str, dict[int, Any]]] = {}
        self.left = 1  # the request itself, until `finish`
        self.deferred: Deferred[WriteTxnMarkersResponse] = Deferred()

    def write(self, marker: EndTransactionMarker, topic: str, number: int) -> None:
        """Append the marker to one partition."""
        numbers = self.results.setdefault(marker.producer_id, {}).setdefault(topic, {})
        result = MarkerPartition(partition_index=number, error_code=0)
        numbers[number] = result
        try:
            if min(marker.producer_id, marker.producer_epoch, marker.transaction_version) < 0:
                raise InvalidRequest("producer ids, their epochs and versions are 0 or more")
            if topic in INTERNAL_TOPICS and topic != OFFSETS_TOPIC:
                raise InvalidTopicException(f"no client has a transaction in {topic}")
            partition = self.broker.partition(topic, number)
            partition.check_leader()
            if topic == OFFSETS_TOPIC:
                self.left += 1
                done = self.broker.groups.offsets.complete_transaction(number, marker)
                done.then(lambda outcome: self._completed(outcome, result))
                return
            info = partition.append_marker(marker, now_ms=self.broker.timers.now_ms())
        except KafkaError as error:
            result.error_code = error.code
            return
        self.left += 1
        end = info.last_offset + 1
        partition.await_commit(end, lambda: self._committed(partition, end, result))

    def _committed(self, partition: Partition, end: int, result: Any) -> None:
        if partition.high_watermark < end:
            result.error_code = NotLeaderOrFollower.code
            try:
                partition.check_leader()
            except KafkaError as error:
                result.error_code = error.code
        self._done()

    def _completed(self, outcome: Deferred[None], result: Any) -> None:
        error = outcome.error
        if isinstance(error, GROUP_TROUBLE):
            result.error_code = NotLeaderOrFollower.code
        elif error is not None:
            result.error_code = getattr(error, "code", UnknownServerError.code)
        self._done()

    def _done(self) -> None:
        self.left -= 1
        if not self.left:
            self.deferred.complete(self._response())

    def finish(self) -> Deferred[WriteTxnMarkersResponse]:
        """Everything has been begun."""
        self._done()
        return self.deferred

    def _response(self) -> WriteTxnMarkersResponse:
        return WriteTxnMarkersResponse(
            markers=[
                MarkerResult(
                    producer_id=producer_id,
                    topics=[
                        MarkerTopic(name=name, partitions=list(numbers.values()))
                        for name, numbers in topics.items()
                    ],
                )
                for producer_id, topics in self.results.items()
            ]
        )


@handles(DescribeProducersRequest)
def describe_producers(
    ctx: RequestContext, request: DescribeProducersRequest
) -> DescribeProducersResponse:
    """Behaviour
    - Tells of the producers that a partition's leader remembers: epochs, the last sequence, and
      where an open transaction began; -1: none is. What is hanging is found so.
    - Asked of another broker than the leader: NOT_LEADER_OR_FOLLOWER.

    Versions: 0.
    """
    return DescribeProducersResponse(
        topics=[
            DescribedTopic(
                name=topic.name,
                partitions=[_describe(ctx, topic.name, n) for n in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def _describe(ctx: RequestContext, topic: str, number: int) -> Any:
    try:
        check_topic_name(topic)
        partition = ctx.broker.partition(topic, number)
        partition.check_leader()
        producers = partition.producers()
    except KafkaError as error:
        return DescribedPartition(
            partition_index=number, error_code=error.code, error_message=error.message
        )
    return DescribedPartition(
        partition_index=number,
        active_producers=[
            DescribedProducer(
                producer_id=producer_id,
                producer_epoch=one.epoch,
                last_sequence=one.last_sequence,
                last_timestamp=one.last_timestamp,
                coordinator_epoch=one.coordinator_epoch,
                current_txn_start_offset=one.txn_first_offset,
            )
            for producer_id, one in producers.items()
        ],
    )
