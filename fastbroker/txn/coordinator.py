"""The transaction coordinator of one broker: every request about transactional ids."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.coordination.topics import INTERNAL_TOPICS, OFFSETS_TOPIC
from fastbroker.errors import KafkaError
from fastbroker.model import Deferred, Timers, TopicPartition
from fastbroker.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)
from fastbroker.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
)
from fastbroker.protocol.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
)
from fastbroker.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from fastbroker.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from fastbroker.protocol.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
)
from fastbroker.protocol.schema import Buffer
from fastbroker.txn import addition, listing
from fastbroker.txn.attempt import Attempt, ProducerIdWanted, attempted, patient
from fastbroker.txn.end import check_owner, ended
from fastbroker.txn.entry import Entry
from fastbroker.txn.initialize import created, initialized
from fastbroker.txn.markers import LeaderOf, Markers, WriteMarkers
from fastbroker.txn.producer_ids import check_producer
from fastbroker.txn.settings import TransactionSettings
from fastbroker.txn.shard import Append, Shard
from fastbroker.txn.shards import Shards
from fastbroker.txn.state import State
from fastbroker.txn.transaction import BUMPS_EPOCHS, NO_EPOCH, Transaction

# Versions of the requests from which their sender speaks TV2.
END_BUMPS_SINCE, ADD_BATCH_SINCE = 5, 4
# Before these versions a fenced producer is told INVALID_PRODUCER_EPOCH (KIP-588).
FENCED_SINCE: dict[type[Any], int] = {
    InitProducerIdRequest: 4,
    AddPartitionsToTxnRequest: 2,
    AddOffsetsToTxnRequest: 2,
    EndTxnRequest: 2,
}

R = TypeVar("R")


class TransactionCoordinator:
    """Every transactional id of this broker; belongs to one process and its loop.

    append: writes (key, value) records as one batch into a partition of __transaction_state; done
        once they are below the high watermark, failed with a KafkaError. Completes in call order.
    allocate_producer_id(): a fresh producer id.
    write_markers, leader_of: see Markers. offsets_partition(group id): of __consumer_offsets.
    version(): transaction.version of the cluster.
    """

    def __init__(
        self,
        config: BrokerConfig,
        timers: Timers,
        *,
        append: Append,
        allocate_producer_id: Callable[[], Deferred[int]],
        write_markers: WriteMarkers,
        leader_of: LeaderOf,
        offsets_partition: Callable[[str], int],
        version: Callable[[], int],
        log: logging.Logger | None = None,
    ) -> None:
        self.settings = TransactionSettings.of(config)
        self.timers = timers
        log = log or logging.getLogger("fastbroker.txn")
        self.markers = Markers(timers, write_markers=write_markers, leader_of=leader_of, log=log)
        self.shards = Shards(
            self.settings,
            timers,
            append=append,
            allocate=allocate_producer_id,
            markers=self.markers,
            version=version,
            log=log,
        )
        self._allocate, self._leader_of, self._version = allocate_producer_id, leader_of, version
        self._offsets_partition = offsets_partition

    def partition_for(self, transactional_id: str) -> int:
        """The partition of __transaction_state that keeps an id."""
        return self.shards.partition_for(transactional_id)

    # What happens around transactions.

    def topic_has(self, partitions: int) -> None:
        """__transaction_state is there, with that many partitions."""
        self.shards.count = partitions

    def elected(
        self, partition: int, leader_epoch: int, batches: Iterable[Buffer]
    ) -> Deferred[None]:
        """This broker leads `partition` in `leader_epoch`; see TopicShards.elected."""
        return self.shards.elected(partition, leader_epoch, batches)

    def resigned(self, partition: int) -> None:
        """This broker does not lead `partition` any more: who waits gets NOT_COORDINATOR."""
        self.shards.resigned(partition)

    def abort_timed_out(self, now_ms: int) -> None:
        """Abort what has been open for longer than its producer said.

        To be called every transaction.abort.timed.out.transaction.cleanup.interval.ms; now_ms:
        wall clock.
        """
        for shard in self.shards:
            if shard.loaded:
                shard.abort_timed_out(now_ms)

    def expire(self, now_ms: int) -> None:
        """Give up ids that nothing has been heard of for transactional.id.expiration.ms.

        To be called every transaction.remove.expired.transaction.cleanup.interval.ms.
        """
        for shard in self.shards:
            if shard.loaded:
                shard.expire(now_ms)

    # Producers.

    def init_producer_id(
        self, request: InitProducerIdRequest, *, api_version: int
    ) -> Deferred[InitProducerIdResponse]:
        """InitProducerId 0-5 of an id: answered when the epoch is on disk, or with an error."""

        def failed(error: KafkaError) -> InitProducerIdResponse:
            code = _code(error, InitProducerIdRequest, api_version)
            return InitProducerIdResponse(error_code=code, producer_epoch=NO_EPOCH)

        def answered(following: Transaction) -> InitProducerIdResponse:
            if following.state is not State.EMPTY:
                return failed(
                    errors.ConcurrentTransactions("the open transaction is aborted: try again")
                )
            return InitProducerIdResponse(
                producer_id=following.producer_id, producer_epoch=following.producer_epoch
            )

        return self._answer(lambda fresh_id: self._initialize(request, fresh_id), answered, failed)

    def _initialize(
        self, request: InitProducerIdRequest, fresh_id: int | None
    ) -> Deferred[Transaction]:
        assert request.transactional_id is not None, "see producer_ids.py"
        check_producer(request)
        name, timeout_ms = request.transactional_id, request.transaction_timeout_ms
        if name and not 0 < timeout_ms <= self.settings.max_timeout_ms:
            raise errors.InvalidTransactionTimeout(
                f"transaction.timeout.ms={timeout_ms} is not within 1 to"
                f" {self.settings.max_timeout_ms} (transaction.max.timeout.ms)"
            )
        shard, now_ms = self.shards.of(name), self.timers.now_ms()
        entry = shard.entries.get(name)
        if entry is None:
            if fresh_id is None:
                raise ProducerIdWanted
            entry = shard.entries[name] = Entry(name)
            return shard.write(entry, created(fresh_id, timeout_ms=timeout_ms, now_ms=now_ms))
        entry.check_settled()
        assert entry.kept is not None
        following = initialized(
            entry.kept,
            producer_id=request.producer_id,
            producer_epoch=request.producer_epoch,
            timeout_ms=timeout_ms,
            version=self._version(),
            fresh_id=fresh_id,
            now_ms=now_ms,
        )
        return shard.write(entry, following)

    def end_txn(self, request: EndTxnRequest, *, api_version: int) -> Deferred[EndTxnResponse]:
        """EndTxn 0-5: answered when the decision is on disk; markers follow."""
        bumps = api_version >= END_BUMPS_SINCE and self._version() >= BUMPS_EPOCHS
        client_version = BUMPS_EPOCHS if bumps else 0

        def attempt(fresh_id: int | None) -> Deferred[Transaction] | Transaction:
            shard = self.shards.of(request.transactional_id)
            entry = _entry(shard, request.transactional_id, request.producer_id)
            assert entry.kept is not None
            if not bumps:
                check_owner(entry.kept, request.producer_id, request.producer_epoch)
            # First of all with TV2: its producer may have the id that takes over only now.
            entry.check_settled()
            following = ended(
                entry.kept,
                producer_id=request.producer_id,
                producer_epoch=request.producer_epoch,
                commit=request.committed,
                version=client_version,
                fresh_id=fresh_id,
                now_ms=self.timers.now_ms(),
            )
            return entry.kept if following is None else shard.write(entry, following)

        def answered(following: Transaction) -> EndTxnResponse:
            if following.state.is_prepared:
                following = following.completed(following.updated_ms)
            return EndTxnResponse(
                producer_id=following.producer_id, producer_epoch=following.producer_epoch
            )

        def failed(error: KafkaError) -> EndTxnResponse:
            return EndTxnResponse(error_code=_code(error, EndTxnRequest, api_version))

        return self._answer(attempt, answered, failed)

    def _answer(
        self,
        attempt: Attempt,
        answered: Callable[[Transaction], R],
        failed: Callable[[KafkaError], R],
    ) -> Deferred[R]:
        """What `attempt` leads to, as a response."""
        response: Deferred[R] = Deferred()

        def done(result: Deferred[Transaction]) -> None:
            if isinstance(result.error, KafkaError):
                response.complete(failed(result.error))
            else:
                response.complete(answered(result.result()))

        attempted(attempt, self._allocate).then(done)
        return response

    # Partitions.

    def add_offsets_to_txn(
        self, request: AddOffsetsToTxnRequest, *, api_version: int
    ) -> Deferred[AddOffsetsToTxnResponse]:
        """AddOffsetsToTxn 0-4: the partition of __consumer_offsets that keeps a group. It waits as
        partitions do, see `add_partitions_to_txn`."""
        number = self._offsets_partition(request.group_id)

        def attempt(_: int | None) -> Deferred[Transaction] | Transaction:
            return self._add(
                request.transactional_id,
                producer_id=request.producer_id,
                producer_epoch=request.producer_epoch,
                partitions=frozenset({TopicPartition(OFFSETS_TOPIC, number)}),
                client_version=0,
            )

        patiently = self._patient(request.transactional_id, attempt, self.settings.client_wait_ms)
        return self._answer(
            patiently,
            lambda _: AddOffsetsToTxnResponse(),
            lambda error: AddOffsetsToTxnResponse(
                error_code=_code(error, AddOffsetsToTxnRequest, api_version)
            ),
        )

    def add_partitions_to_txn(
        self, request: AddPartitionsToTxnRequest, *, api_version: int
    ) -> Deferred[AddPartitionsToTxnResponse]:
        """AddPartitionsToTxn 0-5: a client's, and from version 4 the batch of a broker.

        An addition waits for a transition that is on its way, for so long at most: it is a
        producer's next transaction, begun when the one before was decided. Who is not told to try
        again cannot do it wrongly: KafkaJS would spread the keyless records of a send over the
        partitions anew, and lose those that moved to a broker which has got its part already.
        """
        asked = addition.asked(request, api_version)
        response: Deferred[AddPartitionsToTxnResponse] = Deferred()
        codes: dict[int, addition.Codes] = {}

        def answered(at: int, found: addition.Codes) -> None:
            codes[at] = found
            if len(codes) == len(asked):
                results = [(asked[n], codes[n]) for n in range(len(asked))]
                response.complete(addition.response(results, api_version))

        if not asked:
            response.complete(AddPartitionsToTxnResponse())
        for at, one in enumerate(asked):
            self._addition(one, api_version).then(
                lambda done, at=at: answered(at, done.result())  # type: ignore[misc]
            )
        return response

    def _addition(self, one: addition.Asked, api_version: int) -> Deferred[addition.Codes]:
        is_batch = api_version >= ADD_BATCH_SINCE
        refused = {
            at: code for at in one.partitions if (code := self._refusal(at, of_client=not is_batch))
        }
        if refused:
            others = errors.OperationNotAttempted.code
            return _done({at: refused.get(at, others) for at in one.partitions})

        def failed(error: KafkaError) -> addition.Codes:
            code = _code(error, AddPartitionsToTxnRequest, api_version)
            return dict.fromkeys(one.partitions, code)

        if one.verify_only:
            try:
                return _done(self._verify(one))
            except KafkaError as error:
                return _done(failed(error))
        bumps = is_batch and self._version() >= BUMPS_EPOCHS

        def add(_: int | None) -> Deferred[Transaction] | Transaction:
            return self._add(
                one.transactional_id,
                producer_id=one.producer_id,
                producer_epoch=one.producer_epoch,
                partitions=frozenset(one.partitions),
                client_version=BUMPS_EPOCHS if bumps else 0,
            )

        within_ms = self.settings.add_wait_ms if is_batch else self.settings.client_wait_ms
        attempt = self._patient(one.transactional_id, add, within_ms)
        return self._answer(attempt, lambda _: dict.fromkeys(one.partitions, 0), failed)

    def _refusal(self, partition: TopicPartition, *, of_client: bool) -> int:
        """Why a partition cannot be added; 0: it can. Clients add no internal topics by name."""
        if of_client and partition.topic in INTERNAL_TOPICS:
            return errors.TopicAuthorizationFailed.code
        if self._leader_of(partition) is None:
            return errors.UnknownTopicOrPartition.code
        return 0

    def _verify(self, one: addition.Asked) -> addition.Codes:
        """Whether partitions are in a transaction; what is pending does not count: the partition
        looks again when it appends."""
        shard = self.shards.of(one.transactional_id)
        kept = _entry(shard, one.transactional_id, one.producer_id).kept
        assert kept is not None
        addition.check(kept, one.producer_id, one.producer_epoch)
        abortable = errors.TransactionAbortable.code
        return {at: 0 if at in kept.partitions else abortable for at in one.partitions}

    def _add(
        self,
        transactional_id: str,
        *,
        producer_id: int,
        producer_epoch: int,
        partitions: frozenset[TopicPartition],
        client_version: int,
    ) -> Deferred[Transaction] | Transaction:
        shard = self.shards.of(transactional_id)
        entry = _entry(shard, transactional_id, producer_id)
        # Before the owner is checked: it may be a producer id that takes over only now.
        entry.check_settled()
        kept = entry.kept
        assert kept is not None
        addition.check(kept, producer_id, producer_epoch)
        if kept.state is State.ONGOING and partitions <= kept.partitions:
            return kept
        following = kept.added(
            partitions, client_version=client_version, now_ms=self.timers.now_ms()
        )
        return shard.write(entry, following)

    def _patient(self, transactional_id: str, attempt: Attempt, within_ms: int) -> Attempt:
        """`attempt`, made again at every transition while it is told CONCURRENT_TRANSACTIONS."""

        def entry() -> Entry | None:
            return self.shards.of(transactional_id).entries.get(transactional_id)

        return patient(attempt, entry, self.timers, within_ms=within_ms)

    # Administration.

    def describe_transactions(
        self, request: DescribeTransactionsRequest
    ) -> DescribeTransactionsResponse:
        """DescribeTransactions 0."""
        return DescribeTransactionsResponse(
            transaction_states=[self._described(name) for name in request.transactional_ids]
        )

    def _described(self, transactional_id: str) -> Any:
        try:
            return listing.described(self.shards.of(transactional_id), transactional_id)
        except KafkaError as error:
            return listing.Described(transactional_id=transactional_id, error_code=error.code)

    def list_transactions(self, request: ListTransactionsRequest) -> ListTransactionsResponse:
        """ListTransactions 0-2: the ids of this broker; an error while some are loading."""
        try:
            if not all(shard.loaded for shard in self.shards):
                raise errors.CoordinatorLoadInProgress("some transactional ids are being loaded")
            listed = listing.listed_by(request, self.timers.now_ms())
        except KafkaError as error:
            return ListTransactionsResponse(error_code=error.code)
        return ListTransactionsResponse(
            unknown_state_filters=listing.unknown_states(request),
            transaction_states=[
                one
                for shard in self.shards
                for entry in shard.entries.values()
                for one in listed(entry)
            ],
        )


def _entry(shard: Shard, transactional_id: str, producer_id: int) -> Entry:
    """The id, once it is made. Raises InvalidProducerIdMapping."""
    entry = shard.entries.get(transactional_id)
    if entry is None or entry.kept is None:
        raise errors.InvalidProducerIdMapping(
            f"transactional id {transactional_id!r} has no producer id {producer_id}: it has"
            " expired, or was never initialized; call initTransactions"
        )
    return entry


def _code(error: KafkaError, request: type[Any], api_version: int) -> int:
    if isinstance(error, errors.ProducerFenced) and api_version < FENCED_SINCE[request]:
        return errors.InvalidProducerEpoch.code
    return error.code


def _done(value: R) -> Deferred[R]:
    done: Deferred[R] = Deferred()
    done.complete(value)
    return done
