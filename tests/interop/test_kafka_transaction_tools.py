"""Apache Kafka's tools for transactions: kafka-transactions, kafka-features, formatter, dump."""
from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.broker_process import wait_until
from tests.interop.broker import Broker
from tests.interop.kafka_tools import Tool, data_dir
from tests.interop.test_kafka_group_tools import read_with

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(300)]

IN_2020 = 1_600_000_000_000
EMPTY, ONGOING, COMPLETE_COMMIT, COMPLETE_ABORT = 0, 1, 4, 5
Begin = Callable[..., Producer]


@pytest.fixture
def begin(broker: Broker, topic: str) -> Begin:
    """A producer with an id whose transaction has a record in partition 0; ended by `commit`."""

    def begun(id_: str, *, commit: bool | None = None, timestamp: int = 0) -> Producer:
        producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "transactional.id": id_,
                "transaction.timeout.ms": 60_000,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(topic, b"value", partition=0, timestamp=timestamp)
        assert producer.flush(30) == 0
        if commit is not None:
            (producer.commit_transaction if commit else producer.abort_transaction)(30)
        return producer

    return begun


def rows(told: str, first: str) -> list[list[str]]:
    """The table's rows whose first column it is."""
    return [line.split() for line in told.splitlines() if line.split()[:1] == [first]]


def read_committed(broker: Broker, topic: str) -> list[bytes]:
    """What partition 0 holds for whoever reads only what is committed, up to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "nobody",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes] = []
    try:
        while True:
            message = consumer.poll(30)
            assert message is not None, "neither a record nor the end"
            if message.error() is not None:
                return found
            found.append(message.value() or b"")
    finally:
        consumer.close()


def test_transactions_are_listed_and_described(tool: Tool, topic: str, begin: Begin) -> None:
    states = {"open": "Ongoing", "committed": "CompleteCommit", "aborted": "CompleteAbort"}
    ids = {word: f"{word}-{topic}" for word in states}
    kept = [begin(ids["open"]), begin(ids["committed"], commit=True),
            begin(ids["aborted"], commit=False)]  # fmt: skip
    told = ""

    def settled() -> bool:
        nonlocal told
        told = tool("kafka-transactions", "list")
        # TransactionalId Coordinator ProducerId TransactionState
        return all(rows(told, ids[w]) and rows(told, ids[w])[0][3] == s for w, s in states.items())

    wait_until(settled, 30, "the transactions to be complete")
    told = tool("kafka-transactions", "list", "--transactional-id-pattern", f"open-{topic}")
    assert rows(told, ids["open"]), told
    assert not rows(told, ids["committed"]), told
    told = tool("kafka-transactions", "describe", "--transactional-id", ids["open"])
    ((_, id_, producer_id, epoch, state, timeout, start, duration, partitions),) = [
        line.split() for line in told.splitlines() if ids["open"] in line
    ]
    assert (id_, state, timeout, partitions) == (ids["open"], "Ongoing", "60000", f"{topic}-0")
    assert int(start) > IN_2020, told
    assert 0 <= int(duration) < 120_000, told
    told = tool("kafka-transactions", "describe-producers", "--topic", topic, "--partition", "0")
    # ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp start offset
    ((_, its_epoch, _, last_sequence, _, start_offset),) = rows(told, producer_id)
    assert (its_epoch, last_sequence, start_offset) == (epoch, "0", "0"), told
    others = [line.split() for line in told.splitlines() if line.rstrip().endswith("None")]
    assert len(others) == 2, told
    kept[0].abort_transaction(30)


def test_a_transaction_that_is_open_is_not_hanging(
    tool: Tool, broker: Broker, topic: str, begin: Begin
) -> None:
    """Its record is so old that the tool asks the coordinator about it."""
    producer = begin(f"open-{topic}", timestamp=IN_2020)
    told = tool("kafka-transactions", "find-hanging", "--topic", topic, "--partition", "0")
    assert "StartOffset" in told
    assert not rows(told, topic), told
    producer.abort_transaction(30)


def test_a_transaction_is_aborted_in_its_partition(
    tool: Tool, broker: Broker, topic: str, begin: Begin
) -> None:
    before = begin(f"before-{topic}", commit=True)
    producer = begin(f"open-{topic}")
    after = begin(f"after-{topic}", commit=True)
    assert read_committed(broker, topic) == [b"value"], "what is open holds back the rest"
    told = tool("kafka-transactions", "describe-producers", "--topic", topic, "--partition", "0")
    (start,) = (c[5] for c in map(str.split, told.splitlines()) if len(c) == 6 and c[5].isdigit())
    where = ["--topic", topic, "--partition", "0"]
    tool("kafka-transactions", "abort", *where, "--start-offset", start)
    assert read_committed(broker, topic) == [b"value", b"value"]
    told = tool("kafka-transactions", "abort", *where, "--start-offset", start, failing=True)
    assert "Could not find any open transactions" in told, told
    del before, producer, after


def test_a_transaction_is_terminated_by_its_id(
    tool: Tool, broker: Broker, topic: str, begin: Begin
) -> None:
    producer = begin(f"open-{topic}")
    tool("kafka-transactions", "forceTerminateTransaction", "--transactionalId", f"open-{topic}")
    wait_until(lambda: read_committed(broker, topic) == [], 30, "the abort")
    with pytest.raises(KafkaException):
        producer.commit_transaction(30)
    told = tool("kafka-transactions", "describe", "--transactional-id", f"open-{topic}")
    assert re.search(r"\s(Empty|CompleteAbort)\s", told), told


def test_features_are_described(tool: Tool) -> None:
    told = tool("kafka-features", "describe")
    levels = dict(re.findall(r"Feature: (\S+)\s.*FinalizedVersionLevel: (\S+)", told))
    assert levels["transaction.version"] == "2", told
    assert levels["group.version"] == "1", told


def test_formatter_and_dump_read_transactions_in_every_state(
    tool: Tool, offline_tool: Tool, broker: Broker, topic: str, begin: Begin
) -> None:
    producer = begin(f"committed-{topic}", commit=True)
    aborted = begin(f"aborted-{topic}", commit=False)

    def states(id_: str) -> list[int]:
        found = read_with(tool, "__transaction_state", "TransactionLogMessageFormatter")
        return [
            one["value"]["data"]["transactionStatus"]
            for one in found
            if one["key"]["data"]["transactionalId"] == id_
        ]

    wait_until(lambda: COMPLETE_ABORT in states(f"aborted-{topic}"), 60, "the abort's end")
    found = states(f"committed-{topic}")
    assert found[0] == EMPTY
    assert found[-1] == COMPLETE_COMMIT
    assert ONGOING in found
    logs = [f for f in data_dir(broker).rglob("__transaction_state-*/*.log") if f.stat().st_size]
    told = offline_tool("kafka-dump-log", "--transaction-log-decoder", "--files",
                        ",".join(map(str, logs)))  # fmt: skip
    dumped = [
        json.loads(value)
        for key, value in re.findall(r"key: (\{.*?\}\}) payload: (\{.*)$", told, re.M)
        if json.loads(key)["data"]["transactionalId"] == f"committed-{topic}"
    ]
    assert [one["data"]["transactionStatus"] for one in dumped] == found, told[-3000:]
    # A record that names partitions tells the topic.
    assert f'"topic":"{topic}","partitionIds":[0]' in told, told[-3000:]
    assert all(one["version"] in ("0", "1") for one in dumped)
    assert "isvalid: false" not in told
    del producer, aborted
