"""The group coordinator of one broker: every request about groups and their offsets."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.coordination.append_error import append_error
from fastbroker.errors import KafkaError
from fastbroker.group import listing, offset_commit, offset_fetch, transactional_commit
from fastbroker.group.caller import Caller
from fastbroker.group.classic.explain import explain
from fastbroker.group.classic.join import join
from fastbroker.group.classic.membership import SINGLE_MEMBER, heartbeat, leave, leaving_members
from fastbroker.group.classic.state import State
from fastbroker.group.classic.sync import sync
from fastbroker.group.consumer import classic_members, commit, conversion, describe
from fastbroker.group.consumer import heartbeat as consumer_heartbeat
from fastbroker.group.consumer.change import Change
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.explain import explain as explain_consumers
from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.consumer.settings import NO_OVERRIDES, ConsumerSettings, Overrides
from fastbroker.group.offset_fetch import Asked
from fastbroker.group.offset_fetch import Group as FetchedGroup
from fastbroker.group.settings import GroupSettings
from fastbroker.group.shard import Append
from fastbroker.group.shards import Shards
from fastbroker.group.topics import Topics
from fastbroker.group.transactions import Producer, Transactions
from fastbroker.model import Deferred, Timers
from fastbroker.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from fastbroker.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
)
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from fastbroker.protocol.messages.describe_groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from fastbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from fastbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from fastbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from fastbroker.protocol.schema import Buffer
from fastbroker.records.control import EndTransactionMarker

DeletedGroup = DeleteGroupsResponse.DeletableGroupResult

NO_PROTOCOL_IS_NULL = 7  # version of JoinGroup; before, an error names the empty protocol


class GroupCoordinator:
    """Every group of this broker; belongs to one process and its loop.

    append: writes (key, value) records as one batch into a partition of __consumer_offsets; done
        once they are below the high watermark, failed with a KafkaError. Completes in call order.
    new_member_id: an id that begins with the text given, followed by "-" and a fresh UUID.
    topics: looks topics up in the newest metadata.
    transactions: the same partitions, as parts of transactions.
    overrides: a group's own settings, by its id.
    """

    def __init__(
        self,
        config: BrokerConfig,
        timers: Timers,
        *,
        append: Append,
        transactions: Transactions,
        new_member_id: Callable[[str], str],
        topics: Topics,
        overrides: Callable[[str], Overrides] = lambda group_id: NO_OVERRIDES,
        log: logging.Logger | None = None,
    ) -> None:
        self.settings = GroupSettings.of(config)
        self.timers = timers
        log = log or logging.getLogger("fastbroker.group")
        self.consumers = Environment(
            ConsumerSettings.of(config),
            timers,
            log,
            topics=topics,
            overrides=overrides,
            new_member_id=lambda: new_member_id("consumer"),
            count_members=self._count_members,
        )
        self.shards = Shards(
            self.settings,
            timers,
            append=append,
            transactions=transactions,
            consumers=self.consumers,
            log=log,
        )
        self._new_member_id = new_member_id
        self._topics, self._enlist = topics, transactions.enlist

    def partition_for(self, group_id: str) -> int:
        """The partition of __consumer_offsets that keeps a group."""
        return self.shards.partition_for(group_id)

    def _consumer_groups(self) -> Iterator[ConsumerGroup]:
        for shard in self.shards:
            for group in shard.groups.values():
                if isinstance(group, ConsumerGroup):
                    yield group

    def _count_members(self) -> int:
        return sum(len(group.members) for group in self._consumer_groups())

    # What happens around groups.

    def reconfigure(self, config: BrokerConfig) -> None:
        """Values of the broker were changed at run time."""
        self.consumers.settings = ConsumerSettings.of(config)

    def topic_has(self, partitions: int) -> None:
        """__consumer_offsets is there, with that many partitions."""
        self.shards.count = partitions

    def elected(
        self, partition: int, leader_epoch: int, batches: Iterable[Buffer]
    ) -> Deferred[None]:
        """This broker leads `partition` in `leader_epoch`: replay it, then serve its groups.

        batches: the partition's log from its start to the high watermark, as chunks of whole
        batches, taken one after the other as replay goes on: about a MiB before this returns, the
        rest between other work. An epoch not newer than the one served changes nothing.
        Done when the groups are served, or will not be: a newer epoch, resigned, unreadable log.
        """
        return self.shards.elected(partition, leader_epoch, batches)

    def resigned(self, partition: int) -> None:
        """This broker does not lead `partition` any more: who waits gets NOT_COORDINATOR."""
        self.shards.resigned(partition)

    def on_topics_deleted(self, names: Iterable[str]) -> None:
        """Drop the offsets committed on topics that are no more."""
        gone_topics = set(names)
        for shard in self.shards:
            gone = shard.offsets_on_topics(gone_topics)
            if shard.loaded and gone:
                shard.delete_offsets(gone)

    def on_topics_changed(self, names: set[str], came_or_went: set[str]) -> None:
        """Consumer groups that read these topics look at them with their next heartbeat.

        names: topics that came, went or have another number of partitions; came_or_went: those of
        them that came or went, which may change what a regex matches.
        """
        self.consumers.topics_changed(came_or_went)
        for group in self._consumer_groups():
            if group.reads_any(names):
                group.stale = True

    def expire(self, now_ms: int) -> None:
        """Give up offsets past retention, and groups that nothing is left of.

        To be called every offsets.retention.check.interval.ms; now_ms: wall clock.
        """
        for shard in self.shards:
            if shard.loaded:
                shard.expire(now_ms)

    # Members.

    def join_group(
        self, caller: Caller, request: JoinGroupRequest
    ) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
        """JoinGroup 0-9: answered when the rebalance is complete, or with an error."""
        answer = self._join_group(caller, request)
        if caller.api_version < NO_PROTOCOL_IS_NULL:
            return answer
        if isinstance(answer, Deferred):
            answer.then(lambda done: _without_protocol(done.result()))
        else:
            _without_protocol(answer)
        return answer

    def _join_group(
        self, caller: Caller, request: JoinGroupRequest
    ) -> JoinGroupResponse | Deferred[JoinGroupResponse]:
        try:
            if request.group_id:  # whose absence is told first
                self._check_session_timeout(request.session_timeout_ms)
            shard = self.shards.of(request.group_id)
            if request.member_id and request.group_id not in shard.groups:
                raise errors.UnknownMemberId("the group does not exist: join without a member id")
            group = shard.group_or_new(request.group_id)
            if isinstance(group, ConsumerGroup):
                if not group.is_empty:
                    return classic_members.join(self.consumers, shard, group, caller, request)
                change = Change(shard, group)
                group = conversion.restart_as_classic(change)
                failure = change.write().error
                if failure is not None:
                    raise errors.of(append_error(failure))(f"nothing can be stored: {failure}")
            try:
                return join(group, caller, request, self._new_member_id)
            finally:
                shard.forget_if_vacant(group)
        except errors.GroupMaxSizeReached as error:
            return JoinGroupResponse(error_code=error.code)  # the id is forgotten
        except KafkaError as error:
            return JoinGroupResponse(error_code=error.code, member_id=request.member_id)

    def sync_group(
        self, caller: Caller, request: SyncGroupRequest
    ) -> SyncGroupResponse | Deferred[SyncGroupResponse]:
        """SyncGroup 0-5: answered when the leader's assignment is stored."""
        try:
            if caller.api_version >= 5 and None in (request.protocol_type, request.protocol_name):
                raise errors.InconsistentGroupProtocol("a member names its protocol and type")
            group = self._group_of_member(request.group_id)
            if isinstance(group, ConsumerGroup):
                return classic_members.sync(self.consumers, group, request)
            return sync(group, request)
        except KafkaError as error:
            return SyncGroupResponse(error_code=error.code)

    def heartbeat(self, caller: Caller, request: HeartbeatRequest) -> HeartbeatResponse:
        """Heartbeat 0-4; while the group is loading everyone is taken to be a member."""
        try:
            group = self._group_of_member(request.group_id)
            if isinstance(group, ConsumerGroup):
                classic_members.heartbeat(group, request)
            else:
                heartbeat(group, request)
        except errors.CoordinatorLoadInProgress:
            return HeartbeatResponse()
        except KafkaError as error:
            return HeartbeatResponse(error_code=error.code)
        return HeartbeatResponse()

    def leave_group(
        self, caller: Caller, request: LeaveGroupRequest
    ) -> LeaveGroupResponse | Deferred[LeaveGroupResponse]:
        """LeaveGroup 0-5: several members at once from version 3."""
        try:
            group, version = self._group_of_member(request.group_id), caller.api_version
            if isinstance(group, ConsumerGroup):
                shard = self.shards.of(request.group_id)
                return classic_members.leave(self.consumers, shard, group, request, version)
            return leave(group, request, version)
        except errors.UnknownMemberId as error:
            if caller.api_version <= SINGLE_MEMBER:
                return LeaveGroupResponse(error_code=error.code)
            return LeaveGroupResponse(
                members=[
                    LeaveGroupResponse.MemberResponse(
                        member_id=one.member_id,
                        group_instance_id=one.group_instance_id,
                        error_code=error.code,
                    )
                    for one in leaving_members(request, caller.api_version)
                ]
            )
        except KafkaError as error:
            return LeaveGroupResponse(error_code=error.code)

    def _check_session_timeout(self, timeout_ms: int) -> None:
        least, most = self.settings.min_session_timeout_ms, self.settings.max_session_timeout_ms
        if not least <= timeout_ms <= most:
            raise errors.InvalidSessionTimeout(
                f"session.timeout.ms={timeout_ms} is not within {least} to {most}"
            )

    def _group_of_member(self, group_id: str) -> AnyGroup:
        group = self.shards.of(group_id).groups.get(group_id)
        if group is None:
            raise errors.UnknownMemberId(f"group {group_id!r} does not exist: join again")
        return group

    # Members with the consumer protocol.

    def consumer_group_heartbeat(
        self, caller: Caller, request: ConsumerGroupHeartbeatRequest
    ) -> consumer_heartbeat.Answer:
        """ConsumerGroupHeartbeat 0-1: answered once what it changes is written."""
        try:
            shard = self.shards.of(request.group_id, may_be_empty=True)
            return consumer_heartbeat.heartbeat(self.consumers, shard, caller, request)
        except KafkaError as error:
            return consumer_heartbeat.failed(error)

    def consumer_group_describe(
        self, caller: Caller, request: ConsumerGroupDescribeRequest
    ) -> ConsumerGroupDescribeResponse:
        """ConsumerGroupDescribe 0-1; with an explanation for whoever asks for it."""
        return ConsumerGroupDescribeResponse(
            groups=[
                self._described_consumers(group_id, explains=request.explain)
                for group_id in request.group_ids
            ]
        )

    def _described_consumers(self, group_id: str, *, explains: bool) -> describe.Described:
        try:
            shard = self.shards.of(group_id)
        except KafkaError as error:
            return describe.failed(group_id, error)
        group = shard.groups.get(group_id)
        if isinstance(group, ConsumerGroup) and not group.dead:
            told = describe.described(self.consumers, group)
            if explains:
                told.explanation = explain_consumers(group)
                told.explanation.unstable_offsets = listing.unstable_offsets(
                    shard.pending, group_id
                )
            return told
        return describe.not_found(group_id, is_there=group is not None)

    # Offsets.

    def offset_commit(
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

    def txn_offset_commit(
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
        partition = self.partition_for(request.group_id)

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

    def offset_fetch(
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

    def offset_delete(
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

    # Administration.

    def list_groups(self, caller: Caller, request: ListGroupsRequest) -> ListGroupsResponse:
        """ListGroups 0-5: the groups of this broker; an error while some are still loading."""
        if not all(shard.loaded for shard in self.shards):
            return ListGroupsResponse(error_code=errors.CoordinatorLoadInProgress.code)
        return ListGroupsResponse(
            groups=[
                one
                for shard in self.shards
                for group in shard.groups.values()
                for one in listing.listed(group, request)
            ]
        )

    def describe_groups(
        self, caller: Caller, request: DescribeGroupsRequest
    ) -> DescribeGroupsResponse:
        """DescribeGroups 0-6; with an explanation for whoever asks for it, from version 5 on."""
        return DescribeGroupsResponse(
            groups=[
                self._described(group_id, caller.api_version, explains=request.explain)
                for group_id in request.groups
            ]
        )

    def _described(
        self, group_id: str, api_version: int, *, explains: bool
    ) -> listing.Described:
        try:
            shard = self.shards.of(group_id, may_be_empty=True)
        except KafkaError as error:
            return listing.Described(
                group_id=group_id, error_code=error.code, error_message=error.message
            )
        group = shard.groups.get(group_id)
        if isinstance(group, ConsumerGroup):
            return listing.not_found(group_id, api_version, is_other=True)
        if group is None or group.state is State.DEAD:
            return listing.not_found(group_id, api_version)
        told = listing.described(group)
        if explains:
            told.explanation = explain(group)
            told.explanation.unstable_offsets = listing.unstable_offsets(shard.pending, group_id)
        return told

    def delete_groups(
        self, caller: Caller, request: DeleteGroupsRequest
    ) -> Deferred[DeleteGroupsResponse]:
        """DeleteGroups 0-2: groups without members, and all their offsets."""
        answer: Deferred[DeleteGroupsResponse] = Deferred()
        results = {name: DeletedGroup(group_id=name) for name in request.groups_names}
        left = len(results)

        def deleted(result: DeletedGroup, error_code: int) -> None:
            nonlocal left
            left -= 1
            result.error_code = error_code
            if not left:
                answer.complete(DeleteGroupsResponse(results=list(results.values())))

        if not results:
            answer.complete(DeleteGroupsResponse())
        for result in results.values():
            try:
                self._delete(result, deleted)
            except KafkaError as error:
                deleted(result, error.code)
        return answer

    def _delete(self, result: DeletedGroup, deleted: Callable[[DeletedGroup, int], None]) -> None:
        shard = self.shards.of(result.group_id, may_be_empty=True)
        group = shard.group(result.group_id)
        if group.dead:
            raise errors.GroupIdNotFound(f"group {group.group_id} is being deleted")
        if not group.is_empty:
            raise errors.NonEmptyGroup(f"group {group.group_id} has members: stop them first")
        shard.delete_group(group).then(
            lambda write: deleted(result, append_error(write.error) if write.error else 0)
        )


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


def _without_protocol(answer: JoinGroupResponse) -> None:
    if answer.error_code:
        answer.protocol_name = None
