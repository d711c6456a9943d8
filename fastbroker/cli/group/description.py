"""What a group is and does, from the answers of either protocol: the classic one or KIP-848's."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastbroker.cli import ranges
from fastbroker.cli.output import Failure
from fastbroker.cli.spans import topics_text
from fastbroker.protocol.explanation import Explanation

CLASSIC, CONSUMER = "classic", "consumer"
CONSUMER_PROTOCOL = "consumer"  # the protocol type of groups that read topics
DEAD = "Dead"


class Member(NamedTuple):
    """A member. assigned: None when its bytes are no assignment that we know.

    epoch, target: of KIP-848 only; what it has yet to give up or to take is the difference.
    """

    member_id: str
    client_id: str
    host: str
    instance_id: str | None
    assigned: Mapping[str, Sequence[int]] | None
    epoch: int | None = None
    target: Mapping[str, Sequence[int]] | None = None


class Wait(NamedTuple):
    """What keeps a group from being stable: a member, and what it has to do."""

    member_id: str
    client_id: str
    what: str


class Description(NamedTuple):
    """A group.

    epoch, assignment_epoch: of KIP-848 only; the protocol does not tell a classic generation.
    waits: what keeps it from being stable, as far as any broker tells; explanation: what ours adds.
    """

    group: str
    type: str
    state: str
    protocol_type: str
    assignor: str
    coordinator: int
    members: list[Member]
    epoch: int | None = None
    assignment_epoch: int | None = None
    waits: Sequence[Wait] = ()
    explanation: Explanation | None = None

    @property
    def is_consumer(self) -> bool:
        """Whether it is a group of KIP-848."""
        return self.type == CONSUMER


def of_classic(node: int, answer: Any) -> Description:
    """From one group of a DescribeGroups response."""
    return Description(
        group=answer.group_id,
        type=CLASSIC,
        state=answer.group_state,
        protocol_type=answer.protocol_type,
        assignor=answer.protocol_data,
        coordinator=node,
        members=[_classic_member(answer.protocol_type, one) for one in answer.members],
        explanation=answer.explanation,
    )


def _classic_member(protocol_type: str, one: Any) -> Member:
    assigned: Mapping[str, Sequence[int]] | None = None
    if protocol_type == CONSUMER_PROTOCOL:
        try:
            assigned = ranges.decode_assignment(one.member_assignment)
        except Failure:
            assigned = None
    return Member(
        member_id=one.member_id,
        client_id=one.client_id,
        host=one.client_host.lstrip("/"),
        instance_id=one.group_instance_id,
        assigned=assigned,
    )


def of_consumer(node: int, answer: Any) -> Description:
    """From one group of a ConsumerGroupDescribe response."""
    members = [
        Member(
            member_id=one.member_id,
            client_id=one.client_id,
            host=one.client_host.lstrip("/"),
            instance_id=one.instance_id,
            assigned=_partitions(one.assignment),
            epoch=one.member_epoch,
            target=_partitions(one.target_assignment),
        )
        for one in answer.members
    ]
    return Description(
        group=answer.group_id,
        type=CONSUMER,
        state=answer.group_state,
        protocol_type=CONSUMER_PROTOCOL,
        assignor=answer.assignor_name,
        coordinator=node,
        members=members,
        epoch=answer.group_epoch,
        assignment_epoch=answer.assignment_epoch,
        waits=waits(members, answer.assignment_epoch),
        explanation=answer.explanation,
    )


def _partitions(assignment: Any) -> dict[str, list[int]]:
    return {one.topic_name: sorted(one.partitions) for one in assignment.topic_partitions}


def waits(members: Sequence[Member], assignment_epoch: int) -> list[Wait]:
    """Who has yet to do something until each member has its target: give up first, then take."""
    out = []
    for one in members:
        give = _minus(one.assigned or {}, one.target or {})
        take = _minus(one.target or {}, one.assigned or {})
        behind = one.epoch is not None and one.epoch < assignment_epoch
        if give:
            what = f"has to give up {topics_text(give)}"
        elif behind and take:
            what = f"has yet to take {topics_text(take)}"
        elif behind:
            what = f"has yet to answer in epoch {assignment_epoch}"
        else:  # what it lacks, others have not given up yet
            continue
        out.append(Wait(one.member_id, one.client_id, what))
    return out


def _minus(
    left: Mapping[str, Sequence[int]], right: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """The partitions of `left` that `right` lacks."""
    out = {
        topic: [one for one in numbers if one not in set(right.get(topic, ()))]
        for topic, numbers in left.items()
    }
    return {topic: numbers for topic, numbers in out.items() if numbers}
