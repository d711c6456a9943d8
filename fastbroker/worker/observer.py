"""Follows the metadata log as an observer: fetch, replay, one image after the other."""
from __future__ import annotations

import logging
from collections.abc import Callable

from fastbroker.errors import of
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import Deferred, Timers
from fastbroker.net.client import BrokerClient
from fastbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from fastbroker.protocol.record_frames import decode_metadata_record
from fastbroker.records.reader import iter_batches

log = logging.getLogger(__name__)

METADATA_TOPIC_ID = bytes(15) + b"\x01"
FETCH_VERSION = 17
FETCH_MAX_BYTES = 8 << 20
MAX_WAIT_MS = 5000
RETRY_MS = 20

Topic = FetchRequest.FetchTopic


class Observer:
    """Owned by the worker's loop.

    apply(delta, image): called with each change, in order.
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
        apply: Callable[[MetadataDelta, MetadataImage], object],
        fatal: Callable[[BaseException], object],
    ) -> None:
        self.client, self.timers, self.broker_id = client, timers, broker_id
        self.directory_id = directory_id
        self._apply, self._fatal = apply, fatal
        self.image = MetadataImage.empty()
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
            fetch_offset=self.image.offset + 1,
            last_fetched_epoch=max(self.image.epoch, 0),
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
                    f" followed it up to {self.image.offset}"
                )
            )
            return
        if data.records:
            try:
                self._replay(data.records)
            except Exception as error:
                self._is_open = False
                self._fatal(error)
                return
        self._fetch()

    def _replay(self, records: memoryview) -> None:
        delta = MetadataDelta(self.image)
        offset, epoch = self.image.offset, self.image.epoch
        for batch in iter_batches(records):
            offset, epoch = batch.header.last_offset, batch.header.leader_epoch
            if not batch.header.is_control:
                for record in batch.records():
                    delta.replay(decode_metadata_record(record.value or b""))
        if offset > self.image.offset:
            self.image = delta.image(offset, epoch)
            self._apply(delta, self.image)
