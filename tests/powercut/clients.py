"""Reading a broker that was started on an image, as clients do."""
from __future__ import annotations

import time

from confluent_kafka import Consumer, TopicPartition

from tests.powercut.journal import DATA, RETAINED, Journal, Where, transaction_of
from tests.powercut.promises import ABORTED, COMMITTED, OPEN, Found, Partition

DEADLINE_S = 30.0
READ_COMMITTED, READ_UNCOMMITTED = "read_committed", "read_uncommitted"


def read_broker(bootstrap: str, journal: Journal, cut: int) -> Found:
    """All records at both isolation levels, and the offsets of all groups."""
    needed = {one.name for one in journal.transactions if one.commit and one.seen <= cut}
    everything = _read(bootstrap, journal, READ_UNCOMMITTED)
    end = time.monotonic() + DEADLINE_S
    while True:  # until transactions that were decided have all their markers
        found = Found(everything, is_served=True)
        _compare(found, _read(bootstrap, journal, READ_COMMITTED), needed)
        waiting = [name for name in needed if OPEN in found.outcomes.get(name, ())]
        if not waiting or time.monotonic() > end:
            break
        time.sleep(0.1)
    for group, commits in journal.commits_of_groups().items():
        least = max((one.offset for one in commits if one.seen <= cut), default=-1)
        found.offsets[group] = {_offset_of(bootstrap, group, least)}
    return found


def _compare(found: Found, visible: dict[Where, Partition], needed: set[str]) -> None:
    """What became of each transaction, as far as somebody at read_committed can tell.

    Behind the last stable offset nothing is told, unless it is a needed one that is open there.
    """
    for where, partition in found.partitions.items():
        stable = visible[where].end
        shown = {offset for offset, _ in visible[where].records}
        first = next((value for offset, value in partition.records if offset >= stable), "- -")
        is_behind = transaction_of(first) not in needed
        for offset, value in partition.records:
            name = transaction_of(value)
            if offset < visible[where].start:
                continue  # retention has taken it since
            if offset >= stable:
                if name in needed and not is_behind:
                    found.outcomes.setdefault(name, set()).add(OPEN)
            elif name != "-":
                outcome = COMMITTED if offset in shown else ABORTED
                found.outcomes.setdefault(name, set()).add(outcome)
            elif offset not in shown:
                found.wrong.append(f"{where} {offset} is not visible to read_committed")


class Gone(Exception):
    """Retention was faster than the reader."""


def _read(bootstrap: str, journal: Journal, isolation: str) -> dict[Where, Partition]:
    """Every partition from its start to its end: for read_committed, the last stable offset."""
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            return _read_once(bootstrap, journal, isolation)
        except Gone:
            assert time.monotonic() < end, "retention is always faster than the reader"


def _read_once(bootstrap: str, journal: Journal, isolation: str) -> dict[Where, Partition]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
         "isolation.level": isolation, "enable.partition.eof": True, "log_level": 0,
         "auto.offset.reset": "error", "fetch.wait.max.ms": 50}
    )  # fmt: skip
    out: dict[Where, Partition] = {}
    try:
        there = consumer.list_topics(timeout=DEADLINE_S).topics
        for topic in journal.partitions:
            for number in there[topic].partitions if topic in there else ():
                where = TopicPartition(topic, number)
                low, high = consumer.get_watermark_offsets(where, timeout=DEADLINE_S)
                out[topic, number] = Partition(low, high)
        waiting = set(out)
        consumer.assign([TopicPartition(*at, part.start) for at, part in out.items()])
        end = time.monotonic() + DEADLINE_S
        while waiting:
            assert time.monotonic() < end, f"{len(waiting)} partitions cannot be read to their end"
            for message in consumer.consume(5000, timeout=0.2):
                at = message.topic() or "", message.partition() or 0
                error = message.error()
                if error is not None:
                    if error.name() == "_AUTO_OFFSET_RESET" and at[0] == RETAINED:
                        raise Gone
                    assert error.name() == "_PARTITION_EOF", f"{at}: {error}"
                    waiting.discard(at)
                    out[at].end = message.offset() or 0
                    continue
                offset, value = message.offset(), message.value()
                assert offset is not None
                assert isinstance(value, bytes)
                out[at].records.append((offset, value.decode()))
    finally:
        consumer.close()
    return out


def _offset_of(bootstrap: str, group: str, least: int) -> int:
    """The offset that is stored, once it is `least`: a transaction that was decided may bring it.

    Transactions that are open are not waited for: they stay so until they time out.
    """
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0,
         "isolation.level": READ_UNCOMMITTED}
    )  # fmt: skip
    end = time.monotonic() + DEADLINE_S
    try:
        while True:
            (found,) = consumer.committed([TopicPartition(DATA, 0)], timeout=DEADLINE_S)
            offset = max(found.offset, -1)
            if offset >= least or time.monotonic() > end:
                return int(offset)
            time.sleep(0.05)
    finally:
        consumer.close()
