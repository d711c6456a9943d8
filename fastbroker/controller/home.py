"""The controller's directory.

    controller-<id>/meta.properties               version, cluster.id, node.id, directory.id
    controller-<id>/recovery-point-offset-checkpoint   how much of the log was on disk for sure
    controller-<id>/reserve                       space for the log's last writes on a full disk
    controller-<id>/__cluster_metadata-0/         the log, leader-epoch-checkpoint, quorum-state,
                                                  snapshots
"""

from __future__ import annotations

import logging
import os.path
from typing import NamedTuple

from fastbroker.config.broker import BrokerConfig, ConfigError
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaStorageError
from fastbroker.model import METADATA_TOPIC, TopicPartition
from fastbroker.raft.state import QuorumState, UnsupportedState
from fastbroker.storage.checkpoints import (
    CorruptFile,
    UnknownVersion,
    read_identity,
    read_offsets,
    write_offsets,
    write_properties,
)
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.offset_checkpoints import RECOVERY_POINTS
from fastbroker.storage.opening import open_log
from fastbroker.storage.recovery import sync_what_is_left
from fastbroker.storage.reserve import Reserve
from fastbroker.uuids import new_uuid, uuid_bytes, uuid_text

log = logging.getLogger(__name__)

PARTITION = TopicPartition(METADATA_TOPIC, 0)
RESERVE_BYTES = 4 << 20  # thousands of changes of the metadata, while somebody frees space
SEGMENT_MS = 7 * 24 * 3_600_000


class Identity(NamedTuple):
    """Who this directory belongs to."""

    cluster_id: str
    node_id: int
    directory_id: bytes


class Home:
    """The files of one controller, other than its log's. Owned by the controller process."""

    def __init__(self, config: BrokerConfig, disk: Disk) -> None:
        self.config, self.disk = config, disk
        self.path = os.path.join(config.data_dir, f"controller-{config.node_id}")
        self.log_path = os.path.join(self.path, str(PARTITION))
        self.socket_path = os.path.join(config.data_dir, "run", f"controller-{config.node_id}.sock")
        self._points_path = os.path.join(self.path, RECOVERY_POINTS)
        self.reserve = Reserve(
            disk, os.path.join(self.path, "reserve"), directory=self.path, size=RESERVE_BYTES
        )
        self._state_path = os.path.join(self.log_path, "quorum-state")

    def identity(self) -> Identity:
        """From meta.properties, which the first start writes. Raises ConfigError."""
        self.disk.make_directory(self.path)
        path = os.path.join(self.path, "meta.properties")
        if not self.disk.exists(path):
            if self.disk.exists(self.log_path):
                raise ConfigError(
                    f"{path} is missing, but there is a metadata log in {self.log_path}: restore it"
                    " from a backup, or point log.dirs at an empty directory"
                )
            made = Identity(uuid_text(new_uuid()), self.config.node_id, new_uuid())
            fields = {
                "version": 1,
                "cluster.id": made.cluster_id,
                "node.id": made.node_id,
                "directory.id": uuid_text(made.directory_id),
            }
            write_properties(self.disk, path, fields)
            return made
        try:
            found = read_identity(self.disk, path)
            node_id, directory_id = int(found["node.id"]), uuid_bytes(found["directory.id"])
            cluster_id = found["cluster.id"]
        except (CorruptFile, UnknownVersion) as error:
            raise ConfigError(f"{error}, or point log.dirs at an empty directory") from None
        except KeyError as error:
            raise ConfigError(f"{path} is damaged, {error} is missing: restore it") from None
        if node_id != self.config.node_id:
            raise ConfigError(
                f"{path}: the directory belongs to node {node_id}, node.id is"
                f" {self.config.node_id}: set node.id back, or point log.dirs at another directory"
            )
        return Identity(cluster_id, node_id, directory_id)

    def open_log(self, now_ms: int) -> Log:
        """The metadata log; a torn batch at its end is cut off. Raises ConfigError when it is
        damaged below that."""
        config = TopicConfig(
            segment_bytes=self.config["metadata.log.segment.bytes"],
            segment_ms=SEGMENT_MS,
            retention_ms=-1,
        )
        self.disk.make_directory(self.log_path)
        fd = self.disk.open(self.log_path, write=False)
        try:
            sync_what_is_left(self.disk, fd, self.log_path)
        finally:
            self.disk.close(fd)
        try:
            return open_log(
                self.log_path,
                disk=self.disk,
                partition=PARTITION,
                config=config,
                now_ms=now_ms,
                recovery_point=self._recovery_point(),
            )
        except (UnknownVersion, KafkaStorageError) as error:
            raise ConfigError(str(error)) from error

    def _recovery_point(self) -> int:
        try:
            return read_offsets(self.disk, self._points_path).get(PARTITION, 0)
        except CorruptFile as error:
            log.warning("%s: the metadata log is checked from its beginning", error)
            return 0

    def save_recovery_point(self, offset: int) -> None:
        """Everything below `offset` is on disk: what is damaged there was not left by a crash, and
        is not cut. Raises OSError."""
        write_offsets(self.disk, self._points_path, {PARTITION: offset})

    def quorum_state(self) -> QuorumState:
        """What the last life of this voter has promised. Raises ConfigError."""
        if not self.disk.exists(self._state_path):
            return QuorumState()
        try:
            return QuorumState.from_json(self.disk.read_file(self._state_path).decode())
        except UnsupportedState as error:
            raise ConfigError(
                f"{self._state_path} has {error}: use the version of the broker that wrote it"
            ) from None
        except ValueError as error:
            raise ConfigError(
                f"{self._state_path} is damaged ({error}): restore it from a backup; if this node"
                " is the only voter, removing the file is safe"
            ) from None

    def save(self, state: QuorumState) -> None:
        """Keep `state`; on disk when this returns."""
        text = state.to_json([self.config.node_id])
        self.disk.replace_file(self._state_path, text.encode())
