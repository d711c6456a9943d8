"""The range assignor: each member gets a run of partition numbers of every topic.

Members in one order for all topics, static ones first, by instance id: where everyone subscribes
to the same topics and these have the same number of partitions, a member owns the same numbers
of all of them, and a restart of static members moves nothing. Kafka: RangeAssignor.
"""
from __future__ import annotations

from fastbroker.group.consumer.assignor.spec import AssignedMember, Assignment, GroupSpec


def assign(spec: GroupSpec) -> dict[str, Assignment]:
    """The run of each member: sizes differ by one at most within a topic."""
    members = sorted(spec.members.items(), key=_order)
    subscribers: dict[bytes, list[str]] = {}
    for member_id, member in members:
        for topic in member.topics:
            subscribers.setdefault(topic, []).append(member_id)
    out: dict[str, dict[bytes, tuple[int, ...]]] = {member_id: {} for member_id in spec.members}
    for topic, ids in subscribers.items():
        least, more = divmod(spec.partitions[topic], len(ids))
        start = 0
        for at, member_id in enumerate(ids):
            end = start + least + (at < more)
            if start == end:
                break
            out[member_id][topic] = tuple(range(start, end))
            start = end
    return dict(out)


def _order(item: tuple[str, AssignedMember]) -> tuple[bool, str]:
    member_id, member = item
    dynamic = member.instance_id is None
    return dynamic, member_id if dynamic else member.instance_id or ""
