"""Follows the metadata log as an observer: fetch, replay, one image after the other.

It begins with the newest snapshot, if the controller has one.

    read, nothing applied --own registration--> its image applied, in parts --> every change applied

What the log says before the registration of this process is of the past: topics that were deleted
since, leaderships that others, or an earlier life of this broker, had. Carried out once more, it
would put a topic's directory aside for the sake of an older one of that name, and have coordinators
decide on a cluster that is no more.
"""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fastbroker.errors import of
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import METADATA_TOPIC_ID, Deferred, OffsetAndEpoch, Timers
from fastbroker.net.client import BrokerClient
from fastbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from fastbroker.protocol.metadata_records import TopicRecord
from fastbroker.protocol.record_frames import decode_metadata_batch
from fastbroker.protocol.schema import Struct
from fastbroker.records.reader import Batch, iter_batches
from fastbroker.worker.snapshot_fetch import SnapshotFetch

log = logging.getLogger(__name__)

FETCH_VERSION = 17
FETCH_MAX_BYTES = 8 << 20
MAX_WAIT_MS = 5000
RETRY_MS = 20
# Records of one image, more or less: each costs a copy of the dicts that it changes, and what is
# applied with it is applied in one go.
CHANGE_RECORDS = 512
TURN_MS = 20  # of work, before others have their turn

Topic = FetchRequest.FetchTopic


class Change(NamedTuple):
    """A part of the metadata log; offset, epoch: of its last record."""

    delta: MetadataDelta
    offset: int
    epoch: int
    is_last: bool


class Observer:
    """Owned by the worker's loop.

    image: what is applied; what has been read may be ahead of it until the registration is found.
    is_registered(image): whether it holds the registration of this process.
    apply(delta, image): called with each change, in order; the first image comes as several, which
        have the whole image and some of its topics changed.
    fatal(error): the controller's log is not the one that was followed, or a record could not be
        applied: nothing here can be trusted, start anew.
    """

    def __init__(
        self,
        client: BrokerClient,
        timers: Timers,
        broker_id: int,
        directory_id: bytes,
        *,
        is_registered: Callable[[MetadataImage], bool],
        apply: Callable[[MetadataDelta, MetadataImage], object],
        fatal: Callable[[BaseException], object],
    ) -> None:
        self.client, self.timers, self.broker_id = client, timers, broker_id
        self.directory_id = directory_id
        self._is_registered, self._apply, self._fatal = is_registered, apply, fatal
        self.image = self._read = MetadataImage.empty()
        self._is_current = False
        self._is_open = True

    def start(self) -> None:
        self._fetch()

    def close(self) -> None:
        self._is_open = False

    def _fetch(self) -> None:
        if not self._is_open:
            return
        partition = Topic.FetchPartition(
            partition=0,
            current_leader_epoch=-1,
            fetch_offset=self._read.offset + 1,
            last_fetched_epoch=max(self._read.epoch, 0),
            log_start_offset=0,
            partition_max_bytes=FETCH_MAX_BYTES,
            replica_directory_id=self.directory_id,
        )
        request = FetchRequest(
            replica_state=FetchRequest.ReplicaState(replica_id=self.broker_id),
            max_wait_ms=MAX_WAIT_MS,
            min_bytes=1,
            max_bytes=FETCH_MAX_BYTES,
            topics=[Topic(topic_id=METADATA_TOPIC_ID, partitions=[partition])],
            forgotten_topics_data=[],
        )
        self.client.call(request, FETCH_VERSION, timeout_ms=MAX_WAIT_MS * 3).then(self._fetched)

    def _fetched(self, answer: Deferred[FetchResponse]) -> None:
        if not self._is_open:
            return
        if answer.error is not None:
            self.timers.after(RETRY_MS, self._fetch)
            return
        said = answer.result()
        data = said.responses[0].partitions[0] if said.responses else None
        code = said.error_code or (data.error_code if data is not None else 0)
        if code or data is None:
            log.warning("the metadata log cannot be fetched: %s", of(code).name)
            self.timers.after(RETRY_MS * 10, self._fetch)
            return
        if data.diverging_epoch is not None:
            self._fatal(
                RuntimeError(
                    f"the metadata log ends at {data.diverging_epoch.end_offset}, this worker has"
                    f" followed it up to {self._read.offset}"
                )
            )
            return
        if data.snapshot_id is not None:
            self._read_snapshot(
                OffsetAndEpoch(data.snapshot_id.end_offset, data.snapshot_id.epoch)
            )
        elif data.records:
            self._go_on(self._follow(data.records))
        else:
            self._fetch()

    def _read_snapshot(self, snapshot: OffsetAndEpoch) -> None:
        if self._is_current:
            self._fatal(
                RuntimeError(
                    f"the metadata log has no offset {self._read.offset + 1} any more, which is the"
                    " next for this worker"
                )
            )
            return

        def done(image: MetadataImage | None) -> None:
            if not self._is_open:
                return
            if image is None:
                self.timers.after(RETRY_MS * 10, self._fetch)
                return
            self._read = image
            self._go_on(self._begin(image) if self._is_registered(image) else iter(()))

        SnapshotFetch(
            self.client, snapshot, broker_id=self.broker_id, done=done, fatal=self._fatal
        ).start()

    def _go_on(self, steps: Iterator[None]) -> None:
        """As many of `steps` as one turn has time for; the rest after others had theirs, then fetch
        again."""
        if not self._is_open:
            return
        until = self.timers.monotonic_ms() + TURN_MS
        try:
            for _ in steps:
                if self.timers.monotonic_ms() >= until:
                    self.timers.after(0, self._go_on, steps)
                    return
        except Exception as error:
            self._is_open = False
            self._fatal(error)
            return
        self._fetch()

    def _follow(self, records: memoryview) -> Iterator[None]:
        """Read `records`, and apply them once this process is registered; a pause at each yield."""
        if not self._is_current:
            yield from self._read_on(records)
            return
        for change in self._changes(records):
            self.image = self._read = change.delta.image(change.offset, change.epoch)
            self._apply(change.delta, self.image)
            if not change.is_last:
                yield

    def _read_on(self, records: memoryview) -> Iterator[None]:
        """Read all of `records` as one step towards the first image."""
        delta, offset, epoch = MetadataDelta(self._read), self._read.offset, self._read.epoch
        for batch in iter_batches(records):
            delta.replay_all(_messages(batch))
            offset, epoch = batch.header.last_offset, batch.header.leader_epoch
            yield
        if offset > self._read.offset:
            self._read = delta.image(offset, epoch)
            if self._is_registered(self._read):
                yield from self._begin(self._read)

    def _begin(self, image: MetadataImage) -> Iterator[None]:
        """Apply the first image, some topics at a time."""
        self._is_current = True
        delta, count = MetadataDelta(MetadataImage.empty()), 0
        delta.changed_brokers, delta.changed_configs = set(image.brokers), set(image.configs)
        for topic in image.topics.values():
            if count >= CHANGE_RECORDS:
                self._apply(delta, image)
                yield
                delta, count = MetadataDelta(MetadataImage.empty()), 0
            delta.changed_topics.add(topic.name)
            count += 1 + len(topic.partitions)
        self.image = image  # now it is all applied
        self._apply(delta, image)

    def _changes(self, records: memoryview) -> Iterator[Change]:
        """What `records` change, cut between topics: ten thousand new ones are ten thousand logs to
        make. What is read must be the last change's image when the next is asked for."""
        delta, count = MetadataDelta(self._read), 0
        offset, epoch = self._read.offset, self._read.epoch
        for batch in iter_batches(records):
            messages, begun = _messages(batch), 0
            for at, message in enumerate(messages):
                if count + at - begun >= CHANGE_RECORDS and isinstance(message, TopicRecord):
                    delta.replay_all(messages[begun:at])
                    if at:
                        offset = batch.header.base_offset + at - 1
                        epoch = batch.header.leader_epoch
                    yield Change(delta, offset, epoch, False)
                    delta, count, begun = MetadataDelta(self._read), 0, at
            delta.replay_all(messages[begun:])
            count += len(messages) - begun
            offset, epoch = batch.header.last_offset, batch.header.leader_epoch
        if offset > self._read.offset:
            yield Change(delta, offset, epoch, True)


def _messages(batch: Batch) -> list[Struct]:
    """The metadata records of a batch; a control batch has none."""
    if batch.header.is_control:
        return []
    return decode_metadata_batch(batch.body(), batch.header.count)
