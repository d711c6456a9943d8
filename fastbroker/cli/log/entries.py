"""Files beside the .log as facts: indexes, producer snapshots, text."""
from __future__ import annotations

import os.path
from collections.abc import Iterator
from struct import Struct as Layout
from typing import Any

from fastbroker._c.codec import Malformed, decode
from fastbroker.protocol.producer_snapshot import ProducerSnapshot
from fastbroker.protocol.schema import plan
from fastbroker.storage.disk import Disk
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.verify import journal_file

Fact = dict[str, Any]

CHUNK_BYTES = 1 << 16
_OFFSET, _TIME, _ABORTED = Layout(">II"), Layout(">qI"), Layout(">hqqqq")
_SNAPSHOT_BODY = 2  # behind the version


def offset_index(disk: Disk, path: str) -> Iterator[Fact]:
    base = _base(path)
    for number, (relative, position) in _entries(disk, path, _OFFSET):
        yield {"type": "offset", "entry": number, "offset": base + relative, "position": position}


def time_index(disk: Disk, path: str) -> Iterator[Fact]:
    base = _base(path)
    for number, (timestamp, relative) in _entries(disk, path, _TIME):
        yield {"type": "time", "entry": number, "timestamp": timestamp, "offset": base + relative}


def aborted(disk: Disk, path: str) -> Iterator[Fact]:
    for number, (version, *values) in _entries(disk, path, _ABORTED):
        names = ("producer_id", "first_offset", "last_offset", "last_stable_offset")
        named = dict(zip(names, values, strict=True))
        yield {"type": "aborted", "entry": number, "version": version, **named}


def _entries(disk: Disk, path: str, layout: Layout) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(number, values); zeros at the end, which Kafka makes room with, are left out."""
    step = CHUNK_BYTES // layout.size * layout.size
    fd = disk.open(path, write=False)
    number = at = 0
    zeros: list[tuple[int, tuple[int, ...]]] = []
    try:
        while data := disk.pread(fd, step, at):
            at += len(data)
            whole = memoryview(data)[: len(data) // layout.size * layout.size]
            for values in layout.iter_unpack(whole):
                if any(values) or (number == 0 and layout is _ABORTED):
                    yield from zeros
                    zeros.clear()
                    yield number, values
                elif len(zeros) < CHUNK_BYTES:
                    zeros.append((number, values))
                number += 1
            if len(whole) < len(data):
                yield from zeros
                return
    finally:
        disk.close(fd)


def producers(disk: Disk, path: str) -> Iterator[Fact]:
    """Every producer of a .snapshot; first a fact that says what is wrong, when something is."""
    data = disk.read_file(path)
    if ProducerState.from_snapshot(data) is None:
        yield {"type": "damaged", "wrong": "the snapshot's version, CRC or form is wrong"}
    try:
        found, _ = decode(plan(ProducerSnapshot, 1), data, _SNAPSHOT_BODY)
    except Malformed:
        return
    for one in found.producer_entries:
        yield {
            "type": "producer",
            "producer_id": one.producer_id,
            "producer_epoch": one.epoch,
            "last_sequence": one.last_sequence,
            "last_offset": one.last_offset,
            "offset_delta": one.offset_delta,
            "timestamp": one.timestamp,
            "coordinator_epoch": one.coordinator_epoch,
            "transaction_first_offset": one.current_txn_first_offset,
        }


def journal(disk: Disk, path: str) -> Iterator[Fact]:
    """Every whole frame's entries; those that do not count are of before."""
    for frame in journal_file.frames(disk, path):
        for one in frame.entries:
            yield {
                "type": "journal",
                "position": frame.at,
                "sequence": frame.sequence,
                "counts": frame.counts,
                "directory": one.directory,
                "topic_id": one.topic_id,
                "segment": one.base_offset,
                "segment_position": one.position,
                "size": one.size,
                "end_offset": one.end_offset,
            }


def text(disk: Disk, path: str) -> Iterator[Fact]:
    """The lines of a small file."""
    data = disk.read_file(path).decode("utf-8", "replace")
    for number, line in enumerate(data.splitlines(), 1):
        yield {"type": "line", "line": number, "text": line}


def _base(path: str) -> int:
    stem = os.path.basename(path).partition(".")[0]
    return int(stem) if stem.isdigit() else 0
