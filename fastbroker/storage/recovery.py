"""From the files in a partition's directory to segments that can be trusted, and producer state."""
from __future__ import annotations

import logging
import os.path
from collections.abc import Callable
from itertools import pairwise

from fastbroker._c.record_batch import BatchHeader
from fastbroker.errors import CorruptMessage
from fastbroker.records.control import read_marker
from fastbroker.records.reader import iter_batches
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.segment import (
    INDEX,
    LOG,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    Segment,
    file_name,
)
from fastbroker.storage.txn_index import AbortedTransaction

log = logging.getLogger(__name__)

LEFTOVERS = (".deleted", ".cleaned", ".swap", ".tmp")


def find_segments(disk: Disk, directory: str) -> list[Segment]:
    """The segments in `directory` as they lie there; what a crash left half done is removed.

    Raises Damaged.
    """
    names = disk.list(directory)
    for name in names:
        if name.endswith(LEFTOVERS):
            disk.remove(os.path.join(directory, name))
    segments, there = [], set(names)
    bases = sorted(_offsets_of(names, LOG))
    _check_indexes(disk, directory, bases, names)
    for base_offset in bases:
        size = disk.size(os.path.join(directory, file_name(base_offset, LOG)))
        has_txn_index = file_name(base_offset, TXN_INDEX) in there
        segment = Segment(disk, directory, base_offset, size=size, has_txn_index=has_txn_index)
        segment.created_ms = disk.modified_ms(segment.path)
        segments.append(segment)
    return segments


def _check_indexes(disk: Disk, directory: str, bases: list[int], names: list[str]) -> None:
    """Raise Damaged when there is an index of a .log file that is not there.

    But for an empty one behind all others: a power cut in the making of a segment may leave it.
    """
    for suffix in (INDEX, TIME_INDEX):
        for base_offset in set(_offsets_of(names, suffix)).difference(bases):
            path = os.path.join(directory, file_name(base_offset, suffix))
            is_last = not bases or base_offset > bases[-1]
            if not is_last or disk.size(path):
                raise Damaged(
                    f"{file_name(base_offset, LOG)} is missing, {path} belongs to it: restore it"
                    " from a backup or another replica; to go on without its records, remove its"
                    " index files"
                )


def recover(
    segments: list[Segment],
    epochs: LeaderEpochs,
    *,
    recovery_point: int,
    index_interval_bytes: int,
    known_at: Callable[[int], ProducerState],
) -> tuple[list[Segment], int, ProducerState]:
    """Check the segments that hold offsets from `recovery_point` on; cut at the first bad batch.

    known_at(offset): what was known of producers there, at the beginning of a segment.
    Returns the segments that are left, on the medium, the offset behind their last batch, and what
    is known of producers there. `epochs` learns those of the batches.
    """
    kept: list[Segment] = []
    end = segments[0].base_offset
    producers: ProducerState | None = None
    was_cut = False
    following = [after.base_offset for _, after in pairwise(segments)]
    for number, segment in enumerate(segments):
        if number < len(following) and following[number] <= recovery_point:
            segment.load_times()
            end = following[number]
            kept.append(segment)
            continue
        if segment.base_offset < end or was_cut:
            break  # the segment before it was cut: this one does not follow any more
        if kept and segment.base_offset > end:
            # Compaction leaves such gaps, too; so does a file that was taken away.
            log.warning("%s: offsets %d to %d are not there", segment.path, end,
                        segment.base_offset - 1)  # fmt: skip
        end = segment.base_offset
        if producers is None:
            producers = known_at(end)
        size = segment.size
        for position, batch in segment.recover(index_interval_bytes=index_interval_bytes):
            end = batch.last_offset + 1
            epochs.assign(batch.leader_epoch, batch.base_offset)
            aborted = replay(producers, segment, position, batch)
            if aborted is not None:
                segment.txn_index.append(aborted)
        was_cut = segment.size < size
        segment.write_indexes()
        kept.append(segment)
    for segment in segments[len(kept) :]:
        if segment.size == 0:
            segment.remove()
            continue
        log.error(
            "%s does not follow any more, the segment before it ends at offset %d: its %d bytes are"
            " kept in %s", segment.path, end, segment.size, segment.set_aside(),
        )  # fmt: skip
    assert producers is not None  # the last segment is always checked
    return kept, end, producers


def replay(
    producers: ProducerState, segment: Segment, position: int, header: BatchHeader
) -> AbortedTransaction | None:
    """`producers` learns of a batch in the log; what it aborted."""
    if header.producer_id < 0:
        return None
    if not header.is_control:
        producers.appended(header, header.base_offset, header.max_timestamp)
        return None
    try:
        batch = next(iter_batches(segment.read(position, header.size), check_crc=False))
        marker = read_marker(batch)
    except CorruptMessage:
        return None  # its CRC is right: somebody has written it so
    if marker is None:
        return None
    return producers.ended(marker, header.base_offset, header.max_timestamp)


def producers_at(
    disk: Disk, directory: str, segments: list[Segment], offset: int
) -> ProducerState:
    """What was known of producers at `offset`: the newest snapshot up to it, then the batches."""
    producers, begin = _newest_snapshot(disk, directory, segments, offset)
    _replay_between(producers, segments, begin, offset)
    return producers


def drop_snapshots(disk: Disk, directory: str, segments: list[Segment], end: int) -> None:
    """Remove snapshots that are of no use to a log that ends at `end`.

    One written by a clean end belongs to no segment: no deletion would take it along.
    """
    bases = {segment.base_offset for segment in segments}
    offsets = _offsets_of(disk.list(directory), SNAPSHOT)
    newest = max((offset for offset in offsets if offset <= end), default=-1)
    for offset in offsets:
        if offset > end or (offset not in bases and offset != newest):
            disk.remove(os.path.join(directory, file_name(offset, SNAPSHOT)))


def _newest_snapshot(
    disk: Disk, directory: str, segments: list[Segment], offset: int
) -> tuple[ProducerState, int]:
    """The newest usable snapshot up to `offset`, and of which offset it is; damaged ones go."""
    for found in sorted(_offsets_of(disk.list(directory), SNAPSHOT), reverse=True):
        if found > offset:
            continue
        path = os.path.join(directory, file_name(found, SNAPSHOT))
        producers = ProducerState.from_snapshot(disk.read_file(path), path)
        if producers is not None:
            return producers, found
        disk.remove(path)
    return ProducerState(), segments[0].base_offset


def _replay_between(
    producers: ProducerState, segments: list[Segment], begin: int, end: int
) -> None:
    ends = [after.base_offset for _, after in pairwise(segments)]
    for number, segment in enumerate(segments):
        if segment.base_offset >= end:
            return
        if number < len(ends) and ends[number] <= begin:
            continue
        located = segment.locate(max(begin, segment.base_offset))
        if located is None:
            continue
        for position, header in segment.headers(located.position):
            if header.base_offset >= begin:
                replay(producers, segment, position, header)


def _offsets_of(names: list[str], suffix: str) -> list[int]:
    """The offsets in names such as 00000000000000000042.log."""
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return [int(stem) for stem in stems if stem.isdigit()]
