"""`fastbroker txn` against a broker of ours and against Apache Kafka."""
from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from fastbroker.cli.client import Client
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import RawRecord, build_batch
from tests.cli.conftest import CommandLine

DEADLINE_S = 60
LAST_VERSION_WITHOUT_ADDING = 11  # of Produce: from 12 on it adds the partition by itself


@pytest.fixture
def topic(anywhere: CommandLine, name: str) -> str:
    """A topic of two partitions."""
    anywhere.run("topic", "create", name, "--partitions", "2")
    return name


def begun(anywhere: CommandLine, topic: str, transactional_id: str) -> Producer:
    """A producer with an open transaction: three records in each partition."""
    producer = Producer(
        {
            "bootstrap.servers": anywhere.bootstrap, "transactional.id": transactional_id,
            "transaction.timeout.ms": 300_000,
        }
    )  # fmt: skip
    producer.init_transactions(DEADLINE_S)
    producer.begin_transaction()
    for number in range(6):
        producer.produce(topic, str(number), partition=number % 2)
    assert producer.flush(DEADLINE_S) == 0
    return producer


def described(anywhere: CommandLine, transactional_id: str) -> dict[str, object]:
    found = json.loads(anywhere.run("txn", "describe", transactional_id, "--json").stdout)
    assert isinstance(found, dict)
    return found


def test_a_transaction_from_its_begin_to_its_commit(anywhere: CommandLine, topic: str) -> None:
    producer = begun(anywhere, topic, topic)
    rows = [line.split() for line in anywhere.run("txn", "list").stdout.splitlines()]
    (row,) = [row for row in rows if row[0] == topic]
    assert row[3] == "Ongoing"
    listed = json.loads(
        anywhere.run("txn", "list", "--state", "ongoing", "--older-than", "1ms", "--json").stdout
    )
    (mine,) = [one for one in listed if one["transactional_id"] == topic]
    assert (mine["timeout_ms"], mine["age_ms"] > 0) == (300_000, True)
    assert topic not in anywhere.run("txn", "list", "--older-than", "1h").stdout

    page = anywhere.run("txn", "describe", topic).stdout
    assert "\n  state        Ongoing, open, neither committed nor aborted\n" in page
    assert "and is then aborted, unless its producer ends it before" in page
    shown = described(anywhere, topic)
    assert shown["partitions"] == [
        {
            "topic": topic, "partition": number, "first_offset": 0, "last_stable_offset": 0,
            "high_watermark": 3, "held_back": 3, "held_by_producer_id": shown["producer_id"],
        }
        for number in (0, 1)
    ]  # fmt: skip
    status, said = anywhere.answer("", "txn", "describe", topic)
    assert status == 0
    assert max(map(len, said.splitlines())) <= 80, said

    producer.commit_transaction(DEADLINE_S)
    after = described(anywhere, topic)
    assert (after["state"], after["partitions"]) == ("CompleteCommit", [])
    said = anywhere.error("txn", "abort", topic)
    assert said == (
        f"'{topic}' has no open transaction (state CompleteCommit); there is nothing to abort"
    )


def test_a_groups_lag_tells_what_a_transaction_holds_back(
    anywhere: CommandLine, topic: str
) -> None:
    producer = begun(anywhere, topic, topic)
    moved = ["group", "reset-offsets", topic, "--topic", topic, "--to-latest", "--execute"]
    anywhere.run(*moved)
    page = anywhere.run("group", "lag", topic).stdout
    assert f"{topic}:0-1: an open transaction holds back 3 records" in page
    (shown,) = json.loads(anywhere.run("group", "lag", topic, "--json").stdout)
    assert (shown["lag"], shown["behind_ms"] > 0) == (6, True)
    producer.commit_transaction(DEADLINE_S)
    page = anywhere.run("group", "lag", topic).stdout
    assert "holds back" not in page
    (shown,) = json.loads(anywhere.run("group", "lag", topic, "--json").stdout)
    # Offsets are counted, and each partition's marker has one.
    assert (shown["lag"], shown["behind_ms"] > 0) == (8, True)


def test_an_abort_fences_the_producer(anywhere: CommandLine, topic: str) -> None:
    producer = begun(anywhere, topic, topic)
    status, said = anywhere.answer("n\n", "txn", "abort", topic)
    assert (status, said.endswith("error: nothing was changed\n")) == (1, True)
    assert described(anywhere, topic)["state"] == "Ongoing"

    done = anywhere.run("txn", "abort", topic)
    assert f"aborts the open transaction of '{topic}' in {topic}:0-1 and fences" in done.stderr
    assert done.stdout.startswith(f"aborted the transaction of '{topic}'; its epoch is now ")
    assert described(anywhere, topic)["state"] in ("Empty", "CompleteAbort")
    with pytest.raises(KafkaException) as raised:
        producer.commit_transaction(DEADLINE_S)
    error = raised.value.args[0]
    assert error.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH), error
    # Nothing is held back: what is written now can be read at once.
    reset = ["group", "reset-offsets", topic, "--topic", topic, "--to-latest", "--json"]
    moved = json.loads(anywhere.run(*reset).stdout)["partitions"]
    assert [one["after"] for one in moved] == [4, 4]


def test_what_a_coordinator_will_end_does_not_hang(anywhere: CommandLine, topic: str) -> None:
    producer = begun(anywhere, topic, topic)
    where = ["--topic", topic, "--partition", "0"]
    said = anywhere.run("txn", "abort", *where, status=1)
    assert said.stdout.splitlines()[1].split()[:3] == [topic, "0", "0"]
    assert "has 1 open transaction" in said.stderr
    said_of_it = anywhere.error("txn", "abort", *where, "--start-offset", "0")
    assert said_of_it == (
        f"it does not hang: it is the transaction of '{topic}', which is open; "
        f"abort it with: fastbroker txn abort {topic}"
    )
    other = anywhere.run("txn", "abort", *where, "--producer-id", "999999", status=1)
    assert "none of them has that --start-offset" in other.stderr
    assert anywhere.run("txn", "hanging", "--topic", topic).stderr == "no transaction hangs\n"
    producer.abort_transaction(DEADLINE_S)
    said_of_none = anywhere.error("txn", "abort", *where, "--start-offset", "0")
    assert said_of_none == f"{topic}-0 has no open transaction"


def test_a_hanging_transaction(anywhere: CommandLine, topic: str) -> None:
    hang(anywhere, topic, producer_id=987_654)
    args = ["txn", "abort", "--topic", topic, "--partition", "1"]
    reset = ["group", "reset-offsets", topic, "--topic", f"{topic}:1", "--to-latest", "--json"]
    (moved,) = json.loads(anywhere.run(*reset).stdout)["partitions"]
    assert moved["after"] == 0, "it holds back what was written"
    (hung,) = json.loads(anywhere.run("txn", "hanging", "--topic", topic, "--json").stdout)
    assert (hung["partition"], hung["start_offset"], hung["producer_id"]) == (1, 0, 987_654)
    everywhere = anywhere.run("txn", "hanging").stdout.splitlines()
    assert [topic, "1", "0", "987654", "4"] in [line.split()[:5] for line in everywhere]
    assert "no transaction hangs" in anywhere.run("txn", "hanging", "--topic", f"{topic}:0").stderr
    status, said = anywhere.answer("n\n", *args, "--start-offset", "0")
    assert (status, said.endswith("error: nothing was changed\n")) == (1, True)
    done = anywhere.run(*args, "--producer-id", "987654")
    assert "no coordinator knows the transaction of producer 987654, epoch 4" in done.stderr
    assert done.stdout == (
        f"aborted the transaction of producer 987654 in {topic}-1; "
        "its last stable offset was 0 and is 4\n"
    )
    assert anywhere.error(*args, "--start-offset", "0") == f"{topic}-1 has no open transaction"


def hang(anywhere: CommandLine, topic: str, *, producer_id: int) -> None:
    """Three records of a transaction that no coordinator knows, in partition 1.

    It needs a broker that does not verify transactions, as those before Kafka 3.6.
    """
    data = ProduceRequest.TopicProduceData
    records: list[RawRecord] = [(None, b"v", [], int(time.time() * 1000))] * 3
    batch = build_batch(
        records, producer_id=producer_id, producer_epoch=4, base_sequence=0, is_transactional=True
    )
    with Client(anywhere.bootstrap) as client:
        found = client.topic(topic)
        request = ProduceRequest(
            acks=-1,
            timeout_ms=10_000,
            transactional_id="lost",
            topic_data=[
                data(
                    name=topic,
                    topic_id=found.topic_id,
                    partition_data=[data.PartitionProduceData(index=1, records=batch)],
                )
            ],
        )
        node = found.partitions[1].leader_id
        response = client.call(request, node=node, at_most=LAST_VERSION_WITHOUT_ADDING)
    assert response.responses[0].partition_responses[0].error_code == 0


def test_what_fails_says_why(anywhere: CommandLine, topic: str) -> None:
    producer = begun(anywhere, topic, topic)
    producer.abort_transaction(DEADLINE_S)
    for command in ("describe", "abort"):
        assert anywhere.error("txn", command, topic + "x") == (
            f"no coordinator knows the transactional id '{topic}x'; did you mean '{topic}'?"
        )
    assert "Give a transactional id" in anywhere.error("txn", "abort", status=2)
    assert "Give a transactional id" in anywhere.error("txn", "abort", "--topic", "t", status=2)
    assert "Give a transactional id" in anywhere.error(
        "txn", "abort", "a", "--topic", "t", "--partition", "0", status=2
    )
    assert "go with --topic" in anywhere.error("txn", "abort", "a", "--producer-id", "1", status=2)
    assert f"there is no partition {topic}-9" in anywhere.error(
        "txn", "abort", "--topic", topic, "--partition", "9", "--start-offset", "0"
    )
    assert "there is no topic" in anywhere.error("txn", "hanging", "--topic", topic + "x")
    assert "is no duration" in anywhere.error("txn", "list", "--older-than", "long", status=2)
