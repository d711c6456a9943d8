"""The states of a classic group, by the names that clients see."""
from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a group is in its life.

    DEAD is a group being deleted, or one whose coordinator moved away: it takes no requests.
    """

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


PRECEDING = {  # DEAD is entered from everywhere, and left only when a deletion fails
    State.EMPTY: {State.PREPARING},
    State.PREPARING: {State.EMPTY, State.COMPLETING, State.STABLE},
    State.COMPLETING: {State.PREPARING},
    State.STABLE: {State.COMPLETING},
}
