"""What clients were told, and where the disk's log stood then.

`seen` is the position of the log after an answer: a cut at `seen` or later may not undo what the
answer said. `asked` is the position before a question: a cut up to there knows nothing of it.
"""
from __future__ import annotations

import pathlib
import pickle
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

DATA, RETAINED = "data", "retained"
Where = tuple[str, int]  # topic, partition


class Ack(NamedTuple):
    """A record that has its offset."""

    seen: int
    topic: str
    partition: int
    offset: int
    value: str


class Transaction(NamedTuple):
    """One that was ended, or not (ended: -1). asked: before its end was asked for. offset: what it
    committed for its group, -1: nothing."""

    name: str
    commit: bool
    asked: int
    seen: int
    offset: int


class Commit(NamedTuple):
    """An offset that a group has committed for partition 0 of DATA."""

    asked: int
    seen: int
    group: str
    offset: int


class Deletion(NamedTuple):
    """Records before `offset` were asked to be deleted."""

    asked: int
    topic: str
    partition: int
    offset: int


@dataclass
class Journal:
    """Of one run. sent: how many values each producer has sent to each partition; a value is
    `producer transaction topic partition number padding`, with - for no transaction.

    begun, over: positions. starts: of the partitions with retention, after `over`.
    """

    acks: list[Ack] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    sent: dict[tuple[str, str, int], int] = field(default_factory=dict)
    topic_ids: dict[str, bytes] = field(default_factory=dict)
    partitions: dict[str, int] = field(default_factory=dict)
    starts: dict[Where, int] = field(default_factory=dict)
    begun: int = 0
    over: int = 0
    failures: list[str] = field(default_factory=list)

    def value(
        self, producer: str, transaction: str, topic: str, partition: int, *, padding: int
    ) -> str:
        """The next one to send."""
        at = producer, topic, partition
        number = self.sent.get(at, 0)
        self.sent[at] = number + 1
        head = f"{producer} {transaction} {topic} {partition} {number}"
        return f"{head} {'x' * padding}"

    def was_sent(self, value: str, topic: str, partition: int) -> bool:
        """Whether it is one of ours, for that partition."""
        producer, _, to, number, count, _ = value.split(" ")
        known = self.sent.get((producer, to, int(number)), 0)
        return (to, int(number)) == (topic, partition) and int(count) < known

    def commits_of_groups(self) -> dict[str, list[Commit]]:
        """Group -> what it has committed, by itself or in transactions."""
        out: dict[str, list[Commit]] = defaultdict(list)
        for one in self.commits:
            out[one.group].append(one)
        for each in self.transactions:
            if each.commit and each.offset >= 0:
                group = f"of-{each.name.split('.')[0]}"
                out[group].append(Commit(each.asked, each.seen, group, each.offset))
        return out

    def save(self, path: pathlib.Path) -> None:
        path.write_bytes(pickle.dumps(self))

    @staticmethod
    def load(path: pathlib.Path) -> Journal:
        found = pickle.loads(path.read_bytes())
        assert isinstance(found, Journal)
        return found


def producer_of(value: str) -> str:
    return value.split(" ", 1)[0]


def transaction_of(value: str) -> str:
    """Its name; - for none."""
    return value.split(" ", 2)[1]
