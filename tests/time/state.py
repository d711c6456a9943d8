"""What the day's parts share: the broker, the model of its logs, and dice."""
from __future__ import annotations

import collections
import random

from fastbroker.model import TopicPartition
from tests.handlers.bench import Pending
from tests.time.model import ModelLog
from tests.time.topics import TOPICS
from tests.time.world import World


class Difference(AssertionError):
    """The broker is not as the model says."""


class State:
    """model: by the rules alone. topics, policies: of those that are there, as they are now.
    minute: how many have passed.

    directories: of deleted partitions, by the beginning of their names: when each goes.
    orphans: when files of deleted partitions were to go.
    """

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.model: dict[TopicPartition, ModelLog] = {}
        self.topics = dict(TOPICS)
        self.policies = {name: topic.policy for name, topic in TOPICS.items()}
        self.directories: dict[str, list[float]] = {}
        self.orphans: list[float] = []
        self.minute = 0
        self.started_at = 0.0
        self.waiting: list[Pending] = []
        self.counts: collections.Counter[str] = collections.Counter()

    @property
    def minutes_up(self) -> int:
        """Since the last start."""
        return int(self.world.bench.timers.at_ms - self.started_at) // 60_000
