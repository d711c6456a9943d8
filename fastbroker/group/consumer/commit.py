"""Who may commit and fetch offsets of a consumer group.

A member commits with its epoch, a classic one with its generation, which is the same. An older
epoch is enough for partitions that it has owned since: the commit and a heartbeat that raised the
epoch may have crossed (KIP-1251). Kafka: ConsumerGroup.validateOffsetCommit, validateOffsetFetch.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastbroker.errors import (
    CoordinatorNotAvailable,
    IllegalGeneration,
    KafkaError,
    StaleMemberEpoch,
    UnknownMemberId,
    UnsupportedVersion,
)
from fastbroker.group.consumer.group import ConsumerGroup
from fastbroker.group.consumer.member import ConsumerMember

MEMBER_EPOCHS = 9  # from this version of OffsetCommit on a member may use the consumer protocol

# Called with a partition's topic id and number; raises what forbids to commit it.
PartitionCheck = Callable[[bytes | None, int], object]


class CommitRequest(Protocol):
    """OffsetCommit and TxnOffsetCommit, as far as the committer goes."""

    member_id: str
    group_instance_id: str | None


def anything(_topic_id: bytes | None, _partition: int) -> None:
    """Every partition may be committed."""


def check_commit(
    group: ConsumerGroup,
    request: CommitRequest,
    *,
    epoch: int,
    api_version: int | None,
) -> PartitionCheck:
    """Whether the sender may commit; the result is to be asked for each partition.

    api_version: None for a transactional commit. Raises CoordinatorNotAvailable, UnknownMemberId,
    UnsupportedVersion, StaleMemberEpoch, IllegalGeneration.
    """
    if group.dead:
        raise CoordinatorNotAvailable(f"group {group.group_id} is being deleted: try again")
    if epoch < 0 and not group.members:
        return anything
    if (
        api_version is None
        and epoch == -1
        and not request.member_id
        and request.group_instance_id is None
    ):
        return anything
    member = group.members.get(request.member_id)
    if member is None:
        raise UnknownMemberId(
            f"Member {request.member_id} is not a member of group {group.group_id}: while it has"
            " members, only they commit its offsets"
        )
    if api_version is not None and api_version < MEMBER_EPOCHS and not member.is_classic:
        raise UnsupportedVersion(
            "OffsetCommit version 9 or above must be used by members using the consumer group"
            " protocol: use a newer client"
        )
    current = member.now
    if epoch == current.epoch:
        return anything
    if epoch > current.epoch:
        raise _wrong_epoch(member, f"{epoch} is newer than its epoch, {current.epoch}")

    def check(topic_id: bytes | None, partition: int) -> None:
        for owned in (current.assigned, current.revoking):
            since = owned.get(topic_id or b"", {}).get(partition)
            if since is not None:
                if epoch < since:
                    raise _wrong_epoch(
                        member, f"{epoch} is older than {since}, in which it got the partition"
                    )
                return
        raise _wrong_epoch(
            member, f"{epoch} is older than its epoch, {current.epoch}, and it has lost a partition"
        )

    return check


def check_fetch(group: ConsumerGroup, member_id: str | None, epoch: int) -> None:
    """Whether the sender may fetch offsets: everyone who does not say who it is may.

    Raises UnknownMemberId, StaleMemberEpoch, IllegalGeneration.
    """
    if member_id is None and epoch < 0:
        return
    member = group.members.get(member_id or "")
    if member is None:
        raise UnknownMemberId(f"Member {member_id} is not a member of group {group.group_id}.")
    if epoch != member.now.epoch:
        raise _wrong_epoch(member, f"{epoch} is not its epoch, {member.now.epoch}")


def _wrong_epoch(member: ConsumerMember, why: str) -> KafkaError:
    if member.is_classic:
        return IllegalGeneration(f"member {member.member_id}: generation {why}: join again")
    return StaleMemberEpoch(f"member {member.member_id}: epoch {why}: send a heartbeat, try again")
