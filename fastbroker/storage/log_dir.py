"""A broker's log directory: its lock, its identity, the logs in it, and their checkpoints.

    <log.dirs>/broker-<id>/
        .lock  meta.properties  .kafka_cleanshutdown  commit-journal.0  commit-journal.1
        recovery-point-offset-checkpoint  log-start-offset-checkpoint  replication-offset-checkpoint
        <topic>-<partition>/   <topic>-<partition>.<hex>-delete/   <topic>-<partition>.<hex>-stray/
"""
from __future__ import annotations

import json
import logging
import os.path
import uuid
from collections.abc import Iterable

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import (
    CorruptFile,
    read_offsets,
    read_properties,
    write_offsets,
    write_properties,
)
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import Journal
from fastbroker.storage.journal_frames import NewerJournal
from fastbroker.storage.journal_replay import JournalReplay
from fastbroker.storage.log import Log, topic_id_text
from fastbroker.uuids import new_uuid, uuid_bytes, uuid_text

log = logging.getLogger(__name__)

LOCK, META, CLEAN = ".lock", "meta.properties", ".kafka_cleanshutdown"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
DELETE, STRAY = "-delete", "-stray"


class LogDirError(Exception):
    """A directory that may not be used; the message says why and what to do."""


class LogDir:
    """Owned by one broker; `open` takes the lock, `close` writes what a clean start needs.

    directory_id: this directory's id in registrations. previous_broker_epoch: of the run that
    closed it cleanly, -1 when it was not. failure: the error that took it offline.
    """

    def __init__(self, path: str, *, disk: Disk, node_id: int) -> None:
        self.path, self.disk, self.node_id = path, disk, node_id
        self.logs: dict[TopicPartition, Log] = {}
        self.cluster_id: str | None = None
        self.directory_id = bytes(16)
        self.was_clean = False
        self.previous_broker_epoch = -1
        self.failure: BaseException | None = None
        self.journal = Journal(disk, path)
        self._recovery_points: dict[TopicPartition, int] = {}
        self._log_starts: dict[TopicPartition, int] = {}
        self._written: dict[str, dict[TopicPartition, int]] = {}
        self._lock = -1

    # ---- opening

    def open(self) -> None:
        """Raises LogDirError, OSError."""
        self.disk.make_directory(self.path)
        try:
            self._lock = self.disk.lock(self._file(LOCK))
        except BlockingIOError:
            raise LogDirError(
                f"{self.path} is used by another process: stop it, or choose another --data-dir"
            ) from None
        self._read_identity()
        try:
            self._recovery_points = read_offsets(self.disk, self._file(RECOVERY_POINTS))
            self._log_starts = read_offsets(self.disk, self._file(LOG_STARTS))
        except CorruptFile as error:
            # Both only save work: without them logs are checked from their first segment.
            log.warning("%s: a checkpoint is ignored: %s", self.path, error)
        try:
            JournalReplay(self.disk, self.path, self._recovery_points).run()
        except NewerJournal as error:
            raise LogDirError(
                f"the commit journal in {self.path} {error}: start the version that wrote it, and"
                " stop it cleanly before going back; nothing was changed"
            ) from None
        self._read_clean_shutdown()
        for name in self.disk.list(self.path):
            if name.endswith(DELETE):
                self.disk.remove_directory(self._file(name))

    @property
    def fd(self) -> int:
        """An fd on its file system, opened before anything was written: it is told of every error
        of its syncs."""
        return self._lock

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _read_identity(self) -> None:
        found = read_properties(self.disk, self._file(META))
        if not found:
            self.directory_id = new_uuid()
            return
        if found.get("node.id", str(self.node_id)) != str(self.node_id):
            raise LogDirError(
                f"{self._file(META)} belongs to node {found['node.id']}, this is {self.node_id}:"
                " set node.id, or choose another --data-dir"
            )
        self.cluster_id = found.get("cluster.id")
        try:
            self.directory_id = uuid_bytes(found.get("directory.id", ""))
        except ValueError:
            self.directory_id = new_uuid()

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
            self.previous_broker_epoch = int(said.get("brokerEpoch", -1))
        except (ValueError, AttributeError):
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
        name is put aside. Raises KafkaStorageError."""
        directory = self._file(str(partition))
        found = topic_id_text(self.disk, directory) if self.disk.exists(directory) else None
        if found != uuid_text(topic_id):
            # Checkpoints of another topic that had this name: on disk, they would make the replay
            # of the commit journal pass over what this one is going to write.
            if self._log_starts.pop(partition, None) is not None:
                self.write_log_starts()
            if self._recovery_points.pop(partition, None) is not None:
                self.write_recovery_points()
        if found is not None and found != uuid_text(topic_id):
            stray = f"{directory}.{uuid.uuid4().hex}{STRAY}"
            log.warning("%s belongs to another topic of that name: kept as %s", directory, stray)
            self.disk.rename(directory, stray)
        self.logs[partition] = opened = Log.open(
            directory,
            disk=self.disk,
            partition=partition,
            config=config,
            now_ms=now_ms,
            is_clean=self.was_clean,
            recovery_point=self._recovery_points.get(partition, 0),
            log_start_offset=self._log_starts.get(partition, 0),
            topic_id=topic_id,
        )
        return opened

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
        stray = f"{name}.{uuid.uuid4().hex}{STRAY}"
        self.disk.rename(self._file(name), self._file(stray))
        return stray

    def forget_log(self, partition: TopicPartition) -> str:
        """Take a deleted topic's partition out; path of the directory to remove later."""
        forgotten = self.logs.pop(partition)
        forgotten.is_gone = True
        forgotten.unflushed.dropped(forgotten.segments)
        self._recovery_points.pop(partition, None)
        self._log_starts.pop(partition, None)
        renamed = f"{forgotten.directory}.{uuid.uuid4().hex}{DELETE}"
        self.disk.rename(forgotten.directory, renamed)
        self.write_recovery_points()  # the next topic of this name does not inherit them
        self.write_log_starts()
        return renamed

    # ---- checkpoints: written on a thread, while the loop opens and forgets logs

    def write_recovery_points(self) -> None:
        """What need not be checked after a crash. Raises OSError."""
        opened = {tp: one.recovery_point for tp, one in list(self.logs.items())}
        self._write(RECOVERY_POINTS, {**self._recovery_points, **opened})

    def write_log_starts(self) -> None:
        """Starts that are not a segment's beginning. Raises OSError."""
        starts = {
            tp: one.log_start_offset
            for tp, one in list(self.logs.items())
            if one.log_start_offset > one.segments[0].base_offset
        }
        waiting = {tp: at for tp, at in list(self._log_starts.items()) if tp not in self.logs}
        self._write(LOG_STARTS, waiting | starts)

    def write_high_watermarks(self, high_watermarks: dict[TopicPartition, int]) -> None:
        """Raises OSError."""
        self._write(HIGH_WATERMARKS, high_watermarks)

    def _write(self, name: str, offsets: dict[TopicPartition, int]) -> None:
        if self._written.get(name) != offsets:
            write_offsets(self.disk, self._file(name), offsets)
            self._written[name] = offsets

    # ---- the end

    def close(self, broker_epoch: int) -> None:
        """Close every log and leave the clean-shutdown file. Raises KafkaStorageError, OSError."""
        if self.failure is None:
            for one in self.logs.values():
                one.close()
            self.write_recovery_points()
            self.write_log_starts()
            self.journal.close()
            said = json.dumps({"version": 0, "brokerEpoch": broker_epoch})
            self.disk.replace_file(self._file(CLEAN), said.encode())
        if self._lock >= 0:
            self.disk.close(self._lock)
            self._lock = -1
