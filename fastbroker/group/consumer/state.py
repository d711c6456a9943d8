"""The states of a consumer group, by the names clients see, and those of its members."""
from __future__ import annotations

from enum import IntEnum, StrEnum


class GroupState(StrEnum):
    """Where a group is; it follows from epochs and members. DEAD: it takes no requests."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"
    DEAD = "Dead"


class MemberState(IntEnum):
    """Where a member is on its way to its target assignment, as records say it."""

    STABLE = 0  # it owns what it was to own in its epoch
    UNREVOKED_PARTITIONS = 1  # it has still to let go of some
    UNRELEASED_PARTITIONS = 2  # others have still to let go of what it is to own
    UNKNOWN = 127


# Member epochs that are no epochs.
JOIN, LEAVE, LEAVE_FOR_A_WHILE = 0, -1, -2
