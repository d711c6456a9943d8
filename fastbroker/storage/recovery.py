"""From the files in a partition's directory to segments that can be trusted, and producer state."""
from __future__ import annotations

import logging
import os.path
from collections.abc import Iterable
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader
from fastbroker.errors import CorruptMessage
from fastbroker.records.control import read_marker
from fastbroker.records.reader import iter_batches
from fastbroker.storage.damage import CUT, Damaged, drop_old_cuts
from fastbroker.storage.disk import Disk
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.segment import Segment
from fastbroker.storage.segment_files import (
    INDEX,
    LOG,
    SNAPSHOT,
    TIME_INDEX,
    TXN_INDEX,
    file_name,
    offsets_of,
)
from fastbroker.storage.snapshots import Snapshots
from fastbroker.storage.swap import CLEANED, SWAP, finish_swaps
from fastbroker.storage.txn_index import AbortedTransaction

log = logging.getLogger(__name__)

LEFTOVERS = (".deleted", ".tmp")
RECALL_BYTES = 1 << 20


def find_segments(disk: Disk, directory: str, names: list[str]) -> list[Segment]:
    """The segments in `directory`, whose files are `names`; what a crash left half done is brought
    to an end, or removed. Raises Damaged."""
    if any(name.endswith((CLEANED, SWAP)) for name in names):
        finish_swaps(disk, directory)
        names[:] = disk.list(directory)
    for name in names:
        if name.endswith(LEFTOVERS):
            disk.remove(os.path.join(directory, name))
    segments, there = [], set(names)
    bases = sorted(offsets_of(names, LOG))
    for suffix in (INDEX, TIME_INDEX, TXN_INDEX):
        for orphan in set(offsets_of(names, suffix)).difference(bases):
            path = os.path.join(directory, file_name(orphan, suffix))
            if suffix != TXN_INDEX and ((bases and orphan < bases[-1]) or disk.size(path)):
                raise Damaged(
                    f"{file_name(orphan, LOG)} is missing, {path} belongs to it: restore it from a"
                    " backup or another replica; to go on without its records, remove its index"
                    " files"
                )
            # A crash in the making of the last segment has left it.
            disk.remove(path)
    for base_offset in bases:
        path = os.path.join(directory, file_name(base_offset, LOG))
        segments.append(
            Segment(
                disk,
                directory,
                base_offset,
                size=disk.size(path),
                has_txn_index=file_name(base_offset, TXN_INDEX) in there,
            )
        )
    return segments


def sync_what_is_left(disk: Disk, fd: int, path: str) -> None:
    """Before logs below `path` are opened after a crash: what they have is on the medium then, and
    nobody sees what is not. fd: on that file system. Raises OSError."""
    try:
        disk.sync_file_system(fd)
    except OSError as error:
        # A write of the run before may be meant, of which nobody has been told. What failed is not
        # in the page cache any more when logs read what they check; the rest is synced.
        log.warning("%s: writing failed before this start: %s", path, error)
        disk.sync_file_system(fd)


def set_aside(segment: Segment, end: int) -> None:
    """Take away a segment that does not follow any more, the log ends at `end` before it; its
    batches are kept under another name."""
    if not segment.size:
        segment.remove()
        return
    kept = f"{segment.path}.0{CUT}"
    log.error(
        "%s does not follow any more, the segment before it ends at offset %d: its %d bytes are"
        " kept in %s", segment.path, end, segment.size, kept,
    )  # fmt: skip
    segment.let_go()
    for suffix in (INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT):
        segment.disk.remove(os.path.join(segment.directory, file_name(segment.base_offset, suffix)))
    segment.disk.rename(segment.path, kept)  # last: see Segment.retire
    drop_old_cuts(segment.disk, segment.directory)


def find_epochs(segments: list[Segment], epochs: LeaderEpochs, recovery_point: int) -> None:
    """Make a lost file of epochs anew: every batch has its own, and they do not go back.

    Those of batches from `recovery_point` on are learned when these are checked.
    """
    for segment in segments:
        for _, header in segment.headers():
            if header.base_offset >= recovery_point:
                break
            epochs.assign(header.leader_epoch, header.base_offset)
    if epochs.entries:
        log.warning("%s is missing or damaged: made anew from the batches", epochs.path)


class Recovered(NamedTuple):
    """What is left of a log: its segments and those that do not follow any more, the offset behind
    the last batch, what is known of producers there, and files that were made anew."""

    segments: list[Segment]
    cut_off: list[Segment]
    end: int
    producers: ProducerState
    unsynced: list[str]


def recover(
    segments: list[Segment],
    epochs: LeaderEpochs,
    *,
    recovery_point: int,
    compacted_to: int,
    index_interval_bytes: int,
    snapshots: Snapshots,
    names: list[str],
) -> Recovered:
    """Find a log's end. Batches below `recovery_point` are right; those behind it are checked, and
    cut at the first bad one. Indexes and what is known of producers are completed.

    compacted_to: up to there segments may end before the next begins. It is above the recovery
    point where Kafka has crashed: it writes recovery points less often than it cleans.
    names: of the files in the log's directory.
    `epochs` learns those of the batches that are checked.
    """
    # A transaction index that cannot be right is made anew, from the batches.
    damaged = [one for one in segments if not one.indexes.txn_index.load()]
    # Entries of markers below a snapshot were synced before it. From there on all is replayed.
    trusted = min([recovery_point, *(one.base_offset for one in damaged)])
    producers, known = snapshots.newest(names, max(trusted, segments[0].base_offset))
    kept: list[Segment] = []
    unsynced: list[str] = []
    end = segments[0].base_offset
    followers = [*segments[1:], None]
    for segment, follower in zip(segments, followers, strict=True):
        if segment.base_offset < end or (kept and segment.base_offset > end):
            break  # the segment before it was cut: this one does not follow any more
        kept.append(segment)
        if segment.base_offset > known:
            # The one that the roll has written was not synced yet; later, with the segments before
            # it gone, nothing else will tell of producers.
            unsynced.append(snapshots.write(segment.base_offset, producers))
        if segment in damaged:
            segment.indexes.txn_index.clear()
        segment.indexes.txn_index.cut(known)
        # Its indexes were synced with the first batch behind it, not before.
        if follower is not None and follower.base_offset < recovery_point:
            end = follower.base_offset
            if end > known:
                _learn(producers, segment, segment.headers_from(known))
                unsynced += segment.indexes.write()
            continue
        position, end = segment.indexes.trusted_position(
            segment, min(recovery_point, known)
        )
        size = segment.size
        checked = segment.recover(
            position, recovery_point=recovery_point, index_interval_bytes=index_interval_bytes
        )
        for at, batch in checked:
            end = batch.last_offset + 1
            epochs.assign(batch.leader_epoch, batch.base_offset)
            if batch.base_offset >= known:
                _learn(producers, segment, [(at, batch)])
        if follower is not None:
            unsynced += segment.complete_indexes()
            segment.indexes.forget()
            is_whole = follower.base_offset <= compacted_to and segment.size == size
            if is_whole or follower.base_offset <= recovery_point:
                end = follower.base_offset  # what is missing before it was compacted away
        elif segment.indexes.txn_index.write():
            # It was cut; a snapshot behind the cut would have it believed at the next start.
            unsynced.append(segment.indexes.txn_index.file.path)
    if known > segments[0].base_offset and producers.producers:
        producers.recall(_headers_before(kept, known, end))
    return Recovered(kept, segments[len(kept) :], end, producers, unsynced)


def _headers_before(
    segments: list[Segment], offset: int, log_end_offset: int
) -> list[BatchHeader]:
    """Of the batches in the last RECALL_BYTES before `offset`, and of a few more; those of one
    segment, or of two."""
    found: list[BatchHeader] = []
    wanted = RECALL_BYTES
    for segment in reversed([one for one in segments if one.base_offset < offset][-2:]):
        behind = next(segment.headers_from(offset), None) if offset < log_end_offset else None
        end = segment.size if behind is None else behind[0]
        begin = segment.indexes.offset_index.position_before(max(end - wanted, 0))
        headers = [h for _, h in segment.headers(begin) if h.base_offset < offset]
        found = headers + found
        wanted -= end - begin
        if wanted <= 0:
            break
    return found


def _learn(
    producers: ProducerState, segment: Segment, batches: Iterable[tuple[int, BatchHeader]]
) -> None:
    """`producers` and the transaction index learn of batches in the log."""
    for position, batch in batches:
        aborted = replay(producers, segment, position, batch)
        if aborted is not None:
            segment.indexes.txn_index.append(aborted)


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
    segments: Iterable[Segment], snapshots: Snapshots, names: list[str], offset: int
) -> ProducerState:
    """What was known of producers at `offset`: the newest snapshot up to it, then the batches."""
    producers, known = snapshots.newest(names, offset)
    for segment in segments:
        for position, header in segment.headers_from(known):
            if header.base_offset >= offset:
                return producers
            replay(producers, segment, position, header)
    return producers
