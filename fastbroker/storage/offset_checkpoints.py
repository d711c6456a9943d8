"""The offset checkpoints of a log directory: what its logs need not check, and where they begin.

    recovery-point-offset-checkpoint  log-start-offset-checkpoint  replication-offset-checkpoint
    cleaner-offset-checkpoint

The grammar is in checkpoints.py. They are written on a thread, while the loop opens, closes and
forgets logs; and on the loop, before a topic's name is used again.
"""
from __future__ import annotations

import logging
import os.path
import threading
from collections.abc import Callable, Mapping

from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import CorruptFile, read_offsets, write_offsets
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log

log = logging.getLogger(__name__)

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
CLEANED = "cleaner-offset-checkpoint"

Offsets = dict[TopicPartition, int]


class OffsetCheckpoints:
    """Owned by a LogDir.

    logs: those that are open, which speak for themselves.
    recovery_points: of the others, as they were read or left. cleaned: of all logs.
    """

    def __init__(self, disk: Disk, directory: str, logs: Mapping[TopicPartition, Log]) -> None:
        self.disk, self.directory, self.logs = disk, directory, logs
        self.recovery_points: Offsets = {}
        self._log_starts: Offsets = {}
        self.cleaned: Offsets = {}
        self._written: dict[str, Offsets] = {}
        self._writing = threading.Lock()

    def read(self) -> None:
        """Learn what the run before has left. Raises UnknownVersion, OSError."""
        self.recovery_points = self._read(RECOVERY_POINTS)
        self._log_starts = self._read(LOG_STARTS)
        self.cleaned = self._read(CLEANED)
        self._read(HIGH_WATERMARKS)  # it is not used yet, but for its version
        self._written[RECOVERY_POINTS] = dict(self.recovery_points)
        self._written[LOG_STARTS] = dict(self._log_starts)
        self._written[CLEANED] = dict(self.cleaned)

    def _read(self, name: str) -> Offsets:
        try:
            return read_offsets(self.disk, self._file(name))
        except CorruptFile as error:
            # They save work, or can be moved again: without them logs are checked from their first
            # segment, and begin there.
            log.warning("%s: it is ignored, and written anew", error)
            return {}

    def _file(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def recovery_point(self, partition: TopicPartition) -> int:
        """Of a log that is to be opened."""
        return self.recovery_points.get(partition, 0)

    def log_start(self, partition: TopicPartition) -> int:
        """Of a log that is to be opened; 0: where its first segment begins."""
        return self._log_starts.get(partition, 0)

    def closed(self, partition: TopicPartition, one: Log) -> None:
        """A log is being closed; it is in `logs` until this has returned."""
        if one.recovery_point > 0:
            self.recovery_points[partition] = one.recovery_point
        else:
            self.recovery_points.pop(partition, None)
        if _is_moved(one):
            self._log_starts[partition] = one.log_start_offset
        else:
            self._log_starts.pop(partition, None)

    def forget(self, partition: TopicPartition) -> None:
        """A log is gone."""
        self.recovery_points.pop(partition, None)
        self._log_starts.pop(partition, None)
        self.cleaned.pop(partition, None)

    def begin_anew(self, partition: TopicPartition) -> None:
        """What the files say of an earlier topic's log of that name is not this one's: it would
        begin where that one did, or be believed for as long. Raises OSError."""
        self.forget(partition)
        for name in (RECOVERY_POINTS, LOG_STARTS, CLEANED):
            with self._writing:  # what is being written may tell of it, too
                if partition in self._written[name]:
                    self._replace(name, self._without_deleted(name, partition.topic))

    def _without_deleted(self, name: str, topic: str) -> Offsets:
        """What a file says, but for partitions of `topic` that have no directory."""
        return {
            one: offset
            for one, offset in self._written[name].items()
            if one.topic != topic or self.disk.exists(self._file(str(one)))
        }

    # ---- writing

    def write_recovery_points(self) -> None:
        """What need not be checked after a crash. Raises OSError."""
        self._write(RECOVERY_POINTS, self._points)

    def _points(self) -> Offsets:
        open_ones = list(self.logs.items())  # first: what is closed from here on is in both
        points = dict(self.recovery_points)
        for partition, one in open_ones:
            points[partition] = one.recovery_point
        return points

    def write_log_starts(self) -> None:
        """Starts that are not a segment's beginning. Raises OSError."""
        self._write(LOG_STARTS, self._starts)

    def _starts(self) -> Offsets:
        open_ones = list(self.logs.items())
        starts = dict(self._log_starts)
        for partition, one in open_ones:
            if _is_moved(one):
                starts[partition] = one.log_start_offset
            else:
                starts.pop(partition, None)
        return starts

    def write_cleaned(self) -> None:
        """How far compaction has come. Raises OSError."""
        self._write(CLEANED, lambda: dict(self.cleaned))

    def write_high_watermarks(self, open_ones: Offsets) -> None:
        """open_ones: of the logs that are open; all of the others is committed. Raises OSError."""
        self._write(HIGH_WATERMARKS, lambda: {**self.recovery_points, **open_ones})

    def _write(self, name: str, collect: Callable[[], Offsets]) -> None:
        """Replace a file; what is collected under the lock cannot be older than what is there."""
        with self._writing:
            self._replace(name, collect())

    def _replace(self, name: str, offsets: Offsets) -> None:
        if self._written.get(name) != offsets:
            write_offsets(self.disk, self._file(name), offsets)
            self._written[name] = offsets


def _is_moved(one: Log) -> bool:
    return one.log_start_offset > one.segments[0].base_offset
