"""The worker's compaction has a turn, and the model does what it has to do in it."""
from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from fastbroker.model import TopicPartition
from fastbroker.storage.log import Log
from tests.time.compacted import Change, Dirty, changes, dirty_part, replace
from tests.time.model import Known, ModelLog
from tests.time.state import Difference, State
from tests.time.world import RETENTION_CHECK_MS

# A log that is due is opened by the next round of retention, if nobody else does that.
LATE_MINUTES = RETENTION_CHECK_MS // 60_000 + 1
BEHIND_MAX = 2  # turns that a recovery point is not at the log's end


class Before(NamedTuple):
    """What there is to do in a log. known: its producers; None: the log is not open."""

    part: Dirty
    known: Mapping[int, Known] | None


class Cleaner:
    """Owned by the day in `state`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.behind: Counter[TopicPartition] = Counter()  # turns

    def turn(self) -> None:
        """Raises Difference, and Killed once the model knows how far it came."""
        world, model = self.state.world, self.state.model
        now_ms, at_ms = world.now_ms(), int(world.bench.timers.at_ms)
        self.behind = Counter({name: self.behind[name] for name in model.keys() & self.behind})
        befores = {
            name: self._before(name, log, now_ms)
            for name, log in model.items()
            if log.policy.is_compacted
        }
        cleaned = dict(world.bench.log_dir.cleaned)
        try:
            world.turn()
        finally:
            was_killed = world.disk.is_dead
            for name, before in befores.items():
                reached = world.bench.log_dir.cleaned.get(name)
                if reached != cleaned.get(name):
                    self._cleaned(name, before, reached, now_ms, at_ms)
                elif was_killed:
                    self._interrupted(name, before, now_ms, at_ms)
                elif before.part.is_due(model[name].policy):
                    self._late(name, before)

    def _before(self, name: TopicPartition, log: ModelLog, now_ms: int) -> Before:
        opened = self.state.world.partition(name).opened
        if opened is None:
            self.behind.pop(name, None)
            return Before(dirty_part(log, now_ms, log.stable), None)
        point = opened.recovery_point
        # An epoch holds it back until it was saved, which happens every minute.
        is_new = self.state.minutes_up == 0
        self.behind[name] = 0 if is_new or point == log.end else self.behind[name] + 1
        if self.behind[name] > BEHIND_MAX or point not in (log.end, *(at for _, at in log.epochs)):
            raise Difference(f"{name}: the recovery point is {point}, the log ends at {log.end}")
        known = producers_of(opened, log)
        return Before(dirty_part(log, now_ms, min(log.stable, point)), known)

    def _cleaned(
        self, name: TopicPartition, before: Before, reached: int | None, now_ms: int, at_ms: int
    ) -> None:
        log, part = self.state.model[name], before.part
        if not part.is_due(log.policy) or reached != part.end or before.known is None:
            raise Difference(f"{name} was compacted up to {reached}: {part}")
        for change in changes(log, part, now_ms, before.known):
            replace(log, change, at_ms)
        log.cleaned = reached
        self.state.counts["cleaned"] += 1

    def _late(self, name: TopicPartition, before: Before) -> None:
        if before.known is not None or self.state.minutes_up > LATE_MINUTES:
            raise Difference(f"{name} is to be compacted: {before.part}")

    def _interrupted(
        self, name: TopicPartition, before: Before, now_ms: int, at_ms: int
    ) -> None:
        """Of the groups, which are replaced in their order, some may have been."""
        log = self.state.model[name]
        if before.known is None or not before.part.is_due(log.policy):
            return
        directory = self.state.world.directory / str(name)
        for change in changes(log, before.part, now_ms, before.known):
            if not is_committed(str(directory), change):
                break
            replace(log, change, at_ms)
            self.state.counts["killed between"] += 1


def producers_of(opened: Log, log: ModelLog) -> dict[int, Known]:
    """Those that the real log knows: one that was closed may remember what has expired."""
    return {
        one: log.producers.get(one) or log.forgotten[one] for one in opened.producers.producers
    }


def is_committed(directory: str, change: Change) -> bool:
    """Whether what lies there, in the middle of a replacement, is the new segment."""
    path = os.path.join(directory, f"{change.new.base:020d}.log")
    if os.path.exists(path + ".swap"):
        return True
    others = [f"{piece.base:020d}.log" for piece in change.old[1:]]
    if any(os.path.exists(os.path.join(directory, name)) for name in others):
        return False
    return os.path.exists(path) and os.path.getsize(path) == change.new.size


