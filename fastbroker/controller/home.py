"""The controller's directory.

    controller-<id>/meta.properties               version, cluster.id, node.id, directory.id
    controller-<id>/__cluster_metadata-0/         the log, leader-epoch-checkpoint, quorum-state
"""

from __future__ import annotations

import os.path
from typing import NamedTuple

from fastbroker.config.broker import BrokerConfig, ConfigError
from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.raft.quorum import METADATA_TOPIC
from fastbroker.raft.state import QuorumState
from fastbroker.storage.checkpoints import read_properties, write_properties
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.uuids import new_uuid, uuid_bytes, uuid_text

PARTITION = TopicPartition(METADATA_TOPIC, 0)
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
        self._state_path = os.path.join(self.log_path, "quorum-state")

    def identity(self) -> Identity:
        """From meta.properties, which the first start writes. Raises ConfigError."""
        self.disk.make_directory(self.path)
        path = os.path.join(self.path, "meta.properties")
        found = read_properties(self.disk, path)
        if not found:
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
            node_id, directory_id = int(found["node.id"]), uuid_bytes(found["directory.id"])
            cluster_id = found["cluster.id"]
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{path}: cluster.id, node.id or directory.id is missing or damaged ({error}):"
                " restore the file, or point log.dirs at an empty directory"
            ) from None
        if node_id != self.config.node_id:
            raise ConfigError(
                f"{path}: the directory belongs to node {node_id}, node.id is"
                f" {self.config.node_id}: set node.id back, or point log.dirs at another directory"
            )
        return Identity(cluster_id, node_id, directory_id)

    def open_log(self, now_ms: int) -> Log:
        """The metadata log; a torn batch at its end is cut off."""
        config = TopicConfig(
            segment_bytes=self.config["metadata.log.segment.bytes"],
            segment_ms=SEGMENT_MS,
            retention_ms=-1,
        )
        self.disk.make_directory(self.log_path)
        return Log.open(
            self.log_path, disk=self.disk, partition=PARTITION, config=config, now_ms=now_ms
        )

    def quorum_state(self) -> QuorumState:
        """What the last life of this voter has promised."""
        if not self.disk.exists(self._state_path):
            return QuorumState()
        try:
            return QuorumState.from_json(self.disk.read_file(self._state_path).decode())
        except ValueError as error:
            raise ConfigError(
                f"{self._state_path} is damaged ({error}): restore it from a backup; if this node"
                " is the only voter, removing the file is safe"
            ) from None

    def save(self, state: QuorumState) -> None:
        """Keep `state`; on disk when this returns."""
        text = state.to_json([self.config.node_id])
        self.disk.replace_file(self._state_path, text.encode())
