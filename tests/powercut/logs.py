"""Reading an image without a broker: its logs are opened as a worker opens them at its start.

Every batch is read by a full scan; the indexes are held against it, and so is what the log knows of
producers and transactions.
"""
from __future__ import annotations

import pathlib
import random
import time
from struct import Struct as Layout

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError
from fastbroker.model import TopicPartition
from fastbroker.protocol.group_records import OffsetCommitKey, OffsetCommitValue
from fastbroker.protocol.record_frames import decode_key, decode_value, key_types
from fastbroker.records.control import read_marker
from fastbroker.records.reader import Batch, iter_batches
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.txn.record import read_key, read_value
from fastbroker.txn.state import State
from tests.powercut.journal import Journal, transaction_of
from tests.powercut.promises import ABORTED, COMMITTED, OPEN, Found, Partition

OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
LOOK_UPS = 40  # offsets, and timestamps, looked up in one partition
_OFFSET, _TIME = Layout(">II"), Layout(">qI")
_KEYS = key_types([OffsetCommitKey])


class HastyDisk(Disk):
    """One that syncs nothing: what is done to an image is not looked at again."""

    def sync(self, fd: int) -> None:
        pass

    def sync_file(self, path: str) -> None:
        pass

    def sync_file_system(self, fd: int) -> None:
        pass

    def sync_directory(self, path: str) -> None:
        pass

    def replace_file(self, path: str, data: bytes) -> None:
        self.write_file(path, data)


def read_image(data_dir: pathlib.Path, journal: Journal, dice: random.Random) -> Found:
    """Everything in the logs of all brokers below `data_dir`."""
    found = Found()
    decided: dict[str, int] = {}  # transactional id -> producer id
    for path in sorted(data_dir.glob("broker-*")):
        broker_id = int(path.name.removeprefix("broker-"))
        log_dir = LogDir(str(path), disk=HastyDisk(), node_id=broker_id)
        log_dir.open()
        for directory in sorted(path.iterdir()):
            topic, _, number = directory.name.rpartition("-")
            if not directory.is_dir() or topic not in journal.topic_ids or not number.isdigit():
                continue
            log = log_dir.open_log(
                TopicPartition(topic, int(number)), journal.topic_ids[topic],
                TopicConfig(segment_ms=400, index_interval_bytes=400), int(time.time() * 1000),
            )  # fmt: skip
            try:
                _read(log, found, decided, dice)
            except (KafkaError, OSError, AssertionError) as error:
                found.wrong.append(f"{directory.name}: {error!r}")
    found.decided = set(decided)
    return found


def _read(log: Log, found: Found, decided: dict[str, int], dice: random.Random) -> None:
    batches: list[Batch] = []
    for segment in log.segments:
        if not segment.size:
            continue  # the first one has no file before the first batch
        size = 0
        for batch in iter_batches(segment.read(0, segment.size)):
            batches.append(batch)
            size += batch.header.size
        assert size == segment.size, f"{segment.path} has {segment.size - size} bytes too many"
    partition = Partition(log.log_start_offset, log.log_end_offset)
    topic, number = log.partition
    found.partitions[topic, number] = partition
    open_: dict[int, set[str]] = {}
    first: dict[int, int] = {}
    aborted: list[tuple[int, int, int]] = []
    before = -1
    for batch in batches:
        header = batch.header
        assert header.base_offset > before, f"{header} behind {before}"
        before = header.last_offset
        if header.is_control:
            marker = read_marker(batch)
            assert marker is not None
            names = open_.pop(header.producer_id, set())
            for name in names:
                outcomes = found.outcomes.setdefault(name, set())
                outcomes.add(COMMITTED if marker.commit else ABORTED)
            begun = first.pop(header.producer_id, -1)
            if begun >= 0 and not marker.commit:
                aborted.append((header.producer_id, begun, header.base_offset))
            continue
        if header.is_transactional:
            open_.setdefault(header.producer_id, set())
            first.setdefault(header.producer_id, header.base_offset)
        if topic in (OFFSETS, TRANSACTIONS):
            continue
        for record in batch.records():
            value = (record.value or b"").decode()
            if record.offset >= partition.start:
                partition.records.append((record.offset, value))
            if header.is_transactional:
                open_[header.producer_id].add(transaction_of(value))
    for names in open_.values():
        for name in names:
            found.outcomes.setdefault(name, set()).add(OPEN)
    assert before + 1 in (log.log_end_offset, 0), f"{before} is last, not {log.log_end_offset}"
    _check_transactions(log, first, aborted)
    _check_entries(log)
    _look_up(log, batches, dice)
    if topic == OFFSETS:
        _read_offsets(batches, found)
    if topic == TRANSACTIONS:
        _read_states(batches, decided)


def _check_transactions(
    log: Log, first: dict[int, int], aborted: list[tuple[int, int, int]]
) -> None:
    begin = log.segments[0].base_offset
    known = {pid: at for at, pid in log.producers.begun.items() if at >= begin}
    assert known == first, f"open are {first}, known are {known}"
    told = log.aborted_transactions(log.log_start_offset, log.log_end_offset)
    wanted = [one for one in aborted if one[2] >= log.log_start_offset]
    assert [one[:3] for one in told if one[1] >= begin] == wanted, f"aborted {wanted}, told {told}"


def _check_entries(log: Log) -> None:
    """Every entry of every index says what is in its segment."""
    for segment in log.segments:
        at = {position: header for position, header in segment.headers()}
        base, indexes = segment.base_offset, segment.indexes
        for relative, position in _OFFSET.iter_unpack(indexes.offset_index.file.entries()):
            assert position in at, f"{segment.path}: no batch at {position}"
            assert at[position].last_offset == base + relative, f"{segment.path}: at {position}"
        headers, number, latest, before = list(at.values()), 0, -1, -1
        for timestamp, relative in _TIME.iter_unpack(indexes.time_index.file.entries()):
            while number < len(headers) and headers[number].last_offset <= base + relative:
                latest = max(latest, headers[number].max_timestamp)
                number += 1
            assert timestamp == latest, f"{segment.path}: {timestamp} at {relative}, {latest} is"
            assert timestamp > before, f"{segment.path}: {timestamp} behind {before}"
            before = timestamp


def _look_up(log: Log, batches: list[Batch], dice: random.Random) -> None:
    """Offsets and timestamps lead through the indexes to what the scan has seen."""
    start = log.log_start_offset
    readable = [one for one in batches if one.header.last_offset >= start]
    if not readable:
        return
    for batch in dice.sample(readable, min(LOOK_UPS, len(readable))):
        offset = dice.randint(max(batch.header.base_offset, start), batch.header.last_offset)
        (found, *_) = log.batches(offset, 1, log.log_end_offset)
        base = found.header.base_offset
        assert base == batch.header.base_offset, f"{offset} leads to {base}"
    for batch in dice.sample(readable, min(LOOK_UPS // 4, len(readable))):
        wanted = batch.header.max_timestamp + dice.randint(-1, 1)
        expected = next(
            (
                record.offset
                for one in readable
                if one.header.max_timestamp >= wanted
                for record in one.records()
                if record.timestamp >= wanted and record.offset >= start
            ),
            None,
        )
        at = log.offset_for_timestamp(wanted)
        assert (at.offset if at else None) == expected, f"at {wanted}: {at}, not {expected}"


def _read_offsets(batches: list[Batch], found: Found) -> None:
    pending: dict[int, list[tuple[str, int]]] = {}
    for batch in batches:
        header = batch.header
        if header.is_control:
            marker = read_marker(batch)
            assert marker is not None
            for group, offset in pending.pop(header.producer_id, []):
                if marker.commit:
                    found.offsets[group] = {offset}
            continue
        for record in batch.records():
            key = decode_key(record.key or b"", _KEYS)
            if not isinstance(key, OffsetCommitKey) or record.value is None:
                continue
            offset = decode_value(record.value, OffsetCommitValue).offset
            if header.is_transactional:
                pending.setdefault(header.producer_id, []).append((key.group, offset))
            else:
                found.offsets[key.group] = {offset}
    for made in pending.values():
        for group, offset in made:
            found.offsets.setdefault(group, {-1}).add(offset)


def _read_states(batches: list[Batch], decided: dict[str, int]) -> None:
    for batch in batches:
        for record in batch.records():
            name = read_key(record.key)
            if name is None or record.value is None:
                continue
            state = read_value(record.value)
            decided.pop(name, None)
            if state.state == State.PREPARE_COMMIT:
                decided[name] = state.producer_id
