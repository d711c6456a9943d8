"""The batches of a .log file or a metadata snapshot as facts."""
from __future__ import annotations

import os.path
from collections.abc import Iterator
from typing import Any

from fastbroker._c.record_batch import HEADER_BYTES, BatchHeader, CorruptBatch, read_header
from fastbroker.cli.log import decoded
from fastbroker.cli.log.values import as_json
from fastbroker.errors import CorruptMessage
from fastbroker.records.compression import NAMES
from fastbroker.records.reader import Batch, Record
from fastbroker.storage.disk import Disk
from fastbroker.storage.index import OffsetIndex
from fastbroker.storage.segment_files import INDEX, LOG
from fastbroker.storage.verify.scan import Piece, pieces

Fact = dict[str, Any]


def facts(disk: Disk, path: str, *, offset: int, with_records: bool) -> Iterator[Fact]:
    """Each batch from the one that holds `offset` on; behind it, when asked for, its records.

    Raises OSError.
    """
    topic = os.path.basename(os.path.dirname(os.path.abspath(path))).rpartition("-")[0]
    size = disk.size(path)
    for piece in pieces(disk, path, size, _begin(disk, path, size, offset)):
        header = piece.header
        if header is None:
            yield {
                "type": "no batch", "position": piece.position, "size": piece.size,
                "wrong": piece.wrong,
            }  # fmt: skip
            continue
        if not piece.wrong and header.last_offset < offset:
            continue
        records: list[Record] = []
        wrong = piece.wrong
        if not wrong and (with_records or header.is_control):
            try:
                records = Batch(header, piece.data).records()
            except CorruptMessage as error:
                wrong = error.message
        yield _batch(piece, header, wrong, records)
        if with_records:
            for record in records:
                if record.offset >= offset:
                    yield _record(topic, header, record)


def _begin(disk: Disk, path: str, size: int, offset: int) -> int:
    """A position at or before the batch that holds `offset`: by the index, if it can be trusted."""
    stem = path.removesuffix(LOG)
    name = os.path.basename(stem)
    index = stem + INDEX
    if offset <= 0 or not name.isdigit() or not disk.exists(index):
        return 0
    try:
        position = OffsetIndex(disk, index, int(name)).lookup(offset)
    except OSError:
        return 0
    if not 0 < position <= size - HEADER_BYTES:
        return 0
    fd = disk.open(path, write=False)
    try:
        header = read_header(disk.pread(fd, HEADER_BYTES, position))
    except CorruptBatch:
        return 0
    finally:
        disk.close(fd)
    return position if int(name) <= header.base_offset <= offset else 0


def _batch(piece: Piece, header: BatchHeader, wrong: str, records: list[Record]) -> Fact:
    fact: Fact = {
        "type": "batch",
        "position": piece.position,
        "size": piece.size,
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "records": header.count,
        "leader_epoch": header.leader_epoch,
        "codec": NAMES[header.codec] if header.codec < len(NAMES) else str(header.codec),
        "timestamp_type": "LogAppendTime" if header.is_append_time else "CreateTime",
        "base_timestamp": None if header.has_delete_horizon else header.base_timestamp,
        "max_timestamp": header.max_timestamp,
        "delete_horizon": header.base_timestamp if header.has_delete_horizon else None,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence,
        "transactional": header.is_transactional,
        "control": header.is_control,
        "crc": f"{header.crc:#010x}",
        "wrong": wrong or None,
    }
    if header.is_control:
        fact["control_records"] = [decoded.control(one) for one in records]
    return fact


def _record(topic: str, header: BatchHeader, record: Record) -> Fact:
    fact: Fact = {
        "type": "record",
        "offset": record.offset,
        "timestamp": record.timestamp,
        **as_json("key", record.key),
        **as_json("value", record.value),
        "headers": [{"name": name, **as_json("value", data)} for name, data in record.headers],
    }
    said = decoded.control(record) if header.is_control else decoded.decoded(topic, record)
    if said is not None:
        fact["decoded"] = said
    fact["raw"] = record  # for people; not printed as JSON
    return fact
