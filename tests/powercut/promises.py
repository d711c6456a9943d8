"""What has to be true of a broker's data after a power cut, whoever has read it.

Of every image: no record that was acknowledged before the cut is lost, each is at its offset; what
is there was sent, once, to that partition, in its producer's order; transactions that were told
committed are, and those that were not asked to commit are not; the offsets of groups are not older
than what was told, nor newer than what was asked.
"""
from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.powercut.journal import (
    DATA,
    RETAINED,
    Journal,
    Where,
    producer_of,
)

COMMITTED, ABORTED, OPEN = "committed", "aborted", "open"
TOLD = 20  # of each kind of finding


@dataclass
class Partition:
    """records: (offset, value) of all, also of aborted transactions, by offset."""

    start: int = 0
    end: int = 0
    records: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Found:
    """What somebody has read.

    outcomes: transaction -> what it is, in each partition with a part of it. decided: transactional
    ids whose coordinator has decided to commit, and has not brought all markers yet. offsets:
    group -> its offset, and, when a transaction that is decided brings another, that one.
    is_served: a broker runs on it, whose retention goes on.
    """

    partitions: dict[Where, Partition] = field(default_factory=dict)
    outcomes: dict[str, set[str]] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    offsets: dict[str, set[int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)  # found while reading
    is_served: bool = False


@dataclass
class Verdict:
    """Of one image. acked: records that had to be there."""

    acked: int = 0
    lost: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.invented or self.wrong)

    def __str__(self) -> str:
        parts = []
        kinds = {"LOST": self.lost, "INVENTED": self.invented, "WRONG": self.wrong}
        for name, found in kinds.items():
            parts += [f"{name} {one}" for one in found[:TOLD]]
            if len(found) > TOLD:
                parts.append(f"... {len(found) - TOLD} more {name}")
        return "\n    ".join(parts)


def judge(found: Found, journal: Journal, cut: int) -> Verdict:
    """Whether everything that was promised before position `cut` has been kept."""
    verdict = Verdict(wrong=list(found.wrong))
    _judge_acks(verdict, found, journal, cut)
    for where, partition in found.partitions.items():
        if where[0] in (DATA, RETAINED):
            _judge_records(verdict, where, partition, journal)
    _judge_transactions(verdict, found, journal, cut)
    _judge_offsets(verdict, found, journal, cut)
    return verdict


def _judge_acks(verdict: Verdict, found: Found, journal: Journal, cut: int) -> None:
    deleted: dict[Where, int] = defaultdict(int)
    for one in journal.deletions:
        if one.asked <= cut:
            at = one.topic, one.partition
            deleted[at] = max(deleted[at], one.offset)
    for where, start in journal.starts.items():
        partition = found.partitions.get(where)
        if partition is not None and partition.start > start and not found.is_served:
            verdict.lost.append(f"{where} begins at {partition.start}, it was {start} at the end")
    by_offset = {where: dict(one.records) for where, one in found.partitions.items()}
    for ack in journal.acks:
        where = ack.topic, ack.partition
        if ack.seen > cut or ack.offset < deleted[where]:
            continue
        partition = found.partitions.get(where)
        if where in journal.starts and partition is not None and ack.offset < partition.start:
            continue
        verdict.acked += 1
        value = by_offset.get(where, {}).get(ack.offset)
        if value != ack.value:
            has = f"ends at {partition.end}" if partition is not None else "is not there"
            verdict.lost.append(
                f"{where} {ack.offset}: {ack.value[:40]}, acknowledged at {ack.seen} of {cut};"
                f" there is {value and value[:40]}, it {has}"
            )


def _judge_records(
    verdict: Verdict, where: Where, partition: Partition, journal: Journal
) -> None:
    before, seen = partition.start - 1, set()
    latest: dict[str, int] = {}
    for offset, value in partition.records:
        if not journal.was_sent(value, *where):
            verdict.invented.append(f"{where} {offset}: {value[:60]}")
            continue
        if offset <= before:
            verdict.wrong.append(f"{where}: offset {offset} behind {before}")
        before = offset
        if value in seen:
            verdict.invented.append(f"{where} {offset}: {value[:40]} once more")
        seen.add(value)
        producer, number = producer_of(value), int(value.split(" ")[4])
        if not producer.startswith("plain"):
            if number <= latest.get(producer, -1):
                verdict.wrong.append(f"{where} {offset}: {value[:40]} out of order")
            latest[producer] = number


def _judge_transactions(verdict: Verdict, found: Found, journal: Journal, cut: int) -> None:
    asked_to_commit = set()
    for one in journal.transactions:
        producer = one.name.split(".")[0]
        outcomes = found.outcomes.get(one.name, set())
        if one.commit and one.asked < cut:
            asked_to_commit.add(one.name)
        if one.commit and one.seen <= cut:
            late = producer in found.decided and OPEN in outcomes
            if outcomes - {COMMITTED} - ({OPEN} if late else set()):
                verdict.lost.append(f"transaction {one.name} was committed and is {outcomes}")
    for name, outcomes in found.outcomes.items():
        if COMMITTED in outcomes and name not in asked_to_commit:
            verdict.invented.append(f"transaction {name} is committed, nobody has asked for it")
        if {COMMITTED, ABORTED} <= outcomes:
            verdict.wrong.append(f"transaction {name} is both committed and aborted")


def _judge_offsets(verdict: Verdict, found: Found, journal: Journal, cut: int) -> None:
    for group, made in journal.commits_of_groups().items():
        least = max((one.offset for one in made if one.seen <= cut), default=-1)
        most = max((one.offset for one in made if one.asked < cut), default=-1)
        offsets = found.offsets.get(group, {-1})
        if max(offsets) < least:
            verdict.lost.append(f"offset {least} of group {group}, it has {offsets}")
        if min(offsets) > most:
            verdict.invented.append(f"offset {offsets} of group {group}, at most {most} was asked")
