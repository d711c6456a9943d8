"""A well-behaved client in a process of its own, which must notice nothing of what others do.

    bystander = Bystander(bootstrap, "calm")
    ...
    lap = bystander.lap()        # since the last one: records acknowledged, slowest answers
    bystander.finish()           # everything acknowledged is read back; raises AssertionError

The process (python -m tests.crash.bystander BOOTSTRAP TOPIC) sends a record every SEND_EVERY_S with
librdkafka, consumes them as they come, and asks for the API versions on a bare connection all the
time: what one such answer takes longer is a stall of the broker's loop.
"""
from __future__ import annotations

import json
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

SEND_EVERY_S = 0.01
PING_EVERY_S = 0.002
READ_DEADLINE_S = 20.0
ROOT = pathlib.Path(__file__).parents[2]


class Lap(NamedTuple):
    """What the client saw since the lap before. Times in ms."""

    acked: int
    consumed: int
    slowest_ack_ms: float
    slowest_ping_ms: float


class Bystander:
    """The other side: starts the process and asks it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        command = [sys.executable, "-m", "tests.crash.bystander", bootstrap, topic]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.lap()

    def lap(self) -> Lap:
        """What happened since the last call; AssertionError when anything failed."""
        said = self._ask("lap")
        assert not said["failures"], said["failures"]
        return Lap(*said["lap"])

    def finish(self) -> int:
        """Stop, and read everything back: how many records. Raises AssertionError."""
        said = self._ask("finish")
        assert not said["failures"], said["failures"]
        return int(said["read"])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, what: str) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(what + "\n")
        stdin.flush()
        line = stdout.readline()
        assert line, "the bystander has died"
        return json.loads(line)


class _Client:
    """The process itself. Each number is written by one thread."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.topic = bootstrap, topic
        self.failures: list[str] = []
        self.acked: dict[int, int] = {}  # offset -> value
        self.consumed = 0
        self.slowest_ack = self.slowest_ping = 0.0
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self._guarded, args=(run,), daemon=True)
            for run in (self._produce, self._consume, self._ping)
        ]
        for thread in self.threads:
            thread.start()

    def lap(self) -> Lap:
        lap = Lap(len(self.acked), self.consumed, self.slowest_ack, self.slowest_ping)
        self.slowest_ack = self.slowest_ping = 0.0
        return lap

    def finish(self) -> int:
        """Every acknowledged record is where the acknowledgement said; how many there are."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(READ_DEADLINE_S)
        read: dict[int, int] = {}
        consumer = self._consumer()
        end = time.monotonic() + READ_DEADLINE_S
        while len(read) < len(self.acked) and time.monotonic() < end:
            for message in consumer.consume(5000, timeout=0.2):
                read[message.offset() or 0] = int(message.value() or b"")
        consumer.close()
        if read != self.acked:
            self.failures.append(f"{len(self.acked)} records were acknowledged, {len(read)} read")
        return len(read)

    def _guarded(self, run: Any) -> None:
        try:
            run()
        except Exception as error:
            self.failures.append(f"{run.__name__}: {error!r}")

    def _produce(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self.bootstrap, "retries": 0, "message.timeout.ms": 10_000,
             "linger.ms": 0, "log_level": 0}
        )  # fmt: skip
        value = 0
        while not self.stopped.is_set():
            producer.produce(
                self.topic, str(value).encode(),
                on_delivery=self._delivered(value, time.monotonic()),
            )
            value += 1
            producer.poll(SEND_EVERY_S)
        left = producer.flush(10)
        if left:
            self.failures.append(f"{left} records were not acknowledged")

    def _delivered(self, value: int, sent: float) -> Any:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failures.append(f"record {value}: {error}")
                return
            self.acked[message.offset() or 0] = value
            self.slowest_ack = max(self.slowest_ack, (time.monotonic() - sent) * 1000)

        return delivered

    def _consumer(self) -> Consumer:
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "calm", "enable.auto.commit": False,
             "log_level": 0}
        )  # fmt: skip
        consumer.assign([TopicPartition(self.topic, 0, 0)])
        return consumer

    def _consume(self) -> None:
        consumer = self._consumer()
        while not self.stopped.is_set():
            for message in consumer.consume(500, timeout=0.1):
                if message.error() is not None:
                    self.failures.append(f"consuming: {message.error()}")
                self.consumed += 1
        consumer.close()

    def _ping(self) -> None:
        host, port = self.bootstrap.split(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.settimeout(30)
            while not self.stopped.is_set():
                begun = time.monotonic()
                connection.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
                (left,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
                connection.recv(left, socket.MSG_WAITALL)
                self.slowest_ping = max(self.slowest_ping, (time.monotonic() - begun) * 1000)
                time.sleep(PING_EVERY_S)


def _main() -> None:
    client = _Client(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        if line.strip() == "lap":
            said: dict[str, Any] = {"lap": client.lap(), "failures": client.failures[:5]}
        else:
            said = {"read": client.finish(), "failures": client.failures[:5]}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    _main()
