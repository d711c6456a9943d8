"""A broker's log directory: its lock, its identity, the logs in it, and their checkpoints.

    <log.dirs>/broker-<id>/
        .lock  meta.properties  .kafka_cleanshutdown  commit-journal.0  commit-journal.1
        recovery-point-offset-checkpoint  log-start-offset-checkpoint  replication-offset-checkpoint
        cleaner-offset-checkpoint
        <topic>-<partition>/   <topic>-<partition>.<hex>-delete/   <topic>-<partition>.<hex>-stray/
"""
from __future__ import annotations

import json
import logging
import os.path
import re
import uuid
from collections.abc import Callable, Iterable

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaStorageError, NoSpaceLeft
from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import (
    CorruptFile,
    UnknownVersion,
    read_identity,
    write_properties,
)
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import Journal
from fastbroker.storage.journal_frames import NewerJournal
from fastbroker.storage.journal_replay import JournalReplay
from fastbroker.storage.log import Log
from fastbroker.storage.offset_checkpoints import OffsetCheckpoints
from fastbroker.storage.opening import open_log
from fastbroker.storage.partition_metadata import (
    is_unflushed,
    topic_id_text,
    write_topic_id,
)
from fastbroker.storage.recovery import sync_what_is_left
from fastbroker.storage.segment_files import LOG, offsets_of
from fastbroker.storage.space import Space, is_fault, refusal
from fastbroker.uuids import new_uuid, uuid_bytes, uuid_text

log = logging.getLogger(__name__)

LOCK, META, CLEAN = ".lock", "meta.properties", ".kafka_cleanshutdown"
DELETE, STRAY = "-delete", "-stray"
_PARTITION = re.compile(r"[A-Za-z0-9._-]+-\d+")
SYNC_ALL_FROM = 64  # logs: from here on one sync of the file system does for all
NAME_MAX = 255  # bytes of a directory's name


class LogDirError(Exception):
    """A directory that may not be used; the message says why and what to do."""


class LogDir:
    """Owned by one broker; `open` takes the lock, `close` writes what a clean start needs.

    logs: those that are open. was_clean: the run before has closed them all.
    directory_id: this directory's id in registrations. previous_broker_epoch: of the run that
    closed it cleanly, -1 when it was not. failure: the error that took it offline.
    held: those that may not be closed now: a thread works on their files.
    cleaned: first offset that compaction has not been through, of logs that it has been to.
    failed(error): called once, when that happens.
    """

    def __init__(self, path: str, *, disk: Disk, node_id: int) -> None:
        self.path, self.disk, self.node_id = path, disk, node_id
        self.logs: dict[TopicPartition, Log] = {}
        self.held: set[TopicPartition] = set()
        self.cluster_id: str | None = None
        self.directory_id = bytes(16)
        self.was_clean = False
        self.previous_broker_epoch = -1
        self.failure: BaseException | None = None
        self.failed: Callable[[BaseException], object] = lambda _: None
        self.space = Space(path)
        self.checkpoints = OffsetCheckpoints(disk, path, self.logs)
        self.journal = Journal(disk, path)
        # By this run: the version of its segments, and where it begins.
        self._closed: dict[TopicPartition, tuple[int, int]] = {}
        self._lock = -1

    # ---- opening

    def open(self) -> None:
        """Raises LogDirError."""
        try:
            self._open()
        except OSError as error:
            raise LogDirError(
                f"{self.path} cannot be opened: {error}: check the disk, its space and its"
                " permissions, or choose another --data-dir"
            ) from error
        except (UnknownVersion, CorruptFile, Damaged) as error:
            raise LogDirError(str(error)) from None

    def _open(self) -> None:
        self.disk.make_directory(self.path)
        try:
            self._lock = self.disk.lock(self._file(LOCK))
        except BlockingIOError:
            raise LogDirError(
                f"{self.path} is used by another process: stop it, or choose another --data-dir"
            ) from None
        self._read_identity()
        self.checkpoints.read()
        try:
            JournalReplay(self.disk, self.path, self.checkpoints.recovery_points).run()
        except NewerJournal as error:
            raise LogDirError(
                f"the commit journal in {self.path} {error}: start the version that wrote it, and"
                " stop it cleanly before going back; nothing was changed"
            ) from None
        self._read_clean_shutdown()
        names = self.disk.list(self.path)
        for name in names:
            if name.endswith(DELETE):
                self.disk.remove_directory(self._file(name))
        if not self.was_clean and META in names:
            # What a log has is on the medium when it is opened: nobody may see what is not.
            sync_what_is_left(self.disk, self.fd, self.path)

    @property
    def fd(self) -> int:
        """An fd on its file system, opened before anything was written: it is told of every error
        of its syncs."""
        return self._lock

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _read_identity(self) -> None:
        path = self._file(META)
        if not self.disk.exists(path):
            partitions = self._partition_directories()
            if partitions:
                raise LogDirError(
                    f"{path} is missing, but there are partitions, such as {partitions[0]}: restore"
                    " it from a backup, or choose another --data-dir"
                )
            self.directory_id = new_uuid()
            return
        found = read_identity(self.disk, path)
        if found["node.id"] != str(self.node_id):
            raise LogDirError(
                f"{path} belongs to node {found['node.id']}, this is {self.node_id}:"
                " set node.id, or choose another --data-dir"
            )
        self.cluster_id = found["cluster.id"]
        if "directory.id" in found:
            self.directory_id = uuid_bytes(found["directory.id"])
        else:
            self.directory_id = new_uuid()  # Kafka before 3.7 gave none

    def _partition_directories(self) -> list[str]:
        names = [name for name in self.disk.list(self.path) if _PARTITION.fullmatch(name)]
        return [name for name in names if self.disk.is_directory(self._file(name))]

    def join_cluster(self, cluster_id: str) -> None:
        """Belong to `cluster_id` from now on. Raises LogDirError when it belongs to another."""
        if self.cluster_id not in (None, cluster_id):
            raise LogDirError(
                f"{self._file(META)} belongs to cluster {self.cluster_id}, not {cluster_id}:"
                " its data is not this cluster's; choose another --data-dir"
            )
        if self.cluster_id is None:
            self.cluster_id = cluster_id
            values = {
                "version": 1,
                "cluster.id": cluster_id,
                "node.id": self.node_id,
                "directory.id": uuid_text(self.directory_id),
            }
            write_properties(self.disk, self._file(META), values)

    def _read_clean_shutdown(self) -> None:
        path = self._file(CLEAN)
        if not self.disk.exists(path):
            return
        try:
            said = json.loads(self.disk.read_file(path))
            version = int(said.get("version", 0))
            if version != 0:
                raise UnknownVersion(path, version, 0)
            self.previous_broker_epoch = int(said.get("brokerEpoch", -1))
        except (ValueError, AttributeError, TypeError):
            log.warning("%s is damaged: logs are checked as after a crash", path)
        else:
            self.was_clean = True
        self.disk.remove(path)
        self.disk.sync_directory(self.path)

    # ---- logs

    def open_log(
        self, partition: TopicPartition, topic_id: bytes, config: TopicConfig, now_ms: int
    ) -> Log:
        """The log of `partition`, new or as it is on disk; a directory of another topic of the same
        name, or of one that nobody knows, is put aside. Raises NoSpaceLeft, KafkaStorageError."""
        directory = self._file(str(partition))
        try:
            if not self._has_own_directory(partition, directory, topic_id):
                self._closed.pop(partition, None)
                self.checkpoints.begin_anew(partition)
        except OSError as error:
            self.fault(error)
            raise refusal(directory, "opening", error) from error
        except (UnknownVersion, Damaged) as error:
            raise KafkaStorageError(f"{partition} cannot be opened: {error}") from error
        self.logs[partition] = opened = open_log(
            directory,
            disk=self.disk,
            partition=partition,
            config=config,
            now_ms=now_ms,
            is_clean=self.was_clean or partition in self._closed,
            recovery_point=self.checkpoints.recovery_point(partition),
            compacted_to=self.cleaned.get(partition, 0),
            log_start_offset=self.checkpoints.log_start(partition),
            topic_id=topic_id,
            fault=self.fault,
        )
        self._closed.pop(partition, None)
        if self.cleaned.get(partition, 0) > opened.log_end_offset:
            del self.cleaned[partition]  # it was of another log, or more than this was lost
        return opened

    def _has_own_directory(
        self, partition: TopicPartition, directory: str, topic_id: bytes
    ) -> bool:
        """Whether there is a directory of that topic; one of another is put aside.

        Raises UnknownVersion, Damaged, OSError.
        """
        try:
            found = topic_id_text(self.disk, directory)
        except Damaged:
            if not self._is_unflushed(partition, directory):
                raise
            found = None
        if found == uuid_text(topic_id):
            return True
        if found is not None:
            said = "is of another topic of that name"
        elif not self.disk.exists(directory):
            return False
        elif self._is_unflushed(partition, directory):
            said = "tells of no topic, and nothing in it was ever acknowledged"
        else:
            self.disk.sync_file(write_topic_id(self.disk, directory, topic_id))
            self.disk.sync_directory(directory)
            return True
        stray = self._file(_aside(str(partition), STRAY))
        log.warning("%s %s: kept as %s", directory, said, stray)
        self.disk.rename(directory, stray)
        return False

    def _is_unflushed(self, partition: TopicPartition, directory: str) -> bool:
        """Whether a directory without a topic id is of a log, of this topic or of an earlier one of
        the name, in which nothing was ever acknowledged. Raises OSError."""
        if self.was_clean or partition in self._closed:
            return False
        is_known = self.checkpoints.recovery_point(partition) > 0
        return not is_known and is_unflushed(self.disk.list(directory))

    def close_log(self, partition: TopicPartition) -> None:
        """Close a log that nobody uses, all of which is synced: it is opened again when needed.

        Raises OSError.
        """
        one = self.logs[partition]
        assert one.recovery_point == one.log_end_offset, "not all of it is synced"
        assert partition not in self.held
        one.end()
        self.checkpoints.closed(partition, one)
        del self.logs[partition]
        self._closed[partition] = one.segments.version, one.log_start_offset

    def has_files(self, partition: TopicPartition) -> bool:
        """Whether anything was ever written to a log."""
        return self.disk.is_directory(self._file(str(partition)))

    def size_of(self, partition: TopicPartition) -> int:
        """Bytes of a log's segments, whether it is open or not. Raises OSError."""
        found = self.logs.get(partition)
        if found is not None:
            return found.size
        directory = self._file(str(partition))
        if not self.disk.is_directory(directory):
            return 0
        names = [name for name in self.disk.list(directory) if name.endswith(LOG)]
        return sum(self.disk.size(os.path.join(directory, name)) for name in names)

    def end_of(self, partition: TopicPartition) -> int | None:
        """Where a log ends, whether it is open or not; None: that is known once it was opened.

        Of one that is closed all is committed.
        """
        found = self.logs.get(partition)
        if found is not None:
            return found.log_end_offset
        end = self.checkpoints.recovery_point(partition)
        if end and (self.was_clean or partition in self._closed):
            return end
        return None if self.has_files(partition) else 0

    def start_of(self, partition: TopicPartition) -> int:
        """Where a log begins, whether it is open or not. Raises OSError."""
        found = self.logs.get(partition)
        if found is not None:
            return found.log_start_offset
        closed = self._closed.get(partition)
        if closed is not None:
            return closed[1]
        there = self.has_files(partition)
        names = self.disk.list(self.directory_of(partition)) if there else []
        first = min(offsets_of(names, LOG), default=0)
        return max(self.checkpoints.log_start(partition), first)

    def version_of(self, partition: TopicPartition) -> int:
        """See Segments.version, of a log that is open, or of one as it was closed; -1: it has not
        been opened yet, and nothing has changed in it since the start."""
        found = self.logs.get(partition)
        if found is not None:
            return found.segments.version
        return self._closed.get(partition, (-1, 0))[0]

    def directory_of(self, partition: TopicPartition) -> str:
        """Where a log's files are, or would be."""
        return self._file(str(partition))

    def unknown_directories(self, known: Iterable[TopicPartition]) -> list[str]:
        """Partition directories that no partition of `known` has."""
        names = {str(partition) for partition in known}
        return [
            name
            for name in self.disk.list(self.path)
            if name not in names
            and not name.endswith((DELETE, STRAY))
            and self.disk.is_directory(self._file(name))
        ]

    def set_aside(self, name: str) -> str:
        """Rename a partition's directory that nothing knows to a stray one; the new name."""
        stray = _aside(name, STRAY)
        self.disk.rename(self._file(name), self._file(stray))
        return stray

    def forget_log(self, partition: TopicPartition) -> str | None:
        """Take a deleted topic's partition out; path of the directory to remove later, None: there
        is none. Raises OSError."""
        forgotten = self.logs.pop(partition, None)
        if forgotten is not None:
            forgotten.is_gone = True
            forgotten.unflushed.dropped(forgotten.segments)
        self._closed.pop(partition, None)
        self.checkpoints.forget(partition)
        directory = self._file(str(partition))
        if not self.disk.exists(directory):
            return None
        renamed = self._file(_aside(str(partition), DELETE))
        self.disk.rename(directory, renamed)
        return renamed

    # ---- failure

    def fault(self, error: OSError) -> None:
        """A read or write went wrong: offline, unless it was for a limit, such as a full disk."""
        if is_fault(error):
            self.take_offline(error)

    def take_offline(self, error: BaseException) -> None:
        """Nothing in this directory is promised, written or synced again, for as long as this
        process lives. On the loop.

        A process that went on would take pages for durable that the disk never got: a sync fails
        once, and the next one succeeds. Nor is it ended, to be started anew at once: whoever looks
        after it checks the disk first. Recovery then reads from the disk, not from the page cache.
        """
        if self.failure is not None:
            return
        self.failure = error
        log.critical(
            "%s is offline: %s. Nothing in it is served or acknowledged any more; what was"
            " acknowledged before is as safe as the disk is. Check the disk (dmesg, smartctl,"
            " fsck), then restart the broker",
            self.path, error,
        )  # fmt: skip
        self.failed(error)

    # ---- checkpoints, on a thread

    def write_recovery_points(self) -> None:
        """What need not be checked after a crash. Raises OSError."""
        self.checkpoints.write_recovery_points()

    def write_log_starts(self) -> None:
        """Starts that are not a segment's beginning. Raises OSError."""
        self.checkpoints.write_log_starts()

    def write_high_watermarks(self, open_ones: dict[TopicPartition, int]) -> None:
        """open_ones: of the logs that are open. Raises OSError."""
        self.checkpoints.write_high_watermarks(open_ones)

    @property
    def cleaned(self) -> dict[TopicPartition, int]:
        """How far compaction has come in each log."""
        return self.checkpoints.cleaned

    def write_cleaned(self) -> None:
        """Raises OSError."""
        self.checkpoints.write_cleaned()

    # ---- the end

    def close(self, broker_epoch: int) -> None:
        """Close every log and leave the clean-shutdown file. Raises KafkaStorageError, OSError."""
        if self.failure is None:
            try:
                self._close_logs(broker_epoch)
            except (NoSpaceLeft, OSError) as error:
                if is_fault(error):
                    raise
                log.warning("%s is closed as after a crash: %s", self.path, error)
        if self._lock >= 0:
            self.disk.close(self._lock)
            self._lock = -1

    def _close_logs(self, broker_epoch: int) -> None:
        self._flush_logs()
        for one in self.logs.values():
            one.end()
        marks = [(one.unflushed, one.unflushed.mark()) for one in self.logs.values()]
        self.disk.sync_file_system(self.fd)
        for unflushed, mark in marks:
            unflushed.synced(mark)
        for one in self.logs.values():
            one.epochs.synced()
        self.write_recovery_points()
        self.write_log_starts()
        self.journal.close()
        said = json.dumps({"version": 0, "brokerEpoch": broker_epoch})
        self.disk.replace_file(self._file(CLEAN), said.encode())


    def _flush_logs(self) -> None:
        """Sync the batches of every log: of many with one sync, which tells of all errors."""
        if len(self.logs) < SYNC_ALL_FROM or not self.disk.reports_all_errors:
            for one in self.logs.values():
                one.flush_batches()
            return
        begun = [(one, one.begin_last_flush()) for one in self.logs.values()]
        self.disk.sync_file_system(self.fd)
        for one, job in begun:
            if job is not None:
                one.end_flush(job)


def _aside(name: str, suffix: str) -> str:
    """A name for a partition's directory that is not its log's any more; a long topic's is cut."""
    topic, _, number = name.rpartition("-")
    tail = f"-{number}.{uuid.uuid4().hex}{suffix}"
    return topic[: NAME_MAX - len(tail)] + tail
