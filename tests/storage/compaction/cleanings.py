"""Cleanings of a log in one go, and what a log holds."""
from __future__ import annotations

import os
from typing import NamedTuple

from fastbroker.records.reader import Batch, iter_batches
from fastbroker.storage.compaction import cleaning
from fastbroker.storage.compaction.candidates import candidate
from fastbroker.storage.compaction.cleaning import Cleaning, Means
from fastbroker.storage.compaction.offset_map import MapSize
from fastbroker.storage.log import Log
from tests.storage.logs import NOW

SEED = bytes(range(16))
LARGE = MapSize(1 << 20, 0.9)


class Kept(NamedTuple):
    """A record with what its batch says of it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    producer_id: int
    is_control: bool


def records_of(log: Log) -> list[Kept]:
    """All records from the files, in order."""
    return [
        Kept(
            record.offset, record.key, record.value, record.timestamp,
            header.producer_id, header.is_control,
        )
        for header, data in batches_of(log)
        for record in Batch(header, data).records()
    ]  # fmt: skip


def batches_of(log: Log) -> list[Batch]:
    """All batches from the files, whatever the indexes say; they fill their files."""
    found = []
    for segment in log.segments:
        if not segment.size:
            continue  # the first one has no file before the first batch
        here = list(iter_batches(segment.read(0, segment.size)))
        assert sum(one.header.size for one in here) == segment.size
        assert segment.size == log.disk.size(segment.path)
        found += here
    return found


def stable_end(log: Log) -> int:
    """The last stable offset, when everything is committed."""
    log.producers.commit_below(log.log_end_offset)
    return next(iter(log.producers.begun), log.log_end_offset)


def clean(
    log: Log, *, cleaned: int = 0, now: int = NOW, map_size: MapSize = LARGE,
    chunk_bytes: int = 4096,
) -> int:  # fmt: skip
    """Clean what can be cleaned; the first offset that is dirty then."""
    found = candidate(
        log.segments, cleaned=cleaned, log_start_offset=log.log_start_offset,
        log_end_offset=log.log_end_offset, limit=min(stable_end(log), log.recovery_point),
        config=log.config, now_ms=now,
    )  # fmt: skip
    if not found.dirty_bytes:
        return cleaned
    begun = cleaning.plan(log, found, now)
    means = Means(log.disk, lambda _: None, map_size, chunk_bytes, SEED)
    work = Cleaning(begun, means)
    end = work.map_keys()
    for group in work.groups():
        new = work.rewrite(group)
        if new.is_same:
            continue
        cleaning.commit_group(log, begun, new)
        log.disk.sync_directory(log.directory)
        segment, retired = cleaning.swap_in(log, begun, new)
        log.disk.sync_directory(log.directory)
        cleaning.settle_group(log, segment)
        log.disk.sync_directory(log.directory)
        for path in retired:
            log.disk.remove(path)
    return end


def leftovers(log: Log) -> list[str]:
    """Files that no segment has."""
    return [
        name
        for name in os.listdir(log.directory)
        if name.endswith((".cleaned", ".swap", ".deleted"))
    ]
