"""Several producers, groups and deletions for a few seconds, in a process of its own.

    python -m tests.powercut.load BOOTSTRAP POSITION JOURNAL PARTITIONS SECONDS SEED KINDS

Plain, idempotent and transactional producers of librdkafka write to the same partitions; every
answer is noted with the position of the disk's log. KINDS: of plain, idempotent, transactional.
"""
from __future__ import annotations

import pathlib
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.powercut.block_log import Position
from tests.powercut.journal import DATA, RETAINED, Ack, Commit, Deletion, Journal, Transaction

PADDINGS = (0, 50, 300, 3000)
IN_FLIGHT = 60  # records of one producer without an answer
REST_S = 0.05  # between two rounds of a producer
ROUND = 12  # records
DELETE_EVERY_S, COMMIT_EVERY_S = 0.25, 0.01
TOPIC = {"segment.ms": "400", "index.interval.bytes": "400", "file.delete.delay.ms": "200"}
CONFIGS = {DATA: TOPIC, RETAINED: {**TOPIC, "retention.bytes": "60000"}}
DEADLINE_S = 60.0


class Load:
    """Everything that runs beside each other. The journal's lists are only ever appended to."""

    def __init__(self, bootstrap: str, position: Position, partitions: int, seed: int) -> None:
        self.bootstrap, self.position, self.seed = bootstrap, position, seed
        self.journal = Journal()
        self.partitions = {DATA: partitions, RETAINED: max(1, partitions // 20)}
        self.over = threading.Event()
        self.highest: dict[tuple[str, int], int] = {}  # acknowledged offsets

    def run(self, kinds: list[str], seconds: float) -> Journal:
        self._create_topics()
        self.journal.begun = self.position.now()
        work: list[Callable[[], None]] = [self._commit_offsets, self._delete]
        for kind in kinds:
            for number in range(2):
                name = f"{kind}{number}"
                if kind == "transactional":
                    work.append(lambda name=name: self._transact(name))  # type: ignore[misc]
                else:
                    work.append(
                        lambda name=name, kind=kind: self._produce(name, kind)  # type: ignore[misc]
                    )
        threads = [threading.Thread(target=self._guarded, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.over.set()
        for thread in threads:
            thread.join()
        self.journal.over = self.position.now()
        self._learn_starts()
        return self.journal

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.journal.failures.append(f"{error!r}")
            self.over.set()

    def _create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        topics = [
            NewTopic(name, count, 1, config=CONFIGS[name])
            for name, count in self.partitions.items()
        ]
        for made in admin.create_topics(topics, request_timeout=DEADLINE_S).values():
            made.result(DEADLINE_S)
        self.journal.partitions = self.partitions

    def _producer(self, **how: Any) -> Producer:
        return Producer(
            {"bootstrap.servers": self.bootstrap, "acks": "all", "linger.ms": 1, "log_level": 0,
             "message.timeout.ms": 60000, "transaction.timeout.ms": 60000, **how}
        )  # fmt: skip

    def _send(self, producer: Producer, name: str, transaction: str, dice: random.Random) -> None:
        topic = RETAINED if dice.random() < 0.1 else DATA
        partition = dice.randrange(self.partitions[topic])
        value = self.journal.value(
            name, transaction, topic, partition, padding=dice.choice(PADDINGS)
        )
        producer.produce(
            topic, value.encode(), partition=partition, on_delivery=self._delivered(value)
        )

    def _delivered(self, value: str) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.journal.failures.append(f"{value[:40]}: {error}")
                return
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            seen = self.position.now()
            self.journal.acks.append(Ack(seen, topic, partition, offset, value))
            self.highest[topic, partition] = max(offset, self.highest.get((topic, partition), 0))

        return delivered

    def _produce(self, name: str, kind: str) -> None:
        dice = random.Random(f"{self.seed}.{name}")
        producer = self._producer(**{"enable.idempotence": kind == "idempotent"})
        while not self.over.is_set():
            for _ in range(dice.randint(1, ROUND)):
                self._send(producer, name, "-", dice)
            while len(producer) > IN_FLIGHT:
                producer.poll(0.01)
            producer.poll(REST_S)
        assert producer.flush(DEADLINE_S) == 0

    def _transact(self, name: str) -> None:
        dice = random.Random(f"{self.seed}.{name}")
        producer = self._producer(**{"transactional.id": name})
        producer.init_transactions(DEADLINE_S)
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"of-{name}"})
        count = 0
        while not self.over.is_set():
            count += 1
            transaction, offset = f"{name}.{count}", -1
            producer.begin_transaction()
            for _ in range(dice.randint(1, ROUND)):
                self._send(producer, name, transaction, dice)
            producer.poll(0)
            if dice.random() < 0.4:
                offset = count
                producer.send_offsets_to_transaction(
                    [TopicPartition(DATA, 0, offset)], consumer.consumer_group_metadata(),
                    DEADLINE_S,
                )  # fmt: skip
            commit, asked = dice.random() < 0.7, self.position.now()
            if commit:
                producer.commit_transaction(DEADLINE_S)
            else:
                assert producer.flush(DEADLINE_S) == 0  # all of them are to have been written
                asked = self.position.now()
                producer.abort_transaction(DEADLINE_S)
            self.journal.transactions.append(
                Transaction(transaction, commit, asked, self.position.now(), offset)
            )
        consumer.close()

    def _commit_offsets(self) -> None:
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "plain", "log_level": 0}
        )
        offset = 0
        while not self.over.wait(COMMIT_EVERY_S):
            offset += 1
            asked = self.position.now()
            try:
                consumer.commit(offsets=[TopicPartition(DATA, 0, offset)], asynchronous=False)
            except KafkaException as error:
                if error.args[0].code() != KafkaError._WAIT_COORD:
                    raise
                continue  # it is not known yet where to commit
            self.journal.commits.append(Commit(asked, self.position.now(), "plain", offset))
        consumer.close()

    def _delete(self) -> None:
        dice = random.Random(f"{self.seed}.delete")
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        while not self.over.wait(DELETE_EVERY_S):
            known = [at for at in list(self.highest) if at[0] == DATA]
            if not known:
                continue
            topic, partition = dice.choice(known)
            offset = dice.randint(0, self.highest[topic, partition])
            self.journal.deletions.append(
                Deletion(self.position.now(), topic, partition, offset)
            )
            where = TopicPartition(topic, partition, offset)
            for done in admin.delete_records([where]).values():
                done.result(DEADLINE_S)

    def _learn_starts(self) -> None:
        """Where each partition begins: it never begins later in an image."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "starts"})
        for partition in range(self.partitions[RETAINED]):
            where = TopicPartition(RETAINED, partition)
            low, _ = consumer.get_watermark_offsets(where, timeout=DEADLINE_S)
            self.journal.starts[RETAINED, partition] = low
        consumer.close()


def main() -> None:
    bootstrap, position, journal, partitions, seconds, seed, kinds = sys.argv[1:]
    load = Load(bootstrap, Position(pathlib.Path(position)), int(partitions), int(seed))
    load.run(kinds.split(","), float(seconds)).save(pathlib.Path(journal))


if __name__ == "__main__":
    main()
