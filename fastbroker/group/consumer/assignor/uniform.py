"""The uniform assignor: even numbers of partitions, and as few moves as that allows.

When everyone subscribes to the same topics, two members differ by one partition at most, and as
many partitions as that permits stay where they are. Otherwise nobody owns a partition that a
subscriber of its topic with two partitions fewer could have; moves are made only for that. Racks
are not looked at. Kafka: UniformAssignor, whose guarantees these are.

Cost: linear in members and partitions, times the number of different subscriptions to a topic.
"""
from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush

from fastbroker.group.consumer.assignor.spec import Assignment, GroupSpec

Partition = tuple[bytes, int]


def assign(spec: GroupSpec) -> dict[str, Assignment]:
    """An even assignment, close to the one that was."""
    if not spec.members:
        return {}
    return _same_topics(spec) if spec.is_homogeneous else _different_topics(spec)


def _kept(spec: GroupSpec) -> tuple[dict[str, list[Partition]], dict[bytes, bytearray]]:
    """What each member had and may have, with flags of what is taken, by topic."""
    taken = {topic: bytearray(count) for topic, count in spec.partitions.items()}
    kept: dict[str, list[Partition]] = {}
    for member_id, member in spec.members.items():
        mine = kept[member_id] = []
        for topic, partitions in member.assigned.items():
            flags = taken.get(topic)
            if flags is None or topic not in member.topics:
                continue
            for number in partitions:
                if number < len(flags) and not flags[number]:
                    flags[number] = 1
                    mine.append((topic, number))
    return kept, taken


def _free(taken: dict[bytes, bytearray], topics: frozenset[bytes] | set[bytes]) -> list[Partition]:
    return [
        (topic, number)
        for topic, flags in taken.items()
        if topic in topics
        for number, is_taken in enumerate(flags)
        if not is_taken
    ]


def _same_topics(spec: GroupSpec) -> dict[str, Assignment]:
    topics = next(iter(spec.members.values())).topics
    least, more = divmod(sum(spec.partitions[topic] for topic in topics), len(spec.members))
    kept, taken = _kept(spec)
    # Members that have more than their share keep one more, as many of them as there may be.
    for mine in kept.values():
        share = least
        if len(mine) > least and more:
            share, more = least + 1, more - 1
        if len(mine) > share:
            # Of the topics it has most of, the rest goes: topics stay spread.
            seen: dict[bytes, int] = {}
            ranks = []
            for topic, number in mine:
                ranks.append((seen.setdefault(topic, 0), topic, number))
                seen[topic] += 1
            ranks.sort()
            for _, topic, number in ranks[share:]:
                taken[topic][number] = 0
            mine[:] = [(topic, number) for _, topic, number in ranks[:share]]
    free = deque(_free(taken, topics))
    # One partition in turn to everyone who has less than the share: a topic is spread widely.
    hungry = [mine for mine in kept.values() if len(mine) < least]
    while hungry:
        still = []
        for mine in hungry:
            mine.append(free.popleft())
            if len(mine) < least:
                still.append(mine)
        hungry = still
    for mine in kept.values():
        if not free:
            break
        if len(mine) == least:
            mine.append(free.popleft())
    assert not free
    return _assignments(spec, kept)


class _Loads:
    """How many partitions each member has, and who of the subscribers of a topic has fewest.

    Members are told apart by their subscription: one heap for each, whose entries count only while
    they say the member's present load.
    """

    def __init__(self, spec: GroupSpec, kept: dict[str, list[Partition]]) -> None:
        self.load = {member_id: len(mine) for member_id, mine in kept.items()}
        self._of_topic: dict[bytes, list[list[tuple[int, str]]]] = {}
        self._heap: dict[str, list[tuple[int, str]]] = {}
        by_topics: dict[frozenset[bytes], list[tuple[int, str]]] = {}
        for member_id, member in spec.members.items():
            heap = by_topics.setdefault(member.topics, [])
            heap.append((self.load[member_id], member_id))
            self._heap[member_id] = heap
        for topics, heap in by_topics.items():
            heapify(heap)
            for topic in topics:
                self._of_topic.setdefault(topic, []).append(heap)

    def add(self, member_id: str, count: int) -> None:
        load = self.load[member_id] = self.load[member_id] + count
        heappush(self._heap[member_id], (load, member_id))

    def least(self, topic: bytes) -> str:
        """The subscriber of `topic` with fewest partitions."""
        best: tuple[int, str] | None = None
        for heap in self._of_topic[topic]:
            while heap[0][0] != self.load[heap[0][1]]:
                heappop(heap)
            if best is None or heap[0] < best:
                best = heap[0]
        assert best is not None
        return best[1]


def _different_topics(spec: GroupSpec) -> dict[str, Assignment]:
    kept, taken = _kept(spec)
    subscribers: dict[bytes, int] = {}
    for member in spec.members.values():
        for topic in member.topics:
            subscribers[topic] = subscribers.get(topic, 0) + 1
    loads = _Loads(spec, kept)
    owner = {one: member_id for member_id, mine in kept.items() for one in mine}
    free = _free(taken, set(subscribers))
    free.sort(key=lambda one: subscribers[one[0]])  # those with little choice first
    for one in free:
        member_id = owner[one] = loads.least(one[0])
        loads.add(member_id, 1)
    # Every move makes the sum of the squares of the loads smaller: this ends.
    moved = True
    while moved:
        moved = False
        for one in sorted(owner, key=lambda one: -loads.load[owner[one]]):
            giver, taker = owner[one], loads.least(one[0])
            if loads.load[giver] >= loads.load[taker] + 2:
                owner[one], moved = taker, True
                loads.add(giver, -1)
                loads.add(taker, 1)
    mine = {member_id: [] for member_id in spec.members}  # type: dict[str, list[Partition]]
    for one, member_id in owner.items():
        mine[member_id].append(one)
    return _assignments(spec, mine)


def _assignments(spec: GroupSpec, owned: dict[str, list[Partition]]) -> dict[str, Assignment]:
    """As assignments; what did not change is the very one that was."""
    out: dict[str, Assignment] = {}
    for member_id, partitions in owned.items():
        by_topic: dict[bytes, list[int]] = {}
        for topic, number in partitions:
            by_topic.setdefault(topic, []).append(number)
        made = {topic: tuple(sorted(numbers)) for topic, numbers in by_topic.items()}
        was = spec.members[member_id].assigned
        out[member_id] = was if made == was else made
    return out
