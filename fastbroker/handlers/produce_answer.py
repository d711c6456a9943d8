"""A produce request's batches on their way into the log, and the response in the making."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fastbroker.errors import (
    CloseConnection,
    CorruptMessage,
    InvalidTopicException,
    KafkaError,
    KafkaStorageError,
    MessageTooLarge,
    NotEnoughReplicas,
    NotLeaderOrFollower,
    RequestTimedOut,
    UnsupportedCompressionType,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, Broker, RequestContext
from fastbroker.model import Deferred, Timer, TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.protocol.messages.produce import ProduceRequest, ProduceResponse
from fastbroker.storage.producer_state import Verification
from fastbroker.storage.validator import NotOneBatch, RecordsRefused

TopicAnswer = ProduceResponse.TopicProduceResponse
PartitionAnswer = TopicAnswer.PartitionProduceResponse
RecordError = PartitionAnswer.BatchIndexAndErrorMessage
LeaderHint = PartitionAnswer.LeaderIdAndEpoch

# A response now, or later, or none at all.
Answered = ProduceResponse | Deferred[ProduceResponse | None] | None

NO_ACK, LEADER, ALL = 0, 1, -1
BY_ID_SINCE = 13
ADMIN_CLIENT = "__admin_client"  # may write to internal topics, as on Kafka
# Errors that do not tell where the log starts; those about its records do.
START_UNTOLD = (
    CorruptMessage, KafkaStorageError, MessageTooLarge, NotLeaderOrFollower, NotOneBatch,
    UnsupportedCompressionType,
)  # fmt: skip
# The timeout is for other replicas; our own disk is given this long at least.
FLUSH_PATIENCE_MS = 10_000


class Enlisted(NamedTuple):
    """What came of asking whether the request's partitions are in its transaction: the guards that
    were taken for it, and why a batch is not to be written."""

    guards: Mapping[TopicPartition, Verification]
    errors: Mapping[TopicPartition, KafkaError]


NOBODY = Enlisted({}, {})


# What a partition has been given: the answer is to hold when all below the offset is committed.
Given = tuple[Partition, int, Any]


class ProduceAnswer(Deferred[ProduceResponse | None]):
    """One request's response in the making; what it is handed out as when it has to wait."""

    __slots__ = ("acks", "broker", "is_late", "left", "refusal", "response", "timer", "waiting")

    def __init__(self, broker: Broker, acks: int) -> None:
        self.broker, self.acks = broker, acks
        self.response = ProduceResponse()
        # The first error's text. The error itself knows the way to here, with all the records: they
        # would be held until the garbage collector comes.
        self.refusal = ""
        self.left = 0
        self.waiting: list[Given] = []
        self.is_late = False  # it was handed out: from then on it is a Deferred
        self.timer: Timer

    def append_all(
        self, ctx: RequestContext, request: ProduceRequest, enlisted: Enlisted
    ) -> Answered:
        """Append what the request has for each partition. Raises CloseConnection."""
        topics = []
        for asked in request.topic_data:
            partitions = [
                self.append(ctx, asked, part.index, part.records, enlisted)
                for part in asked.partition_data
            ]
            topics.append(
                TopicAnswer(
                    name=asked.name, topic_id=asked.topic_id, partition_responses=partitions
                )
            )
        if self.acks == NO_ACK:
            if self.refusal:
                raise CloseConnection(f"a produce request with acks=0 failed: {self.refusal}")
            return None
        self.response.responses = topics
        return self.finish(request.timeout_ms)

    def append(
        self, ctx: RequestContext, topic: Any, number: int, records: Any, enlisted: Enlisted
    ) -> Any:
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
            space = broker.log_dir.space
            if space.is_short:
                space.check_clients()
            guard = None
            if enlisted is not NOBODY:
                error = enlisted.errors.get(partition.name)
                if error is not None:
                    return self._failed(ctx, number, error, None)
                guard = enlisted.guards.get(partition.name)
            info = partition.append(
                memoryview(b"") if records is None else records,
                now_ms=broker.timers.now_ms(),
                produce_version=ctx.api_version,
                verification=guard,
            )
        except RecordsRefused as refused:
            failed = self._failed(ctx, number, refused.error, partition)
            failed.record_errors = [
                RecordError(batch_index=index, batch_index_error_message=refused.reason)
                for index in refused.records
            ]
            return failed
        except KafkaError as why:
            return self._failed(ctx, number, why, partition)
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
        self.refusal = self.refusal or str(error)
        failed = PartitionAnswer(
            index=number, error_code=error.code, base_offset=-1, error_message=error.message
        )
        # It may be its log that cannot be opened.
        log = partition.opened if partition is not None else None
        if log is not None and not isinstance(error, START_UNTOLD):
            failed.log_start_offset = log.log_start_offset
        if partition is not None and isinstance(error, NotLeaderOrFollower):
            node = self.broker.node(partition.leadership.leader, ctx)
            if node is not None and ctx.api_version >= 10:
                failed.current_leader = LeaderHint(
                    leader_id=node.id, leader_epoch=partition.leader_epoch
                )
                told = self.response.node_endpoints
                if all(known.node_id != node.id for known in told):
                    # Once for all of its partitions: Java's clients end on one that is told twice.
                    endpoint = ProduceResponse.NodeEndpoint(
                        node_id=node.id, host=node.host, port=node.port, rack=node.rack
                    )
                    self.response.node_endpoints = [*told, endpoint]
        return failed

    def finish(self, timeout_ms: int) -> Answered:
        """Wait until everything appended is committed."""
        self.left = len(self.waiting)
        for given in self.waiting:
            given[0].await_commit(given[1], self.committed, given)
        if not self.left:
            return self.response
        self.is_late = True
        super().__init__()
        if timeout_ms < FLUSH_PATIENCE_MS and all(
            [len(given[0].leadership.isr) == 1 for given in self.waiting]
        ):
            timeout_ms = FLUSH_PATIENCE_MS
        self.timer = self.broker.timers.after(max(timeout_ms, 0), self.time_out)
        return self

    def committed(self, given: Given) -> None:
        """A partition is done with, well or not."""
        partition, offset, result = given
        if partition.high_watermark < offset:
            try:
                partition.check_leader()
                error: KafkaError = NotLeaderOrFollower("the leader has changed meanwhile")
            except KafkaError as why:
                error = why
            result.error_code, result.base_offset = error.code, -1
            result.log_start_offset, result.error_message = -1, error.message
        self.left -= 1
        if not self.left and self.is_late and not self.done:
            self.timer.cancel()
            self.complete(self.response)

    def time_out(self) -> None:
        """What is not committed now is not waited for any longer."""
        if self.done:
            return
        for partition, offset, result in self.waiting:
            if partition.opened is None:
                continue  # it was idle: all of it is committed
            if partition.high_watermark < offset and result.error_code == 0:
                result.error_code, result.base_offset = RequestTimedOut.code, -1
                result.log_start_offset = -1
                result.error_message = "the write was not on disk in time; it may still get there"
        self.complete(self.response)


def refused(request: ProduceRequest, error: KafkaError) -> ProduceResponse:
    if request.acks == NO_ACK:
        raise CloseConnection(f"a produce request with acks=0 failed: {error}")
    return all_failed(request, error)


def all_failed(request: ProduceRequest, error: KafkaError) -> ProduceResponse:
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
