"""What a coordinator writes and reads."""
from __future__ import annotations

import errno
import os
import pathlib
from itertools import takewhile

import pytest

from fastbroker.errors import KafkaStorageError, NotCoordinator, NotLeaderOrFollower
from fastbroker.handlers.context import OFFSETS_TOPIC
from fastbroker.records.reader import iter_records
from fastbroker.storage import opening
from fastbroker.storage.segments import Segments
from fastbroker.worker import internal_topic
from fastbroker.worker.internal_topic import InternalTopic, committed_batches
from fastbroker.worker.replicas import OPEN_AGAIN_MS
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


@pytest.mark.parametrize("method", ["find_segments", "read"])
def test_what_cannot_be_read_now_is_read_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    topic = InternalTopic(bench.broker, OFFSETS_TOPIC)
    topic.append(0, [(b"a", b"1")])
    bench.flush()
    partition = bench.partition(OFFSETS_TOPIC)
    if method == "find_segments":
        assert partition.log.save_when_due()
        partition.log.epochs.synced()
        bench.log_dir.close_log(partition.name)
        partition.forget_log()

    def no_files(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    chunks = committed_batches(partition)
    with monkeypatch.context() as patch:
        patch.setattr(Segments if method == "read" else opening, method, no_files)
        for _ in range(3):
            assert bytes(next(chunks)) == b""
    bench.timers.advance(OPEN_AGAIN_MS)
    assert [record.key for data in chunks for record in iter_records(data)] == [b"a"]
    assert bench.log_dir.failure is None


def test_nothing_is_waited_for_when_the_disk_has_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    InternalTopic(bench.broker, OFFSETS_TOPIC).append(0, [(b"a", b"1")])
    bench.flush()

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Segments, "read", broken)
    with pytest.raises(KafkaStorageError):
        next(committed_batches(bench.partition(OFFSETS_TOPIC)))
