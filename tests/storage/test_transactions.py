"""Transactions in a log: whatever happens to it, it knows of them what its batches say."""
from __future__ import annotations

import errno
import os
import pathlib
import random
import shutil

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import InvalidTxnState, KafkaStorageError, RecordListTooLarge
from fastbroker.records.control import EndTransactionMarker, read_marker
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.segment import Located
from fastbroker.storage.txn_index import AbortedTransaction, TxnIndex
from tests.storage.logs import NOW, append, batch, open_log
from tests.storage.transactions import PRODUCERS, Chaos, batches_of, truth

SMALL = TopicConfig(segment_bytes=900, index_interval_bytes=150)
SEEDS = range(4)


def marker(pid: int = 1, *, commit: bool = False, epoch: int = 0) -> EndTransactionMarker:
    return EndTransactionMarker(pid, epoch, 0, commit, 1)


def transact(log: Log, *values: str, pid: int = 1, sequence: int = 0) -> int:
    """One batch of a producer's transaction; its first offset."""
    guard = log.producers.begin_verification(pid, 0, base_sequence=sequence, own_epoch=False)
    data = batch(
        *values, producer_id=pid, producer_epoch=0, base_sequence=sequence, is_transactional=True
    )
    return log.append(
        data, leader_epoch=0, now_ms=NOW, produce_version=9, verification=guard
    ).first_offset


def end(log: Log, pid: int = 1, *, commit: bool = False) -> int:
    return log.append_marker(marker(pid, commit=commit), leader_epoch=4, now_ms=NOW).first_offset


def check(log: Log, dice: random.Random) -> None:
    """Everything that `log` knows of transactions is what its batches say."""
    said = truth(batches_of(log))
    state = log.producers
    assert list(state.begun.items()) == [(first, pid) for pid, first in said.begun.items()]
    for pid, first in said.begun.items():
        assert state.producers[pid].txn_first_offset == first
    ends = [log.log_start_offset, log.log_end_offset]
    for _ in range(10):
        start, stop = sorted(dice.choices(range(ends[0], ends[1] + 2), k=2))
        found = [one[:3] for one in log.aborted_transactions(start, stop)]
        wanted = [one for one in said.aborted if one[2] >= start and one[1] < stop]
        assert found == wanted, f"[{start}, {stop})"


def check_unstable(log: Log, high_watermark: int) -> None:
    """What has not ended below the high watermark, which has never been higher, is unstable."""
    said = truth(batches_of(log))
    log.producers.commit_below(high_watermark)
    waiting = [first for first, mark in said.ended if mark >= high_watermark]
    waiting += said.begun.values()
    assert bool(log.producers.begun or log.producers.late) is bool(waiting)
    if waiting:
        assert log.producers.first_unstable_offset() == min(waiting)


def reopened(log: Log, path: pathlib.Path, *, recovery_point: int | None) -> Log:
    """A copy of the log as it lies there, opened; None: it was closed first."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(log.directory, path / "t-0")
    if recovery_point is None:
        return open_log(path, SMALL, is_clean=True)
    return open_log(path, SMALL, recovery_point=recovery_point)


def test_a_marker_is_a_control_batch_with_its_producer_and_epochs(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    transact(log, "a")
    assert end(log, commit=True) == 1
    _, last = batches_of(log)
    header = last.header
    assert (header.is_control, header.is_transactional, header.leader_epoch) == (True, True, 4)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1, 0, -1)
    assert read_marker(last) == (1, 0, 0, True, 0)
    (record,) = last.records()
    assert (record.key, record.value) == (b"\0\0\0\1", b"\0\0\0\0\0\0")


def test_what_was_aborted_is_found_in_the_segment_of_its_marker(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    transact(log, "long", pid=1)
    for n in range(30):
        append(log, f"filling {n}")
    transact(log, "short", pid=2)
    end(log, pid=2)
    first = end(log, pid=1)
    assert len(log.segments) > 3
    assert log.aborted_transactions(0, 1) == [(1, 0, first, first + 1)]
    assert log.aborted_transactions(5, 6) == [(1, 0, first, first + 1)]
    assert [one.producer_id for one in log.aborted_transactions(0, first)] == [2, 1]
    assert log.aborted_transactions(first + 1, first + 9) == []
    assert log.segments[0].indexes.txn_index.last_marker == -1
    assert log.segments[-1].indexes.txn_index.last_marker == first


def test_a_commit_leaves_no_file(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    transact(log, "a")
    end(log, commit=True)
    log.close()
    assert not [name for name in os.listdir(log.directory) if name.endswith(".txnindex")]


def test_a_refused_write_changes_nothing(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    transact(log, "a")
    log.config = TopicConfig(segment_bytes=20)
    with pytest.raises(RecordListTooLarge):
        end(log)
    assert list(log.producers.begun.items()) == [(0, 1)]
    assert log.aborted_transactions(0, 9) == []


def test_the_files_of_an_index_go_with_their_segment(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    transact(log, "a")
    end(log)
    for n in range(30):
        append(log, f"filling {n}")
    names = os.listdir(log.directory)
    assert f"{0:020d}.txnindex" in names
    log.config = TopicConfig(segment_bytes=900, retention_bytes=0)
    gone = log.retain(NOW, log.log_end_offset)
    assert [name for name in gone if name.endswith(".txnindex.deleted")]
    assert not [name for name in os.listdir(log.directory) if name.endswith(".txnindex")]
    assert log.aborted_transactions(log.log_start_offset, log.log_end_offset) == []


def test_a_transaction_outlives_the_segments_it_began_in(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    transact(log, "a")
    for n in range(30):
        append(log, f"filling {n}")
    log.config = TopicConfig(segment_bytes=900, retention_bytes=0)
    log.retain(NOW, log.log_end_offset)
    assert log.log_start_offset > 0
    again = reopened(log, tmp_path / "copy", recovery_point=0)
    assert list(again.producers.begun.items()) == [(0, 1)]
    for one in (log, again):
        mark = end(one)
        assert one.aborted_transactions(mark, mark + 1) == [(1, 0, mark, mark + 1)]


def test_a_damaged_index_is_made_anew(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, SMALL)
    dice = random.Random(1)
    chaos = Chaos(log, dice)
    for _ in range(150):
        chaos.step()
    log.close()
    indexes = sorted(pathlib.Path(log.directory).glob("*.txnindex"))
    assert len(indexes) > 2
    for index in indexes:
        whole = index.read_bytes()
        for damage in (b"\1" + whole[1:], whole + whole[:34], b"\0" * len(whole)):
            index.write_bytes(damage)
            check(reopened(log, tmp_path / "copy", recovery_point=None), dice)
        index.write_bytes(whole)


def test_an_index_is_searched_and_cut(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "x.txnindex")
    index = TxnIndex(Disk(), path, 100, is_there=False)
    assert index.overlapping(0, 10**6) == ([], False)
    index.cut(0)
    index.clear()
    assert not index.write()
    assert not os.path.exists(path)
    entries = [
        AbortedTransaction(*row) for row in ((1, 90, 110, 95), (2, 111, 112, 95), (3, 95, 120, 121))
    ]
    for entry in entries:
        index.append(entry)
    assert index.write()
    assert os.path.getsize(path) == 3 * 34
    for each in (index, TxnIndex(Disk(), path, 100, is_there=True)):
        assert each.load()
        assert each.overlapping(0, 91) == ([entries[0]], True)
        assert each.overlapping(100, 112) == (entries, True)
        assert each.overlapping(111, 112) == (entries[1:], True)
        assert each.overlapping(113, 114) == (entries[2:], True)
        assert each.overlapping(113, 500) == (entries[2:], False)
        assert each.overlapping(121, 500) == ([], False)
    assert not TxnIndex(Disk(), path, 111, is_there=True).load(), "a marker before the segment"
    index.cut(120)
    assert (index.last_marker, index.overlapping(0, 500)[0]) == (112, entries[:2])
    index.cut(100)
    assert index.last_marker == -1
    assert not index.write()
    assert TxnIndex(Disk(), path, 100, is_there=True).load()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_transactions_are_what_their_batches_say(tmp_path: pathlib.Path, seed: int) -> None:
    dice = random.Random(seed)
    log = open_log(tmp_path, SMALL)
    chaos = Chaos(log, dice)
    high_watermark = 0
    for step in range(250):
        chaos.step()
        if step % 10 == 0:
            check(log, dice)
        if step % 3 == 0:
            high_watermark = dice.randint(high_watermark, log.log_end_offset)
            check_unstable(log, high_watermark)
    check_unstable(log, log.log_end_offset)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_recovery_after_any_prefix_equals_a_replay(tmp_path: pathlib.Path, seed: int) -> None:
    dice = random.Random(seed)
    log = open_log(tmp_path, SMALL)
    chaos = Chaos(log, dice)
    for step in range(120):
        chaos.step()
        if dice.random() < 0.1:
            log.flush()
        if step % 4:
            continue
        point = dice.choice((0, log.flushed_offset))
        again = reopened(log, tmp_path / "copy", recovery_point=point)
        assert states(again) == states(log)
        check(again, dice)
        again.close()
        check(reopened(again, tmp_path / "closed", recovery_point=None), dice)
    log.close()
    again = reopened(log, tmp_path / "copy", recovery_point=None)
    assert states(again) == states(log)


def states(log: Log) -> dict[int, tuple[int, ...]]:
    """What a snapshot would say of every producer."""
    return {
        pid: (
            one.epoch, one.coordinator_epoch, one.txn_first_offset, one.last_timestamp,
            *(one.batches[-1][:4] if one.batches else ()),
        )
        for pid, one in log.producers.producers.items()
    }  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_at_any_byte(tmp_path: pathlib.Path, seed: int) -> None:
    """Not flushed bytes are cut anywhere, and index files are what a crash leaves of them."""
    dice = random.Random(seed)
    log = open_log(tmp_path, SMALL)
    chaos = Chaos(log, dice)
    for _ in range(200):
        chaos.step()
        if dice.random() < 0.02:
            log.flush()
    for _ in range(15):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(log.directory, copy / "t-0")
        point = log.flushed_offset
        unsafe = [
            segment
            for number, segment in enumerate(log.segments)
            if number == len(log.segments) - 1 or log.segments[number + 1].base_offset > point
        ]
        torn = dice.choice(unsafe)
        name = copy / "t-0" / os.path.basename(torn.path)
        located = torn.locate(point) if torn.base_offset < point else Located(0, 0)
        synced = torn.size if located is None else located.position
        os.truncate(name, dice.randint(synced, torn.size))
        for segment in unsafe:
            for suffix in ("index", "timeindex", "txnindex", "snapshot"):
                file = copy / "t-0" / f"{segment.base_offset:020d}.{suffix}"
                fate = dice.random()
                if file.exists() and fate < 0.3 and suffix != "snapshot":
                    file.write_bytes(dice.randbytes(34))
                elif file.exists() and fate < 0.6:
                    file.unlink()
        again = open_log(copy, SMALL, recovery_point=point)
        check(again, dice)
        next_steps = Chaos(again, dice)
        next_steps.sequences = {
            pid: (one.epoch, one.last_sequence + 1)
            for pid, one in again.producers.producers.items()
        }
        for _ in range(30):
            next_steps.step()
        check(again, dice)


@pytest.mark.parametrize("seed", SEEDS)
def test_truncation_takes_the_end_back(tmp_path: pathlib.Path, seed: int) -> None:
    dice = random.Random(seed)
    log = open_log(tmp_path, SMALL)
    chaos = Chaos(log, dice)
    for _ in range(20):
        for _ in range(15):
            chaos.step()
        log.truncate_to(dice.choice([one.header.base_offset for one in batches_of(log)][-30:]))
        check(log, dice)
        chaos.sequences = {
            pid: (one.epoch, one.last_sequence + 1)
            for pid, one in log.producers.producers.items()
        }


def test_a_guard_does_not_survive_a_truncation(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    append(log, "a")
    append(log, "b")
    pid = PRODUCERS[0]
    guard = log.producers.begin_verification(pid, 0, base_sequence=0, own_epoch=False)
    log.truncate_to(1)
    with pytest.raises(InvalidTxnState):
        log.append(
            batch("x", producer_id=pid, producer_epoch=0, base_sequence=0, is_transactional=True),
            leader_epoch=0, now_ms=NOW, produce_version=9, verification=guard,
        )  # fmt: skip


class OutOfFiles(Disk):
    """Opens nothing when told so."""

    is_out = False

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        if self.is_out:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        return super().open(path, create=create, write=write)


def test_a_reader_that_gets_no_file_is_told_so(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path)
    transact(log, "a", pid=1)
    end(log, pid=1)
    log.roll(NOW)
    append(log, "b", at=NOW - 5)
    found = log.aborted_transactions(0, 3), log.record_of_max_timestamp()
    assert found[0]
    log.close()
    disk, told = OutOfFiles(), list[OSError]()
    log = open_log(tmp_path, disk=disk, recovery_point=log.log_end_offset, fault=told.append)
    log.let_go_of_files()
    disk.is_out = True
    with pytest.raises(KafkaStorageError):
        log.aborted_transactions(0, 3)
    with pytest.raises(KafkaStorageError):
        log.record_of_max_timestamp()
    assert [error.errno for error in told] == 2 * [errno.EMFILE]
    disk.is_out = False
    assert (log.aborted_transactions(0, 3), log.record_of_max_timestamp()) == found


class FailingDisk(Disk):
    """Calls in `broken` fail for want of descriptors; synced: paths that `sync_file` was called
    with, and did not fail for."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.synced: list[str] = []

    def _may_fail(self, call: str, path: str) -> None:
        if call in self.broken:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    def sync_file(self, path: str) -> None:
        self._may_fail("sync_file", path)
        super().sync_file(path)
        self.synced.append(path)

    def write_file(self, path: str, data: bytes) -> None:
        self._may_fail("write_file", path)
        super().write_file(path, data)

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        if create and path.endswith(".log"):
            self._may_fail("create", path)
        return super().open(path, create=create, write=write)

    def size(self, path: str) -> int:
        if path.endswith(".txnindex"):
            self._may_fail("size", path)
        return super().size(path)


def test_no_snapshot_follows_a_transaction_index_that_was_not_synced(
    tmp_path: pathlib.Path,
) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path, disk=disk)
    transact(log, "one")
    end(log)
    log.flush()
    disk.broken = {"sync_file"}
    for _ in range(2):
        with pytest.raises(OSError, match="open files"):
            log.end()
    assert not [name for name in os.listdir(log.directory) if name.endswith(".snapshot")]
    disk.broken = set()
    log.end()
    assert log.segments[-1].indexes.txn_index.file.path in disk.synced
    assert [name for name in os.listdir(log.directory) if name.endswith(".snapshot")]


@pytest.mark.parametrize("call", ["write_file", "create"])
def test_a_marker_after_a_failed_roll_is_known(tmp_path: pathlib.Path, call: str) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path, disk=disk)
    transact(log, "one")
    disk.broken = {call}
    with pytest.raises(OSError, match="open files"):
        log.roll(NOW)
    disk.broken = {"size"}  # it is not read any more
    at = end(log)
    assert log.last_abort == at
    assert [one[:3] for one in log.aborted_transactions(0, at)] == [(1, 0, at)]
    disk.broken = set()
    log.roll(NOW)
    assert [one[:3] for one in log.aborted_transactions(0, at)] == [(1, 0, at)]
    log.close()
    assert open_log(tmp_path, is_clean=True).last_abort == at


def test_a_marker_whose_index_cannot_be_read_is_not_written(tmp_path: pathlib.Path) -> None:
    disk = FailingDisk()
    log = open_log(tmp_path, disk=disk)
    transact(log, "one")
    end(log)
    transact(log, "two", sequence=1)
    log.roll(NOW)
    append(log, "cut off")
    log.truncate_to(3)  # the segment before it is written again
    disk.broken = {"size"}
    size, begun = log.size, dict(log.producers.begun)
    with pytest.raises(KafkaStorageError):
        end(log)
    assert (log.size, log.log_end_offset, log.producers.begun) == (size, 3, begun)
    disk.broken = set()
    assert log.last_abort == 1
    assert end(log) == log.last_abort == 3
