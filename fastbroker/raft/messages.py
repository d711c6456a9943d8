"""What goes into the quorum's state machine, and what it wants done."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from fastbroker.errors import KafkaError
from fastbroker.model import OffsetAndEpoch
from fastbroker.raft.state import QuorumState


class ReplicaKey(NamedTuple):
    """A voter or observer: its id and, since KIP-853, its metadata log directory's id."""

    id: int
    directory_id: bytes


class Started(NamedTuple):
    """The process is up and has read its log and its quorum-state."""


class Propose(NamedTuple):
    """Values of records to append as one batch. Raises NotController unless we lead."""

    values: Sequence[bytes]


class Flushed(NamedTuple):
    """Everything below `end_offset` is on our disk."""

    end_offset: int


class Fetch(NamedTuple):
    """A replica asks for what follows its log.

    ticket: whatever the answer is to be recognized by; -1 as an epoch means that it is not told.
    """

    ticket: Hashable
    replica: ReplicaKey
    offset: int
    last_epoch: int
    leader_epoch: int
    max_wait_ms: int


class WaitOver(NamedTuple):
    """The time of a parked fetch is over."""

    ticket: Hashable


class Gone(NamedTuple):
    """Whoever sent the fetch of this ticket does not wait for it any more."""

    ticket: Hashable


Message = Started | Propose | Flushed | Fetch | WaitOver | Gone


class SaveState(NamedTuple):
    """Replace quorum-state and sync it, before anything else happens."""

    state: QuorumState


class Append(NamedTuple):
    """Write one batch at the end of the log; a flush has to follow, and `Flushed` after it."""

    batch: bytes | bytearray
    leader_epoch: int
    first_offset: int
    last_offset: int


class Committed(NamedTuple):
    """The high watermark has moved: records below it are final."""

    high_watermark: int


class Answer(NamedTuple):
    """Answer the fetch: with the error, the place to truncate to, the snapshot to begin with, or
    records [start, end)."""

    ticket: Hashable
    start: int
    end: int
    error: KafkaError | None = None
    diverging: OffsetAndEpoch | None = None
    snapshot: OffsetAndEpoch | None = None


class Wait(NamedTuple):
    """Send `WaitOver` after so long, unless the fetch is answered before."""

    ticket: Hashable
    wait_ms: int


Effect = SaveState | Append | Committed | Answer | Wait
