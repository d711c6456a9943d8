"""The uniform assignor: even, sticky, quick."""
from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fastbroker.group.consumer.assignor.spec import AssignedMember, Assignment, GroupSpec
from fastbroker.group.consumer.assignor.uniform import assign
from tests.group.consumer.assignor.specs import TOPICS, changes, check_valid, loads, specs


def check_even(spec: GroupSpec, assigned: dict[str, Assignment]) -> None:
    """Nobody owns a partition that a subscriber with two partitions fewer could have."""
    load = loads(assigned)
    for member_id, topics in assigned.items():
        for topic in topics:
            for other, member in spec.members.items():
                if topic in member.topics:
                    assert load[member_id] <= load[other] + 1


@given(st.data())
def test_the_same_topics_for_all_are_spread_evenly_and_stay(data: st.DataObject) -> None:
    spec = data.draw(specs(homogeneous=True))
    first = assign(spec)
    check_valid(spec, first)
    assert max(loads(first).values()) - min(loads(first).values()) <= 1
    changed = data.draw(changes(spec, first))
    second = assign(changed)
    check_valid(changed, second)
    if second:
        assert max(loads(second).values()) - min(loads(second).values()) <= 1
        assert kept(changed, second) == most_that_can_stay(changed)
    again = GroupSpec(
        {m: one._replace(assigned=second[m]) for m, one in changed.members.items()},
        changed.partitions,
    )
    assert assign(again) == second, "nothing moves without a reason"


@given(st.data())
def test_different_topics_are_as_even_as_moves_of_one_make_them(data: st.DataObject) -> None:
    spec = data.draw(specs(homogeneous=False))
    first = assign(spec)
    check_valid(spec, first)
    check_even(spec, first)
    changed = data.draw(changes(spec, first))
    second = assign(changed)
    check_valid(changed, second)
    check_even(changed, second)
    again = GroupSpec(
        {m: one._replace(assigned=second[m]) for m, one in changed.members.items()},
        changed.partitions,
    )
    assert assign(again) == second, "nothing moves without a reason"


def kept(spec: GroupSpec, assigned: dict[str, Assignment]) -> int:
    """How many partitions stayed where they were."""
    return sum(
        len(set(numbers) & set(assigned[member_id].get(topic, ())))
        for member_id, member in spec.members.items()
        for topic, numbers in member.assigned.items()
    )


def most_that_can_stay(spec: GroupSpec) -> int:
    topics = next(iter(spec.members.values())).topics
    least, more = divmod(sum(spec.partitions[t] for t in topics), len(spec.members))
    total = 0
    had = [
        sum(
            number < spec.partitions[topic]
            for topic, numbers in member.assigned.items()
            if topic in topics
            for number in numbers
        )
        for member in spec.members.values()
    ]
    for count in sorted(had, reverse=True):
        share = least + (more > 0 and count > least)
        more -= share > least
        total += min(count, share)
    return total


def test_a_member_more_takes_no_more_than_its_share() -> None:
    spec = GroupSpec({f"m{n}": AssignedMember(frozenset(TOPICS[:1])) for n in range(3)},
                     {TOPICS[0]: 9})  # fmt: skip
    first = assign(spec)
    more = {m: one._replace(assigned=first[m]) for m, one in spec.members.items()}
    more["new"] = AssignedMember(frozenset(TOPICS[:1]))
    second = assign(GroupSpec(more, spec.partitions))
    assert Counter(loads(second).values()) == Counter({2: 3, 3: 1})
    moved = sum(len(set(first[m][TOPICS[0]]) - set(second[m][TOPICS[0]])) for m in first)
    assert moved == 2


def test_topics_are_spread_over_members() -> None:
    spec = GroupSpec({f"m{n}": AssignedMember(frozenset(TOPICS[:2])) for n in range(3)},
                     {TOPICS[0]: 3, TOPICS[1]: 3})  # fmt: skip
    assert all(len(topics) == 2 for topics in assign(spec).values())


def test_what_did_not_change_is_the_same_object() -> None:
    spec = GroupSpec({"a": AssignedMember(frozenset(TOPICS[:1]))}, {TOPICS[0]: 3})
    first = assign(spec)
    again = GroupSpec({"a": spec.members["a"]._replace(assigned=first["a"])}, spec.partitions)
    assert assign(again)["a"] is first["a"]
