"""Produce: batches of clients go into the log, acknowledged when they are on disk."""
from __future__ import annotations

from typing import Any

from fastbroker.errors import (
    CloseConnection,
    CorruptMessage,
    InvalidRequiredAcks,
    InvalidTopicException,
    InvalidTxnState,
    KafkaError,
    KafkaStorageError,
    MessageTooLarge,
    NotEnoughReplicas,
    NotLeaderOrFollower,
    RequestTimedOut,
    TransactionalIdAuthorizationFailed,
    UnsupportedCompressionType,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, Broker, RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred, Timer
from fastbroker.partition.partition import Partition
from fastbroker.protocol.messages.produce import ProduceRequest, ProduceResponse
from fastbroker.storage.validator import NotOneBatch, RecordsRefused

TopicAnswer = ProduceResponse.TopicProduceResponse
PartitionAnswer = TopicAnswer.PartitionProduceResponse
RecordError = PartitionAnswer.BatchIndexAndErrorMessage
LeaderHint = PartitionAnswer.LeaderIdAndEpoch

NO_ACK, LEADER, ALL = 0, 1, -1
BY_ID_SINCE = 13
ADMIN_CLIENT = "__admin_client"  # may write to internal topics, as on Kafka
# Errors that do not tell where the log starts; those about its records do.
START_UNTOLD = (
    CorruptMessage, KafkaStorageError, MessageTooLarge, NotLeaderOrFollower, NotOneBatch,
    UnsupportedCompressionType,
)  # fmt: skip
# Where a batch's header has the two bytes that tell a transactional one.
AT_MAGIC, AT_ATTRIBUTES, TRANSACTIONAL = 16, 22, 0x10
# The timeout is for other replicas; our own disk is given this long at least.
FLUSH_PATIENCE_MS = 10_000


@handles(ProduceRequest, two_stage=True)
def produce(
    ctx: RequestContext, request: ProduceRequest
) -> ProduceResponse | Deferred[ProduceResponse] | None:
    """Behaviour
    - Appends each partition's batch; partitions fail one by one, in request order.
    - acks 1 and all: answered when everything appended is committed, which with flush.messages=1
      means on disk; after timeout_ms what is not is REQUEST_TIMED_OUT, though it may stay. As on
      Kafka the time is for other replicas: our own disk has FLUSH_PATIENCE_MS, however short it is.
    - acks 0: never answered; an error closes the connection, the only sign a client gets.
    - Transactions are not served yet: a request with a transactional batch is refused as a whole,
      with INVALID_TXN_STATE, and one without a transactional id as Kafka does, with
      TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    - A batch that a producer repeats is answered with the offset it got the first time.
    - Internal topics take nothing from clients but the admin client.

    Versions: 3 is the first (batches v2); 5 log_start_offset; 7 zstd; 8 record errors and messages;
    10 hints to the leader (KIP-951); 13 topics by id.
    """
    if request.acks not in (NO_ACK, LEADER, ALL):
        error = InvalidRequiredAcks(f"acks={request.acks}: 0, 1 and -1 (all) are known")
        return _all_failed(request, error)
    if _is_transactional(request):
        return _refuse_transaction(request)
    answer = _Answer(ctx.broker, request.acks)
    topics = []
    for asked in request.topic_data:
        partitions = [
            answer.append(ctx, asked, part.index, part.records) for part in asked.partition_data
        ]
        topics.append(
            TopicAnswer(name=asked.name, topic_id=asked.topic_id, partition_responses=partitions)
        )
    if request.acks == NO_ACK:
        if answer.errors:
            raise CloseConnection(f"a produce request with acks=0 failed: {answer.errors[0]}")
        return None
    answer.response.responses = topics
    return answer.finish(request.timeout_ms)


class _Answer:
    """One request's response in the making."""

    __slots__ = ("acks", "broker", "deferred", "errors", "left", "response", "timer", "waiting")

    def __init__(self, broker: Broker, acks: int) -> None:
        self.broker, self.acks = broker, acks
        self.response = ProduceResponse()
        self.errors: list[KafkaError] = []
        self.left = 0
        self.waiting: list[tuple[Partition, int, Any]] = []
        self.deferred: Deferred[ProduceResponse] | None = None
        self.timer: Timer | None = None

    def append(self, ctx: RequestContext, topic: Any, number: int, records: Any) -> Any:
        """Append to one partition; its part of the response."""
        broker = self.broker
        partition = None
        try:
            name = topic.name
            if ctx.api_version >= BY_ID_SINCE:
                name = broker.topic_by_id(topic.topic_id).name
            if name in INTERNAL_TOPICS and ctx.client_id != ADMIN_CLIENT:
                raise InvalidTopicException(f"{name} is internal: clients cannot write it")
            partition = broker.partition(name, number)
            partition.check_leader()
            log = partition.log
            if self.acks == ALL and len(partition.leadership.isr) < log.config.min_insync_replicas:
                raise NotEnoughReplicas(
                    f"{len(partition.leadership.isr)} replicas of {partition.name} are in sync,"
                    f" acks=all wants {log.config.min_insync_replicas} (min.insync.replicas)"
                )
            info = partition.append(
                memoryview(b"") if records is None else records,
                now_ms=broker.timers.now_ms(),
                produce_version=ctx.api_version,
            )
        except RecordsRefused as refused:
            failed = self._failed(ctx, number, refused.error, partition)
            failed.record_errors = [
                RecordError(batch_index=index, batch_index_error_message=refused.reason)
                for index in refused.records
            ]
            return failed
        except KafkaError as error:
            return self._failed(ctx, number, error, partition)
        result = PartitionAnswer(
            index=number,
            base_offset=info.first_offset,
            log_append_time_ms=info.append_time,
            log_start_offset=log.log_start_offset,
        )
        if self.acks != NO_ACK:
            self.waiting.append((partition, info.last_offset + 1, result))
        return result

    def _failed(
        self, ctx: RequestContext, number: int, error: KafkaError, partition: Partition | None
    ) -> Any:
        self.errors.append(error)
        failed = PartitionAnswer(
            index=number, error_code=error.code, base_offset=-1, error_message=error.message
        )
        if partition is not None and not isinstance(error, START_UNTOLD):
            failed.log_start_offset = partition.log.log_start_offset
        if partition is not None and isinstance(error, NotLeaderOrFollower):
            node = self.broker.node(partition.leadership.leader, ctx)
            if node is not None and ctx.api_version >= 10:
                failed.current_leader = LeaderHint(
                    leader_id=node.id, leader_epoch=partition.leader_epoch
                )
                self.response.node_endpoints = [
                    *self.response.node_endpoints,
                    ProduceResponse.NodeEndpoint(
                        node_id=node.id, host=node.host, port=node.port, rack=node.rack
                    ),
                ]
        return failed

    def finish(self, timeout_ms: int) -> ProduceResponse | Deferred[ProduceResponse]:
        """Wait until everything appended is committed."""
        self.left = len(self.waiting)
        for partition, offset, result in self.waiting:
            partition.await_commit(offset, _Committed(self, partition, offset, result))
        if not self.left:
            return self.response
        self.deferred = Deferred()
        if all(len(one.leadership.isr) == 1 for one, _, _ in self.waiting):
            timeout_ms = max(timeout_ms, FLUSH_PATIENCE_MS)
        self.timer = self.broker.timers.after(max(timeout_ms, 0), self.time_out)
        return self.deferred

    def committed(self, partition: Partition, offset: int, result: Any) -> None:
        """A partition is done with, well or not."""
        if partition.high_watermark < offset:
            try:
                partition.check_leader()
                error: KafkaError = NotLeaderOrFollower("the leader has changed meanwhile")
            except KafkaError as why:
                error = why
            result.error_code, result.base_offset = error.code, -1
            result.log_start_offset, result.error_message = -1, error.message
        self.left -= 1
        if not self.left and self.deferred is not None and not self.deferred.done:
            if self.timer is not None:
                self.timer.cancel()
            self.deferred.complete(self.response)

    def time_out(self) -> None:
        """What is not committed now is not waited for any longer."""
        assert self.deferred is not None
        if self.deferred.done:
            return
        for partition, offset, result in self.waiting:
            if partition.high_watermark < offset and result.error_code == 0:
                result.error_code, result.base_offset = RequestTimedOut.code, -1
                result.log_start_offset = -1
                result.error_message = "the write was not on disk in time; it may still get there"
        self.deferred.complete(self.response)


class _Committed:
    """The callback of one partition."""

    __slots__ = ("answer", "offset", "partition", "result")

    def __init__(self, answer: _Answer, partition: Partition, offset: int, result: Any) -> None:
        self.answer, self.partition, self.offset, self.result = answer, partition, offset, result

    def __call__(self) -> None:
        self.answer.committed(self.partition, self.offset, self.result)


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


def _refuse_transaction(request: ProduceRequest) -> ProduceResponse:
    error: KafkaError = InvalidTxnState(
        "transactions are not served yet: use a producer without transactional.id"
    )
    if request.transactional_id is None:
        error = TransactionalIdAuthorizationFailed(
            "a transactional batch in a request without a transactional id"
        )
    if request.acks == NO_ACK:
        raise CloseConnection(f"a produce request with acks=0 failed: {error}")
    return _all_failed(request, error)


def _all_failed(request: ProduceRequest, error: KafkaError) -> ProduceResponse:
    return ProduceResponse(
        responses=[
            TopicAnswer(
                name=asked.name,
                topic_id=asked.topic_id,
                partition_responses=[
                    PartitionAnswer(
                        index=part.index,
                        error_code=error.code,
                        base_offset=-1,
                        error_message=error.message,
                    )
                    for part in asked.partition_data
                ],
            )
            for asked in request.topic_data
        ]
    )
