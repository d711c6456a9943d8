"""How often members are asked to send heartbeats, and how often assignments are made.

A member learns what to let go of, or what it gets, from the answer to its next heartbeat: the
interval between two is what a rebalance takes. So it is as short as the number of members on this
broker allows, and shorter still for those who wait; with many members it is Kafka's 5 seconds.
Values that an operator sets, for all groups or for one, are kept to while a group is stable.
"""
from __future__ import annotations

HEARTBEATS_A_SECOND = 400  # of all members of stable groups, together
SHORTEST_MS, LONGEST_MS = 250, 5_000
WAITING_MS = 50  # of a member that waits for others, while there are few members
LONGEST_ASSIGNMENT_MS = 1_000
SIZE_A_MS = 10  # an assignment of so many members and partitions may be made every millisecond


def heartbeat_ms(members: int) -> int:
    """The interval when `members` send heartbeats to this broker."""
    return max(SHORTEST_MS, min(LONGEST_MS, members * 1_000 // HEARTBEATS_A_SECOND))


def waiting_ms(members: int) -> int:
    """The interval of a member that waits for others, or others for it."""
    return max(WAITING_MS, heartbeat_ms(members) // 5)


def assignment_ms(members: int, partitions: int) -> int:
    """The time between two assignments of a group of that size."""
    return min(LONGEST_ASSIGNMENT_MS, (members + partitions) // SIZE_A_MS)
