"""Hours of a broker's life, minute by minute, beside a model of what its files look like."""
from __future__ import annotations

import pathlib
import random

from fastbroker.model import TopicPartition
from tests.time.cleaner import Cleaner
from tests.time.look import Look
from tests.time.model import ModelLog
from tests.time.state import State
from tests.time.topics import ONCE, REMADE_HOURS, TOPICS
from tests.time.traffic import Traffic
from tests.time.world import (
    EXPIRY_CHECK_MS,
    HOUR,
    MINUTE,
    PRODUCERS_EXPIRE_MS,
    RETENTION_CHECK_MS,
    Killed,
    World,
)

ENDS = ("stop", "kill", "killed in retention", "killed in compaction")
NIGHT_MINUTES = 8 * 60  # the longest retention, of what came from the future, and more


class Day:
    """restarts: whether the broker ends, one way or another, each hour, and starts again."""

    def __init__(self, path: pathlib.Path, seed: int, *, restarts: bool = True) -> None:
        self.state = state = State(World(path), random.Random(seed))
        self.world, self.chance, self.counts = state.world, state.chance, state.counts
        self.traffic, self.cleaner, self.look = Traffic(state), Cleaner(state), Look(state)
        self.restarts = restarts
        self.once = 0  # how many topics were made to be there once
        self.ends: dict[str, int] = {}  # topic -> minute at which it is made anew

    def close(self) -> None:
        self.world.close()

    def begin(self) -> None:
        self.world.start()
        self._started()
        for name in TOPICS:
            self._create(name)
        self.traffic.begin()

    def hour(self) -> None:
        """Sixty minutes, then a look at everything."""
        self._make_once()
        restart = self.chance.randrange(60)
        how = self.chance.choice(ENDS) if self.restarts else ""
        if how == "killed in compaction":
            restart //= 4  # there are not many cleanings in an hour
        ended = self.counts[how]
        for minute in range(60):
            for name, end in self.ends.items():
                if self.state.minute >= end:
                    self._remake(name)
            self.traffic.minute()
            is_time = minute >= restart and self.counts[how] == ended
            if is_time and how in ("stop", "kill"):
                if how == "kill" or self.chance.random() < 0.5:
                    self._remake_at_last("recreated")
                self._restart(how)
                is_time = False
            self._pass_minute(how if is_time else "")
            if minute % 7 == 0:
                self.look.at_directory()
        if self.state.minute == 9 * 60:
            self.world.step_clock(-HOUR)
        self.look.at_everything()
        self._forget()

    def night(self) -> None:
        """All has an end, and nobody comes for as long as anything is kept by time. What is held
        in the morning is the same each morning."""
        self.traffic.end()
        for _ in range(NIGHT_MINUTES):
            self._pass_minute("")
        self.look.at_morning()
        self._forget()

    # ---- starts and ends

    def _started(self) -> None:
        self.state.started_at = self.world.bench.timers.at_ms
        self.look.started()

    def _restart(self, how: str) -> None:
        state = self.state
        if how == "stop":
            self.world.stop()
        else:
            self.world.kill(until_ms=state.minute * MINUTE)
        self.counts[how] += 1
        state.waiting.clear()
        state.directories.clear()
        state.orphans.clear()
        self.world.start()
        self._started()
        for log in state.model.values():
            log.restarted()
            log.led(self.world.epoch)
        if how != "stop":
            self._retain()  # after a kill all logs are looked at at once
        if how == "killed in retention":
            for log in state.model.values():
                # Producers may have expired in the same moment, before that.
                log.expire(self.world.now_ms(), PRODUCERS_EXPIRE_MS)
            self.look.is_unsure_for(max(p.delete_delay_ms for p in state.policies.values()))
        if how != "stop":
            self.look.at_directory()

    # ---- time

    def _pass_minute(self, how: str) -> None:
        """how: it is to be killed in something, if there is anything to be done."""
        state, world = self.state, self.world
        state.minute += 1
        world.advance(MINUTE / 2)
        if how == "killed in compaction":
            world.disk.kill_in = self.chance.randrange(16)  # up to seven it is as before
        try:
            self.cleaner.turn()
        except Killed:
            self._restart(how)
        world.disk.kill_in = None
        if how == "killed in retention":
            world.disk.kill_in = self.chance.randrange(12)
        try:
            world.advance(state.minute * MINUTE - world.bench.timers.at_ms)
        except Killed:
            self._restart(how)
        world.disk.kill_in = None
        self._passed()

    def _passed(self) -> None:
        """What the model makes of a minute."""
        state = self.state
        at_ms = int(self.world.bench.timers.at_ms)
        elapsed = at_ms - int(state.started_at)
        if elapsed and elapsed % RETENTION_CHECK_MS == 0:
            self._retain()
        if elapsed and elapsed % EXPIRY_CHECK_MS == 0:
            for log in state.model.values():
                log.expire(self.world.now_ms(), PRODUCERS_EXPIRE_MS)
            self.look.expired()
        for log in state.model.values():
            log.remove_due(at_ms)
        state.orphans = [due for due in state.orphans if due > at_ms]
        for topic, due_at in list(state.directories.items()):
            state.directories[topic] = [due for due in due_at if due > at_ms]
            if not state.directories[topic]:
                del state.directories[topic]

    def _retain(self) -> None:
        now_ms, at_ms = self.world.now_ms(), int(self.world.bench.timers.at_ms)
        for log in self.state.model.values():
            log.left.clear()
            due = log.due(now_ms)
            self.counts["dropped"] += due
            if due:
                log.drop(due, now_ms, at_ms)

    def _forget(self) -> None:
        """Of the producers that have expired, the model needs those that may come back."""
        for name, log in self.state.model.items():
            log.forget(self.world.producers_known(name))

    # ---- topics

    def _create(self, name: str) -> None:
        policy = self.state.policies[name]
        partitions = self.state.topics[name].partitions
        self.world.create(name, partitions, policy.configs())
        for number in range(partitions):
            log = ModelLog(policy, self.world.now_ms())
            self.state.model[TopicPartition(name, number)] = log
            log.led(self.world.epoch)
        if name in REMADE_HOURS:
            low, high = REMADE_HOURS[name]
            self.ends[name] = self.state.minute + self.chance.randrange(low * 60, high * 60)

    def _delete(self, name: str) -> None:
        self.world.delete(name)
        state, at_ms = self.state, self.world.bench.timers.at_ms
        for number in range(state.topics[name].partitions):
            gone = state.model.pop(TopicPartition(name, number))
            state.orphans += [due for _, due in gone.deleted]
            if gone.end:
                due = at_ms + state.policies[name].delete_delay_ms
                state.directories.setdefault(f"{name}-{number}.", []).append(due)

    def _remake(self, name: str) -> None:
        """Somebody waits for it, and producers go on with their sequences."""
        self.counts["remade"] += 1
        self.traffic.wait_for(TopicPartition(name, 0))
        self._delete(name)
        self._create(name)

    def _make_once(self) -> None:
        """A topic with a name that was never there, in the place of the one of the hour before."""
        state = self.state
        self.once, before = self.once + 1, f"once-{self.once:04d}"
        if before in state.topics:
            self._delete(before)
            del state.topics[before], state.policies[before]
        name = f"once-{self.once:04d}"
        state.topics[name], state.policies[name] = ONCE, ONCE.policy
        self._create(name)
        self.traffic.append(TopicPartition(name, 0))

    def _remake_at_last(self, name: str) -> None:
        """Where the log begins, and how far it goes, is of another one now; checkpoints are old."""
        self.traffic.delete_records(name, -1)
        self._remake(name)
        self.traffic.append(TopicPartition(name, 0))
