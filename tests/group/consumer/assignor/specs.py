"""Groups for assignors to assign, drawn by Hypothesis, and what every assignment has to be."""
from __future__ import annotations

from hypothesis import strategies as st

from fastbroker.group.consumer.assignor.spec import AssignedMember, Assignment, GroupSpec

TOPICS = [bytes([n]) * 16 for n in range(6)]
topic_sets = st.frozensets(st.sampled_from(TOPICS), max_size=6)


@st.composite
def specs(draw: st.DrawFn, *, homogeneous: bool) -> GroupSpec:
    """A group that never had an assignment."""
    partitions = {topic: draw(st.integers(1, 12)) for topic in TOPICS}
    count = draw(st.integers(1, 12))
    everyone = draw(topic_sets)
    members = {}
    for n in range(count):
        topics = everyone if homogeneous else draw(topic_sets)
        instance = draw(st.none() | st.just(f"i{draw(st.integers(0, 99))}-{n}"))
        members[f"m{n}"] = AssignedMember(topics, {}, instance)
    return GroupSpec(members, partitions)


@st.composite
def changes(draw: st.DrawFn, spec: GroupSpec, assigned: dict[str, Assignment]) -> GroupSpec:
    """What became of the group: members came and went, topics grew, shrank and went."""
    partitions = {}
    for topic, count in spec.partitions.items():
        grown = draw(st.integers(0, 14) | st.just(count))
        if grown:
            partitions[topic] = grown
    there = set(partitions)
    members = {
        member_id: AssignedMember(member.topics & there, assigned[member_id], member.instance_id)
        for member_id, member in spec.members.items()
        if draw(st.integers(0, 4))
    }
    everyone = next(iter(spec.members.values())).topics & there
    for n in range(draw(st.integers(0, 4))):
        topics = everyone if spec.is_homogeneous else draw(topic_sets) & there
        members[f"n{n}"] = AssignedMember(topics)
    return GroupSpec(members, partitions)


def check_valid(spec: GroupSpec, assigned: dict[str, Assignment]) -> None:
    """Everything that is subscribed to is owned exactly once, by a subscriber; all in order."""
    assert set(assigned) == set(spec.members)
    owned = [
        (topic, number)
        for member_id, topics in assigned.items()
        for topic, numbers in topics.items()
        for number in numbers
    ]
    assert len(owned) == len(set(owned))
    read = set().union(*(member.topics for member in spec.members.values()))
    assert set(owned) == {(t, n) for t in read for n in range(spec.partitions[t])}
    for member_id, topics in assigned.items():
        assert set(topics) <= spec.members[member_id].topics
        for numbers in topics.values():
            assert numbers
            assert list(numbers) == sorted(numbers)


def loads(assigned: dict[str, Assignment]) -> dict[str, int]:
    return {one: sum(map(len, topics.values())) for one, topics in assigned.items()}
