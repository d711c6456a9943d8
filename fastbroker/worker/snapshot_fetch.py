"""Reads a snapshot of the metadata from the controller, one piece after the other."""
from __future__ import annotations

import logging
from collections.abc import Callable

from fastbroker.errors import KafkaError, of
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import METADATA_TOPIC, Deferred, OffsetAndEpoch
from fastbroker.net.client import BrokerClient
from fastbroker.protocol.messages.fetch_snapshot import (
    FetchSnapshotRequest,
    FetchSnapshotResponse,
)
from fastbroker.protocol.record_frames import decode_metadata_batch
from fastbroker.raft.snapshot import SnapshotReader

log = logging.getLogger(__name__)

FETCH_SNAPSHOT_VERSION = 1
PIECE_BYTES = 1 << 20  # ten thousand partitions: what is decoded in one go
TIMEOUT_MS = 15_000

Topic = FetchSnapshotRequest.TopicSnapshot


class SnapshotFetch:
    """Made for one snapshot; owned by the worker's loop.

    done(image): with what the snapshot says, or None: it is not to be had, ask for the log anew.
    fatal(error): it is damaged, or not understood.
    """

    def __init__(
        self,
        client: BrokerClient,
        snapshot: OffsetAndEpoch,
        *,
        broker_id: int,
        done: Callable[[MetadataImage | None], object],
        fatal: Callable[[BaseException], object],
    ) -> None:
        self.client, self.snapshot, self.broker_id = client, snapshot, broker_id
        self._done, self._fatal = done, fatal
        self._reader, self._delta = SnapshotReader(), MetadataDelta(MetadataImage.empty())

    def start(self) -> None:
        """Ask for the next piece."""
        partition = Topic.PartitionSnapshot(
            partition=0,
            current_leader_epoch=-1,
            snapshot_id=Topic.PartitionSnapshot.SnapshotId(
                end_offset=self.snapshot.offset, epoch=self.snapshot.epoch
            ),
            position=self._reader.size,
        )
        request = FetchSnapshotRequest(
            replica_id=self.broker_id,
            max_bytes=PIECE_BYTES,
            topics=[Topic(name=METADATA_TOPIC, partitions=[partition])],
        )
        self.client.call(request, FETCH_SNAPSHOT_VERSION, timeout_ms=TIMEOUT_MS).then(self._fetched)

    def _fetched(self, answer: Deferred[FetchSnapshotResponse]) -> None:
        if answer.error is not None:
            self._done(None)
            return
        said = answer.result()
        data = said.topics[0].partitions[0] if said.topics else None
        code = said.error_code or (data.error_code if data is not None else 0)
        if code or data is None:
            log.warning("a snapshot of the metadata cannot be fetched: %s", of(code).name)
            self._done(None)
            return
        try:
            for batch in self._reader.feed(data.unaligned_records):
                self._delta.replay_all(decode_metadata_batch(batch.body(), batch.header.count))
        except KafkaError as error:
            self._fatal(error)
            return
        if self._reader.size < data.size and data.unaligned_records:
            self.start()
        elif self._reader.is_whole:
            self._done(self._delta.image(self.snapshot.offset - 1, self.snapshot.epoch))
        else:
            self._fatal(RuntimeError("a snapshot of the metadata has no end"))
