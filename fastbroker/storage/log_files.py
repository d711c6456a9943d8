"""The files of one log: made, rolled, flushed, saved, closed.

Invariant: recovery_point <= flushed_offset <= log_end_offset, and log_start_offset below the last
two; what is below flushed_offset is on the medium, see unflushed.py.
"""
from __future__ import annotations

import os.path
from collections.abc import Callable

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError, KafkaStorageError
from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.leader_epochs import EPOCHS_FILE, LeaderEpochs
from fastbroker.storage.partition_metadata import (
    METADATA_FILE,
    topic_id_text,
    write_topic_id,
)
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.rolling import jitter_of
from fastbroker.storage.segment import Segment
from fastbroker.storage.segments import Segments
from fastbroker.storage.snapshots import Snapshots
from fastbroker.storage.space import refusal
from fastbroker.storage.unflushed import Unflushed

SAVE_BYTES = 256 << 10  # written since the last save, for the next to be worth it


class LogFiles:
    """What a Log is made of, and how it gets to the medium.

    is_made: the directory and the first segment's files are there. A log that nothing was ever
        written to has none.
    is_gone: its topic was deleted and its directory renamed; nothing is flushed any more.
    last_abort: no abort marker stands behind this offset; -1: there is none.
    fault(error): told of every read and write that failed, before anybody else is.
    """

    def __init__(
        self, directory: str, *, disk: Disk, partition: TopicPartition, config: TopicConfig,
        topic_id: bytes | None = None, fault: Callable[[OSError], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self.directory, self.disk = directory, disk
        self.partition, self.config, self.fault = partition, config, fault
        self.segments = Segments()
        self.epochs = LeaderEpochs(disk, f"{directory}/{EPOCHS_FILE}")
        self.producers = ProducerState()
        self.snapshots = Snapshots(disk, directory)
        self.log_start_offset = 0
        self.log_end_offset = 0
        self.unflushed = Unflushed(disk, directory)
        self.unflushed.topic_id = topic_id
        self.last_abort = -1
        self.is_gone = self.is_made = False
        self._is_new = False  # its first flush has not ended: nobody knows whose directory it is
        self._was_cut = False
        self._unsaved = 0  # bytes written since the last `save`
        self._jitter = jitter_of(directory)

    def _failed(self, doing: str, error: OSError) -> KafkaError:
        """A read or write failed: what whoever asked for it is told."""
        if error.filename is None:
            error.filename = self.directory
        self.fault(error)
        return refusal(self.directory, doing, error)

    # ---- making

    def make(self) -> None:
        """The directory and its first files, for the first batch."""
        self.disk.make_directory(self.directory)
        self.unflushed.made(os.path.dirname(self.directory))
        topic_id = self.unflushed.topic_id
        if topic_id is not None and topic_id_text(self.disk, self.directory) is None:
            # The first flush syncs it: without it, nothing here was ever acknowledged.
            self._is_new = True
            self.unflushed.wrote_file(write_topic_id(self.disk, self.directory, topic_id))
        self.segments[0].create()
        self.unflushed.made(self.directory)
        self.is_made = True

    def roll(self, now_ms: int) -> Segment:
        """Begin a segment at the log's end; the one before it will not change any more.

        Raises OSError; the segment before it goes on then.
        """
        last = self.segments[-1]
        for path in last.complete_indexes():
            self.unflushed.wrote_file(path)
        self.unflushed.wrote_file(self._write_snapshot())
        segment = self.new_segment(self.log_end_offset, now_ms)
        segment.create()
        last.indexes.forget()
        self.segments.append(segment)
        self.unflushed.made(self.directory)
        return segment

    def new_segment(self, base_offset: int, now_ms: int) -> Segment:
        """Its files are made later, with `create`."""
        return Segment(self.disk, self.directory, base_offset, created_ms=now_ms)

    def _write_snapshot(self) -> str:
        """Of producers, at the log's end, unsynced; its path. The indexes were written before."""
        transactions = self.segments[-1].indexes.txn_index
        if not transactions.is_synced:
            # Whoever finds a snapshot believes that this has every marker before it.
            self.disk.sync_file(transactions.file.path)
            transactions.synced()
        return self.snapshots.write(self.log_end_offset, self.producers)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self.segments.size

    # ---- flushing

    @property
    def flushed_offset(self) -> int:
        return self.unflushed.flushed_offset

    @property
    def recovery_point(self) -> int:
        return min(self.unflushed.recovery_point, self.epochs.unsynced_from)

    @property
    def is_dirty(self) -> bool:
        return self.flushed_offset < self.log_end_offset or self.unflushed.has_written

    def begin_flush(self) -> FlushJob | None:
        """What is to be synced now; None: nothing. `end_flush` follows, on the loop.

        Raises OSError.
        """
        if self.is_gone or not self.is_made:
            return None
        if self._was_cut and not self.epochs.is_synced:
            # By them the replay of the commit journal knows what was cut from what came after it.
            if self._is_new:
                self._sync_topic_id()
            if self.epochs.is_dirty:
                self.epochs.write()
            self.unflushed.wrote_file(self.epochs.path)
        return self.unflushed.begin(self.log_end_offset)

    def end_flush(self, job: FlushJob, *, is_journaled: bool = False) -> None:
        """`job` has run without an error; is_journaled: its ranges are in the journal."""
        self.unflushed.end(job, is_journaled=is_journaled)
        self._is_new = False

    def _sync_topic_id(self) -> None:
        """Here and now: who finds a file of epochs believes that this was done before."""
        self.disk.sync_file(f"{self.directory}/{METADATA_FILE}")
        self.disk.sync_directory(self.directory)
        self._is_new = False

    def flush(self) -> None:
        """Sync everything now, on this thread. Raises KafkaStorageError, NoSpaceLeft."""
        self.flush_batches()
        if not self.is_made or self.is_gone or self.epochs.is_synced:
            return
        try:
            if self.epochs.is_dirty:
                self.epochs.write()
            self.disk.sync_file(self.epochs.path)
        except OSError as error:
            raise self._failed("writing", error) from error
        self.epochs.synced()

    def begin_last_flush(self) -> FlushJob | None:
        """What is to be synced before the log is closed; None: nothing. `end_flush` follows."""
        if not self.is_made or self.is_gone:
            return None
        return self.unflushed.begin(self.log_end_offset, is_last=True)

    def flush_batches(self) -> None:
        """As `flush`, but for the file of leader epochs: until that is on the medium the recovery
        point stays below. Raises KafkaStorageError."""
        job = self.begin_last_flush()
        try:
            if job is not None:
                job.run()
        except OSError as error:
            self._failed("syncing", error)
            raise KafkaStorageError(f"{self.directory}: syncing failed: {error}") from error
        if job is not None:
            self.end_flush(job)

    # ---- saving

    def save_when_due(self) -> bool:
        """Write what makes the next opening short when much was written since the last time: the
        indexes, and a snapshot of producers at the log's end; unsynced.

        True when the file of leader epochs is to be synced, too: the recovery point stays below the
        first that it lacked until it was, see LeaderEpochs.synced. Raises OSError.
        """
        if self._unsaved >= SAVE_BYTES:
            self._save()
        if self.epochs.is_synced or self._is_new or not self.is_made:
            return False
        if self.epochs.is_dirty:
            self.epochs.write()
        return True

    def _save(self) -> None:
        """Write the indexes, and a snapshot behind them."""
        self.segments[-1].indexes.write()
        self._write_snapshot()
        self._unsaved = 0
        self.drop_snapshots(self.disk.list(self.directory))

    def drop_snapshots(self, names: list[str]) -> None:
        """Remove those that are of no use; names: of the files in the directory."""
        bases = {segment.base_offset for segment in self.segments}
        self.snapshots.drop_useless(names, bases=bases, end=self.log_end_offset)

    def end(self) -> None:
        """Complete the files and let go of them; what was written has been flushed, and is synced
        by whoever calls this. The log can be opened as one that is clean then. Raises OSError."""
        if not self.is_made:
            return
        if self.epochs.is_dirty:
            self.epochs.write()
        self.segments[-1].complete_indexes()
        self._save()
        for segment in self.segments:
            segment.let_go()

    def let_go_of_files(self) -> None:
        """Close the files of segments that are not written any more; readers open them again."""
        for segment in self.segments:
            if segment is not self.segments[-1] and not self.unflushed.holds(segment):
                segment.let_go()

    def close(self) -> None:
        """Sync, and write what makes the next opening short. Raises KafkaStorageError."""
        self.flush()
        try:
            self.end()
            if self.is_made:
                fd = self.disk.open(self.directory, write=False)
                self.disk.sync_file_system(fd)
                self.disk.close(fd)
        except OSError as error:
            raise self._failed("closing", error) from error
