"""Offsets that groups commit and fetch: at once, in transactions, and deleted."""
from __future__ import annotations

from functools import partial

from fastbroker import errors
from fastbroker.coordination.append_error import append_error
from fastbroker.errors import KafkaError
from fastbroker.group import offset_commit, offset_fetch, transactional_commit
from fastbroker.group.caller import Caller
from fastbroker.group.consumer import commit
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.offset_fetch import Asked
from fastbroker.group.offset_fetch import Group as FetchedGroup
from fastbroker.group.settings import GroupSettings
from fastbroker.group.shards import Shards
from fastbroker.group.topics import Topics
from fastbroker.group.transactions import Enlist, Producer
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from fastbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from fastbroker.records.control import EndTransactionMarker


class OffsetRequests:
    """Part of a GroupCoordinator, which says what the arguments are."""

    def __init__(
        self,
        settings: GroupSettings,
        timers: Timers,
        shards: Shards,
        topics: Topics,
        enlist: Enlist,
    ) -> None:
        self.settings, self.timers, self.shards = settings, timers, shards
        self._topics, self._enlist = topics, enlist

    def commit(
        self, caller: Caller, request: OffsetCommitRequest
    ) -> OffsetCommitResponse | Deferred[OffsetCommitResponse]:
        """OffsetCommit 2-10: answered when the offsets are below the high watermark."""
        try:
            shard = self.shards.of(request.group_id, may_be_empty=True)
            group = shard.groups.get(request.group_id)
            check: commit.PartitionCheck = commit.anything
            if isinstance(group, ConsumerGroup):
                check = commit.check_commit(
                    group,
                    request,
                    epoch=request.generation_id_or_member_epoch,
                    api_version=caller.api_version,
                )
            else:
                offset_commit.check_commit(group, request, caller.api_version)
        except KafkaError as error:
            return offset_commit.all_failed(request, error.code)
        response, commits = offset_commit.sort_out(
            request,
            api_version=caller.api_version,
            topics=self._topics,
            now_ms=self.timers.now_ms(),
            metadata_max_bytes=self.settings.offset_metadata_max_bytes,
        )
        if not commits:
            return response
        try:
            for at, committed in commits:
                check(committed.topic_id, at.partition)
        except KafkaError as error:
            return offset_commit.all_failed(request, error.code)

        def written(write: Deferred[None]) -> None:
            if write.error is None:
                answer.complete(response)
            else:
                answer.complete(offset_commit.all_failed(request, append_error(write.error)))

        answer: Deferred[OffsetCommitResponse] = Deferred()
        shard.commit(request.group_id, commits).then(written)
        return answer

    def commit_in_transaction(
        self, caller: Caller, request: TxnOffsetCommitRequest
    ) -> TxnOffsetCommitResponse | Deferred[TxnOffsetCommitResponse]:
        """TxnOffsetCommit 0-5: answered when the offsets are below the high watermark.

        They count when the transaction is committed. Unless it is open in this partition of
        __consumer_offsets, its coordinator is asked first whether the partition is part of it.
        """
        version = caller.api_version
        response, commits = transactional_commit.sort_out(
            request,
            topics=self._topics,
            now_ms=self.timers.now_ms(),
            metadata_max_bytes=self.settings.offset_metadata_max_bytes,
        )
        if not commits:
            return response  # every partition has its own error
        answer: Deferred[TxnOffsetCommitResponse] = Deferred()
        producer = Producer(request.producer_id, request.producer_epoch)
        partition = self.shards.partition_for(request.group_id)

        def fail(error_code: int) -> TxnOffsetCommitResponse:
            transactional_commit.failed(response, error_code, version)
            return response

        def write(verification: object | None) -> None:
            # Others had their turn: the group is another one, perhaps, or served elsewhere.
            try:
                shard = self.shards.of(request.group_id)
                group = shard.groups.get(request.group_id)
                _check_in_transaction(group, request, commits)
                done = shard.commit_in_transaction(
                    request.group_id, commits, producer, verification
                )
            except KafkaError as error:
                answer.complete(fail(error.code))
                return
            done.then(
                lambda done: answer.complete(
                    response if done.error is None else fail(append_error(done.error))
                )
            )

        def enlisted(verification: object, code: Deferred[int]) -> None:
            if code.error is not None:
                answer.complete(fail(append_error(code.error)))
            elif code.value:
                answer.complete(fail(code.value))
            else:
                write(verification)

        # Nothing would ever end their transactions, where nobody verifies that there are any.
        if producer.id < 0:
            return fail(errors.InvalidProducerIdMapping.code)
        if producer.epoch < 0:
            return fail(errors.InvalidProducerEpoch.code)
        try:
            verification = self.shards.of(request.group_id).begin_verification(producer)
        except KafkaError as error:
            return fail(append_error(error))
        if verification is None:
            write(None)
            return answer
        self._enlist(
            partition,
            request.transactional_id,
            producer,
            add=version >= transactional_commit.ADDS_PARTITION,
        ).then(partial(enlisted, verification))
        return answer

    def complete_transaction(
        self, partition: int, marker: EndTransactionMarker
    ) -> Deferred[None]:
        """Write a marker into `partition` of __consumer_offsets, and apply it there.

        Done when the marker is below the high watermark. Fails with a KafkaError; where the
        partition is not served, with NotLeaderOrFollower, which transaction coordinators expect.
        """
        try:
            shard = self.shards.at(partition)
        except KafkaError as error:
            done: Deferred[None] = Deferred()
            done.fail(errors.NotLeaderOrFollower(error.message))
            return done
        return shard.complete_transaction(marker)

    def fetch(
        self, caller: Caller, request: OffsetFetchRequest
    ) -> OffsetFetchResponse | Deferred[OffsetFetchResponse]:
        """OffsetFetch 1-10: what is committed; -1 where nothing is.

        With require_stable the answer waits for the commits that are being written, and
        UNSTABLE_OFFSET_COMMIT tells of an offset in a transaction that is open. A member id and
        epoch say nothing about a classic group.
        """
        asked = offset_fetch.asked_groups(request, caller.api_version)
        answer: Deferred[OffsetFetchResponse] = Deferred()
        found: dict[int, FetchedGroup] = {}

        def fetch(at: int) -> None:
            found[at] = self._offsets_of(
                asked[at], api_version=caller.api_version, require_stable=request.require_stable
            )
            if len(found) == len(asked):
                groups = [found[n] for n in range(len(asked))]
                answer.complete(offset_fetch.response(groups, caller.api_version))

        if not asked:
            return OffsetFetchResponse()
        for at, one in enumerate(asked):
            try:
                shard = self.shards.of(one.group_id, may_be_empty=True)
            except KafkaError:
                fetch(at)  # finds the same, and says so
                continue
            if request.require_stable:
                shard.when_settled(lambda at=at: fetch(at))  # type: ignore[misc]
            else:
                fetch(at)
        return answer

    def _offsets_of(
        self, asked: Asked, *, api_version: int, require_stable: bool
    ) -> FetchedGroup:
        try:
            shard = self.shards.of(asked.group_id, may_be_empty=True)
        except KafkaError as error:
            return offset_fetch.failed(asked, error.code)
        group = shard.groups.get(asked.group_id)
        if isinstance(group, ConsumerGroup):
            try:
                commit.check_fetch(group, asked.member_id, asked.member_epoch)
            except KafkaError as error:
                return offset_fetch.failed(asked, error.code)
        return offset_fetch.fetch(
            asked,
            shard.offsets.of(asked.group_id),
            shard.pending.of(asked.group_id) if require_stable else (),
            api_version=api_version,
            topics=self._topics,
        )

    def delete(
        self, caller: Caller, request: OffsetDeleteRequest
    ) -> OffsetDeleteResponse | Deferred[OffsetDeleteResponse]:
        """OffsetDelete 0: offsets of an empty group, or of topics that its members do not read."""
        try:
            shard = self.shards.of(request.group_id)
            group = shard.group(request.group_id)
            offset_commit.check_delete(group)
        except KafkaError as error:
            return OffsetDeleteResponse(error_code=error.code)
        response, gone = offset_commit.delete(group, request, self._topics)
        group_id = request.group_id
        answer: Deferred[OffsetDeleteResponse] = Deferred()

        def written(write: Deferred[None]) -> None:
            if write.error is None:
                answer.complete(response)
            else:
                answer.complete(OffsetDeleteResponse(error_code=append_error(write.error)))

        shard.delete_offsets(
            [(group_id, at) for at in gone if shard.has_offset(group_id, at)]
        ).then(written)
        return answer


def _check_in_transaction(
    group: AnyGroup | None,
    request: TxnOffsetCommitRequest,
    commits: transactional_commit.Commits,
) -> None:
    if not isinstance(group, ConsumerGroup):
        transactional_commit.check(group, request)
        return
    check = commit.check_commit(group, request, epoch=request.generation_id, api_version=None)
    for at, committed in commits:
        check(committed.topic_id, at.partition)
