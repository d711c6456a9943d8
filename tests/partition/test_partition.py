"""A partition on its leader: leadership, the high watermark, reads."""
from __future__ import annotations

import pathlib

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import (
    FencedLeaderEpoch,
    KafkaStorageError,
    NotLeaderOrFollower,
    OffsetOutOfRange,
    UnknownLeaderEpoch,
)
from fastbroker.partition.partition import (
    EARLIEST,
    EARLIEST_LOCAL,
    EARLIEST_PENDING_UPLOAD,
    LATEST,
    LATEST_TIERED,
    MAX_TIMESTAMP,
    Leadership,
    Partition,
)
from fastbroker.storage.flush_job import FlushJob
from tests.storage.logs import NOW, TP, batch, open_log

ME = 3


class Bench:
    """One partition, and its flushes under the test's control."""

    def __init__(self, path: pathlib.Path, config: TopicConfig | None = None) -> None:
        self.asked = 0
        self.partition = Partition(
            TP,
            b"i" * 16,
            lambda: open_log(path, config),
            broker_id=ME,
            request_flush=self._request_flush,
        )
        self.lead(1)

    def _request_flush(self, partition: Partition) -> None:
        assert partition is self.partition
        self.asked += 1

    def lead(self, epoch: int, leader: int = ME) -> bool:
        return self.partition.lead(Leadership(leader, epoch, 0, (ME,), (ME,)))

    def append(self, *values: str, at: int = NOW) -> int:
        """The offset behind what was appended."""
        data = batch(*values, at=at)
        return self.partition.append(data, now_ms=at, produce_version=9).last_offset + 1

    def begin_flush(self) -> FlushJob:
        job = self.partition.log.begin_flush()
        assert job is not None
        job.run()
        return job

    def flush(self) -> None:
        self.partition.flushed(self.begin_flush())


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_flushed_is_committed(bench: Bench) -> None:
    told = list[str]()
    end = bench.append("a", "b")
    bench.partition.await_commit(end, lambda: told.append("first"))
    assert (bench.asked, bench.partition.high_watermark, told) == (1, 0, [])
    job = bench.begin_flush()
    later = bench.append("c")
    bench.partition.await_commit(later, lambda: told.append("second"))
    bench.partition.flushed(job)
    assert (bench.partition.high_watermark, told) == (2, ["first"])
    bench.flush()
    assert (bench.partition.high_watermark, told) == (3, ["first", "second"])
    bench.partition.await_commit(1, lambda: told.append("at once"))
    assert told[-1] == "at once"


def test_without_flush_before_acks_the_page_cache_counts(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path, TopicConfig(flush_messages=3))
    bench.append("a", "b")
    assert (bench.asked, bench.partition.high_watermark) == (0, 2)
    bench.append("c")
    assert (bench.asked, bench.partition.high_watermark) == (1, 3)


def test_a_closed_segment_is_flushed(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path, TopicConfig(flush_messages=1000, segment_bytes=200))
    bench.append("a" * 100)
    assert bench.asked == 0
    bench.append("b" * 100)
    assert bench.asked == 1
    bench.flush()
    assert bench.partition.log.flushed_offset == 2


def test_readers_get_what_is_committed_and_no_more(bench: Bench) -> None:
    bench.append("a")
    assert bench.partition.read(0, max_bytes=1000, at_least_one=True).size == 0
    with pytest.raises(OffsetOutOfRange):
        bench.partition.read(1, max_bytes=1000, at_least_one=True)
    bench.flush()
    assert bench.partition.read(0, max_bytes=1000, at_least_one=True).size > 0
    assert bench.partition.read(1, max_bytes=1000, at_least_one=True).size == 0
    with pytest.raises(OffsetOutOfRange):
        bench.partition.read(2, max_bytes=1000, at_least_one=True)


def test_a_reader_is_woken_by_commits_elections_and_a_moved_start(bench: Bench) -> None:
    woken = list[int]()
    bench.partition.purgatory.await_data("reader", lambda: woken.append(1))
    bench.append("a")
    assert len(woken) == 0
    bench.flush()
    assert len(woken) == 1
    bench.partition.delete_records(1)
    assert len(woken) == 2
    bench.partition.delete_records(1)
    assert len(woken) == 2, "it did not move"
    bench.lead(2)
    assert len(woken) == 3


def test_leadership_is_checked(bench: Bench) -> None:
    bench.lead(5)
    bench.partition.check_leader()
    bench.partition.check_leader(5)
    with pytest.raises(FencedLeaderEpoch):
        bench.partition.check_leader(4)
    with pytest.raises(UnknownLeaderEpoch):
        bench.partition.check_leader(6)
    bench.lead(6, leader=4)
    with pytest.raises(NotLeaderOrFollower):
        bench.partition.check_leader(6)


def test_it_is_elected_once_an_epoch(bench: Bench) -> None:
    assert not bench.lead(1)
    assert bench.lead(2)
    assert not bench.lead(3, leader=-1)
    assert bench.lead(3)
    assert bench.partition.log.epochs.entries == [(3, 0)], "the epochs before wrote nothing"


def test_whoever_waits_is_told_when_leadership_goes(bench: Bench) -> None:
    told = list[str]()
    end = bench.append("a")
    bench.partition.await_commit(end, lambda: told.append("commit"))
    bench.partition.purgatory.await_data("reader", lambda: told.append("reader"))
    bench.lead(2, leader=4)
    assert told == ["commit", "reader"]
    assert bench.partition.high_watermark < end
    bench.partition.await_commit(end, lambda: told.append("not the leader"))
    assert told[-1] == "not the leader"


def test_a_failed_log_promises_nothing(bench: Bench) -> None:
    told = list[str]()
    end = bench.append("a")
    bench.partition.await_commit(end, lambda: told.append("failed"))
    job = bench.begin_flush()
    bench.partition.fail(OSError("EIO"))
    assert told == ["failed"]
    with pytest.raises(KafkaStorageError, match="EIO"):
        bench.partition.check_leader()
    bench.partition.flushed(job)
    assert bench.partition.high_watermark == 0, "a flush that comes late changes nothing"


def test_epochs_end_where_the_next_begins(bench: Bench) -> None:
    bench.append("a", "b")
    bench.lead(4)
    bench.append("c")
    bench.flush()
    partition = bench.partition
    assert partition.end_of_epoch(1) == (2, 1)
    assert partition.end_of_epoch(3) == (2, 1)
    assert partition.end_of_epoch(4) == (3, 4)
    assert partition.end_of_epoch(5) == (-1, -1)
    assert partition.diverging_epoch(2, 1) is None
    assert partition.diverging_epoch(3, 1) == (2, 1)
    assert partition.diverging_epoch(3, 3) == (2, 1)
    assert partition.diverging_epoch(3, -1) is None
    with pytest.raises(OffsetOutOfRange):
        partition.diverging_epoch(3, 5)


def test_offsets_are_found_by_time_and_by_name(bench: Bench) -> None:
    for index in range(3):
        bench.append(f"{index}", at=NOW + 10 * index)
    bench.flush()
    bench.append("not committed", at=NOW + 100)
    partition = bench.partition
    assert partition.find(LATEST) == (-1, 3, 1)
    assert partition.find(EARLIEST) == partition.find(EARLIEST_LOCAL) == (-1, 0, 1)
    assert partition.find(LATEST_TIERED) is partition.find(EARLIEST_PENDING_UPLOAD) is None
    assert partition.find(NOW + 5) == (NOW + 10, 1, 1)
    assert partition.find(NOW + 21) is None, "what is not committed is not found"
    assert partition.find(MAX_TIMESTAMP) is None
    bench.flush()
    assert partition.find(MAX_TIMESTAMP) == (NOW + 100, 3, 1)


def test_records_are_deleted_up_to_the_high_watermark(bench: Bench) -> None:
    for index in range(4):
        bench.append(f"{index}")
    bench.flush()
    partition = bench.partition
    assert partition.delete_records(2) == 2
    assert partition.delete_records(1) == 2, "what is gone stays gone"
    assert partition.find(EARLIEST) == (-1, 2, 1)
    with pytest.raises(OffsetOutOfRange):
        partition.read(1, max_bytes=1000, at_least_one=True)
    for offset in (5, -2):
        with pytest.raises(OffsetOutOfRange):
            partition.delete_records(offset)
    assert partition.delete_records(-1) == 4
    assert partition.find(LATEST) == (-1, 4, 1)
