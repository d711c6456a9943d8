"""All that can be checked in one partition's directory, in one walk over its batches."""
from __future__ import annotations

import os.path
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from fastbroker._c.record_batch import BatchHeader
from fastbroker.config.kinds import LONG_MAX
from fastbroker.model import METADATA_TOPIC
from fastbroker.storage.disk import Disk
from fastbroker.storage.segment_files import INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX, file_name
from fastbroker.storage.txn_index import AbortedTransaction
from fastbroker.storage.verify.aborted import check_aborted
from fastbroker.storage.verify.epochs import EpochHistory
from fastbroker.storage.verify.finding import Fault, Faults, Severity
from fastbroker.storage.verify.index_entries import OffsetEntries, TimeEntries
from fastbroker.storage.verify.names import PartitionNames, partition_names
from fastbroker.storage.verify.producers import ProducerHistory
from fastbroker.storage.verify.records import wrong_records
from fastbroker.storage.verify.scan import Piece, pieces
from fastbroker.storage.verify.text_files import json_object, rows, topic_id

EPOCHS = "leader-epoch-checkpoint"
METADATA = "partition.metadata"
QUORUM_STATE = "quorum-state"

Step = Callable[[int], object]


class Circumstances(NamedTuple):
    """What is known of a partition from elsewhere.

    is_clean: its broker was stopped, so that all of its files are complete. is_running: a broker
    may write to it now. compacted_to: up to there the cleaner has been. topic_id: of the topic of
    that name in the metadata log; None: not known.
    """

    is_clean: bool = False
    is_running: bool = False
    recovery_point: int = 0
    log_start: int = 0
    compacted_to: int = 0
    topic_id: str | None = None


class Tally(NamedTuple):
    """How much was looked at."""

    partitions: int = 0
    segments: int = 0
    batches: int = 0
    records: int = 0
    size: int = 0

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        return Tally(*(a + b for a, b in zip(self, other, strict=True)))


class Checked(NamedTuple):
    """A partition, checked.

    good_end: the offset behind the last good batch. claimed_end: the same with batches that are
    not good and have a header that may be right.
    """

    faults: list[Fault]
    tally: Tally
    good_end: int
    claimed_end: int


class PartitionCheck:
    """One walk over the partition in `directory`; `run` once. Nothing is written.

    step(bytes): called now and then, for progress.
    """

    def __init__(
        self, disk: Disk, directory: str, known: Circumstances, step: Step = lambda _: None
    ) -> None:
        self.disk, self.directory, self.known, self.step = disk, directory, known, step
        self.faults = Faults()
        self.next_offset = -1  # behind the last batch; -1: none yet
        self.claimed_end = 0
        self._tally = Tally(partitions=1)
        self._is_compacted = False  # a batch has fewer records than offsets
        self._is_after_bad = False  # what is missing is known to be bad

    def run(self) -> Checked:
        """Raises OSError."""
        names = partition_names(self.disk.list(self.directory))
        self._check_names(names)
        topic = os.path.basename(self.directory).rpartition("-")[0]
        self._check_metadata(topic)
        epochs = self._epochs(names)
        if names.logs:
            # Files of a deleted segment go one by one: with a crash between them some are left.
            is_certain = self.known.is_clean or bool(names.orphans)
            epochs.begin(names.logs[0], is_certain=is_certain)
        producers = ProducerHistory(
            self.faults,
            is_certain=not names.logs or names.logs[0] == 0,
            compacted_to=self.known.compacted_to,
        )
        snapshots = deque(self._later_snapshots(names))
        for number, base in enumerate(names.logs):
            is_last = number == len(names.logs) - 1
            following = None if is_last else names.logs[number + 1]
            self._check_segment(base, following, epochs, producers, snapshots)
        end = max(self.next_offset, names.logs[0] if names.logs else 0)
        self._meet_snapshots(snapshots, end, producers)
        for offset in snapshots:
            what = f"it is of offset {offset}, the log ends at {end}"
            self.faults.add(self._path(offset, SNAPSHOT), what, if_left=Severity.NOTE)
        epochs.finish(end)
        self._check_ends(names, end)
        for name in names.metadata_snapshots:
            self._check_metadata_snapshot(name)
        return Checked(self.faults.all(), self._tally, end, max(end, self.claimed_end))

    # ---- files of their own

    def _check_names(self, names: PartitionNames) -> None:
        add, join = self.faults.add, os.path.join
        if names.leftovers and not self.known.is_running:
            others = len(names.leftovers) - 1
            what = "left behind by a change that was not finished"
            what += f", and {others} more like it" if others else ""
            add(join(self.directory, names.leftovers[0]), what, if_left=Severity.NOTE)
        for name in names.orphans:
            add(join(self.directory, name), "there is no .log file to it", if_left=Severity.NOTE)
        for name in names.foreign:
            add(join(self.directory, name), "no file of a log", if_left=Severity.NOTE)
        if not names.logs:
            add(self.directory, "it has no .log file", if_left=Severity.NOTE)

    def _check_metadata(self, topic: str) -> None:
        path = os.path.join(self.directory, METADATA)
        if self.disk.exists(path):
            found = topic_id(self.disk.read_file(path), path=path, faults=self.faults)
            wanted = self.known.topic_id
            if found is not None and wanted is not None and found != wanted:
                what = f"topic id {found}, the topic {topic} has {wanted}"
                self.faults.add(path, what, place="line 2")
        elif topic != METADATA_TOPIC:
            self.faults.add(path, "it is missing", if_left=Severity.NOTE)
        path = os.path.join(self.directory, QUORUM_STATE)
        if self.disk.exists(path):
            state = json_object(self.disk.read_file(path))
            fields = ("leaderEpoch", "leaderId", "votedId")
            if state is None or not all(isinstance(state.get(name), int) for name in fields):
                self.faults.add(path, "no JSON with leaderEpoch, leaderId and votedId")

    def _epochs(self, names: PartitionNames) -> EpochHistory:
        path = os.path.join(self.directory, EPOCHS)
        believed = LONG_MAX if self.known.is_clean else self.known.recovery_point
        entries = None
        mine = Faults()
        if self.disk.exists(path):
            found = rows(self.disk.read_file(path), 2, path=path, faults=mine)
            if found is not None:
                entries = [(int(epoch), int(start)) for epoch, start in found]
        elif any(self._size(base, LOG) for base in names.logs):
            mine.add(path, "it is missing")
        if entries is None:
            is_needed = bool(names.logs) and names.logs[0] < believed
            if_left = Severity.DAMAGE if is_needed else Severity.NOTE
            for fault in mine.all():
                # It is first written some time after the first batch.
                if is_needed or not self.known.is_running or self.disk.exists(path):
                    self.faults.add(path, fault.what, place=fault.place, if_left=if_left)
        return EpochHistory(
            entries, path=path, faults=self.faults, log_start=self.known.log_start,
            believed=believed,
        )  # fmt: skip

    def _check_ends(self, names: PartitionNames, end: int) -> None:
        if self.known.recovery_point > end and not self.known.is_running:
            self.faults.add(
                self.directory,
                f"offsets {end}..{self.known.recovery_point - 1} are missing: they were on disk,"
                " recovery-point-offset-checkpoint says",
            )
        if self.known.log_start > end:
            what = f"it begins at offset {self.known.log_start}, log-start-offset-checkpoint says"
            self.faults.add(self.directory, f"{what}, and ends at {end}")

    def _check_metadata_snapshot(self, name: str) -> None:
        """A snapshot of the metadata log: batches between a header and a footer."""
        path = os.path.join(self.directory, name)
        last = None
        for piece in pieces(self.disk, path, self.disk.size(path)):
            if piece.wrong or piece.header is None:
                self.faults.add(path, piece.wrong, place=f"position {piece.position}")
                continue
            for what, if_left in wrong_records(piece.header, piece.data):
                place = f"position {piece.position}"
                self.faults.add(path, what, place=place, if_left=if_left)
            if last is None and not piece.header.is_control:
                self.faults.add(path, "it begins without a header")
            last = piece.header
        if last is None or not last.is_control:
            self.faults.add(path, "it ends without a footer")

    # ---- a segment

    def _check_segment(
        self, base: int, following: int | None, epochs: EpochHistory,
        producers: ProducerHistory, snapshots: deque[int],
    ) -> None:  # fmt: skip
        path, size = self._path(base, LOG), self._size(base, LOG)
        is_closed = following is not None
        is_complete = is_closed or self.known.is_clean
        offsets, times = self._indexes(base, is_complete=is_complete, has_batches=size > 0)
        if base > self.next_offset >= 0 and not self._may_have_gap(base):
            self.faults.add(path, f"offsets {self.next_offset}..{base - 1} before it are missing")
        aborted: list[AbortedTransaction] = []
        batches = records = 0
        is_certain = True
        for piece in pieces(self.disk, path, size):
            self.step(piece.size)
            header = piece.header
            if piece.wrong or header is None:
                if self.known.is_running and not is_closed and piece.position + piece.size == size:
                    break  # it is being written
                self._tell(path, piece)
                self._is_after_bad = True
                offsets.bad(piece.position + piece.size)
                times.bad()
                producers.lose()
                is_certain = False
                continue
            batches += 1
            records += header.count
            if header.count <= header.last_offset_delta:
                self._is_compacted = True
            self._check_order(path, piece, header, base, following)
            self._meet_snapshots(snapshots, header.base_offset, producers)
            is_certain = is_certain and producers.is_certain
            epochs.batch(path, piece.position, header)
            offsets.batch(piece.position, header)
            times.batch(header)
            ended = producers.batch(path, piece.position, header, piece.data)
            if ended is not None:
                aborted.append(ended)
            for what, if_left in wrong_records(header, piece.data):
                place = f"position {piece.position}"
                self.faults.add(path, what, place=place, if_left=if_left)
            self.next_offset = max(self.next_offset, header.last_offset + 1)
        offsets.finish(size)
        times.finish(is_complete=is_complete)
        if is_certain and producers.is_certain:
            self._check_txn_index(base, aborted, is_complete=is_complete)
        self._tally += Tally(0, 1, batches, records, size)

    def _indexes(
        self, base: int, *, is_complete: bool, has_batches: bool
    ) -> tuple[OffsetEntries, TimeEntries]:
        data = {}
        for suffix, if_left in ((INDEX, Severity.NOTE), (TIME_INDEX, Severity.DAMAGE)):
            path = self._path(base, suffix)
            data[suffix] = b""
            if self.disk.exists(path):
                data[suffix] = self.disk.read_file(path)
            elif is_complete and has_batches:
                self.faults.add(path, "it is missing", if_left=if_left)
        offsets = OffsetEntries(
            data[INDEX], base, path=self._path(base, INDEX), faults=self.faults,
            padded=not is_complete,
        )  # fmt: skip
        times = TimeEntries(
            data[TIME_INDEX], base, path=self._path(base, TIME_INDEX), faults=self.faults,
            padded=not is_complete,
        )  # fmt: skip
        return offsets, times

    def _tell(self, path: str, piece: Piece) -> None:
        what, header = piece.wrong, piece.header
        if header is not None and 0 <= header.last_offset_delta < 2**31:
            first = max(self.next_offset, 0)
            if first <= header.base_offset < first + 2**31:
                self.claimed_end = max(self.claimed_end, header.last_offset + 1)
                what += f" (offsets {header.base_offset}..{header.last_offset})"
        place = f"position {piece.position}"
        self.faults.add(path, what, place=place, is_unreadable=True)

    def _check_order(
        self, path: str, piece: Piece, header: BatchHeader, base: int, following: int | None
    ) -> None:
        """Offsets ascend, without gaps but those of compaction, inside the segment's bounds."""
        what = ""
        expected = max(self.next_offset, base) if self.next_offset >= 0 else base
        if header.base_offset < base:
            what = f"offset {header.base_offset} in the segment that begins at {base}"
        elif header.base_offset < self.next_offset:
            what = f"offset {header.base_offset} behind {self.next_offset - 1}"
        elif following is not None and header.last_offset >= following:
            what = f"offset {header.last_offset}, the next segment begins at {following}"
        elif header.base_offset > expected and not self._may_have_gap(header.base_offset):
            what = f"offsets {expected}..{header.base_offset - 1} are missing"
        self._is_after_bad = False
        if what:
            self.faults.add(path, what, place=f"position {piece.position}")

    def _may_have_gap(self, offset: int) -> bool:
        return self._is_compacted or self._is_after_bad or offset <= self.known.compacted_to

    def _check_txn_index(
        self, base: int, aborted: list[AbortedTransaction], *, is_complete: bool
    ) -> None:
        path = self._path(base, TXN_INDEX)
        if not self.disk.exists(path):
            if aborted and is_complete:
                what = "it is missing: readers of committed records get what was aborted"
                self.faults.add(path, what)
            return
        check_aborted(
            self.disk.read_file(path), aborted, path=path, faults=self.faults,
            is_complete=is_complete,
        )  # fmt: skip

    def _later_snapshots(self, names: PartitionNames) -> list[int]:
        """Those that are not older than the log; the others only have to be whole."""
        begin = names.logs[0] if names.logs else 0
        unused = ProducerHistory(self.faults, is_certain=False, compacted_to=0)
        for offset in names.snapshots:
            if offset < begin:
                path = self._path(offset, SNAPSHOT)
                unused.snapshot(path, self.disk.read_file(path), offset)
        return [offset for offset in names.snapshots if offset >= begin]

    def _meet_snapshots(
        self, snapshots: deque[int], offset: int, producers: ProducerHistory
    ) -> None:
        """The walk is at `offset`: the snapshots up to there can be judged."""
        while snapshots and snapshots[0] <= offset:
            found = snapshots.popleft()
            path = self._path(found, SNAPSHOT)
            if found < self.next_offset:
                what = f"offset {found} is inside of a batch"
                self.faults.add(path, what, if_left=Severity.NOTE)
                continue
            producers.snapshot(path, self.disk.read_file(path), found)

    def _path(self, base: int, suffix: str) -> str:
        return os.path.join(self.directory, file_name(base, suffix))

    def _size(self, base: int, suffix: str) -> int:
        return self.disk.size(self._path(base, suffix))
