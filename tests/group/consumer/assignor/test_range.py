"""The range assignor: runs of partitions, the same of every topic."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastbroker.group.consumer.assignor.range import assign
from fastbroker.group.consumer.assignor.spec import AssignedMember, GroupSpec
from tests.group.consumer.assignor.specs import TOPICS, check_valid, specs


@given(st.booleans().flatmap(lambda same: specs(homogeneous=same)))
def test_runs_that_differ_by_one_at_most_within_a_topic(spec: GroupSpec) -> None:
    assigned = assign(spec)
    check_valid(spec, assigned)
    for topic, count in spec.partitions.items():
        sizes = []
        for member_id, member in spec.members.items():
            if topic in member.topics:
                numbers = assigned[member_id].get(topic, ())
                sizes.append(len(numbers))
                assert not numbers or numbers == tuple(range(numbers[0], numbers[-1] + 1))
        if sizes:
            assert sum(sizes) == count
            assert max(sizes) - min(sizes) <= 1


@given(specs(homogeneous=True), st.integers(1, 20))
def test_topics_of_one_size_are_owned_together(spec: GroupSpec, count: int) -> None:
    alike = GroupSpec(spec.members, dict.fromkeys(spec.partitions, count))
    for topics in assign(alike).values():
        assert len(set(topics.values())) <= 1


def test_static_members_come_first_and_keep_their_place() -> None:
    def spec(*ids: str) -> GroupSpec:
        topics = frozenset(TOPICS[:1])
        members = {one: AssignedMember(topics, {}, f"i{n}") for n, one in enumerate(ids)}
        members["dynamic"] = AssignedMember(topics)
        return GroupSpec(members, {TOPICS[0]: 5})

    before, after = assign(spec("z", "a")), assign(spec("b", "y"))
    assert before["z"] == after["b"] == {TOPICS[0]: (0, 1)}
    assert before["a"] == after["y"] == {TOPICS[0]: (2, 3)}
    assert before["dynamic"] == after["dynamic"] == {TOPICS[0]: (4,)}
