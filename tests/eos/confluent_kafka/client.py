"""confluent-kafka (librdkafka): consume, transform, produce in transactions; and read_committed.

Errors as librdkafka's documentation has them: retriable ones are tried again, those that require
an abort end the transaction and the records are consumed anew, all others need a new producer; one
that was fenced ends the process with FENCED.

Not from there: no "re-bootstrap". When all brokers are away for a moment, librdkafka (2.16 at
least) forgets them all by default, and calls in a transaction never return, whatever their timeout,
although it finds its coordinator again. A process whose calls do not return in STUCK_S ends with
STUCK.
"""
from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.eos.journal import Journal, now_ms

FENCED, STUCK = 3, 4
BATCH, POLL_S, CALL_S, STUCK_S, TRIES = 50, 0.2, 5.0, 12.0, 100
QUICK = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 500,
    "retry.backoff.ms": 20,
    "metadata.recovery.strategy": "none",
    "log_level": 0,
}


class Copier:
    """One life of one instance."""

    def __init__(self, args: dict[str, str]) -> None:
        self.args = args
        self.journal = Journal(args["journal"], args["process"])
        self.owned = [int(p) for p in args.get("partitions", "").split(",") if p]
        config: dict[str, Any] = {
            "bootstrap.servers": args["bootstrap"],
            "group.id": args["group"],
            "group.protocol": args.get("protocol", "classic"),
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **QUICK,
        }
        if config["group.protocol"] == "classic":
            config["session.timeout.ms"] = int(args["session"])
            config["heartbeat.interval.ms"] = 300
        self.consumer = Consumer(config)
        self.transactions = self.steps = 0
        self.stopped = False
        if not self.owned:
            self.consumer.subscribe(
                [args["input"]], on_assign=self._moved, on_revoke=self._moved, on_lost=self._moved
            )

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        threading.Thread(target=self._watch, daemon=True).start()
        while not self.stopped:
            producer = Producer(
                {
                    "bootstrap.servers": self.args["bootstrap"],
                    "transactional.id": self.args["id"],
                    "transaction.timeout.ms": int(self.args["timeout"]),
                    "linger.ms": 2,
                    **QUICK,
                }
            )
            try:
                self._insist(lambda: producer.init_transactions(CALL_S))  # noqa: B023
                self._rewind()
                while not self.stopped:
                    self._copy(producer)
            except KafkaException as error:
                if _is_fenced(error):
                    print(f"fenced: {error}", file=sys.stderr)
                    sys.exit(FENCED)
                print(f"a new producer, for {error}", file=sys.stderr)
        self.consumer.close()

    def _watch(self) -> None:
        seconds, seen = 0, -1
        while seconds < STUCK_S:  # seconds that it has run, not those for which it was frozen
            time.sleep(1)
            seconds = seconds + 1 if seen == self.steps else 0
            seen = self.steps
        print(f"{now_ms()} stuck", file=sys.stderr, flush=True)
        os._exit(STUCK)

    def _insist(self, call: Callable[[], Any]) -> Any:
        """Try again while the error says so."""
        for attempt in range(TRIES):
            self.steps += 1
            try:
                return call()
            except KafkaException as error:
                known = error.args[0]
                transport = known.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT)
                again = known.retriable() or (transport and not known.txn_requires_abort())
                if known.fatal() or not again or attempt == TRIES - 1:
                    raise
                print(f"{now_ms()} again, for {known}", file=sys.stderr, flush=True)
                time.sleep(0.05)
        return None

    def _stop(self, *_: object) -> None:
        self.stopped = True

    def _moved(self, *_: object) -> None:
        self.journal.note("seek")

    def _copy(self, producer: Producer) -> None:
        self.steps += 1
        read: dict[int, list[Any]] = {}
        message: Any
        for message in self.consumer.consume(BATCH, POLL_S):
            error = message.error()
            if error is None:
                record = [message.offset(), message.key().decode(), message.value().decode()]
                read.setdefault(message.partition(), []).append(record)
            elif error.fatal():
                raise KafkaException(error)
        if not read:
            return
        for partition, records in read.items():
            self.journal.note(
                "poll", topic=self.args["input"], partition=partition, records=records
            )
        txn = f"{self.args['process']}:{self.transactions}"
        self.transactions += 1
        try:
            self._transaction(producer, txn, read)
        except KafkaException as failure:
            if not failure.args[0].txn_requires_abort():
                raise
            print(f"{txn} is aborted for {failure}", file=sys.stderr)
            self.journal.note("abort", txn=txn)
            self._insist(lambda: producer.abort_transaction(CALL_S))
            self.journal.note("aborted", txn=txn)
            self._rewind()

    def _transaction(self, producer: Producer, txn: str, read: dict[int, list[Any]]) -> None:
        topic = self.args["input"]
        self.journal.note("begin", txn=txn)
        producer.begin_transaction()
        for partition, records in read.items():
            for _, key, value in records:
                self._send(producer, txn, partition, key, f"{value}@{txn}")
        nexts = {partition: records[-1][0] + 1 for partition, records in read.items()}
        number = self.journal.number()
        self.journal.note(
            "offsets", id=number, group=self.args["group"], txn=txn,
            offsets={f"{topic}/{p}": offset for p, offset in nexts.items()},
        )  # fmt: skip
        positions = [TopicPartition(topic, p, offset) for p, offset in nexts.items()]
        metadata = self.consumer.consumer_group_metadata()
        self._insist(lambda: producer.send_offsets_to_transaction(positions, metadata, CALL_S))
        self.journal.note("stored", id=number)
        producer.poll(random.choice([0, 0, 0.03]))
        self.journal.note("commit", txn=txn)
        self._insist(lambda: producer.commit_transaction(CALL_S))
        self.journal.note("committed", txn=txn)

    def _send(self, producer: Producer, txn: str, partition: int, key: str, value: str) -> None:
        number = self.journal.number()
        self.journal.note(
            "send", id=number, topic=self.args["output"], partition=partition, key=key,
            value=value, txn=txn,
        )  # fmt: skip

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is None:
                where = {"partition": message.partition(), "offset": message.offset()}
                self.journal.note("sent", id=number, **where)

        producer.produce(
            self.args["output"], value.encode(), key.encode(), partition, on_delivery=delivered
        )

    def _rewind(self) -> None:
        """Positions are what the group has stored."""
        topic = self.args["input"]
        if self.owned:
            partitions = [TopicPartition(topic, p) for p in self.owned]
        else:
            partitions = self.consumer.assignment()
        if not partitions:
            return
        asked = now_ms()
        stored = self._insist(lambda: self.consumer.committed(partitions, CALL_S))
        offsets = {f"{topic}/{tp.partition}": max(tp.offset, -1) for tp in stored}
        self.journal.note("fetched", asked=asked, group=self.args["group"], offsets=offsets)
        for tp in stored:
            tp.offset = max(tp.offset, 0)
        self.journal.note("seek")
        if self.owned:
            self.consumer.assign(stored)
            return
        for tp in stored:
            try:
                self.consumer.seek(tp)
            except KafkaException as error:  # it is another member's by now
                print(f"no seek: {error}", file=sys.stderr)


def _is_fenced(error: KafkaException) -> bool:
    return error.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED)


def read(args: dict[str, str]) -> None:
    """Everything in a topic, to the last stable offset of now; with follow=yes, until SIGTERM."""
    journal, topic = Journal(args["journal"], args["process"]), args["topic"]
    consumer = Consumer(
        {
            "bootstrap.servers": args["bootstrap"],
            "group.id": args["group"],
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            **QUICK,
        }
    )
    left = set(consumer.list_topics(topic, CALL_S).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, p, 0) for p in left])
    follow = args.get("follow") == "yes"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while left or follow:
        polled: dict[int, list[Any]] = {}
        reached: dict[int, int] = {}
        m: Any
        for m in consumer.consume(500, 1.0):
            error = m.error()
            if error is None:
                record = [m.offset(), m.key().decode(), m.value().decode()]
                polled.setdefault(m.partition(), []).append(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                reached[m.partition()] = m.offset()
        for partition, records in polled.items():
            journal.note("poll", topic=topic, partition=partition, records=records)
        for partition in () if follow else reached.keys() & left:
            journal.note("reached", topic=topic, partition=partition, offset=reached[partition])
            left.discard(partition)
    consumer.close()


if __name__ == "__main__":
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    if given["role"] == "copy":
        Copier(given).run()
    else:
        read(given)
