"""What the commit journal has and segments may lack, written into them at the start.

Before any log is opened: every frame that counts, in the order of their sequences over both halves;
then what was written is synced, and then the journal is emptied. A crash on the way leaves a
journal that is replayed again.

An entry is passed over unless its directory is there and of the same topic id, its offsets are not
all below the recovery point on disk (what is below is synced, and may have been compacted since),
and its segment is there and reaches up to its position. Of its bytes, whole batches are taken whose
leader epoch is the one that the directory's epochs tell for their offsets, or later than all that
they tell of: their file is written some time after the first batch of an epoch, but before the
first flush behind a cut. Others were cut from the log, and something else may lie in their place;
or they are below what the epochs tell of, and that is below the recovery point.
"""
from __future__ import annotations

import heapq
import logging
import os.path
import re
from collections.abc import Iterator, Mapping

from fastbroker._c.record_batch import HEADER_BYTES, CorruptBatch, crc_is_right, read_header
from fastbroker._c.sync_thread import FRAME_ALIGN
from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import FILES
from fastbroker.storage.journal_frames import Entry, JournalFrame, lost_frames, read_frames
from fastbroker.storage.leader_epochs import EPOCHS_FILE, LeaderEpochs
from fastbroker.storage.partition_metadata import topic_id_text
from fastbroker.storage.segment_files import LOG, file_name
from fastbroker.uuids import uuid_text

log = logging.getLogger(__name__)

DIRECTORY = re.compile(r"([a-zA-Z0-9._-]{1,249})-([0-9]{1,10})")
OPEN_MAX = 256  # files that are written
SYNC_ALL_FROM = 64  # files: from here on the whole file system is synced


class JournalReplay:
    """Made for one start. recovery_points: as they were read from the checkpoint.

    frames, written: how many frames counted, and how many bytes went into segments.
    """

    def __init__(
        self, disk: Disk, directory: str, recovery_points: Mapping[TopicPartition, int]
    ) -> None:
        self.disk, self.directory = disk, directory
        self.recovery_points = recovery_points
        self.frames = self.written = 0
        self._halves = [
            path
            for path in (os.path.join(directory, name) for name in FILES)
            if disk.exists(path) and disk.size(path) > 0
        ]
        # None: not of that topic, or not there.
        self._epochs: dict[tuple[str, bytes], LeaderEpochs | None] = {}
        self._open: dict[str, int] = {}
        self._paths: dict[str, None] = {}  # of what was written

    def run(self) -> None:
        """Replay, sync, and empty the journal. Raises OSError, NewerJournal: nothing was touched
        then."""
        if not self._halves:
            return
        # Before the first write: it is told of all errors from here on.
        file_system = self.disk.open(self.directory, write=False)
        try:
            self._replay()
            self._sync(file_system)
        finally:
            self.disk.close(file_system)
            while self._open:
                self.disk.close(self._open.popitem()[1])
        for path in self._halves:
            fd = self.disk.open(path)
            try:
                self.disk.truncate(fd, 0)
                self.disk.sync(fd)
            finally:
                self.disk.close(fd)
        if self.frames:
            log.info(
                "%s: %d frames of the commit journal were replayed, %d bytes into %d segments",
                self.directory, self.frames, self.written, len(self._paths),
            )  # fmt: skip

    def _replay(self) -> None:
        halves = [self._counted(path) for path in self._halves]
        last = -1
        for frame in heapq.merge(*halves, key=lambda frame: frame.sequence):
            if 0 <= last < frame.sequence - 1:
                log.error(
                    "%s: frames %d to %d of the commit journal are damaged: what was acknowledged"
                    " with them is lost where it had not reached its segment",
                    self.directory, last + 1, frame.sequence - 1,
                )  # fmt: skip
            last = frame.sequence
            self.frames += 1
            for entry in frame.entries:
                self._apply(entry)

    def _counted(self, path: str) -> Iterator[JournalFrame]:
        """The frames of a half; a log line if damage has ended it."""
        at, last = 0, None
        for frame in read_frames(self.disk, path):
            yield frame
            at += -(-frame.size // FRAME_ALIGN) * FRAME_ALIGN
            last = frame._replace(entries=[])
        lost = 0 if last is None else lost_frames(self.disk, path, last, at)
        if lost:
            log.error(
                "%s is damaged at position %d: %d frames behind it are not replayed; what was"
                " acknowledged with them is lost where it had not reached its segment",
                path, at, lost,
            )  # fmt: skip

    def _apply(self, entry: Entry) -> None:
        named = DIRECTORY.fullmatch(entry.directory)
        if named is None or entry.base_offset < 0 or entry.position < 0:
            return
        partition = TopicPartition(named[1], int(named[2]))
        if entry.end_offset <= self.recovery_points.get(partition, 0):
            return
        epochs = self._epochs_of(entry)
        if epochs is None:
            return
        path = os.path.join(self.directory, entry.directory, file_name(entry.base_offset, LOG))
        if not self.disk.exists(path) or self.disk.size(path) < entry.position:
            return
        for at, end in _good_bytes(entry, epochs):
            self.disk.pwrite(self._fd(path), entry.data[at:end], entry.position + at)
            self.written += end - at

    def _epochs_of(self, entry: Entry) -> LeaderEpochs | None:
        """The epochs of an entry's directory; None: it is not there, or another topic's."""
        key = entry.directory, entry.topic_id
        if key not in self._epochs:
            directory = os.path.join(self.directory, entry.directory)
            is_its = self.disk.is_directory(directory) and (
                topic_id_text(self.disk, directory) == uuid_text(entry.topic_id)
            )
            self._epochs[key] = None
            if is_its:
                epochs = LeaderEpochs(self.disk, os.path.join(directory, EPOCHS_FILE))
                epochs.load()
                self._epochs[key] = epochs
        return self._epochs[key]

    def _fd(self, path: str) -> int:
        fd = self._open.get(path)
        if fd is None:
            if len(self._open) >= OPEN_MAX:
                self.disk.close(self._open.pop(next(iter(self._open))))
            fd = self._open[path] = self.disk.open(path)
            self._paths[path] = None
        return fd

    def _sync(self, file_system: int) -> None:
        if len(self._paths) >= SYNC_ALL_FROM and self.disk.reports_all_errors:
            self.disk.sync_file_system(file_system)
            return
        for path in self._paths:
            self.disk.sync(self._fd(path))


def _good_bytes(entry: Entry, epochs: LeaderEpochs) -> list[tuple[int, int]]:
    """What of an entry belongs into its segment: [begin, end) in its bytes."""
    data, at, next_offset = entry.data, 0, entry.base_offset
    good: list[tuple[int, int]] = []
    while len(data) - at >= HEADER_BYTES:
        try:
            header = read_header(data, at)
        except CorruptBatch:
            break
        end = at + header.size
        if (
            end > len(data)
            or not next_offset <= header.base_offset <= header.last_offset < entry.end_offset
            or not crc_is_right(data, header, at)
        ):
            break
        # Without any epochs, their file was not written yet, or was damaged since.
        if header.leader_epoch > epochs.latest or (
            header.leader_epoch == epochs.epoch_of(header.base_offset)
        ):
            if good and good[-1][1] == at:
                at = good.pop()[0]
            good.append((at, end))
        at, next_offset = end, header.last_offset + 1
    return good
