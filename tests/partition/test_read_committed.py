"""READ_COMMITTED: what a client sees after leaving out what it is told to is what was committed."""
from __future__ import annotations

import heapq
import pathlib
import random
from collections.abc import Sequence

import pytest

from fastbroker._c.record_batch import CorruptBatch, read_header
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import InvalidTxnState
from fastbroker.partition.partition import (
    LATEST,
    MAX_TIMESTAMP,
    READ_COMMITTED,
    Leadership,
    Partition,
)
from fastbroker.records.control import COMMIT, EndTransactionMarker, control_kind
from fastbroker.records.reader import iter_batches
from fastbroker.storage.log import Log
from fastbroker.storage.txn_index import AbortedTransaction
from tests.partition.test_partition import ME, Bench
from tests.storage.logs import NOW, TP, batch, open_log
from tests.storage.transactions import PRODUCERS, Chaos, batches_of, truth

SMALL = TopicConfig(segment_bytes=900, index_interval_bytes=150)


class Client:
    """Filters fetched batches as Apache Kafka's consumer does."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def take(self, data: bytes, aborted: Sequence[AbortedTransaction], offset: int) -> int:
        """One response's data from `offset` on; where the next fetch begins."""
        waiting = [(one.first_offset, one.producer_id) for one in aborted]
        heapq.heapify(waiting)
        dead: set[int] = set()
        for one in iter_batches(data):
            header = one.header
            while waiting and waiting[0][0] <= header.last_offset:
                dead.add(heapq.heappop(waiting)[1])
            if header.is_control:
                (record,) = one.records()
                if control_kind(record.key or b"") != COMMIT:
                    dead.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in dead):
                self.seen += [
                    (r.offset, (r.value or b"").decode()) for r in one.records()
                    if r.offset >= offset
                ]  # fmt: skip
            offset = header.last_offset + 1
        return offset


def read_all(partition: Partition, dice: random.Random, start: int) -> list[tuple[int, str]]:
    """By fetches of any size, whose ends are anywhere in a batch."""
    client = Client()
    offset = start
    end = partition.last_stable_offset
    while offset < end:
        piece = partition.read(
            offset, max_bytes=dice.randint(1, 1500), at_least_one=True,
            isolation_level=READ_COMMITTED,
        )  # fmt: skip
        bound = partition.log.bound(piece)
        assert bound > offset
        aborted = partition.aborted_transactions(offset, bound)
        after = client.take(piece.read_bytes(), aborted, offset)
        assert after <= min(end, bound)
        assert after > offset
        offset = after
    return client.seen


@pytest.mark.parametrize("seed", range(20))
def test_a_client_sees_exactly_what_was_committed(tmp_path: pathlib.Path, seed: int) -> None:
    dice = random.Random(seed)
    bench = Bench(tmp_path, SMALL)
    log = bench.partition.log
    chaos = Chaos(log, dice)
    for round_ in range(12):
        for _ in range(dice.randint(1, 30)):
            chaos.step()
        if round_ < 11 or dice.random() < 0.5:
            bench.partition._appended()
            if dice.random() < 0.7:
                bench.flush()
        partition = bench.partition
        batches = batches_of(log)
        said = truth([one for one in batches if one.header.base_offset < log.log_end_offset])
        high_watermark = partition.high_watermark
        open_or_late = list(said.begun.values())
        open_or_late += [first for first, mark in said.ended if mark >= high_watermark]
        stable = min([high_watermark, *open_or_late])
        assert partition.last_stable_offset == stable
        for start in [0, *dice.choices(range(stable + 1), k=3)]:
            wanted = [one for one in said.visible if start <= one[0] < stable]
            assert read_all(partition, dice, start) == wanted
    close_all(bench, chaos)
    everything = truth(batches_of(log)).visible
    assert bench.partition.last_stable_offset == log.log_end_offset
    assert read_all(bench.partition, dice, 0) == everything
    reopened = Partition(
        TP, bytes(16), lambda: reopen(log, tmp_path, dice), broker_id=ME,
        request_flush=lambda _: None,
    )
    assert read_all(reopened, dice, 0) == everything


def close_all(bench: Bench, chaos: Chaos) -> None:
    """End every transaction."""
    for pid in PRODUCERS:
        if pid in chaos.sequences:
            chaos.mark(pid)
    bench.flush()


def reopen(log: Log, path: pathlib.Path, dice: random.Random) -> Log:
    """As after a clean end, or after a crash."""
    if dice.random() < 0.5:
        log.close()
        return open_log(path, SMALL, is_clean=True)
    return open_log(path, SMALL, recovery_point=dice.choice((0, log.flushed_offset)))


# ---- one by one


def begin(bench: Bench, pid: int = 1, sequence: int = 0, *, at: int = NOW) -> int:
    """A batch of a transaction; its offset."""
    partition = bench.partition
    guard = partition.begin_verification(pid, 0, base_sequence=sequence)
    data = batch("v", producer_id=pid, producer_epoch=0, base_sequence=sequence,
                 is_transactional=True, at=at)  # fmt: skip
    return partition.append(
        data, now_ms=at, produce_version=9, verification=guard
    ).first_offset


def end(bench: Bench, pid: int = 1, *, commit: bool = True) -> int:
    marker = EndTransactionMarker(pid, 0, 0, commit, 1)
    return bench.partition.append_marker(marker, now_ms=NOW).first_offset


def flushed(bench: Bench) -> int:
    """The last stable offset once all is on disk."""
    bench.flush()
    return bench.partition.last_stable_offset


def test_without_transactions_everything_committed_is_stable(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    bench.append("a", "b")
    assert bench.partition.last_stable_offset == 0
    assert flushed(bench) == 2


def test_a_transaction_holds_it_back_until_its_marker_is_on_disk(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    bench.append("a")
    begin(bench)
    bench.append("b")
    assert flushed(bench) == 1
    end(bench)
    assert bench.partition.last_stable_offset == 1, "the marker may be lost yet"
    assert flushed(bench) == 4


def test_the_oldest_counts(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    begin(bench, 1)
    begin(bench, 2)
    end(bench, 2, commit=False)
    assert flushed(bench) == 0
    end(bench, 1)
    assert flushed(bench) == 4


def test_readers_are_woken_when_it_moves(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    begin(bench)
    bench.flush()
    woken: list[int] = []
    bench.partition.purgatory.await_data(
        self := object(), lambda: woken.append(bench.partition.last_stable_offset)
    )
    end(bench)
    assert woken == []
    bench.flush()
    assert woken == [2]
    bench.partition.purgatory.leave(self)


def test_committed_at_once_where_nobody_waits_for_the_disk(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path, TopicConfig(flush_messages=2**63 - 1))
    begin(bench)
    assert (bench.partition.high_watermark, bench.partition.last_stable_offset) == (1, 0)
    end(bench)
    assert bench.partition.last_stable_offset == 2
    assert not bench.partition.log.producers.late


def test_records_of_an_open_transaction_can_be_deleted(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    begin(bench)
    bench.append("a", "b", "c")
    bench.flush()
    assert bench.partition.delete_records(2) == 2
    assert bench.partition.last_stable_offset == 2, "not before the log's start"
    assert bench.partition.delete_records(-1) == 4
    assert bench.partition.last_stable_offset == 4
    mark = end(bench, commit=False)
    assert flushed(bench) == 5
    assert bench.partition.aborted_transactions(4, 5) == [(1, 0, mark, 5)]


def test_a_reader_of_committed_data_stops_there(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    bench.append("a")
    begin(bench)
    bench.flush()
    how = {"max_bytes": 10**6, "at_least_one": True}
    whole = bench.partition.read(0, **how).size
    part = bench.partition.read(0, isolation_level=READ_COMMITTED, **how)
    assert 0 < part.size < whole
    assert bench.partition.read(1, isolation_level=READ_COMMITTED, **how).size == 0
    assert bench.partition.read(2, isolation_level=READ_COMMITTED, **how).size == 0
    with pytest.raises(CorruptBatch):
        read_header(part.read_bytes(), part.size)


def test_offsets_are_found_below_it(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    bench.append("a", at=NOW)
    begin(bench, at=NOW + 10)
    bench.flush()
    find = bench.partition.find
    assert find(LATEST) == (-1, 2, 1)
    assert find(LATEST, READ_COMMITTED) == (-1, 1, 1)
    assert find(NOW + 5) == (NOW + 10, 1, 1)
    assert find(NOW + 5, READ_COMMITTED) is None
    assert find(NOW, READ_COMMITTED) == (NOW, 0, 1)
    assert find(MAX_TIMESTAMP, READ_COMMITTED) is None
    end(bench)
    bench.flush()
    assert find(NOW + 5, READ_COMMITTED) == (NOW + 10, 1, 1)
    assert find(LATEST, READ_COMMITTED) == (-1, 3, 1)


def test_a_coordinator_writes_in_transactions_too(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    data = bytes(batch("offset", producer_id=4, producer_epoch=2, is_transactional=True))
    with pytest.raises(InvalidTxnState):
        bench.partition.append_internal(data, now_ms=NOW)
    guard = bench.partition.begin_verification(4, 2)
    assert bench.partition.append_internal(data, now_ms=NOW, verification=guard)[:2] == (0, 0)
    assert bench.partition.begin_verification(4, 2) is None
    assert bench.partition.append_internal(data, now_ms=NOW)[:2] == (1, 1)
    assert bench.partition.producers()[4].txn_first_offset == 0
    assert flushed(bench) == 0


def test_a_new_leader_knows_what_is_open(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    begin(bench)
    bench.append("a")
    bench.flush()
    bench.partition.log.close()
    again = Partition(
        TP, bytes(16), lambda: open_log(tmp_path, is_clean=True), broker_id=ME,
        request_flush=lambda _: None,
    )  # fmt: skip
    again.lead(Leadership(ME, 2, 0, (ME,), (ME,)))
    assert (again.high_watermark, again.last_stable_offset) == (2, 0)
    assert again.begin_verification(1, 0) is None
