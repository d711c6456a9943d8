"""What a log looks like by Kafka's rules alone: which segments, which files, which offsets.

Written from the rules, not from the code under test; a list of batches for each segment, nothing
clever. Times are wall clock ms. Rolls by size and time, retention by start, size and time in three
passes, file names, leader epochs, producers, transactions; compaction is in compacted.py.
"""
from __future__ import annotations

from typing import NamedTuple

INDEXES = (".index", ".timeindex")
DAY = 86_400_000
HEADER_BYTES = 61


class Policy(NamedTuple):
    """A topic's configs that matter here; sizes in bytes, times in ms.

    tombstone_ms: how long one outlives its cleaning.
    """

    cleanup: str = "delete"
    retention_ms: int = -1
    retention_bytes: int = -1
    segment_ms: int = 7 * DAY
    segment_bytes: int = 1 << 30
    delete_delay_ms: int = 60_000
    append_time: bool = False
    max_lag_ms: int = 2**63 - 1
    min_lag_ms: int = 0
    dirty_ratio: float = 0.5
    tombstone_ms: int = DAY

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
            "min.compaction.lag.ms": str(self.min_lag_ms),
            "min.cleanable.dirty.ratio": str(self.dirty_ratio),
            "delete.retention.ms": str(self.tombstone_ms),
        }

    @property
    def is_compacted(self) -> bool:
        return "compact" in self.cleanup

    @property
    def roll_ms(self) -> int:
        return min(self.segment_ms, self.max_lag_ms) if self.is_compacted else self.segment_ms


class Value(NamedTuple):
    """What a record says: a text, and so many letters behind it, which take no memory here."""

    text: str
    more: int = 0

    def encode(self) -> bytes:
        return self.text.encode() + b"v" * self.more


def value_of(data: bytes) -> Value:
    """The other way; the text ends with a dot."""
    size = data.find(b".") + 1
    value = Value(data[:size].decode(), len(data) - size)
    assert value.encode() == data
    return value


class Row(NamedTuple):
    """A record; value: None for a tombstone."""

    offset: int
    key: str
    value: Value | None


MARKER = Row(0, "key.", Value("value."))  # as long as a marker's record is


class Written(NamedTuple):
    """A batch in the log: offsets [first, last], timestamp of its records (-1: none).

    commits: of a marker. aborts: it has aborted something. is_empty: its header alone is left.
    horizon: until when its tombstones stay, -1: no cleaning has met them yet.
    """

    first: int
    last: int
    latest: int
    rows: tuple[Row, ...] = ()
    producer_id: int = -1
    epoch: int = -1
    transactional: bool = False
    is_marker: bool = False
    commits: bool = True
    aborts: bool = False
    horizon: int = -1
    is_empty: bool = False

    @property
    def size(self) -> int:
        """Bytes; a horizon stands in the place of the timestamp that the others are counted from.
        """
        if self.is_empty:
            return HEADER_BYTES
        delta = self.latest - self.horizon if self.horizon >= 0 else 0
        rows = (MARKER._replace(offset=self.first),) if self.is_marker else self.rows
        return HEADER_BYTES + sum(_record_bytes(row, row.offset - self.first, delta)
                                  for row in rows)  # fmt: skip


def _record_bytes(row: Row, offset_delta: int, time_delta: int) -> int:
    value = -1 if row.value is None else len(row.value.text) + row.value.more
    body = 2 + len(row.key) + max(value, 0)  # attributes, and how many headers there are
    body += sum(_varint_bytes(one) for one in (time_delta, offset_delta, len(row.key), value))
    return _varint_bytes(body) + body


def _varint_bytes(number: int) -> int:
    zigzag = number << 1 if number >= 0 else (-number << 1) - 1
    return max((zigzag.bit_length() + 6) // 7, 1)


class Piece:
    """A segment. has_empty_index: a .txnindex file, but no entry any more."""

    def __init__(self, base: int, now_ms: int) -> None:
        self.base, self.written_ms = base, now_ms
        self.batches: list[Written] = []
        self.size = 0
        self.has_empty_index = False

    def add(self, one: Written) -> None:
        self.batches.append(one)
        self.size += one.size

    @property
    def latest(self) -> int:
        latest = max((one.latest for one in self.batches), default=-1)
        return latest if latest >= 0 else self.written_ms

    @property
    def has_aborts(self) -> bool:
        return any(one.aborts for one in self.batches)


class Known(NamedTuple):
    """A producer: when it last wrote, where its open transaction begins (-1: none), its epoch, and
    the last offset of its last batch of data in that epoch (-1: none)."""

    last_ms: int
    open_at: int
    epoch: int = -1
    last_offset: int = -1


class ModelLog:
    """One partition. cleaned: the first offset that compaction has not been through; None: it was
    never there."""

    def __init__(self, policy: Policy, now_ms: int) -> None:
        self.policy = policy
        self.pieces = [Piece(0, now_ms)]
        self.start = self.end = 0
        self.epochs: list[tuple[int, int]] = []
        self.producers: dict[int, Known] = {}
        self.forgotten: dict[int, Known] = {}  # producers that were silent for too long
        self.snapshots: set[int] = set()  # those that a roll has written
        self.deleted: list[tuple[str, int]] = []  # files, and when each goes
        self.left: set[str] = set()  # those that an opening has still to remove
        self.cleaned: int | None = None
        self.promised: dict[str, Row] = {}  # the last record of each key that counts
        self._open: dict[int, list[Row]] = {}  # by producer: of its transaction

    # ---- writing

    def append(
        self, latest: int, now_ms: int, *, values: tuple[tuple[str, Value | None], ...] = (),
        producer_id: int = -1, epoch: int = -1, transactional: bool = False,
        is_marker: bool = False, commit: bool = True,
    ) -> Written:  # fmt: skip
        before = self.producers.get(producer_id, Known(-1, -1))
        rows = tuple(Row(self.end + n, key, value) for n, (key, value) in enumerate(values))
        last = self.end + max(len(values), 1) - 1
        aborts = is_marker and not commit and before.open_at >= 0
        written = Written(
            self.end, last, latest, rows, producer_id, epoch, transactional, is_marker, commit,
            aborts,
        )
        self._roll_for(written.size, latest, now_ms)
        self.pieces[-1].add(written)
        self.pieces[-1].written_ms = now_ms
        self._promise(written, commit=commit)
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

    def _promise(self, one: Written, *, commit: bool) -> None:
        """Who reads what is committed has the last of each key from here on."""
        if not self.policy.is_compacted:
            return
        rows: list[Row] = list(one.rows)
        if one.transactional:
            self._open.setdefault(one.producer_id, []).extend(rows)
            return
        if one.is_marker:
            rows = self._open.pop(one.producer_id, [])
        for row in rows if commit else ():
            if row.key not in self.promised or self.promised[row.key].offset < row.offset:
                self.promised[row.key] = row

    @property
    def uncommitted(self) -> set[int]:
        """Offsets of open transactions' records."""
        return {row.offset for rows in self._open.values() for row in rows}

    def _learn(self, one: Written) -> None:
        if one.producer_id < 0:
            return
        before = self.producers.get(one.producer_id, Known(-1, -1))
        open_at, last_offset = before.open_at, before.last_offset
        if one.is_marker:
            open_at = -1
            if one.epoch != before.epoch:
                last_offset = -1
        else:
            last_offset = one.last
            if one.transactional and open_at < 0:
                open_at = one.first
        self.producers[one.producer_id] = Known(one.latest, open_at, one.epoch, last_offset)
        self.forgotten.pop(one.producer_id, None)

    def expire(self, now_ms: int, silent_ms: int) -> None:
        for producer_id, known in list(self.producers.items()):
            if known.open_at < 0 and now_ms - known.last_ms >= silent_ms:
                self.forgotten[producer_id] = self.producers.pop(producer_id)

    def forget(self, known: set[int]) -> None:
        """Of the forgotten producers those that are still `known`, and those with a batch in the
        log, can come back."""
        written = {one.producer_id for piece in self.pieces for one in piece.batches}
        come_back = self.forgotten.keys() & (known | written)
        self.forgotten = {one: self.forgotten[one] for one in come_back}

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
            self.retire(self.names(piece, is_active=False), at_ms)
            self.snapshots.discard(piece.base)
        del self.pieces[:count]
        self.move_start(self.pieces[0].base)

    def retire(self, names: list[str], at_ms: int) -> None:
        """Files are renamed, and go later."""
        due = at_ms + self.policy.delete_delay_ms
        self.deleted += [(name + ".deleted", due) for name in names]

    # ---- files

    def names(self, piece: Piece, *, is_active: bool) -> list[str]:
        stem = f"{piece.base:020d}"
        names = [stem + ".log", *(stem + suffix for suffix in INDEXES)]
        if (piece.has_aborts and not is_active) or piece.has_empty_index:
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
            for name in self.names(piece, is_active=piece is self.pieces[-1]):
                must[name] = piece.size if name.endswith(".log") else None
        active = self.pieces[-1]
        # Aborts of the active segment are in memory; a clean end or a recovery writes them.
        may = {f"{active.base:020d}.txnindex"} if active.has_aborts else set()
        # An opening removes what waits to be removed before its time.
        return must, may | self.left | {name for name, _ in self.deleted}

    def remove_due(self, at_ms: int) -> None:
        self.deleted = [one for one in self.deleted if one[1] > at_ms]

    # ---- ends and beginnings of the process

    def restarted(self) -> None:
        self.left = {name for name, _ in self.deleted}
        self.deleted.clear()

    def led(self, epoch: int) -> None:
        self.epochs = [entry for entry in self.epochs if entry[1] < self.end]
        self.epochs.append((epoch, self.end))

    # ---- contents

    def rows(self) -> list[Row]:
        """What can be read, markers aside."""
        return [
            row
            for piece in self.pieces
            for one in piece.batches
            for row in one.rows
            if row.offset >= self.start
        ]
