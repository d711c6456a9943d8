"""Producers that go on while a broker is upgraded, and what they were promised."""
from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import threading
import time
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.interop import installs

HERE = pathlib.Path(__file__).parent
PAUSE_S = 0.005  # between two rounds
END_S = 60.0


class Ack(NamedTuple):
    partition: int
    offset: int
    number: int
    at_ms: float


class Librdkafka:
    """confluent-kafka, idempotent: numbered records to each partition, in rounds, until `end`."""

    name = "librdkafka"

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self.topic, self.partitions = topic, partitions
        self.acks: list[Ack] = []
        self.errors: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": 120_000,
                "linger.ms": 1,
                "retry.backoff.ms": 50,
                "retry.backoff.max.ms": 500,
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
        self._is_open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while self._is_open:
            for partition in range(self.partitions):
                self._producer.produce(
                    self.topic, str(number), partition=partition, on_delivery=self._told
                )
            number += 1
            self._producer.poll(PAUSE_S)
        self._producer.flush(END_S)

    def _told(self, error: Any, message: Any) -> None:
        if error is not None:
            self.errors.append(str(error))
            return
        number, now_ms = int(message.value()), time.time() * 1000
        self.acks.append(Ack(message.partition(), message.offset(), number, now_ms))

    def end(self) -> list[Ack]:
        """What was acknowledged; nothing is under way any more."""
        self._is_open = False
        self._thread.join(END_S)
        assert not self._thread.is_alive()
        assert not self.errors, self.errors[:5]
        return self.acks


class KafkaJS:
    """See produce.js."""

    name = "kafkajs"

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self.topic = topic
        self.acks: list[Ack] = []
        modules = installs.npm("kafkajs")
        self._process = subprocess.Popen(
            [str(installs.node() / "node"), str(HERE / "produce.js"), bootstrap, topic,
             str(partitions)],
            env=os.environ | {"NODE_PATH": str(modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            partition, offset, number, at_ms = line.split()
            self.acks.append(Ack(int(partition), int(offset), int(number), float(at_ms)))

    def end(self) -> list[Ack]:
        """What was acknowledged; nothing is under way any more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        try:
            status = self._process.wait(END_S)
        finally:
            self._process.kill()
        self._thread.join(END_S)
        said = self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()
        assert status == 0, said
        return self.acks


def longest_pause_s(acks: list[Ack]) -> float:
    """Between two acknowledgements that follow one another."""
    times = sorted(ack.at_ms for ack in acks)
    return max(later - earlier for earlier, later in itertools.pairwise(times)) / 1000


def read_back(bootstrap: str, topic: str, partitions: int) -> dict[int, list[tuple[int, int]]]:
    """(offset, number) of all that is in a topic, by partition, in the order of the log."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader",
                         "enable.auto.commit": False, "log_level": 0})  # fmt: skip
    found: dict[int, list[tuple[int, int]]] = {n: [] for n in range(partitions)}
    ends = {
        n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=10)[1] for n in found
    }
    consumer.assign([TopicPartition(topic, n, 0) for n in found])
    deadline = time.monotonic() + END_S
    while any(not seen or seen[-1][0] < ends[n] - 1 for n, seen in found.items() if ends[n]):
        assert time.monotonic() < deadline, "not everything came"
        for message in consumer.consume(1000, timeout=1.0):
            assert message.error() is None, message.error()
            found[message.partition()].append((message.offset(), int(message.value())))
    consumer.close()
    return found


def check_promises(acks: list[Ack], found: dict[int, list[tuple[int, int]]]) -> None:
    """Every acknowledged record is there once, where its producer was told, in order."""
    for partition, records in found.items():
        numbers = [number for _, number in records]
        assert numbers == sorted(set(numbers)), f"partition {partition}: twice, or out of order"
        promised = {(ack.offset, ack.number) for ack in acks if ack.partition == partition}
        lost = promised - set(records)
        assert not lost, f"partition {partition}: {len(lost)} lost, as {sorted(lost)[:5]}"
