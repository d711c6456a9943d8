"""Offsets committed in transactions that are still open.

They wait for their transaction's marker. A commit makes them the group's offsets, except where a
later record of the log has set the same partition meanwhile: the later one counts, as it would
after compaction has removed the earlier. An abort drops them, and so does a tombstone.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from fastbroker.group.offsets import CommittedOffset
from fastbroker.model import TopicPartition

Place = tuple[str, TopicPartition]  # a group's id, and the partition that an offset is for


@dataclass(slots=True)
class _Pending:
    """One offset; `position` orders it among all, and is that of its record in the log.

    committed: None once a later offset counts; it is pending all the same.
    """

    position: int
    committed: CommittedOffset | None


class PendingOffsets:
    """The pending offsets of the groups of one partition of __consumer_offsets.

    Bounded by what the transactions that are open in that partition have written.
    Kafka: OffsetMetadataManager.pendingTransactionalOffsets, openTransactionsByGroup.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[TopicPartition, dict[int, _Pending]]] = {}
        self._producers: dict[int, dict[Place, None]] = {}
        self._next_position = 0

    def __contains__(self, group_id: str) -> bool:
        """Whether a group has any."""
        return group_id in self._groups

    def of(self, group_id: str) -> Collection[TopicPartition]:
        """The partitions that a group has pending offsets for."""
        return self._groups.get(group_id, {}).keys()

    def producers(self, group_id: str) -> Iterator[tuple[TopicPartition, int]]:
        """(partition, producer id) of every pending offset of a group."""
        for at, producers in self._groups.get(group_id, {}).items():
            yield from ((at, producer_id) for producer_id in producers)

    def on_topics(self, names: set[str]) -> Iterable[Place]:
        """Every place with a pending offset on one of the topics."""
        for group_id, places in self._groups.items():
            yield from ((group_id, at) for at in places if at.topic in names)

    def put(
        self, producer_id: int, group_id: str, at: TopicPartition, committed: CommittedOffset
    ) -> None:
        """An offset in the open transaction of a producer; its last one for a place counts."""
        places = self._groups.setdefault(group_id, {})
        places.setdefault(at, {})[producer_id] = _Pending(self._next_position, committed)
        self._producers.setdefault(producer_id, {})[group_id, at] = None
        self._next_position += 1

    def overtake(self, group_id: str, at: TopicPartition) -> None:
        """An offset was set by a record later than all that is pending for the place."""
        self._overtake(group_id, at, self._next_position)

    def _overtake(self, group_id: str, at: TopicPartition, position: int) -> None:
        for pending in self._groups.get(group_id, {}).get(at, {}).values():
            if pending.position < position:
                pending.committed = None

    def remove(self, group_id: str, at: TopicPartition) -> None:
        """A tombstone: whatever is pending for the place will not count."""
        for producer_id in list(self._groups.get(group_id, {}).get(at, ())):
            self._take(producer_id, group_id, at)
            places = self._producers[producer_id]
            del places[group_id, at]
            if not places:
                del self._producers[producer_id]

    def end(
        self, producer_id: int, *, commit: bool
    ) -> list[tuple[str, TopicPartition, CommittedOffset | None]]:
        """The producer's transaction is over: its places, each with the offset to set there.

        None: no offset is to be set, as after an abort, or because a later one counts.
        """
        ended = []
        for group_id, at in self._producers.pop(producer_id, ()):
            pending = self._take(producer_id, group_id, at)
            committed = pending.committed if commit else None
            if committed is not None:
                self._overtake(group_id, at, pending.position)
            ended.append((group_id, at, committed))
        return ended

    def _take(self, producer_id: int, group_id: str, at: TopicPartition) -> _Pending:
        places = self._groups[group_id]
        producers = places[at]
        pending = producers.pop(producer_id)
        if not producers:
            del places[at]
        if not places:
            del self._groups[group_id]
        return pending
