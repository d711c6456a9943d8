"""Reading a broker that was started on an image, as clients do."""
from __future__ import annotations

import time

from confluent_kafka import Consumer, TopicPartition

from tests.powercut.journal import DATA, Journal, transaction_of
from tests.powercut.promises import ABORTED, COMMITTED, Found, Partition

DEADLINE_S = 60.0
READ_COMMITTED, READ_UNCOMMITTED = "read_committed", "read_uncommitted"


def read_broker(bootstrap: str, journal: Journal, cut: int) -> Found:
    """All records at both isolation levels, and the offsets of all groups."""
    found = Found()
    everything = _read(bootstrap, journal, READ_UNCOMMITTED)
    needed = {one.name for one in journal.transactions if one.commit and one.seen <= cut}
    visible = _settled(bootstrap, journal, everything, needed)
    for where, partition in everything.items():
        found.partitions[where] = partition
        shown = {offset for offset, _ in visible[where].records}
        for offset, value in partition.records:
            name = transaction_of(value)
            if name != "-":
                outcome = COMMITTED if offset in shown else ABORTED
                found.outcomes.setdefault(name, set()).add(outcome)
            elif offset not in shown:
                found.wrong.append(f"{where} {offset} is not visible to read_committed")
    groups = {one.group for one in journal.commits}
    groups |= {f"of-{one.name.split('.')[0]}" for one in journal.transactions}
    for group in groups:
        found.offsets[group] = {_offset_of(bootstrap, group)}
    return found


def _settled(
    bootstrap: str, journal: Journal, everything: dict[tuple[str, int], Partition],
    needed: set[str],
) -> dict[tuple[str, int], Partition]:
    """What is visible once all transactions that were decided have their markers."""
    end = time.monotonic() + DEADLINE_S
    while True:
        visible = _read(bootstrap, journal, READ_COMMITTED)
        hidden = {
            transaction_of(value)
            for where, partition in everything.items()
            for offset, value in set(partition.records) - set(visible[where].records)
        }
        if not hidden & needed or time.monotonic() > end:
            return visible
        time.sleep(0.1)


def _read(bootstrap: str, journal: Journal, isolation: str) -> dict[tuple[str, int], Partition]:
    """Every partition from its start to its end as of now."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
         "isolation.level": isolation, "enable.partition.eof": True, "log_level": 0,
         "auto.offset.reset": "error", "fetch.wait.max.ms": 50}
    )  # fmt: skip
    out: dict[tuple[str, int], Partition] = {}
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
                    assert error.name() == "_PARTITION_EOF", f"{at}: {error}"
                    waiting.discard(at)
                    continue
                offset, value = message.offset(), message.value()
                assert offset is not None
                assert isinstance(value, bytes)
                out[at].records.append((offset, value.decode()))
    finally:
        consumer.close()
    return out


def _offset_of(bootstrap: str, group: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        (found,) = consumer.committed([TopicPartition(DATA, 0)], timeout=DEADLINE_S)
        return found.offset if found.offset >= 0 else -1
    finally:
        consumer.close()
