"""One cleaning of one log, step by step: some on the loop that owns the log, some on a thread.

    loop     plan             what is there, and what is known of producers and transactions
    thread   map_keys         keys of the dirty part -> last offsets
    thread   groups           what becomes what
    for each group:
      thread   rewrite        the new segment's files, on the medium
      loop     commit_group   the recovery point is known on disk to be above it
      thread   sync           of the directory, after this and after each of the next two
      loop     swap_in        readers see the new segment
      loop     settle_group
"""
from __future__ import annotations

import os.path
from collections.abc import Callable
from math import ceil
from typing import NamedTuple

from fastbroker._c.cleaner import OffsetMap
from fastbroker.storage.compaction.candidates import Candidate
from fastbroker.storage.compaction.grouping import groups
from fastbroker.storage.compaction.offset_map import MapSize, mapping
from fastbroker.storage.compaction.rewriting import (
    LastOfProducer,
    NewSegment,
    Rewriting,
    Rules,
    replacement,
)
from fastbroker.storage.compaction.source import (
    AbortedIn,
    Pace,
    Source,
    last_offset_of,
    source_of,
    walk,
)
from fastbroker.storage.compaction.transactions import CleanedTransactions
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log, SegmentsChanged
from fastbroker.storage.segment import Segment
from fastbroker.storage.segment_files import LOG, file_name
from fastbroker.storage.swap import commit, settle, withdraw
from fastbroker.storage.txn_index import AbortedTransaction


class Plan(NamedTuple):
    """A log as it was when its cleaning began. segments: its own, by base offset; sources: the
    same for a thread. straddling: aborted transactions that end behind `end`."""

    first_dirty: int
    end: int
    segments: dict[int, Segment]
    sources: list[Source]
    straddling: list[AbortedTransaction]
    rules: Rules


class Means(NamedTuple):
    """What a cleaning may use. pace: called with bytes that were read or written, it waits, or
    raises what ends the cleaning. chunk_bytes: read at once. seed: 16 random bytes."""

    disk: Disk
    pace: Pace
    map_size: MapSize
    chunk_bytes: int
    seed: bytes


def plan(log: Log, found: Candidate, now_ms: int) -> Plan:
    """On the loop: what a cleaning of `log` starts from."""
    closed = [
        (segment, after.base_offset)
        for segment, after in zip(log.segments, log.segments[1:], strict=False)
        if after.base_offset <= found.end
    ]
    producers = {
        producer_id: LastOfProducer(one.batches[-1].last_offset if one.batches else -1, one.epoch)
        for producer_id, one in log.producers.producers.items()
    }
    return Plan(
        first_dirty=found.first_dirty,
        end=found.end,
        segments={segment.base_offset: segment for segment, _ in closed},
        sources=[source_of(segment, end) for segment, end in closed],
        straddling=log.aborted_transactions(found.end, found.end),
        rules=Rules(log.config, now_ms, producers),
    )


class Cleaning:
    """The thread's part. keys: the map, once it is made. records_read, records_kept: so far."""

    def __init__(self, begun: Plan, means: Means) -> None:
        self.plan, self.means = begun, means
        self.keys: OffsetMap | None = None
        self.records_read = self.records_kept = 0
        self._aborted = AbortedIn(begun.sources, begun.straddling, means.disk)
        self._transactions = CleanedTransactions()

    def map_keys(self) -> int:
        """Make the map; the first offset that is dirty after this cleaning.

        Raises Damaged, FileNotFoundError, MemoryError, or what `pace` does.
        """
        begun, means = self.plan, self.means
        start = begun.first_dirty
        self.keys = keys = means.map_size.new_map(begun.end - start, means.seed)
        transactions = CleanedTransactions()
        transactions.expect(self._aborted.overlapping(start, begun.end))
        use = mapping(keys, start, transactions)
        for source in begun.sources:
            if source.end <= start:
                continue
            if not self._walk(source, use):
                break
            keys.advance(source.end - 1)
        return keys.latest_offset + 1

    def _walk(self, source: Source, use: Callable[[bytes, int], int]) -> bool:
        means = self.means
        return walk(
            source, use, disk=means.disk, chunk_bytes=means.chunk_bytes, pace=means.pace
        )

    def groups(self) -> list[list[Source]]:
        """What is to be rewritten, in this order; after `map_keys`."""
        assert self.keys is not None
        end = self.keys.latest_offset + 1
        sources = [one for one in self.plan.sources if one.base_offset < end]
        measured = [one.measured(self.means.disk) for one in sources]
        return groups(measured, self.plan.rules.config)

    def rewrite(self, group: list[Source]) -> NewSegment:
        """Write the segment that takes the place of `group`.

        Raises Damaged, FileNotFoundError, OSError for what cannot be written, or what `pace` does;
        there are no new files then.
        """
        assert self.keys is not None
        means = self.means
        rewriting = Rewriting(
            group,
            last_offset=last_offset_of(group, means.disk),
            keys=self.keys,
            rules=self.plan.rules,
            transactions=self._transactions,
            disk=means.disk,
            chunk_bytes=means.chunk_bytes,
            pace=means.pace,
        )
        try:
            for source in group:
                self._transactions.expect(
                    self._aborted.overlapping(source.base_offset, source.end)
                )
                rewriting.add(source)
            new = rewriting.finish()
        except BaseException:
            rewriting.abandon()
            raise
        self.records_read += new.records_read
        self.records_kept += new.records_kept
        return new

    @property
    def utilization(self) -> int:
        """Percent of the map that was used."""
        return 0 if self.keys is None else ceil(100 * self.keys.size / self.keys.limit)


# ---- on the loop


def is_there(log: Log, begun: Plan) -> bool:
    """Whether the log still has what it had; segments replaced by this cleaning count as had."""
    bases = {segment.base_offset for segment in log.segments}
    return not log.is_gone and min(begun.segments, default=0) in bases


def _has(log: Log, begun: Plan, new: NewSegment) -> bool:
    return not log.is_gone and all(
        begun.segments[source.base_offset] in log.segments for source in new.old
    )


# After a SegmentsChanged of theirs a thread syncs the directory, and then discards the new files.


def commit_group(log: Log, begun: Plan, new: NewSegment) -> None:
    """From the next sync of the directory on it is `new`, whatever happens.

    Raises SegmentsChanged, OSError.
    """
    assert new.old[-1].end <= log.recovery_point
    if not _has(log, begun, new):
        raise SegmentsChanged
    commit(log.disk, log.directory, new.base_offset)


def swap_in(log: Log, begun: Plan, new: NewSegment) -> tuple[Segment, list[str]]:
    """The segment that readers see from now on, and paths of files to remove later.

    Raises SegmentsChanged, OSError.
    """
    old = [begun.segments[source.base_offset] for source in new.old]
    segment = replacement(new, log.disk)
    try:
        return segment, log.replace(old, [segment])
    except SegmentsChanged:
        if not log.is_gone:
            withdraw(log.disk, log.directory, new.base_offset)
        raise


def settle_group(log: Log, segment: Segment) -> None:
    """The new segment gets its name. Raises SegmentsChanged, OSError."""
    if log.is_gone:
        raise SegmentsChanged
    if segment not in log.segments:
        withdraw(log.disk, log.directory, segment.base_offset)
        raise SegmentsChanged
    settle(log.disk, log.directory, segment.base_offset)
    segment.path = os.path.join(log.directory, file_name(segment.base_offset, LOG))
