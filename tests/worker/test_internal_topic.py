"""What a coordinator writes and reads."""
from __future__ import annotations

import os
import pathlib
from itertools import takewhile

import pytest

from fastbroker.errors import KafkaStorageError, NotCoordinator, NotLeaderOrFollower
from fastbroker.handlers.context import OFFSETS_TOPIC
from fastbroker.records.reader import iter_records
from fastbroker.worker import internal_topic
from fastbroker.worker.internal_topic import InternalTopic, committed_batches
from tests.handlers.bench import ELSEWHERE, Bench


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    made = Bench(tmp_path, instant=False)
    made.create(OFFSETS_TOPIC, cleanup_policy="compact")
    return made


def contents(bench: Bench) -> list[tuple[bytes | None, bytes | None]]:
    return [
        (record.key, record.value)
        for data in takewhile(len, committed_batches(bench.partition(OFFSETS_TOPIC)))
        for record in iter_records(data)
    ]


def test_a_batch_is_written_when_it_is_committed(bench: Bench) -> None:
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    done = topic.append(0, [(b"a", b"1"), (b"b", None)])
    assert not done.done
    assert contents(bench) == []
    bench.flush()
    assert done.error is None
    assert done.done
    assert contents(bench) == [(b"a", b"1"), (b"b", None)]


def test_elsewhere_it_fails(bench: Bench) -> None:
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    assert isinstance(topic.append(7, [(b"a", b"1")]).error, NotCoordinator)
    bench.elect(ELSEWHERE, OFFSETS_TOPIC)
    assert isinstance(topic.append(0, [(b"a", b"1")]).error, NotLeaderOrFollower)


def test_leadership_or_the_disk_is_lost_meanwhile(bench: Bench) -> None:
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    done = topic.append(0, [(b"a", b"1")])
    bench.elect(ELSEWHERE, OFFSETS_TOPIC)
    assert isinstance(done.error, NotLeaderOrFollower)
    bench.elect(1, OFFSETS_TOPIC)
    done = topic.append(0, [(b"a", b"1")])
    bench.partition(OFFSETS_TOPIC).fail(OSError(5, os.strerror(5)))
    assert isinstance(done.error, KafkaStorageError)
    assert isinstance(topic.append(0, [(b"a", b"1")]).error, KafkaStorageError)


def test_it_is_read_in_whole_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internal_topic, "READ_BYTES", 300)
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    expected: list[tuple[bytes | None, bytes | None]] = []
    for n in range(20):
        record = (b"key %d" % n, b"v" * 20 * n)
        topic.append(0, [record])
        expected.append(record)
    bench.flush()
    topic.append(0, [(b"not committed", b"")])
    assert contents(bench) == expected
    bench.partition(OFFSETS_TOPIC).delete_records(5)
    assert contents(bench) == expected[5:]


def test_what_is_on_its_way_to_the_disk_is_waited_for(bench: Bench) -> None:
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    topic.append(0, [(b"a", b"1")])
    chunks = committed_batches(bench.partition(OFFSETS_TOPIC))
    assert not next(chunks)
    assert not next(chunks)
    bench.flush()
    assert [record.key for record in iter_records(next(chunks))] == [b"a"]
    assert next(chunks, None) is None


def test_what_never_comes_is_not_waited_for(bench: Bench) -> None:
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    topic.append(0, [(b"a", b"1")])
    chunks = committed_batches(bench.partition(OFFSETS_TOPIC))
    assert not next(chunks)
    bench.partition(OFFSETS_TOPIC).fail(OSError(5, os.strerror(5)))
    with pytest.raises(KafkaStorageError):
        next(chunks)
