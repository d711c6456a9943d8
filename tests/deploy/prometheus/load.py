"""What clients do to a broker while Prometheus watches: librdkafka, in threads of this process."""
from __future__ import annotations

import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TOPICS = {"orders": 4, "payments": 2, "small": 1}
GROUPS = {"billing": ["orders"], "audit": ["orders", "payments"]}
PAUSE_S = 0.05  # between two rounds of a thread
READ_BEFORE_LEAVING = 40
DEADLINE_S = 30.0


class Load:
    """Producers with and without transactions, a group that keeps up, one that has left.

    billing reads orders and commits; audit has read the first records of orders and payments and
    has no member any more; small refuses what is sent to it. A context manager; `stop` ends it
    earlier, and everything is acknowledged and committed then.
    """

    def __init__(self, bootstrap: str) -> None:
        self.failures: list[str] = []
        self._client = {"bootstrap.servers": bootstrap}
        self._end = threading.Event()
        rounds = [self._orders, self._payments, self._small, self._billing]
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in rounds]

    def __enter__(self) -> Load:
        admin = AdminClient(self._client)
        config = {"small": {"max.message.bytes": "1000"}}
        topics = [NewTopic(name, n, 1, config=config.get(name, {})) for name, n in TOPICS.items()]
        for made in admin.create_topics(topics).values():
            made.result(DEADLINE_S)
        for thread in self._threads:
            thread.start()
        self._audit()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every thread finish what it has begun."""
        self._end.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _run(self, rounds: Callable[[], None]) -> None:
        try:
            rounds()
        except Exception as error:  # told by the test, which is in another thread
            self.failures.append(f"{rounds.__name__}: {error!r}")

    def _orders(self) -> None:
        producer = Producer({**self._client, "enable.idempotence": True, "linger.ms": 5})
        while not self._end.wait(PAUSE_S):
            for number in range(50):
                producer.produce("orders", b"x" * 200, key=str(number), on_delivery=self._must)
            producer.poll(0)
        assert producer.flush(DEADLINE_S) == 0

    def _payments(self) -> None:
        producer = Producer({**self._client, "transactional.id": "payments"})
        producer.init_transactions(DEADLINE_S)
        turn = 0
        while not self._end.wait(PAUSE_S):
            producer.begin_transaction()
            for number in range(10):
                producer.produce("payments", b"y" * 100, key=str(number))
            turn += 1
            if turn % 4:
                producer.commit_transaction(DEADLINE_S)
            else:
                producer.abort_transaction(DEADLINE_S)

    def _small(self) -> None:
        producer = Producer(self._client)
        while not self._end.wait(PAUSE_S):
            producer.produce("small", b"z" * 2000)
            producer.flush(DEADLINE_S)

    def _billing(self) -> None:
        consumer = self._consumer("billing", "orders")
        while not self._end.is_set():
            if consumer.consume(500, timeout=0.1):
                consumer.commit(asynchronous=False)
        consumer.close()

    def _audit(self) -> None:
        """Read a little of each topic, commit, leave."""
        for topic in ("orders", "payments"):
            consumer = self._consumer("audit", topic)
            seen, end = 0, time.monotonic() + DEADLINE_S
            while seen < READ_BEFORE_LEAVING:
                assert time.monotonic() < end, f"audit has read {seen} records of {topic}"
                seen += len(consumer.consume(10, timeout=0.5))
            consumer.commit(asynchronous=False)
            consumer.close()

    def _consumer(self, group: str, topic: str) -> Consumer:
        own = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        consumer = Consumer({**self._client, **own})
        consumer.subscribe([topic])
        return consumer

    def _must(self, error: object, _: object) -> None:
        if error is not None:
            self.failures.append(f"orders: {error}")


class Unread:
    """What a client finds that reads one partition from where a group has committed to its end."""

    def __init__(self, bootstrap: str, key: tuple[str, str, str]) -> None:
        group, topic, partition = key
        own = {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": True}
        aborted_too = {"isolation.level": "read_uncommitted"}
        consumer = Consumer({"bootstrap.servers": bootstrap, **own, **aborted_too})
        where = TopicPartition(topic, int(partition))
        (committed,) = consumer.committed([where], timeout=DEADLINE_S)
        self.committed = committed.offset  # below 0: nothing is committed
        self.records = 0
        self.offsets = 0
        self.first_timestamp_ms: int | None = None
        if self.committed >= 0:
            consumer.assign([TopicPartition(topic, int(partition), self.committed)])
            self._read(consumer, where)
        consumer.close()

    def _read(self, consumer: Consumer, where: TopicPartition) -> None:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is not None:
                if message.error().name() != "_PARTITION_EOF":
                    raise KafkaException(message.error())
                self.offsets = message.offset() - self.committed
                return
            if self.first_timestamp_ms is None:
                self.first_timestamp_ms = message.timestamp()[1]
            self.records += 1
        raise AssertionError(f"{where}: not at the end after {DEADLINE_S} s")
