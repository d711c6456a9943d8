"""Partitions and topics of a broker, as samples."""
from __future__ import annotations

import pathlib

import pytest

from fastbroker.config.broker import BrokerConfig
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.labels import OTHER
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.metadata_records import PartitionChangeRecord
from fastbroker.worker.closed_logs import ClosedLogs
from fastbroker.worker.partition_metrics import add_partitions
from tests.handlers.bench import NEIGHBOUR, Bench
from tests.metrics.text import Text
from tests.worker.answers import told
from tests.worker.loops import InstantLoop

TOPIC_COUNTERS = (c.MESSAGES_IN, c.BYTES_IN, c.BYTES_OUT)


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def page_of(bench: Bench) -> Text:
    return told(lambda samples: add_partitions(samples, bench.broker))


def limit(bench: Bench, **values: int) -> None:
    given = {f"fastbroker.metrics.{name}.max": str(value) for name, value in values.items()}
    bench.broker.config = BrokerConfig(given)


def of(text: Text, family: c.Family, topic: str, number: int = 0) -> float | None:
    labels = frozenset({("topic", topic), ("partition", str(number))})
    return text.all(family.name).get(labels)


def close(bench: Bench, name: str, number: int = 0) -> None:
    bench.partition(name, number).log.flush()
    bench.log_dir.close_log(TopicPartition(name, number))
    bench.partition(name, number).forget_log()


def fetch(bench: Bench, name: str, offset: int) -> None:
    topic = FetchRequest.FetchTopic(topic=name)
    topic.partitions = [
        FetchRequest.FetchTopic.FetchPartition(
            partition=0, fetch_offset=offset, partition_max_bytes=1 << 20
        )
    ]
    bench.ask(FetchRequest(topics=[topic], max_bytes=1 << 20, session_epoch=-1), 12)


def test_a_partition_that_is_led_here(bench: Bench) -> None:
    bench.create("t", 2)
    bench.append("a", "b", "c")
    bench.append("d")
    text = page_of(bench)
    size = bench.partition().log.size
    values = {
        c.LOG_SIZE: size, c.LOG_SEGMENTS: 1, c.LOG_START: 0, c.LOG_END: 4, c.CURRENT_OFFSET: 4,
        c.OLDEST_OFFSET: 0, c.REPLICAS: 1, c.IN_SYNC: 1, c.UNDER_REPLICATED: 0, c.LEADER: 1,
        c.IS_PREFERRED: 1,
    }  # fmt: skip
    assert {family: of(text, family, "t") for family in values} == values
    assert text.value(c.TOPIC_PARTITIONS.name, topic="t") == 2
    told_of = {"process": "worker-0", "topic": "t"}
    assert [text.value(one.name, **told_of) for one in TOPIC_COUNTERS] == [4, size, 0]
    assert text.value(c.PARTITION_COUNT.name, process="worker-0") == 2
    assert text.value(c.LEADER_COUNT.name, process="worker-0") == 2
    assert text.value(c.OPEN_LOGS.name, process="worker-0") == 1
    # Nothing is known of a log that was never open, and nobody opens it to know.
    assert of(text, c.LEADER, "t", 1) == 1
    assert of(text, c.CURRENT_OFFSET, "t", 1) is None
    assert of(text, c.LOG_SIZE, "t", 1) is None


def test_what_is_not_committed_cannot_be_read_yet(bench: Bench) -> None:
    bench.create()
    bench.instant = False
    bench.append("a", "b")
    text = page_of(bench)
    assert (of(text, c.LOG_END, "t"), of(text, c.CURRENT_OFFSET, "t")) == (2, 0)
    bench.flush()
    assert of(page_of(bench), c.CURRENT_OFFSET, "t") == 2


def test_counters_go_on_over_a_log_that_is_closed_and_opened(bench: Bench) -> None:
    bench.create()
    bench.append("a", "b", "c")
    fetch(bench, "t", 0)
    size = bench.partition().log.size
    close(bench, "t")
    text = page_of(bench)
    labels = {"process": "worker-0", "topic": "t"}
    assert [text.value(one.name, **labels) for one in TOPIC_COUNTERS] == [3, size, size]
    assert (of(text, c.LOG_SIZE, "t"), of(text, c.CURRENT_OFFSET, "t")) == (size, 3)
    assert text.value(c.OPEN_LOGS.name, process="worker-0") == 0
    bench.append("d")
    text = page_of(bench)
    assert text.value(c.MESSAGES_IN.name, **labels) == 4
    assert text.value(c.BYTES_IN.name, **labels) == bench.partition().log.size > size
    assert of(text, c.CURRENT_OFFSET, "t") == 4


def test_logs_that_were_never_opened_are_looked_up_once(bench: Bench) -> None:
    bench.create("t", 3)
    bench.append("a", "b")
    size = bench.partition().log.size
    close(bench, "t")
    bench.partition().kept = None  # as after a start
    closed = ClosedLogs(InstantLoop(), bench.broker)  # type: ignore[arg-type]
    closed.look()
    text = page_of(bench)
    assert (of(text, c.LOG_SIZE, "t"), of(text, c.LOG_END, "t")) == (size, 2)
    assert (of(text, c.LOG_SIZE, "t", 2), of(text, c.LOG_END, "t", 2)) == (0, 0)
    kept = bench.partition().kept
    closed.look()
    assert bench.partition().kept is kept
    assert text.value(c.MESSAGES_IN.name, process="worker-0", topic="t") == 0


def test_the_end_of_a_log_is_not_known_after_a_crash(bench: Bench) -> None:
    bench.create()
    bench.append("a")
    name = TopicPartition("t", 0)
    del bench.log_dir.logs[name]
    bench.partition().forget_log()
    bench.partition().kept = None
    ClosedLogs(InstantLoop(), bench.broker).look()  # type: ignore[arg-type]
    text = page_of(bench)
    assert of(text, c.LOG_START, "t") == 0
    assert of(text, c.LOG_END, "t") is None


def test_partitions_of_others_have_no_leader_here(bench: Bench) -> None:
    bench.create("mine")
    bench.create("theirs", leader=NEIGHBOUR)
    text = page_of(bench)
    assert of(text, c.LEADER, "mine") == 1
    assert of(text, c.LEADER, "theirs") is None
    bench.elect(NEIGHBOUR, "mine")
    text = page_of(bench)
    assert text.value(c.LEADER_COUNT.name, process="worker-0") == 0
    assert text.all(c.TOPIC_PARTITIONS.name) == {}


def test_replicas_that_are_not_in_sync(bench: Bench) -> None:
    bench.create("t", 2, min_insync_replicas=2)
    topic = bench.image.topics["t"]
    bench.apply(
        PartitionChangeRecord(partition_id=0, topic_id=topic.id, replicas=[NEIGHBOUR, 1], isr=[1])
    )
    text = page_of(bench)
    assert (of(text, c.REPLICAS, "t"), of(text, c.IN_SYNC, "t")) == (2, 1)
    assert (of(text, c.UNDER_REPLICATED, "t"), of(text, c.IS_PREFERRED, "t")) == (1, 0)
    assert text.value(c.UNDER_REPLICATED_COUNT.name, process="worker-0") == 1
    assert text.value(c.UNDER_MIN_ISR.name, process="worker-0") == 2


def test_partitions_beyond_the_cap_are_summed(bench: Bench) -> None:
    bench.create("a")
    bench.create("b", 3)
    for number in range(3):
        bench.append("x", "y", name="b", number=number)
    limit(bench, partitions=2)
    text = page_of(bench)
    sizes = [bench.partition("b", number).log.size for number in range(3)]
    assert of(text, c.LOG_SIZE, "b") == sizes[0]
    assert of(text, c.LOG_SIZE, "b", 1) is None
    rest = {"topic": OTHER, "partition": OTHER}
    assert text.value(c.LOG_SIZE.name, **rest) == sum(sizes[1:])
    assert text.value(c.CURRENT_OFFSET.name, **rest) == 4
    assert frozenset(rest.items()) not in text.all(c.LEADER.name)
    assert text.value(c.PARTITIONS_FOLDED.name, process="worker-0") == 2
    assert text.value(c.MESSAGES_IN.name, process="worker-0", topic="b") == 6
    limit(bench, partitions=0)
    assert page_of(bench).value(c.LOG_SIZE.name, **rest) == sum(sizes)


def test_topics_beyond_the_cap_are_summed(bench: Bench) -> None:
    for name in "abcd":
        bench.create(name)
        bench.append("x", name=name)
    limit(bench, topics=2)
    text = page_of(bench)
    told_of = {dict(key)["topic"]: value for key, value in text.all(c.MESSAGES_IN.name).items()}
    assert told_of == {"a": 1, "b": 1, OTHER: 2}
    assert text.value(c.TOPICS_FOLDED.name, process="worker-0") == 2


def test_a_broker_without_partitions_says_so(bench: Bench) -> None:
    text = page_of(bench)
    assert text.value(c.PARTITION_COUNT.name, process="worker-0") == 0
    assert text.all(c.LOG_SIZE.name) == {}


def test_a_log_directory_that_has_failed(bench: Bench) -> None:
    bench.create("t", 3)
    bench.append("a")
    bench.log_dir.take_offline(OSError(5, "Input/output error"))
    text = page_of(bench)
    assert text.value(c.OFFLINE_DIRS.name, process="worker-0") == 1
    assert text.value(c.OFFLINE_REPLICAS.name, process="worker-0") == 3
    assert of(text, c.LOG_END, "t") == 1
