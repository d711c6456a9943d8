"""Right histories by chance: clients of a broker that makes no mistake, from a seed.

Two senders, two transactional senders that also store a group's offsets, two readers that come and
go and two that read everything in the end. Acknowledgements are late, lost, or without an offset;
sends fail; transactions commit, abort, hang, and end without an answer.
"""
from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.history.events import Event

TOPIC, GROUP, PARTITIONS, STEPS = "t", "g", 3, 260
KEYS = ("a", "b", "c", None)


@dataclass
class Entry:
    """One offset of a log: a record, or the marker that ended a transaction (value None)."""

    key: str | None
    value: str | None
    txn: str | None


@dataclass
class World:
    """The broker's truth, and the events so far."""

    chance: random.Random
    events: list[Event] = field(default_factory=list)
    logs: list[list[Entry]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    open: set[str] = field(default_factory=set)
    aborted: set[str] = field(default_factory=set)
    stored: dict[str, int] = field(default_factory=dict)
    now: int = 0
    values: int = 0

    def note(self, process: str, event: str, **what: Any) -> None:
        self.now += self.chance.randint(0, 2)
        self.events.append({"at": self.now, "process": process, "event": event, **what})

    def end(self, txn: str, *, commit: bool) -> None:
        """Append its markers."""
        self.open.remove(txn)
        if not commit:
            self.aborted.add(txn)
        for log in self.logs:
            if any(entry.txn == txn for entry in log):
                log.append(Entry(None, None, txn))

    def visible(self, partition: int, start: int) -> list[list[Any]]:
        """What read_committed returns from `start` on."""
        out: list[list[Any]] = []
        for offset, entry in enumerate(self.logs[partition]):
            if entry.value is not None and entry.txn in self.open:
                break
            if offset >= start and entry.value is not None and entry.txn not in self.aborted:
                out.append([offset, entry.key, entry.value])
        return out


class _Sender:
    """Sends; up to three records are under way, acknowledged in order."""

    def __init__(self, world: World, process: str) -> None:
        self.world, self.process = world, process
        self.waiting: deque[Callable[[], None]] = deque()
        self.sends = 0

    def step(self) -> None:
        if self.waiting and (len(self.waiting) == 3 or self.world.chance.random() < 0.5):
            self.waiting.popleft()()
        else:
            self.send(self.world.chance.randrange(PARTITIONS))

    def send(self, partition: int, txn: str | None = None) -> None:
        world, sent_as = self.world, self.sends
        self.sends += 1
        value, key = f"v{world.values}", world.chance.choice(KEYS)
        world.values += 1
        fate = world.chance.random()
        if fate < 0.06:
            key = None  # those that are not written may stand in for any other
        inside = {} if txn is None else {"txn": txn}
        world.note(
            self.process, "send", id=sent_as, topic=TOPIC, partition=partition, key=key,
            value=value, **inside,
        )  # fmt: skip
        if fate < 0.03:
            self.waiting.append(lambda: world.note(self.process, "unsent", id=sent_as))
        elif fate >= 0.06:
            offset = len(world.logs[partition])
            world.logs[partition].append(Entry(key, value, txn))
            if fate >= 0.10:
                told = {"offset": offset} if fate > 0.2 else {}
                told["partition"] = partition
                self.waiting.append(lambda: world.note(self.process, "sent", id=sent_as, **told))

    def settle(self) -> None:
        while self.waiting:
            self.waiting.popleft()()


class _Transactions(_Sender):
    """One transaction after the other, each with offsets of the group."""

    def __init__(self, world: World, process: str, number: int) -> None:
        super().__init__(world, process)
        self.input, self.next, self.begun = f"in/{number}", 0, 0

    def step(self) -> None:
        if self.waiting:
            self.waiting.popleft()()
            return
        world = self.world
        txn = f"{self.process}:{self.begun}"
        open_one = txn in world.open
        if not open_one:
            world.open.add(txn)
            world.note(self.process, "begin", txn=txn)
            return
        if world.chance.random() < 0.6:
            self.send(world.chance.randrange(PARTITIONS), txn)
            return
        self.begun += 1
        self.next += world.chance.randint(1, 3)
        offsets = {self.input: self.next}
        number = self.sends
        self.sends += 1
        world.note(self.process, "offsets", id=number, group=GROUP, offsets=offsets, txn=txn)
        world.note(self.process, "stored", id=number)
        fate = world.chance.random()
        if fate < 0.6:
            world.note(self.process, "commit", txn=txn)
            world.end(txn, commit=True)
            world.stored.update(offsets)
            world.note(self.process, "committed", txn=txn)
        elif fate < 0.75:
            world.note(self.process, "commit", txn=txn)  # and its answer is lost
            commit = world.chance.random() < 0.5
            world.end(txn, commit=commit)
            if commit:
                world.stored.update(offsets)
        elif fate < 0.9:
            world.note(self.process, "abort", txn=txn)
            world.end(txn, commit=False)
            world.note(self.process, "aborted", txn=txn)
        else:
            world.end(txn, commit=False)  # it died; the coordinator aborts


class _Reader:
    """Polls partitions from its positions; now and then it goes back to the beginning."""

    def __init__(self, world: World, process: str) -> None:
        self.world, self.process = world, process
        self.positions = [0] * PARTITIONS

    def step(self) -> None:
        world = self.world
        if world.chance.random() < 0.03:
            self.positions = [world.chance.randrange(at + 1) for at in self.positions]
            world.note(self.process, "seek")
        self.poll(world.chance.randrange(PARTITIONS))

    def poll(self, partition: int) -> bool:
        """Read a few records; whether there were any."""
        records = self.world.visible(partition, self.positions[partition])
        records = records[: self.world.chance.randint(1, 6)]
        if records:
            self.positions[partition] = records[-1][0] + 1
            self.world.note(
                self.process, "poll", topic=TOPIC, partition=partition, records=records
            )
        return bool(records)

    def read_all(self) -> None:
        for partition, log in enumerate(self.world.logs):
            while self.poll(partition):
                pass
            self.world.note(
                self.process, "reached", topic=TOPIC, partition=partition, offset=len(log)
            )


class _Asker:
    """Asks for end offsets and for the group's."""

    def __init__(self, world: World, process: str) -> None:
        self.world, self.process = world, process

    def step(self) -> None:
        world, asked = self.world, self.world.now
        if world.chance.random() < 0.5:
            partition = world.chance.randrange(PARTITIONS)
            end = len(world.logs[partition])
            told = {"topic": TOPIC, "partition": partition, "offset": end}
            world.note(self.process, "end", asked=asked, **told)
        else:
            offsets = {name: world.stored.get(name, -1) for name in ("in/0", "in/1")}
            world.note(self.process, "fetched", asked=asked, group=GROUP, offsets=offsets)


def correct_history(seed: int) -> list[Event]:
    """The events of a run in which nothing is wrong, in the order of their times."""
    world = World(random.Random(seed))
    senders = [_Sender(world, f"s{n}") for n in range(2)]
    transactions = [_Transactions(world, f"x{n}", n) for n in range(2)]
    readers = [_Reader(world, f"r{n}") for n in range(2)]
    asker = _Asker(world, "asker")
    clients: list[Any] = [*senders, *transactions, *transactions, *readers, asker]
    for _ in range(STEPS):
        world.chance.choice(clients).step()
    for client in [*transactions, *senders]:
        client.settle()
    for txn in sorted(world.open):
        world.end(txn, commit=False)
    for partition, log in enumerate(world.logs):  # the last value of each partition is certain
        offset = len(log)
        world.note("last", "send", id=partition, topic=TOPIC, partition=partition, key=None,
                   value=f"last{partition}")  # fmt: skip
        log.append(Entry(None, f"last{partition}", None))
        world.note("last", "sent", id=partition, partition=partition, offset=offset)
    for _ in range(4):
        asker.step()
    for name in ("final0", "final1"):
        _Reader(world, name).read_all()
    return world.events
