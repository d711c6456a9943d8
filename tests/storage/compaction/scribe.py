"""Writes what a test says into a log, and remembers what became of each transaction."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fastbroker.config.topic import TopicConfig
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker
from fastbroker.storage.log import Log
from tests.storage.logs import NOW

Pair = tuple[bytes | None, bytes | None]  # key, value


class Fate(NamedTuple):
    """What a producer's transaction [first, marker] came to."""

    producer_id: int
    first: int
    marker: int
    commit: bool


class Scribe:
    """now: the clock, in ms; a batch takes one. fates: of transactions that have ended."""

    def __init__(self, log: Log, now: int = NOW) -> None:
        self.log, self.now = log, now
        self.fates: list[Fate] = []
        self._sequences: dict[int, tuple[int, int]] = {}

    def write(
        self, pairs: Sequence[Pair], *, codec: str = "none", pid: int = -1, in_txn: bool = False
    ) -> None:
        """One batch at the log's end."""
        log, many = self.log, len(pairs)
        self.now += 1
        epoch, sequence = self._sequences.get(pid, (0, 0))
        guard = None
        if pid >= 0:
            self._sequences[pid] = epoch, sequence + many
            if in_txn:
                guard = log.producers.begin_verification(
                    pid, epoch, base_sequence=sequence, own_epoch=False
                )
        # Times inside of a batch go down as well as up.
        records = [(key, value, (), self.now - n) for n, (key, value) in enumerate(pairs)]
        data = build_batch(
            records, compression=codec, producer_id=pid, producer_epoch=epoch if pid >= 0 else -1,
            base_sequence=sequence if pid >= 0 else -1, is_transactional=in_txn,
        )  # fmt: skip
        before, log.config = log.config, changed(log.config, cleanup_policy=("delete",))
        log.append(
            memoryview(data), leader_epoch=0, now_ms=self.now, produce_version=9,
            verification=guard,
        )  # fmt: skip
        log.config = before

    def end(self, pid: int, *, commit: bool, bumps: bool = False) -> None:
        """A marker, whether the producer has a transaction or not."""
        self.now += 1
        epoch, sequence = self._sequences.get(pid, (0, 0))
        if bumps:
            epoch, sequence = epoch + 1, 0
        known = self.log.producers.producers.get(pid)
        if known is None:
            sequence = 0  # expired: of what it sent the log knows the marker alone
        self._sequences[pid] = epoch, sequence
        first = known.txn_first_offset if known is not None else -1
        marker = EndTransactionMarker(pid, epoch, 0, commit, 2 if bumps else 1)
        at = self.log.append_marker(marker, leader_epoch=0, now_ms=self.now).first_offset
        if first >= 0:
            self.fates.append(Fate(pid, first, at, commit))

    def is_open(self, pid: int) -> bool:
        """Whether the producer has a transaction."""
        known = self.log.producers.producers.get(pid)
        return known is not None and known.txn_first_offset >= 0

    def roll(self) -> None:
        """The next batch begins a segment."""
        if self.log.segments[-1].size:
            self.log.roll(self.now)
        self.log.flush()

    def was_aborted(self, pid: int, offset: int) -> bool:
        """Whether a transactional batch of `pid` at `offset` was aborted."""
        return any(
            not one.commit
            for one in self.fates
            if one.producer_id == pid and one.first <= offset <= one.marker
        )


def changed(config: TopicConfig, **values: object) -> TopicConfig:
    """A copy with other values."""
    out = TopicConfig()
    for name in TopicConfig.__slots__:
        setattr(out, name, getattr(config, name))
    for name, value in values.items():
        setattr(out, name, value)
    return out
