"""Logs and batches for tests of the storage floor."""
from __future__ import annotations

import pathlib
from typing import Any

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.records.builder import build_batch
from fastbroker.records.reader import iter_records
from fastbroker.storage import opening
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import AppendInfo, Log

NOW = 1_700_000_000_000
TP = TopicPartition("t", 0)


def open_log(path: pathlib.Path, config: TopicConfig | None = None, **how: Any) -> Log:
    how.setdefault("disk", Disk())
    return opening.open_log(
        str(path / "t-0"), partition=TP, config=config or TopicConfig(), now_ms=NOW, **how
    )


def batch(*values: str, at: int = NOW, key: bytes | None = b"k", **how: Any) -> memoryview:
    """A batch as a client sends it."""
    records = [(key, value.encode(), (), at + i) for i, value in enumerate(values)]
    return memoryview(build_batch(records, **how))


def append(log: Log, *values: str, epoch: int = 0, now: int = NOW, **how: Any) -> AppendInfo:
    how.setdefault("at", now)
    return log.append(batch(*values, **how), leader_epoch=epoch, now_ms=now, produce_version=9)


def contents(log: Log, start: int | None = None) -> list[tuple[int, str]]:
    """(offset, value) of every record from `start` to the end, by as many reads as it takes."""
    out: list[tuple[int, str]] = []
    offset = log.log_start_offset if start is None else start
    while offset < log.log_end_offset:
        piece = log.read(
            offset, max_bytes=1 << 20, max_offset=log.log_end_offset, at_least_one=True
        )
        records = [r for r in iter_records(piece.read_bytes()) if r.offset >= offset]
        assert records, f"nothing at {offset}"
        out += [(r.offset, (r.value or b"").decode()) for r in records]
        offset = records[-1].offset + 1
    return out


def filled(path: pathlib.Path, count: int, config: TopicConfig) -> Log:
    """A log of `count` batches of one record, a millisecond after each other."""
    log = open_log(path, config)
    for index in range(count):
        append(log, f"value {index}", now=NOW + index)
    return log
