"""What groups have committed, all of them, a little at a time."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fastbroker.group.consumer.group import AnyGroup, ConsumerGroup
from fastbroker.group.shards import Shards

OFFSETS_A_STEP = 64


class GroupOffsets(NamedTuple):
    """offsets: by topic and partition, of topics that are there; empty for a group without any."""

    group_id: str
    members: int
    offsets: dict[str, dict[int, int]]


def committed(
    shards: Shards, topic_id: Callable[[str], bytes | None]
) -> Iterator[GroupOffsets | None]:
    """Every group of this broker that can be asked for now; None: a moment for other work, in which
    anything may change.

    topic_id: of a topic; an offset of an earlier topic of that name is none.
    """
    for shard in shards:
        for group in list(shard.groups.values()) if shard.loaded else ():
            if shard.ended:
                break
            found: dict[str, tuple[bytes | None, dict[int, int]]] = {}
            for count, (at, one) in enumerate(list(shard.offsets.of(group.group_id).items()), 1):
                topic = found.get(at.topic)
                if topic is None:
                    topic = found[at.topic] = topic_id(at.topic), {}
                if topic[0] == one.topic_id or (topic[0] is not None and one.is_of(topic[0])):
                    topic[1][at.partition] = one.offset
                if count % OFFSETS_A_STEP == 0:
                    yield None
            offsets = {name: there for name, (_, there) in found.items() if there}
            yield GroupOffsets(group.group_id, _members(group), offsets)


def _members(group: AnyGroup) -> int:
    return len(group.members if isinstance(group, ConsumerGroup) else group.roster)
