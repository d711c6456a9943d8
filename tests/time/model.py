"""What a log looks like by Kafka's rules alone: which segments, which files, which offsets.

Written from the rules, not from the code under test; a list of batches for each segment, nothing
clever. Times are wall clock ms. Rolls by size and time, retention by start, size and time in three
passes, file names, leader epochs, producers, transactions.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

INDEXES = (".index", ".timeindex")


class Policy(NamedTuple):
    """A topic's configs that matter here; sizes in bytes, times in ms."""

    cleanup: str = "delete"
    retention_ms: int = -1
    retention_bytes: int = -1
    segment_ms: int = 7 * 86_400_000
    segment_bytes: int = 1 << 30
    delete_delay_ms: int = 60_000
    append_time: bool = False
    max_lag_ms: int = 2**63 - 1

    def configs(self) -> dict[str, str]:
        """As a topic is created with."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": str(self.retention_bytes),
            "segment.ms": str(self.segment_ms),
            "segment.bytes": str(self.segment_bytes),
            "file.delete.delay.ms": str(self.delete_delay_ms),
            "message.timestamp.type": "LogAppendTime" if self.append_time else "CreateTime",
            "max.compaction.lag.ms": str(self.max_lag_ms),
        }

    @property
    def roll_ms(self) -> int:
        is_compacted = "compact" in self.cleanup
        return min(self.segment_ms, self.max_lag_ms) if is_compacted else self.segment_ms


class Written(NamedTuple):
    """A batch in the log: offsets [first, last], bytes, largest timestamp (-1: none).

    aborts: it is a marker that has aborted something.
    """

    first: int
    last: int
    size: int
    latest: int
    values: tuple[tuple[str, str], ...] = ()
    producer_id: int = -1
    transactional: bool = False
    is_marker: bool = False
    aborts: bool = False


class Piece:
    """A segment."""

    def __init__(self, base: int, now_ms: int) -> None:
        self.base, self.written_ms = base, now_ms
        self.batches: list[Written] = []

    @property
    def size(self) -> int:
        return sum(one.size for one in self.batches)

    @property
    def latest(self) -> int:
        latest = max((one.latest for one in self.batches), default=-1)
        return latest if latest >= 0 else self.written_ms

    @property
    def has_aborts(self) -> bool:
        return any(one.aborts for one in self.batches)


class Known(NamedTuple):
    """A producer: when it last wrote, and where its open transaction begins (-1: none)."""

    last_ms: int
    open_at: int


class ModelLog:
    """One partition."""

    def __init__(self, policy: Policy, now_ms: int) -> None:
        self.policy = policy
        self.pieces = [Piece(0, now_ms)]
        self.start = self.end = 0
        self.epochs: list[tuple[int, int]] = []
        self.producers: dict[int, Known] = {}
        self.forgotten: set[int] = set()  # producers that were silent for too long
        self.snapshots: set[int] = set()  # those that a roll has written
        self.deleted: dict[str, int] = {}  # file -> when it goes
        self.left: set[str] = set()  # those that an opening has still to remove

    # ---- writing

    def append(
        self, size: int, latest: int, now_ms: int, *, values: tuple[tuple[str, str], ...] = (),
        producer_id: int = -1, transactional: bool = False, is_marker: bool = False,
        commit: bool = True,
    ) -> Written:  # fmt: skip
        self._roll_for(size, latest, now_ms)
        before = self.producers.get(producer_id, Known(-1, -1))
        last = self.end + max(len(values), 1) - 1
        aborts = is_marker and not commit and before.open_at >= 0
        written = Written(
            self.end, last, size, latest, values, producer_id, transactional, is_marker, aborts
        )
        self.pieces[-1].batches.append(written)
        self.pieces[-1].written_ms = now_ms
        self._learn(written)
        self.end = last + 1
        return written

    def _roll_for(self, size: int, latest: int, now_ms: int) -> None:
        piece = self.pieces[-1]
        if not piece.batches:
            return
        first = piece.batches[0].latest
        # Without a first timestamp it is the wall clock since the file was made: not simulated.
        waited = latest - first if first >= 0 else 0
        if piece.size + size > self.policy.segment_bytes or waited > self.policy.roll_ms:
            self.roll(now_ms)

    def roll(self, now_ms: int) -> None:
        self.snapshots.add(self.end)
        self.pieces.append(Piece(self.end, now_ms))

    def _learn(self, one: Written) -> None:
        if one.producer_id < 0:
            return
        before = self.producers.get(one.producer_id, Known(-1, -1))
        open_at = before.open_at
        if one.is_marker:
            open_at = -1
        elif one.transactional and open_at < 0:
            open_at = one.first
        self.producers[one.producer_id] = Known(one.latest, open_at)
        self.forgotten.discard(one.producer_id)

    def expire(self, now_ms: int, silent_ms: int) -> None:
        for producer_id, known in list(self.producers.items()):
            if known.open_at < 0 and now_ms - known.last_ms >= silent_ms:
                del self.producers[producer_id]
                self.forgotten.add(producer_id)

    @property
    def stable(self) -> int:
        """The last stable offset; everything is committed."""
        first = min((k.open_at for k in self.producers.values() if k.open_at >= 0), default=-1)
        return self.end if first < 0 else max(first, self.start)

    # ---- the start moves

    def move_start(self, offset: int) -> None:
        if offset <= self.start:
            return
        self.start = offset
        below = [entry for entry in self.epochs if entry[1] <= offset]
        if below:
            self.epochs = [(below[-1][0], offset), *self.epochs[len(below) :]]

    def due(self, now_ms: int) -> int:
        """How many of the oldest segments go: three passes, by start, by size, by time."""
        policy, pieces, gone = self.policy, self.pieces, 0
        while gone + 1 < len(pieces) and pieces[gone + 1].base <= self.start:
            gone += 1
        if "delete" not in policy.cleanup:
            return gone
        if policy.retention_bytes >= 0:
            over = sum(piece.size for piece in pieces[gone:]) - policy.retention_bytes
            while self._may_go(gone) and over >= pieces[gone].size:
                over -= pieces[gone].size
                gone += 1
        if policy.retention_ms >= 0:
            while self._may_go(gone) and now_ms - pieces[gone].latest > policy.retention_ms:
                gone += 1
        return gone

    def _may_go(self, number: int) -> bool:
        """All but an empty active segment, and what is not there."""
        last = len(self.pieces) - 1
        return number < last or (number == last and bool(self.pieces[-1].batches))

    def drop(self, count: int, now_ms: int, at_ms: int) -> None:
        """The oldest go; at_ms: of the clock that never goes back, for when their files do."""
        if count == len(self.pieces):
            self.roll(now_ms)
        for piece in self.pieces[:count]:
            for name in self._names(piece, is_active=False):
                self.deleted[name + ".deleted"] = at_ms + self.policy.delete_delay_ms
            self.snapshots.discard(piece.base)
        del self.pieces[:count]
        self.move_start(self.pieces[0].base)

    # ---- files

    def _names(self, piece: Piece, *, is_active: bool) -> list[str]:
        stem = f"{piece.base:020d}"
        names = [stem + ".log", *(stem + suffix for suffix in INDEXES)]
        if piece.has_aborts and not is_active:
            names.append(stem + ".txnindex")
        if piece.base in self.snapshots:
            names.append(stem + ".snapshot")
        return names

    def files(self) -> tuple[dict[str, int | None], set[str]]:
        """(name -> bytes, None: not looked at) of what must be there; what may be, too. Snapshots
        that no roll has written are bounded elsewhere."""
        if self.end == 0:
            return {}, set()
        must: dict[str, int | None] = {"partition.metadata": None, "leader-epoch-checkpoint": None}
        for piece in self.pieces:
            for name in self._names(piece, is_active=piece is self.pieces[-1]):
                must[name] = piece.size if name.endswith(".log") else None
        active = self.pieces[-1]
        # Aborts of the active segment are in memory; a clean end or a recovery writes them.
        may = {f"{active.base:020d}.txnindex"} if active.has_aborts else set()
        # An opening removes what waits to be removed before its time.
        return must, may | self.left | self.deleted.keys()

    def remove_due(self, at_ms: int) -> None:
        self.deleted = {name: due for name, due in self.deleted.items() if due > at_ms}

    # ---- ends and beginnings of the process

    def restarted(self) -> None:
        self.left = set(self.deleted)
        self.deleted.clear()

    def led(self, epoch: int) -> None:
        self.epochs = [entry for entry in self.epochs if entry[1] < self.end]
        self.epochs.append((epoch, self.end))

    # ---- contents

    def records(self) -> list[tuple[int, str]]:
        """(offset, value) of what can be read, markers aside."""
        return [
            (one.first + number, value)
            for piece in self.pieces
            for one in piece.batches
            for number, (_, value) in enumerate(one.values)
            if one.first + number >= self.start
        ]

    def last_values(self) -> Mapping[str, str]:
        """The last value of each key."""
        return {
            key: value
            for piece in self.pieces
            for one in piece.batches
            for key, value in one.values
        }
