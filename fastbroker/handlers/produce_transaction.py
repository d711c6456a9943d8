"""Produce with transactional batches: asked about, held, then appended (KIP-98, KIP-890)."""
from __future__ import annotations

from fastbroker._c.record_batch import BatchHeader, CorruptBatch, read_header
from fastbroker.errors import (
    CloseConnection,
    InvalidProducerIdMapping,
    KafkaError,
    NetworkException,
    NotLeaderOrFollower,
    TransactionalIdAuthorizationFailed,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, RequestContext
from fastbroker.handlers.enlistment import ADDS_SINCE, Enlistment, told
from fastbroker.handlers.produce_answer import (
    ADMIN_CLIENT,
    BY_ID_SINCE,
    Answered,
    Enlisted,
    ProduceAnswer,
    refused,
)
from fastbroker.model import Deferred, Holding, TopicPartition
from fastbroker.protocol.messages.produce import ProduceRequest, ProduceResponse
from fastbroker.storage.producer_state import Verification


def produce_transaction(
    ctx: RequestContext, request: ProduceRequest, answer: ProduceAnswer
) -> Answered:
    """Answer a request with a batch that is part of a transaction; see `produce`.

    answer: the request's, nothing appended yet. Raises CloseConnection.
    """
    if request.transactional_id is None:
        return refused(
            request,
            TransactionalIdAuthorizationFailed(
                "a transactional batch in a request without a transactional id"
            ),
        )
    producers, batches = _transactional_batches(ctx, request)
    if len(producers) > 1:
        return refused(
            request,
            InvalidProducerIdMapping("a request holds transactional batches of one producer only"),
        )
    led, guards, refusals = _guards(ctx, batches)
    adds = ctx.api_version >= ADDS_SINCE
    if not guards or not (
        adds or ctx.broker.config["transaction.partition.verification.enable"]
    ):
        return answer.append_all(ctx, request, Enlisted(guards, refusals))
    ((producer_id, producer_epoch),) = producers
    enlistment = Enlistment(
        ctx.broker, request.transactional_id, producer_id, producer_epoch, list(guards), add=adds
    )
    waiting = _Waiting(
        ctx, request, answer, Enlisted(guards, refusals), None if len(led) == len(batches) else led
    )
    enlistment.then(waiting.enlisted)
    enlistment.ask()
    return waiting


def _guards(
    ctx: RequestContext, batches: dict[TopicPartition, BatchHeader]
) -> tuple[
    set[TopicPartition], dict[TopicPartition, Verification], dict[TopicPartition, KafkaError]
]:
    """The partitions that are led here, a guard for each whose batch begins the transaction there,
    and for which none."""
    led: set[TopicPartition] = set()
    guards: dict[TopicPartition, Verification] = {}
    refusals: dict[TopicPartition, KafkaError] = {}
    for name, header in batches.items():
        partition = ctx.broker.partitions.get(name)
        if partition is None or not partition.is_leader:
            continue  # the append will say so
        if name.topic in INTERNAL_TOPICS and ctx.client_id != ADMIN_CLIENT:
            continue  # so it will
        led.add(name)
        try:
            guard = partition.begin_verification(
                header.producer_id, header.producer_epoch, base_sequence=header.base_sequence,
                own_epoch=ctx.api_version >= ADDS_SINCE,
            )  # fmt: skip
        except KafkaError as error:
            refusals[name] = error
            continue
        if guard is not None:
            guards[name] = guard
    return led, guards, refusals


class _Waiting(Holding[ProduceResponse | None]):
    """The response to a request whose partitions the coordinator is asked about.

    led: the partitions that were led here then; None: all.
    """

    __slots__ = ("answer", "asked", "ctx", "led", "request")

    def __init__(
        self, ctx: RequestContext, request: ProduceRequest, answer: ProduceAnswer, asked: Enlisted,
        led: set[TopicPartition] | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.ctx, self.request, self.answer, self.asked = ctx, request, answer, asked
        self.led = led

    def enlisted(self, enlistment: Deferred[dict[TopicPartition, int]]) -> None:
        """The coordinator has answered: append."""
        guards, refusals = self.asked
        codes: dict[TopicPartition, int] = {}
        try:
            codes = enlistment.result()
        except KafkaError as trouble:
            codes = dict.fromkeys(guards, trouble.code)
        except Exception as bug:
            self.fail(bug)
            return
        errors = dict(refusals)
        for name in guards:
            # What it is silent about it has not been asked, for all that is known here.
            error = told(codes.get(name, NetworkException.code), self.ctx.api_version)
            if error is not None:
                errors[name] = error
        errors.update(self._too_early())
        try:
            response = self.answer.append_all(self.ctx, self.request, Enlisted(guards, errors))
        except CloseConnection as closing:
            self.fail(closing)
            return
        if isinstance(response, Deferred):
            response.then(lambda done: self.complete(done.result()))
            self.let_go()
        else:
            self.complete(response)

    def _too_early(self) -> dict[TopicPartition, KafkaError]:
        """Partitions that have come here since the coordinator was asked, as those of a topic just
        made do: without a guard they would refuse the transaction for good."""
        if self.led is None:
            return {}
        _, batches = _transactional_batches(self.ctx, self.request)
        early = NotLeaderOrFollower(
            "the partition was not led here yet when the request came: send the batch again"
        )
        return {name: early for name in batches if name not in self.led}


def _transactional_batches(
    ctx: RequestContext, request: ProduceRequest
) -> tuple[set[tuple[int, int]], dict[TopicPartition, BatchHeader]]:
    """(producer id, epoch) of the transactional batches, and those of partitions that exist."""
    producers: set[tuple[int, int]] = set()
    batches: dict[TopicPartition, BatchHeader] = {}
    for topic in request.topic_data:
        name = topic.name
        if ctx.api_version >= BY_ID_SINCE:
            image = ctx.broker.image.topics_by_id.get(topic.topic_id)
            name = image.name if image is not None else ""
        for part in topic.partition_data:
            try:
                header = read_header(part.records or b"")
            except CorruptBatch:
                continue  # the append will say so
            if header.is_transactional and header.producer_id >= 0:
                producers.add((header.producer_id, header.producer_epoch))
                batches[TopicPartition(name, part.index)] = header
    return producers, batches
