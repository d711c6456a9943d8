"""What the pipelines copy: unique values from an idempotent producer, at a steady rate."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, Producer

from tests.eos.journal import Journal

KEYS, FLUSH_S, TICK_S = 24, 120.0, 0.02


class Inputs:
    """Sends `rate` records a second from a thread until stopped; key and partition go together.

    `acked[p]` is the offset behind the last acknowledged record of a partition.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partitions: int,
        *,
        rate: float,
        journal: Journal,
        value: Callable[[int], str] = "i{}".format,
    ) -> None:
        self.topic, self.partitions, self.rate, self.journal = topic, partitions, rate, journal
        self.value = value  # of the record of a number; no two are alike
        self.sent = 0
        self.acked = [0] * partitions
        self.failures: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": int(FLUSH_S * 1000),
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.ms": 20,
                "metadata.recovery.strategy": "none",
                "log_level": 0,
            }
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Everything is acknowledged; AssertionError when something is not."""
        self._stopped.set()
        self._thread.join()
        left = self._producer.flush(FLUSH_S)
        assert not left, f"{left} inputs were not acknowledged"
        assert not self.failures, self.failures[:5]

    def abandon(self) -> None:
        """The run is over, one way or the other: nothing is sent or noted any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._producer.purge()
        self._producer.flush(1)
        self.journal.close()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._stopped.is_set():
            # What is behind because the broker was away is not caught up with.
            due = self.rate * (time.monotonic() - begun)
            for _ in range(min(int(due), 50)):
                self._send()
            if due >= 1:
                begun = time.monotonic()
            self._producer.poll(TICK_S)

    def _send(self) -> None:
        key = self.sent % KEYS
        number, partition, value = self.sent, key % self.partitions, self.value(self.sent)
        self.sent += 1
        self.journal.note(
            "send", id=number, topic=self.topic, partition=partition, key=f"k{key}", value=value
        )
        self._producer.produce(
            self.topic, value.encode(), f"k{key}".encode(), partition,
            on_delivery=self._delivered(number),
        )  # fmt: skip

    def _delivered(self, number: int) -> Callable[[KafkaError | None, Any], None]:
        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                self.failures.append(f"{number}: {error}")
                return
            partition, offset = message.partition(), message.offset()
            self.acked[partition] = max(self.acked[partition], offset + 1)
            self.journal.note("sent", id=number, partition=partition, offset=offset)

        return delivered
