"""confluent-kafka (librdkafka); see the package's guide for the commands."""
from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaException

POLL_S = 1.0


def tell(event: str, **more: Any) -> None:
    print(json.dumps({"event": event, "at": time.monotonic_ns(), **more}), flush=True)


class Member(threading.Thread):
    """One consumer in a thread of its own."""

    def __init__(self, bootstrap: str, group: str, topic: str, protocol: str, session: str) -> None:
        super().__init__(daemon=True)
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "group.protocol": protocol,
        }
        if protocol == "classic":  # the broker decides for the other
            settings["session.timeout.ms"] = session
        self.consumer = Consumer(settings)
        self.topic = topic
        self.owned: set[int] = set()
        self.fresh: set[int] = set()
        self.leaving = threading.Event()

    def run(self) -> None:
        tell("subscribe")
        self.consumer.subscribe(
            [self.topic],
            on_assign=self.assigned,
            on_revoke=self.revoked,
            on_lost=self.revoked,
        )
        while not self.leaving.is_set():
            message = self.consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error and error.fatal():
                raise KafkaException(error)
            if not error and message.partition() in self.fresh:
                self.fresh.discard(message.partition())
                tell("record", partition=message.partition())
        tell("closing")
        self.consumer.close()
        tell("closed")

    def assigned(self, consumer: Any, partitions: list[Any]) -> None:
        self.owned |= {one.partition for one in partitions}
        self.now_owned()

    def revoked(self, consumer: Any, partitions: list[Any]) -> None:
        self.owned -= {one.partition for one in partitions}
        self.now_owned()

    def now_owned(self) -> None:
        self.fresh = set(self.owned)
        if not self.leaving.is_set():
            tell("assigned", partitions=sorted(self.owned))


def main() -> None:
    member = None
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "open":
            member = Member(sys.argv[1], *rest)
            member.start()
        elif member is not None:
            member.leaving.set()


if __name__ == "__main__":
    main()
