"""What an assignor is given, and what it gives."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

# Partitions by topic id, in ascending order; no topic without partitions. Never changed in place.
Assignment = Mapping[bytes, tuple[int, ...]]
NOTHING: Assignment = {}


class AssignedMember(NamedTuple):
    """topics: ids of the topics it subscribes to. assigned: what it was to own until now."""

    topics: frozenset[bytes]
    assigned: Assignment = NOTHING
    instance_id: str | None = None


class GroupSpec(NamedTuple):
    """members: by member id, in the order of their coming. partitions: how many a topic has."""

    members: dict[str, AssignedMember]
    partitions: dict[bytes, int]

    @property
    def is_homogeneous(self) -> bool:
        """Whether everyone subscribes to the same topics."""
        members = iter(self.members.values())
        first = next(members, None)
        return first is None or all(
            one.topics is first.topics or one.topics == first.topics for one in members
        )


Assignor = Callable[[GroupSpec], dict[str, Assignment]]
