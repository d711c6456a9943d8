"""An idempotent producer that remembers what was acknowledged, and the check of what is read back.

Each partition gets the values 0, 1, 2, ... in order from one librdkafka producer (acks=all,
idempotent), so what is read back must be

    complete    every acknowledged value is there, at the offset that the acknowledgement named
    unique      no value twice, acknowledged or not
    in order    values ascend with the offsets
"""
from __future__ import annotations

import threading
import time
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

READ_DEADLINE_S = 60.0
MESSAGE_TIMEOUT_MS = 120_000
QUEUE_LIMIT = 2_000  # records under way at most


class Ack(NamedTuple):
    """One acknowledged record."""

    partition: int
    value: int
    offset: int
    at: float  # monotonic seconds


class AckedLog:
    """Produces to every partition of `topic` from a thread until stopped."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self.bootstrap, self.topic, self.partitions = bootstrap, topic, partitions
        self.acks: list[Ack] = []
        self.failures: list[str] = []
        self.sent = [0] * partitions
        self.last_ack = [0.0] * partitions  # send time of the newest acknowledged record
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                "message.timeout.ms": MESSAGE_TIMEOUT_MS,
                "reconnect.backoff.ms": 5,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 10,
                "retry.backoff.max.ms": 50,
                "socket.timeout.ms": 5000,
                "queue.buffering.max.messages": QUEUE_LIMIT,
                "log_level": 0,
            }
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop sending and wait until everything under way is acknowledged or has failed."""
        self._stopped.set()
        self._thread.join()
        left = self._producer.flush(MESSAGE_TIMEOUT_MS / 1000)
        assert left == 0, f"{left} records were neither acknowledged nor refused"

    def acked_since(self, partition: int, sent_after: float) -> bool:
        """Whether a record sent to `partition` after the monotonic second has been acknowledged."""
        return self.last_ack[partition] > sent_after

    def _run(self) -> None:
        while not self._stopped.is_set():
            for partition in range(self.partitions):
                value, sent_at = self.sent[partition], time.monotonic()
                try:
                    self._producer.produce(
                        self.topic,
                        str(value).encode(),
                        partition=partition,
                        on_delivery=self._delivered(partition, value, sent_at),
                    )
                except BufferError:
                    self._producer.poll(0.01)
                    continue
                self.sent[partition] += 1
            self._producer.poll(0.001)

    def _delivered(self, partition: int, value: int, sent_at: float):  # type: ignore[no-untyped-def]
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failures.append(f"{partition}/{value}: {error}")
                return
            offset = message.offset()
            assert offset is not None
            self.last_ack[partition] = max(self.last_ack[partition], sent_at)
            self.acks.append(Ack(partition, value, offset, time.monotonic()))

        return delivered


def read_back(bootstrap: str, topic: str, partitions: int) -> list[dict[int, int]]:
    """For each partition, {offset: value} from its start to its end as of now."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "read-back", "enable.auto.commit": False}
    )
    out: list[dict[int, int]] = [{} for _ in range(partitions)]
    try:
        ends = {}
        for partition in range(partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            assert low == 0, f"partition {partition} starts at {low}"
            ends[partition] = high
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        reached = {p: 0 for p in range(partitions)}
        deadline = time.monotonic() + READ_DEADLINE_S
        while any(reached[p] < ends[p] for p in ends):
            assert time.monotonic() < deadline, f"read {reached} of {ends} in {READ_DEADLINE_S} s"
            for message in consumer.consume(5000, timeout=0.5):
                assert message.error() is None, message.error()
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                assert offset not in out[partition], f"offset {offset} was delivered twice"
                out[partition][offset] = int(message.value())  # type: ignore[arg-type]
                reached[partition] = offset + 1
    finally:
        consumer.close()
    return out


def check(acks: list[Ack], read: list[dict[int, int]]) -> None:
    """Raise AssertionError with the first few violations of complete, unique, in order."""
    wrong: list[str] = []
    for ack in acks:
        found = read[ack.partition].get(ack.offset)
        if found != ack.value:
            wrong.append(
                f"acknowledged {ack.value} at {ack.partition}/{ack.offset}, read {found}"
            )
    for partition, log in enumerate(read):
        values = [log[offset] for offset in sorted(log)]
        if len(set(values)) != len(values):
            twice = sorted({v for v in values if values.count(v) > 1})[:5]
            wrong.append(f"partition {partition}: {twice} are there more than once")
        if values != sorted(values):
            wrong.append(f"partition {partition} is out of order")
    assert not wrong, f"{len(wrong)} violations: " + "; ".join(wrong[:10])
