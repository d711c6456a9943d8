"""The snapshots in the metadata log's directory: when one is due, how it is written and read.

The newest two are kept: should the newest be damaged, the one before and the log behind it say the
same. So the log is needed from the older one on.
"""

from __future__ import annotations

import logging
import os.path
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable

from fastbroker.config.broker import BrokerConfig
from fastbroker.errors import (
    CorruptMessage,
    FencedLeaderEpoch,
    InvalidRequest,
    KafkaError,
    PositionOutOfRange,
    SnapshotNotFound,
    UnknownLeaderEpoch,
    UnknownTopicOrPartition,
)
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import MetadataImage
from fastbroker.metadata.snapshot import records_of
from fastbroker.model import METADATA_TOPIC, OffsetAndEpoch
from fastbroker.protocol.messages.fetch_snapshot import (
    FetchSnapshotRequest,
    FetchSnapshotResponse,
)
from fastbroker.protocol.record_frames import decode_metadata_batch, encode_metadata_record
from fastbroker.raft.snapshot import SnapshotReader, batches_of, id_of, name_of
from fastbroker.raft.state import QuorumState
from fastbroker.storage.disk import Disk

log = logging.getLogger(__name__)

KEPT = 2
FETCH_MAX_BYTES = 8 << 20


class Snapshots:
    """Owned by the controller process's loop; a thread writes, one snapshot at a time.

    ids: of those that are on the medium, the oldest first.
    bytes_since: of the log's records that the newest one does not stand for.
    now_ms: of any clock that does not go back; `is_due` and `begin` are given it, too.
    """

    def __init__(self, disk: Disk, directory: str, config: BrokerConfig, *, now_ms: int) -> None:
        self.disk, self.directory, self.config = disk, directory, config
        found = [id_of(name) for name in disk.list(directory)]
        self.ids = sorted(one for one in found if one is not None)
        self.bytes_since = 0
        self._begun_ms = now_ms
        self._is_writing = False

    @property
    def newest(self) -> OffsetAndEpoch | None:
        return self.ids[-1] if self.ids else None

    def load(self) -> MetadataImage:
        """What the newest snapshot that is sound stands for; the empty image without any.

        Those that are damaged are forgotten, with a line in the log.
        """
        while self.ids:
            snapshot = self.ids[-1]
            try:
                return self._load(snapshot)
            except CorruptMessage as error:
                log.error("%s is passed over: %s", self._path(snapshot), error.message)
                self.ids.pop()
        return MetadataImage.empty()

    def _load(self, snapshot: OffsetAndEpoch) -> MetadataImage:
        reader, delta = SnapshotReader(), MetadataDelta(MetadataImage.empty())
        for batch in reader.feed(self.disk.read_file(self._path(snapshot))):
            delta.replay_all(decode_metadata_batch(batch.body(), batch.header.count))
        if not reader.is_whole:
            raise CorruptMessage("its end is missing")
        return delta.image(snapshot.offset - 1, snapshot.epoch)

    def is_due(self, now_ms: int) -> bool:
        """Whether the log has grown by so much, or something is in no snapshot for so long."""
        if self._is_writing or not self.bytes_since:
            return False
        if self.bytes_since >= self.config["metadata.log.max.record.bytes.between.snapshots"]:
            return True
        interval_ms: int = self.config["metadata.log.max.snapshot.interval.ms"]
        return 0 < interval_ms <= now_ms - self._begun_ms

    def begin(
        self,
        loop: AbstractEventLoop,
        image: MetadataImage,
        snapshot: OffsetAndEpoch,
        *,
        now_ms: int,
        timestamp_ms: int,
        done: Callable[[OSError | None], object],
    ) -> None:
        """Write what `image` says as `snapshot`; `done` is called on the loop, with what failed.

        timestamp_ms: when the last record of it was written.
        """
        self._is_writing, self._begun_ms = True, now_ms
        size = self.bytes_since

        def written(future: Future[None]) -> None:
            self._is_writing = False
            error = future.exception()
            if error is None:
                self.ids.append(snapshot)
                self.bytes_since -= size
                self._drop_old()
            elif not isinstance(error, OSError):
                raise error
            done(error)

        loop.run_in_executor(None, self._write, image, snapshot, timestamp_ms).add_done_callback(
            written
        )

    def _write(self, image: MetadataImage, snapshot: OffsetAndEpoch, timestamp_ms: int) -> None:
        """On a thread: the image is a value, nobody changes it."""
        path = self._path(snapshot)
        fresh = path + ".tmp"  # the log's recovery removes what is left of these
        values = (encode_metadata_record(record) for record in records_of(image))
        fd, at = self.disk.open(fresh, create=True), 0
        try:
            for batch in batches_of(values, epoch=snapshot.epoch, timestamp_ms=timestamp_ms):
                self.disk.pwrite(fd, batch, at)
                at += len(batch)
            self.disk.truncate(fd, at)
            self.disk.sync(fd)
        except OSError:
            self.disk.remove(fresh)
            raise
        finally:
            self.disk.close(fd)
        self.disk.rename(fresh, path)
        self.disk.sync_directory(self.directory)

    def _drop_old(self) -> None:
        while len(self.ids) > KEPT:
            self.disk.remove(self._path(self.ids.pop(0)))

    def read(self, snapshot: OffsetAndEpoch, *, position: int, max_bytes: int) -> tuple[int, bytes]:
        """(size, some bytes from `position` on) of a snapshot's file.

        Raises SnapshotNotFound, PositionOutOfRange, OSError.
        """
        if snapshot not in self.ids:
            raise SnapshotNotFound(f"there is no snapshot {name_of(snapshot)}")
        path = self._path(snapshot)
        size = self.disk.size(path)
        if not 0 <= position < size:
            raise PositionOutOfRange(f"position {position} of {name_of(snapshot)}: [0, {size})")
        fd = self.disk.open(path, write=False)
        try:
            return size, self.disk.pread(fd, max(max_bytes, 1), position)
        finally:
            self.disk.close(fd)

    def _path(self, snapshot: OffsetAndEpoch) -> str:
        return os.path.join(self.directory, name_of(snapshot))


def fetch_snapshot(
    snapshots: Snapshots, state: QuorumState, request: FetchSnapshotRequest
) -> FetchSnapshotResponse:
    """A piece of a snapshot, from the position asked for on. Raises InvalidRequest, OSError."""
    Topic = FetchSnapshotResponse.TopicSnapshot
    Partition = Topic.PartitionSnapshot
    asked = [(topic.name, one) for topic in request.topics for one in topic.partitions]
    if len(asked) != 1:
        raise InvalidRequest("one partition has snapshots here: __cluster_metadata-0")
    name, wanted = asked[0]
    out = Partition(
        index=wanted.partition,
        snapshot_id=Partition.SnapshotId(
            end_offset=wanted.snapshot_id.end_offset, epoch=wanted.snapshot_id.epoch
        ),
        current_leader=Partition.LeaderIdAndEpoch(
            leader_id=state.leader_id, leader_epoch=state.epoch
        ),
        position=wanted.position,
        unaligned_records=b"",
    )
    try:
        if (name, wanted.partition) != (METADATA_TOPIC, 0):
            raise UnknownTopicOrPartition(f"only {METADATA_TOPIC}-0 has snapshots")
        if 0 <= wanted.current_leader_epoch < state.epoch:
            raise FencedLeaderEpoch(f"the quorum is in epoch {state.epoch} by now")
        if wanted.current_leader_epoch > state.epoch:
            raise UnknownLeaderEpoch(f"the quorum is in epoch {state.epoch} yet")
        out.size, out.unaligned_records = snapshots.read(
            OffsetAndEpoch(wanted.snapshot_id.end_offset, wanted.snapshot_id.epoch),
            position=wanted.position,
            max_bytes=min(request.max_bytes, FETCH_MAX_BYTES),
        )
    except KafkaError as error:
        out.error_code = error.code
    return FetchSnapshotResponse(topics=[Topic(name=name, partitions=[out])])
