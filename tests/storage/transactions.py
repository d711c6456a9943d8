"""Random transactions in a log, and what is true of them by the batches alone."""
from __future__ import annotations

import random
from typing import NamedTuple

from fastbroker.records.control import COMMIT, EndTransactionMarker, control_kind
from fastbroker.records.reader import Batch, iter_batches
from fastbroker.storage.log import Log
from tests.storage.logs import NOW, batch

PRODUCERS = range(100, 106)
PLAIN = 7  # an idempotent producer without transactions


class Truth(NamedTuple):
    """What the batches of a log say.

    begun: producer id -> first offset, oldest first, of those that have not ended.
    aborted: (producer id, first offset, marker's offset), by marker. ended: (first, marker's).
    visible: (offset, value) of every record that is not of an aborted transaction, or is not
    known to be yet.
    """

    begun: dict[int, int]
    aborted: list[tuple[int, int, int]]
    ended: list[tuple[int, int]]
    visible: list[tuple[int, str]]


def batches_of(log: Log) -> list[Batch]:
    """All batches from the files, whatever the indexes say."""
    return [
        each
        for segment in log.segments
        if segment.size  # the first one has no file before the first batch
        for each in iter_batches(segment.read(0, segment.size))
    ]


def truth(batches: list[Batch]) -> Truth:
    begun: dict[int, int] = {}
    aborted, ended = [], []
    records: list[tuple[int, int, str]] = []  # offset, first offset of the transaction or -1, value
    dead: set[int] = set()
    for header, data in batches:
        pid = header.producer_id
        if header.is_control:
            first = begun.pop(pid, -1)
            if first >= 0:
                ended.append((first, header.base_offset))
                (record,) = Batch(header, data).records()
                if control_kind(record.key or b"") != COMMIT:
                    aborted.append((pid, first, header.base_offset))
                    dead.add(first)
            continue
        first = begun.setdefault(pid, header.base_offset) if header.is_transactional else -1
        records += [
            (record.offset, first, (record.value or b"").decode())
            for record in Batch(header, data).records()
        ]
    visible = [(offset, value) for offset, first, value in records if first not in dead]
    return Truth(begun, aborted, ended, visible)


class Chaos:
    """Appends what a seed says to a log, or to anything with a log's calls."""

    def __init__(self, log: Log, dice: random.Random) -> None:
        self.log, self.dice = log, dice
        self.sequences: dict[int, tuple[int, int]] = {}  # producer id -> epoch, next sequence
        self.count = 0

    def step(self) -> None:
        """One more batch or marker at the log's end."""
        dice = self.dice
        what = dice.random()
        pid = dice.choice(PRODUCERS)
        if what < 0.15:
            self._append(-1)
        elif what < 0.25:
            self._append(PLAIN)
        elif what < 0.7 or pid not in self.sequences:
            self._append(pid)
        else:
            self.mark(pid)

    def _append(self, pid: int) -> None:
        dice, state = self.dice, self.log.producers
        size = dice.randint(1, 4)
        values = [f"{pid}:{self.count + n}" for n in range(size)]
        self.count += size
        how = {"at": NOW + self.count}
        guard = None
        if pid >= 0:
            epoch, sequence = self.sequences.get(pid, (0, 0))
            how |= {"producer_id": pid, "producer_epoch": epoch, "base_sequence": sequence}
            self.sequences[pid] = epoch, sequence + size
        if pid in PRODUCERS:
            how["is_transactional"] = True
            guard = state.begin_verification(
                pid, epoch, base_sequence=sequence, own_epoch=False
            )
        self.log.append(
            batch(*values, **how), leader_epoch=0, now_ms=NOW + self.count, produce_version=9,
            verification=guard,
        )  # fmt: skip

    def mark(self, pid: int) -> None:
        """Commit or abort, in the way of either transaction.version."""
        version = self.dice.choice((1, 2))
        epoch, sequence = self.sequences[pid]
        if version == 2 or self.dice.random() < 0.2:
            epoch, sequence = epoch + 1, 0
        self.sequences[pid] = epoch, sequence
        marker = EndTransactionMarker(pid, epoch, 3, self.dice.random() < 0.5, version)
        self.log.append_marker(marker, leader_epoch=0, now_ms=NOW + self.count)
