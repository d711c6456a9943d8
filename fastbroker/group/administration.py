"""What administrators ask about groups, of either protocol: to list, describe and delete them."""
from __future__ import annotations

from collections.abc import Callable

from fastbroker import errors
from fastbroker.coordination.append_error import append_error
from fastbroker.errors import KafkaError
from fastbroker.group import listing
from fastbroker.group.caller import Caller
from fastbroker.group.classic.explain import explain
from fastbroker.group.classic.state import State
from fastbroker.group.consumer import describe
from fastbroker.group.consumer.environment import Environment
from fastbroker.group.consumer.explain import explain as explain_consumers
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.shards import Shards
from fastbroker.model import Deferred
from fastbroker.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from fastbroker.protocol.messages.describe_groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from fastbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse

DescribedConsumers = describe.Described
DeletedGroup = DeleteGroupsResponse.DeletableGroupResult


class Administration:
    """Part of a GroupCoordinator, which says what the arguments are."""

    def __init__(self, shards: Shards, consumers: Environment) -> None:
        self.shards, self.consumers = shards, consumers

    def list(self, caller: Caller, request: ListGroupsRequest) -> ListGroupsResponse:
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

    def describe(
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

    def delete(
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

    def describe_consumers(
        self, caller: Caller, request: ConsumerGroupDescribeRequest
    ) -> ConsumerGroupDescribeResponse:
        """ConsumerGroupDescribe 0-1; with an explanation for whoever asks for it."""
        return ConsumerGroupDescribeResponse(
            groups=[
                self._described_consumers(group_id, explains=request.explain)
                for group_id in request.group_ids
            ]
        )

    def _described_consumers(self, group_id: str, *, explains: bool) -> DescribedConsumers:
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
