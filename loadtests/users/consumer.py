"""A consumer in a group: reads what there is and says how old it was."""
from __future__ import annotations

import time

from confluent_kafka import Consumer
from locust import task

from loadtests.users.kafka_user import KafkaUser, blocking, error_name
from loadtests.users.records import age_us

AT_ONCE = 250  # records of one call: half a millisecond
TURN_S = 0.1
RECORD = "consume record"


class ConsumerUser(KafkaUser):
    """A member of --group that reads --topic, beside all others of its kind."""

    weight = 2

    def open(self) -> None:
        self._consumer = Consumer(
            self.settings(
                group_id=self.options.group,
                group_protocol=self.options.group_protocol,
                auto_offset_reset=self.options.offset,
                fetch_wait_max_ms=100,
                fetch_queue_backoff_ms=5,
            )
        )
        self._consumer.subscribe([self.options.topic])

    def close(self) -> None:
        """Commit and leave the group."""
        blocking(self._consumer.close)

    @task
    def consume(self) -> None:
        end = time.perf_counter() + TURN_S
        while time.perf_counter() < end:
            if self._read():
                self.yield_now()
            else:
                self.pause()

    def _read(self) -> int:
        messages = self._consumer.consume(AT_ONCE, 0)
        now_ns = time.time_ns()
        ages, untimed, size = [], 0, 0
        for message in messages:
            error = message.error()
            if error is not None:
                self.recorder.failed(RECORD, error_name(error))
                continue
            value = message.value()
            age = age_us(value, now_ns)
            size += len(value or b"")
            if age is None:
                untimed += 1
            else:
                ages.append(age)
        if ages or untimed:
            self.recorder.succeeded(RECORD, ages, size=size, untimed=untimed)
        return len(messages)
