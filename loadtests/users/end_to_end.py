"""A probe: one record at a time, produced and read back. What a user of the broker waits for."""
from __future__ import annotations

import itertools
import os
import random
import time

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Partition
from locust import task

from loadtests.users.kafka_user import KafkaUser, blocking, error_name
from loadtests.users.records import fillers, header, whose

ACKNOWLEDGED, READ = "end-to-end acknowledged", "end-to-end read"
TIMED_OUT = "_TIMED_OUT"


class EndToEndUser(KafkaUser):
    """Writes to a partition of the probes' topic and reads from it; nothing queues before it."""

    weight = 1
    numbers = itertools.count()

    def open(self) -> None:
        options = self.options
        self._topic = f"{options.topic}-probe"
        self._partition = next(self.numbers) % options.partitions
        self._mark = random.Random(os.urandom(8)).getrandbits(63)
        self._filler = fillers(options.size)[0]
        self._producer = Producer(
            self.settings(acks=options.acks, enable_idempotence=options.acks == "all", linger_ms=0,
                          message_timeout_ms=int(options.timeout * 1000))
        )  # fmt: skip
        self._consumer = Consumer(
            self.settings(group_id=f"{options.group}-probe", enable_auto_commit=False,
                          fetch_wait_max_ms=500)
        )  # fmt: skip
        self._assigned = False

    def close(self) -> None:
        """Wait for the acknowledgement of what was sent last."""
        self.wait_for(
            lambda: self._producer.poll(0) or not len(self._producer), self.options.timeout + 5
        )
        blocking(self._consumer.close)

    def wait_time(self) -> float:
        """Seconds until the next probe; the first ones of many users do not come together."""
        return self.options.probe_interval * random.uniform(0.5, 1.5)

    @task
    def probe(self) -> None:
        if not self._assigned and not self._assign():
            return
        begun_ns = time.perf_counter_ns()
        acknowledged: list[bool] = []

        def took_us() -> list[int]:
            return [(time.perf_counter_ns() - begun_ns) // 1000]

        def delivered(error: KafkaError | None, _: Message) -> None:
            acknowledged.append(error is None)
            if error is None:
                self.recorder.succeeded(ACKNOWLEDGED, took_us(), size=len(value))
            else:
                self.recorder.failed(ACKNOWLEDGED, error_name(error))

        self._mark += 1
        value = header(self._mark) + self._filler
        try:
            self._producer.produce(
                self._topic, value, partition=self._partition, on_delivery=delivered
            )
        except KafkaException as failure:
            self.recorder.failed(ACKNOWLEDGED, error_name(failure.args[0]))
            return

        def read() -> bool:
            self._producer.poll(0)
            return self._seen() or False in acknowledged

        if not self.wait_for(read, self.options.timeout):
            self.recorder.failed(READ, TIMED_OUT)
        elif False not in acknowledged:
            self.recorder.succeeded(READ, took_us(), size=len(value))
        self.wait_for(lambda: self._producer.poll(0) or acknowledged, self.options.timeout)

    def _assign(self) -> bool:
        """Read from what is the end now, so that the first probe is not missed."""
        partition = Partition(self._topic, self._partition, OFFSET_END)
        ask = self._consumer.get_watermark_offsets
        try:
            partition.offset = blocking(lambda: ask(partition, timeout=self.options.timeout))[1]
        except KafkaException as failure:
            self.recorder.failed(READ, error_name(failure.args[0]))
            return False
        self._consumer.assign([partition])
        self._assigned = True
        return True

    def _seen(self) -> bool:
        """Whether the record that was sent last is among those that have come."""
        seen = False
        for message in self._consumer.consume(100, 0):
            error = message.error()
            if error is not None:
                self.recorder.failed(READ, error_name(error))
            elif whose(message.value()) == self._mark:
                seen = True
        return seen
