"""From the files in a partition's directory to segments that can be trusted, and producer state."""
from __future__ import annotations

import os.path
from collections.abc import Iterator
from itertools import pairwise

from fastbroker._c.record_batch import BatchHeader
from fastbroker.storage.disk import Disk
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.segment import LOG, SNAPSHOT, Segment, file_name

LEFTOVERS = (".deleted", ".cleaned", ".swap", ".tmp")


def find_segments(disk: Disk, directory: str) -> list[Segment]:
    """The segments in `directory` as they lie there; what a crash left half done is removed."""
    names = disk.list(directory)
    for name in names:
        if name.endswith(LEFTOVERS):
            disk.remove(os.path.join(directory, name))
    segments = []
    for base_offset in sorted(_offsets_of(names, LOG)):
        size = disk.size(os.path.join(directory, file_name(base_offset, LOG)))
        segment = Segment(disk, directory, base_offset, size=size)
        segment.created_ms = disk.modified_ms(segment.path)
        segments.append(segment)
    return segments


def recover(
    segments: list[Segment], epochs: LeaderEpochs, *, recovery_point: int, index_interval_bytes: int
) -> tuple[list[Segment], int]:
    """Check the segments that hold offsets from `recovery_point` on; cut at the first bad batch.

    Returns the segments that are left, on the medium, and the offset behind their last batch.
    `epochs` learns those of the batches.
    """
    kept: list[Segment] = []
    end = segments[0].base_offset
    following = [after.base_offset for _, after in pairwise(segments)]
    for number, segment in enumerate(segments):
        if number < len(following) and following[number] <= recovery_point:
            segment.load_times()
            end = following[number]
            kept.append(segment)
            continue
        if segment.base_offset < end or (kept and segment.base_offset > end):
            break  # the segment before it was cut: this one does not follow any more
        end = segment.base_offset
        for batch in segment.recover(index_interval_bytes=index_interval_bytes):
            end = batch.last_offset + 1
            epochs.assign(batch.leader_epoch, batch.base_offset)
        segment.write_indexes()
        kept.append(segment)
    for segment in segments[len(kept) :]:
        segment.remove()
    return kept, end


def load_producers(
    disk: Disk, directory: str, segments: list[Segment], log_end_offset: int
) -> ProducerState:
    """The newest usable snapshot, then the batches behind it; snapshots of no use are removed."""
    bases = {segment.base_offset for segment in segments}
    producers, begin = ProducerState(), segments[0].base_offset
    offsets = sorted(_offsets_of(disk.list(directory), SNAPSHOT), reverse=True)
    for offset in offsets:
        path = os.path.join(directory, file_name(offset, SNAPSHOT))
        if offset <= log_end_offset:
            found = ProducerState.from_snapshot(disk.read_file(path))
            if found is not None:
                producers, begin = found, offset
                break
        disk.remove(path)
    for offset in offsets:
        # One written by a clean end belongs to no segment: no deletion would take it along.
        if offset < begin and offset not in bases:
            disk.remove(os.path.join(directory, file_name(offset, SNAPSHOT)))
    for header in _headers_from(segments, begin):
        if header.producer_id >= 0:
            producers.appended(header, header.base_offset, header.max_timestamp)
    return producers


def _headers_from(segments: list[Segment], offset: int) -> Iterator[BatchHeader]:
    ends = [after.base_offset for _, after in pairwise(segments)]
    for number, segment in enumerate(segments):
        if number == len(ends) or ends[number] > offset:
            located = segment.locate(max(offset, segment.base_offset))
            if located is not None:
                for _, header in segment.headers(located.position):
                    yield header


def _offsets_of(names: list[str], suffix: str) -> list[int]:
    """The offsets in names such as 00000000000000000042.log."""
    stems = [name.removesuffix(suffix) for name in names if name.endswith(suffix)]
    return [int(stem) for stem in stems if stem.isdigit()]
