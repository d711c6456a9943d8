"""From lines to a history: who wrote what, in which transaction, with what end; who read what."""
from __future__ import annotations

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Event = dict[str, Any]
Place = tuple[str, int]  # topic, partition


class Outcome(Enum):
    """Whether something took effect."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass
class Write:
    """One record that was handed to a client."""

    process: str
    at: int
    topic: str
    key: str | None
    value: str
    txn: str | None
    partition: int | None  # asked for, or acknowledged
    offset: int | None = None
    acked_at: int | None = None
    outcome: Outcome = Outcome.INFO

    @property
    def place(self) -> Place | None:
        return None if self.partition is None else (self.topic, self.partition)


@dataclass
class Transaction:
    """One transaction: its writes and what it read."""

    name: str
    process: str
    outcome: Outcome = Outcome.FAIL  # until its commit is asked for
    writes: list[Write] = field(default_factory=list)
    read: set[tuple[str, str]] = field(default_factory=set)  # topic, value


@dataclass(frozen=True)
class Poll:
    """Records that came together; `run` counts the seeks that its process did before."""

    process: str
    at: int
    place: Place
    records: list[tuple[int, str | None, str]]
    txn: str | None
    run: int
    committed: bool


@dataclass
class GroupCommit:
    """Offsets that a group stored, or tried to."""

    at: int
    offsets: dict[str, int]
    txn: str | None
    acked_at: int | None = None
    outcome: Outcome = Outcome.INFO


@dataclass(frozen=True)
class Told:
    """A number that the broker told for a partition, or a group's offsets; `asked` to `at`."""

    asked: int
    at: int
    what: Any


@dataclass
class History:
    """Everything, ready to be asked. `writes` by topic and value."""

    writes: dict[tuple[str, str], Write] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    polls: list[Poll] = field(default_factory=list)
    reached: dict[Place, Told] = field(default_factory=dict)
    ends: dict[Place, list[Told]] = field(default_factory=lambda: defaultdict(list))
    commits: dict[str, list[GroupCommit]] = field(default_factory=lambda: defaultdict(list))
    fetched: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))

    def must_be_there(self, write: Write, seen: set[tuple[str, str]]) -> bool:
        """Whether `write` took effect for sure, `seen` being all values that anybody read."""
        if write.outcome is not Outcome.INFO:
            return write.outcome is Outcome.OK
        if write.txn is None:
            return (write.topic, write.value) in seen
        return any((w.topic, w.value) in seen for w in self.transactions[write.txn].writes)


def load(paths: Iterable[pathlib.Path]) -> list[Event]:
    """All events of the files in the order of their times; each file's own order is kept.

    ValueError for a line that is no event, unless it is the torn last one of its file.
    """
    out: list[Event] = []
    for path in paths:
        text = path.read_text()
        whole, _, _torn = text.rpartition("\n")
        for line in whole.splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                raise ValueError(f"{path.name}: no event: {line[:200]!r}") from None
    out.sort(key=lambda event: event["at"])
    return out


def history_of(events: Sequence[Event]) -> History:
    """The history that `events` tell. ValueError when they contradict themselves."""
    return _Reader().read(events)


class _Reader:
    def __init__(self) -> None:
        self.history = History()
        self.sends: dict[tuple[str, Any], Write] = {}
        self.stores: dict[tuple[str, Any], GroupCommit] = {}
        self.ended_at: dict[str, int] = {}
        self.runs: dict[tuple[str, Place | None], int] = defaultdict(int)

    def read(self, events: Sequence[Event]) -> History:
        for event in events:
            method = getattr(self, "_" + event["event"], None)
            if method is None:
                raise ValueError(f"unknown event: {event}")
            method(event)
        self._settle()
        return self.history

    def _send(self, e: Event) -> None:
        name = (e["topic"], e["value"])
        if name in self.history.writes:
            raise ValueError(f"sent twice: {name}")
        write = Write(
            e["process"], e["at"], e["topic"], e["key"], e["value"], e.get("txn"),
            e.get("partition"),
        )  # fmt: skip
        self.history.writes[name] = self.sends[e["process"], e["id"]] = write
        if write.txn is not None:
            self.history.transactions[write.txn].writes.append(write)

    def _sent(self, e: Event) -> None:
        write = self.sends[e["process"], e["id"]]
        write.partition, write.acked_at = e["partition"], e["at"]
        offset = e.get("offset")
        write.offset = offset if offset is not None and offset >= 0 else None
        write.outcome = Outcome.OK

    def _unsent(self, e: Event) -> None:
        self.sends[e["process"], e["id"]].outcome = Outcome.FAIL

    def _begin(self, e: Event) -> None:
        if e["txn"] in self.history.transactions:
            raise ValueError(f"begun twice: {e['txn']}")
        self.history.transactions[e["txn"]] = Transaction(e["txn"], e["process"])

    def _commit(self, e: Event) -> None:
        self.history.transactions[e["txn"]].outcome = Outcome.INFO

    def _committed(self, e: Event) -> None:
        self.history.transactions[e["txn"]].outcome = Outcome.OK
        self.ended_at[e["txn"]] = e["at"]

    def _abort(self, e: Event) -> None:
        """Says nothing yet: a commit may have been asked for before."""

    def _aborted(self, e: Event) -> None:
        self.history.transactions[e["txn"]].outcome = Outcome.FAIL

    def _offsets(self, e: Event) -> None:
        commit = GroupCommit(e["at"], e["offsets"], e.get("txn"))
        self.history.commits[e["group"]].append(commit)
        self.stores[e["process"], e["id"]] = commit

    def _stored(self, e: Event) -> None:
        commit = self.stores[e["process"], e["id"]]
        commit.outcome, commit.acked_at = Outcome.OK, e["at"]

    def _fetched(self, e: Event) -> None:
        self.history.fetched[e["group"]].append(Told(e["asked"], e["at"], e["offsets"]))

    def _poll(self, e: Event) -> None:
        place = (e["topic"], e["partition"])
        run = self.runs[e["process"], None] + self.runs[e["process"], place]
        committed = e.get("isolation", "read_committed") == "read_committed"
        records = [(offset, key, value) for offset, key, value in e["records"]]
        poll = Poll(e["process"], e["at"], place, records, e.get("txn"), run, committed)
        self.history.polls.append(poll)
        if poll.txn is not None:
            transaction = self.history.transactions[poll.txn]
            transaction.read.update((place[0], value) for _, _, value in records)

    def _seek(self, e: Event) -> None:
        partitions = e.get("partitions")
        if partitions is None:
            self.runs[e["process"], None] += 1
            return
        for named in partitions:
            topic, _, partition = named.rpartition("/")
            self.runs[e["process"], (topic, int(partition))] += 1

    def _reached(self, e: Event) -> None:
        place = (e["topic"], e["partition"])
        before = self.history.reached.get(place)
        if before is None or before.what <= e["offset"]:
            self.history.reached[place] = Told(e["at"], e["at"], e["offset"])

    def _end(self, e: Event) -> None:
        place = (e["topic"], e["partition"])
        self.history.ends[place].append(Told(e["asked"], e["at"], e["offset"]))

    def _settle(self) -> None:
        """What is in a transaction ends as the transaction does."""
        for transaction in self.history.transactions.values():
            for write in transaction.writes:
                if write.outcome is not Outcome.FAIL:
                    write.outcome = transaction.outcome
        for commits in self.history.commits.values():
            for commit in commits:
                if commit.txn is not None:
                    commit.outcome = self.history.transactions[commit.txn].outcome
                    commit.acked_at = self.ended_at.get(commit.txn)
