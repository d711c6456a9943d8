"""Fetch and ListOffsets with isolation level READ_COMMITTED, of a partition with transactions."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker.handlers.fetch import SENDFILE_MIN
from fastbroker.partition.partition import READ_COMMITTED, READ_UNCOMMITTED
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.records.control import EndTransactionMarker
from tests.handlers.bench import Bench
from tests.handlers.test_fetch import data, fetch
from tests.storage.logs import batch

Listed = ListOffsetsRequest.ListOffsetsTopic


def write(bench: Bench, *values: str, pid: int = 1, sequence: int = 0) -> None:
    """One batch of a transaction."""
    partition = bench.partition()
    guard = partition.begin_verification(pid, 0, base_sequence=sequence)
    partition.append(
        batch(*values, producer_id=pid, producer_epoch=0, base_sequence=sequence,
              is_transactional=True, at=bench.timers.now_ms()),
        now_ms=bench.timers.now_ms(), produce_version=9, verification=guard,
    )  # fmt: skip


def end(bench: Bench, pid: int = 1, *, commit: bool) -> None:
    marker = EndTransactionMarker(pid, 0, 0, commit, 1)
    bench.partition().append_marker(marker, now_ms=bench.timers.now_ms())


def aborted(response: Any) -> Any:
    """(producer id, first offset) of what the client leaves out; None: nobody looked."""
    (topic,) = response.responses
    found = topic.partitions[0].aborted_transactions
    return found if found is None else [(one.producer_id, one.first_offset) for one in found]


@pytest.mark.parametrize("version", [4, 7, 12])
def test_what_is_below_the_last_stable_offset(bench: Bench, version: int) -> None:
    bench.create()
    bench.append("a")
    write(bench, "b")
    bench.append("c")
    all_ = bench.ask(fetch((0, 0)), version)
    assert data(all_) == [(0, 0, ["a", "b", "c"])]
    assert aborted(all_) is None
    response = bench.ask(fetch((0, 0), isolation_level=READ_COMMITTED), version)
    assert data(response) == [(0, 0, ["a"])]
    part = response.responses[0].partitions[0]
    assert (part.high_watermark, part.last_stable_offset) == (3, 1)
    assert aborted(response) == []
    behind = bench.ask(fetch((0, 2), isolation_level=READ_COMMITTED), version)
    assert data(behind) == [(0, 0, [])]


def test_what_the_client_leaves_out(bench: Bench) -> None:
    bench.create()
    write(bench, "lost", pid=1)  # 0
    write(bench, "kept", pid=2)  # 1
    end(bench, 1, commit=False)  # 2
    end(bench, 2, commit=True)  # 3
    write(bench, "lost too", pid=2, sequence=1)  # 4
    end(bench, 2, commit=False)  # 5

    def ask(offset: int) -> Any:
        return aborted(bench.ask(fetch((0, offset), isolation_level=READ_COMMITTED), 12))

    assert ask(0) == [(1, 0), (2, 4)]
    assert ask(2) == [(1, 0), (2, 4)]
    assert ask(3) == [(2, 4)]
    assert ask(6) == []
    assert aborted(bench.ask(fetch((0, 0)), 12)) is None


def test_only_what_overlaps_the_data(bench: Bench) -> None:
    bench.create(index_interval_bytes=0)
    for n in range(30):
        write(bench, "x" * 200, sequence=n)
        end(bench, commit=False)
    response = bench.ask(
        fetch((0, 20), isolation_level=READ_COMMITTED, part_max=600), 12
    )
    found = aborted(response)
    assert found[0] == (1, 20)
    assert len(found) < 6, "not all of them to the log's end"


def test_data_sent_from_the_file_too(bench: Bench) -> None:
    bench.create()
    write(bench, "x" * SENDFILE_MIN)
    end(bench, commit=False)
    response = bench.ask(
        fetch((0, 0), isolation_level=READ_COMMITTED, part_max=1 << 22, max_bytes=1 << 22), 12
    )
    assert aborted(response) == [(1, 0)]
    assert len(response.responses[0].partitions[0].records) > SENDFILE_MIN


def test_a_waiting_reader_is_woken_by_the_marker_on_disk(slow: Bench) -> None:
    slow.create()
    write(slow, "a")
    slow.flush()
    how = {"max_wait_ms": 5000, "isolation_level": READ_COMMITTED}
    pending = slow.send(fetch((0, 0), **how), 12)
    slow.append("behind it")
    slow.flush()
    assert not pending.done, "data that it may not see is no data"
    end(slow, commit=True)
    assert not pending.done
    slow.flush()
    assert data(pending.response) == [(0, 0, ["a", "behind it"])]
    assert slow.timers.waiting == 0


def test_min_bytes_count_below_the_last_stable_offset(slow: Bench) -> None:
    slow.create()
    slow.append("a")
    write(slow, "x" * 1000)
    slow.flush()
    how = {"max_wait_ms": 100, "min_bytes": 500}
    committed = slow.send(fetch((0, 0), isolation_level=READ_COMMITTED, **how), 12)
    other = slow.connect()
    all_ = slow.send(fetch((0, 0), isolation_level=READ_UNCOMMITTED, **how), 12, connection=other)
    assert all_.done
    assert not committed.done
    slow.timers.advance(100)
    assert data(committed.response) == [(0, 0, ["a"])]


def list_offset(bench: Bench, timestamp: int, level: int) -> tuple[int, int]:
    part = Listed.ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(
        replica_id=-1, isolation_level=level, topics=[Listed(name="t", partitions=[part])]
    )
    (found,) = bench.ask(request, 9).topics[0].partitions
    return found.error_code, found.offset


def test_offsets_are_listed_below_the_last_stable_offset(bench: Bench) -> None:
    bench.create()
    now_ms = bench.timers.now_ms()
    bench.append("a", at=now_ms - 10)
    write(bench, "b")
    for timestamp, committed, all_ in (
        (-1, 1, 2), (-2, 0, 0), (-3, -1, 1), (now_ms, -1, 1), (now_ms - 10, 0, 0),
    ):  # fmt: skip
        assert list_offset(bench, timestamp, READ_COMMITTED) == (0, committed), timestamp
        assert list_offset(bench, timestamp, READ_UNCOMMITTED) == (0, all_), timestamp
    end(bench, commit=True)
    assert list_offset(bench, -1, READ_COMMITTED) == (0, 3)
