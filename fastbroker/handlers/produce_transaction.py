"""Produce with transactional batches: asked about, held, then appended (KIP-98, KIP-890)."""
from __future__ import annotations

from fastbroker._c.record_batch import BatchHeader, CorruptBatch, read_header
from fastbroker.errors import (
    CloseConnection,
    InvalidProducerIdMapping,
    KafkaError,
    NetworkException,
    TransactionalIdAuthorizationFailed,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, RequestContext
from fastbroker.handlers.enlistment import ADDS_SINCE, Enlistment
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
    guards: dict[TopicPartition, Verification] = {}
    adds = ctx.api_version >= ADDS_SINCE
    for name, header in batches.items():
        partition = ctx.broker.partitions.get(name)
        if partition is None or not partition.is_leader:
            continue  # the append will say so
        if name.topic in INTERNAL_TOPICS and ctx.client_id != ADMIN_CLIENT:
            continue  # so it will
        guard = partition.begin_verification(
            header.producer_id, header.producer_epoch, base_sequence=header.base_sequence,
            own_epoch=adds,
        )  # fmt: skip
        if guard is not None:
            guards[name] = guard
    if not guards or not (
        adds or ctx.broker.config["transaction.partition.verification.enable"]
    ):
        return answer.append_all(ctx, request, Enlisted(guards, {}))
    ((producer_id, producer_epoch),) = producers
    enlistment = Enlistment(
        ctx.broker, request.transactional_id, producer_id, producer_epoch, list(guards), add=adds
    )
    waiting = _Waiting(ctx, request, answer, guards)
    enlistment.then(waiting.enlisted)
    enlistment.ask()
    return waiting


class _Waiting(Holding[ProduceResponse | None]):
    """The response to a request whose partitions the coordinator is asked about."""

    __slots__ = ("answer", "ctx", "guards", "request")

    def __init__(
        self, ctx: RequestContext, request: ProduceRequest, answer: ProduceAnswer,
        guards: dict[TopicPartition, Verification],
    ) -> None:  # fmt: skip
        super().__init__()
        self.ctx, self.request, self.answer, self.guards = ctx, request, answer, guards

    def enlisted(self, enlistment: Deferred[dict[TopicPartition, int]]) -> None:
        """The coordinator has answered: append."""
        try:
            codes = enlistment.result()
        except KafkaError as error:
            codes = dict.fromkeys(self.guards, error.code)
        except Exception as error:
            self.fail(error)
            return
        # What it is silent about it has not been asked, for all that is known here.
        codes = {name: codes.get(name, NetworkException.code) for name in self.guards}
        try:
            response = self.answer.append_all(
                self.ctx, self.request, Enlisted(self.guards, codes)
            )
        except CloseConnection as error:
            self.fail(error)
            return
        if isinstance(response, Deferred):
            response.then(lambda done: self.complete(done.result()))
            self.let_go()
        else:
            self.complete(response)


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
