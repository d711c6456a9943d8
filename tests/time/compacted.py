"""What compaction makes of a model's log, by the rules that the guide of storage/compaction tells.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from fastbroker.storage.compaction.grouping import GROUP_MAX
from tests.time.model import Known, ModelLog, Piece, Policy, Written


class Dirty(NamedTuple):
    """Offsets [first, end) that no cleaning has been through, and may be; bytes of their segments
    and of those before. is_overdue: something has waited for max.compaction.lag.ms."""

    first: int
    end: int
    size: int
    clean_size: int
    is_overdue: bool

    def is_due(self, policy: Policy) -> bool:
        if self.size == 0:
            return False
        return self.is_overdue or self.size / (self.size + self.clean_size) > policy.dirty_ratio


class Change(NamedTuple):
    """Neighbours, and what takes their place."""

    old: list[Piece]
    new: Piece


def dirty_part(log: ModelLog, now_ms: int, limit: int) -> Dirty:
    """limit: nothing from there on is touched."""
    policy, first = log.policy, log.start
    if log.cleaned is not None and log.start <= log.cleaned <= log.end:
        first = log.cleaned
    closed = [(piece, after.base) for piece, after in pairwise(log.pieces)]
    dirty = [piece for piece, end in closed if end > first]
    limit = min(limit, log.pieces[-1].base)
    if policy.min_lag_ms > 0:
        young = [one.base for one in dirty if one.latest > now_ms - policy.min_lag_ms]
        limit = min([limit, *young])
    end = max((piece.base for piece in log.pieces if piece.base <= max(limit, first)), default=0)
    begun = min((piece.batches[0].latest for piece in dirty), default=now_ms)
    return Dirty(
        first, end,
        sum(piece.size for piece in dirty if piece.base < end),
        sum(piece.size for piece, _ in closed if piece.base < first),
        begun < now_ms - policy.max_lag_ms,
    )  # fmt: skip


def changes(
    log: ModelLog, part: Dirty, now_ms: int, known: Mapping[int, Known]
) -> list[Change]:
    """What a cleaning of `part` makes of the log, group by group. known: its producers."""
    closed = [piece for piece, after in pairwise(log.pieces) if after.base <= part.end]
    rules = _Rules(log, part, closed, now_ms, known)
    found = []
    for group in _groups(closed, log.policy):
        new = rules.rewritten(group)
        if len(group) > 1 or new.batches != group[0].batches:
            found.append(Change(group, new))
    return found


def _groups(closed: list[Piece], policy: Policy) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    for piece in closed:
        size = sum(one.size for one in group) + piece.size
        if group and (size > policy.segment_bytes or len(group) == GROUP_MAX):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


class _Rules:
    def __init__(
        self, log: ModelLog, part: Dirty, closed: list[Piece], now_ms: int,
        known: Mapping[int, Known],
    ) -> None:  # fmt: skip
        self.now_ms, self.known = now_ms, known
        self.horizon = now_ms + log.policy.tombstone_ms
        self.aborted = _aborted(
            one for piece in reversed(log.pieces) for one in reversed(piece.batches)
        )
        self.met: set[int] = set()  # producers with a batch of the transaction that they are in
        self.latest: dict[str, int] = {}
        for one in (one for piece in closed for one in piece.batches):
            if one.first not in self.aborted:
                self.latest |= {row.key: row.offset for row in one.rows if row.offset >= part.first}

    def rewritten(self, group: list[Piece]) -> Piece:
        new = Piece(group[0].base, group[-1].written_ms)
        stays = {one.last_offset for one in self.known.values()}
        stays.add(next(one.last for piece in reversed(group) for one in piece.batches[::-1]))
        for one in (one for piece in group for one in piece.batches):
            left = self._marker(one) if one.is_marker else self._data(one)
            if not left.is_empty or left.last in stays or self._tells_epoch(one):
                new.add(left)
        new.has_empty_index = group[0].has_aborts and not new.has_aborts
        return new

    def _data(self, one: Written) -> Written:
        if one.transactional:
            self.met.add(one.producer_id)
        is_past = 0 <= one.horizon <= self.now_ms
        rows = tuple(
            row
            for row in one.rows
            if row.offset >= self.latest.get(row.key, -1) and not (row.value is None and is_past)
        )
        if one.first in self.aborted or not rows:
            return _emptied(one)
        horizon = one.horizon
        if horizon < 0 and any(row.value is None for row in rows):
            horizon = self.horizon
        return one._replace(rows=rows, horizon=horizon)

    def _marker(self, one: Written) -> Written:
        """It goes like a tombstone, once nothing is left that it ends."""
        if one.is_empty:
            return one
        is_needed = one.producer_id in self.met
        self.met.discard(one.producer_id)
        if is_needed:
            return one
        if one.horizon < 0:
            return one._replace(horizon=self.horizon, aborts=False)
        if one.horizon <= self.now_ms and not self._tells_epoch(one):
            return _emptied(one)
        return one._replace(aborts=False)

    def _tells_epoch(self, one: Written) -> bool:
        """Whether a marker is all that is known of its producer."""
        known = self.known.get(one.producer_id)
        if not one.is_marker or known is None:
            return False
        return known.last_offset < 0 and known.epoch == one.epoch


def _emptied(one: Written) -> Written:
    return one._replace(rows=(), horizon=-1, aborts=False, is_empty=True)


def _aborted(backwards: Iterable[Written]) -> set[int]:
    """First offsets of batches whose transactions were aborted."""
    commits: dict[int, bool] = {}
    found = set()
    for one in backwards:
        if one.is_marker and not one.is_empty:
            commits[one.producer_id] = one.commits
        elif one.transactional and not commits.get(one.producer_id, True):
            found.add(one.first)
    return found


def replace(log: ModelLog, change: Change, at_ms: int) -> None:
    """The new segment takes the place of the old ones, whose files go later."""
    first = log.pieces.index(change.old[0])
    for piece in change.old:
        names = log.names(piece, is_active=False)
        if piece is change.old[0]:
            names = [name for name in names if not name.endswith(".snapshot")]
        else:
            log.snapshots.discard(piece.base)
        log.retire(names, at_ms)
    log.pieces[first : first + len(change.old)] = [change.new]
