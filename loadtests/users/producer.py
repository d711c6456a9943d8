"""A producer: as many records as are acknowledged, or so many a second."""
from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

import gevent
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from locust import task

from loadtests.users.kafka_user import KafkaUser, error_name
from loadtests.users.records import VARIANTS, fillers, header
from loadtests.users.transactions import Transactions

BURST = 100  # records between two polls: a third of a millisecond
TURN_S = 0.1  # a task's length, so that locust can stop the user between two
PURGE_S = 1.0
REFUSED_S = 0.1  # before the next try
RECORD = "produce record"


class Burst:
    """Records that were produced together; their latency counts from `begun_ns`."""

    def __init__(self, user: ProducerUser, begun_ns: int) -> None:
        self._acknowledged, self._failed = user.acknowledged_us, user.failed
        self._begun_ns = begun_ns

    def delivered(self, error: KafkaError | None, _: Message) -> None:
        """The client's delivery report of one record."""
        if error is None:
            self._acknowledged.append((time.perf_counter_ns() - self._begun_ns) // 1000)
        else:
            self._failed[error_name(error)] += 1


class ProducerUser(KafkaUser):
    """Writes records of --size bytes to --topic."""

    weight = 4
    numbers = itertools.count()

    def open(self) -> None:
        options = self.options
        self.acknowledged_us: list[int] = []  # since the last poll
        self.failed: Counter[str] = Counter()
        self._fillers = fillers(options.size)
        self._keys = [b"%08d" % number for number in range(options.keys)]
        self._produced = 0
        self._begun_s = time.perf_counter()
        more: dict[str, Any] = {}
        if options.transactional:
            more["transactional_id"] = f"{options.topic}-{time.time_ns()}-{next(self.numbers)}"
        self._producer = Producer(
            self.settings(
                acks=options.acks,
                enable_idempotence=options.acks == "all",
                compression_type=options.compression,
                linger_ms=options.linger_ms,
                batch_size=options.batch_bytes,
                batch_num_messages=1_000_000,
                message_timeout_ms=int(options.timeout * 1000),
                queue_buffering_max_messages=2 * options.in_flight + BURST,
                **more,
            )
        )
        self._transactions = Transactions(self, self._producer) if options.transactional else None

    def close(self) -> None:
        """Wait until every record is acknowledged or has failed."""
        self.wait_for(lambda: self._poll() == 0, self.options.timeout + 5)
        if self._transactions is not None:
            self._transactions.end()

    @task
    def produce(self) -> None:
        end = time.perf_counter() + TURN_S
        while time.perf_counter() < end:
            if self._transactions is not None and not self._transactions.ready(self._poll):
                return
            room = min(BURST, self.options.in_flight - self._poll())
            begun_s = time.perf_counter()
            if self.options.rate:
                due = (begun_s - self._begun_s) * self.options.rate - self._produced
                room = min(room, int(due))
                begun_s = self._begun_s + self._produced / self.options.rate
            if room > 0:
                self._produce(room, Burst(self, int(begun_s * 1e9)))
                self.yield_now()
            else:
                self.pause()

    def _produce(self, count: int, burst: Burst) -> None:
        topic, produce, keys = self.options.topic, self._producer.produce, self._keys
        stamp, delivered = header(), burst.delivered
        for number in range(self._produced, self._produced + count):
            value = stamp + self._fillers[number % VARIANTS]
            key = keys[number % len(keys)] if keys else None
            try:
                produce(topic, value, key, on_delivery=delivered)
            except BufferError:  # the client's queue is full by bytes: poll, and go on
                return
            except KafkaException as failure:
                self.recover(RECORD, failure.args[0])
                return
            self._produced += 1
            if self._transactions is not None:
                self._transactions.written += 1

    def recover(self, operation: str, error: KafkaError) -> None:
        """Count what the client refused, and begin anew where it will refuse everything."""
        self.recorder.failed(operation, error_name(error))
        if error.fatal():
            self._producer.purge()
            self.wait_for(lambda: self._poll() == 0, PURGE_S)
            self.open()
        gevent.sleep(REFUSED_S)

    def _poll(self) -> int:
        """Count delivery reports that are there; how many records still wait for theirs."""
        self._producer.poll(0)
        if self.acknowledged_us:
            count = len(self.acknowledged_us)
            self.recorder.succeeded(
                RECORD, self.acknowledged_us, size=count * max(16, self.options.size)
            )
            self.acknowledged_us.clear()
        for error, count in self.failed.items():
            self.recorder.failed(RECORD, error, count)
        self.failed.clear()
        return len(self._producer)
