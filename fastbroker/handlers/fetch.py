"""Fetch: batches from the log, sent from its files, waited for when there are none yet."""
from __future__ import annotations

from typing import Any, NamedTuple

from fastbroker._c.connection import unsent_bytes
from fastbroker.errors import (
    FencedLeaderEpoch,
    FetchSessionIdNotFound,
    FetchSessionTopicIdError,
    InconsistentTopicId,
    InvalidFetchSessionEpoch,
    KafkaError,
    KafkaStorageError,
    NotLeaderOrFollower,
    UnknownTopicId,
    UnknownTopicOrPartition,
)
from fastbroker.handlers.context import Broker, RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred, OffsetAndEpoch, Timer
from fastbroker.partition.fetch_session import (
    FINAL_EPOCH,
    INITIAL_EPOCH,
    FetchSession,
    SessionPartition,
)
from fastbroker.partition.partition import Partition
from fastbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from fastbroker.storage.segments import Slice

TopicData = FetchResponse.FetchableTopicResponse
PartitionData = TopicData.PartitionData
AbortedTransaction = PartitionData.AbortedTransaction

BY_ID_SINCE = 13
SESSIONS_SINCE = 7
# From this size on a slice is sent from the file instead of being copied: what python -m
# loadtests.micro.fetch measures over loopback, where sendfile costs more below.
SENDFILE_MIN = 512 * 1024
# Bytes that may wait in memory for slow readers, in one process; then files are sent, too.
UNSENT_BYTES_MAX = 64 * 1024 * 1024
# What one response copies at most; the rest is sent from files. A client that asks for thousands of
# small pieces and does not read would have them all held in memory.
COPIED_BYTES_MAX = 1024 * 1024

Key = tuple[str | bytes, int]  # topic name, or id from version 13 on, and partition


class Found(NamedTuple):
    """What one partition has for this fetch."""

    asked: SessionPartition
    partition: Partition | None
    slice: Slice | None
    error: KafkaError | None
    diverging: OffsetAndEpoch | None


@handles(FetchRequest)
def fetch(
    ctx: RequestContext, request: FetchRequest
) -> FetchResponse | Deferred[FetchResponse]:
    """Behaviour
    - Gives what is below the high watermark from each offset on, at most max_bytes and
      partition_max_bytes, in the order of the request; but the first batch of the first partition
      that has data is always whole. A response may end inside a batch.
    - With isolation level READ_COMMITTED, what is below the last stable offset; and the producers
      whose transactional batches, from an offset up to an abort marker, the client leaves out.
    - Waits until min_bytes are there or max_wait_ms is over; answers at once when a partition has
      an error.
    - Data is sent from the segment file from SENDFILE_MIN bytes on, and copied below.
    - Sessions (KIP-227): see fetch_session.py; an incremental response holds only what changed.
    - A reader whose last fetched epoch has ended before its offset is told where (KIP-320).
    - Followers are not served yet: NOT_LEADER_OR_FOLLOWER.

    Versions: 4 is the first; 5 log start offsets; 7 sessions; 9 current leader epoch; 11 rack;
    12 last fetched epoch; 13 topics by id; 15 replica state; 16 hints to the leader (KIP-951);
    17 directory id; 18 the follower's high watermark.
    """
    broker = ctx.broker
    by_id = ctx.api_version >= BY_ID_SINCE
    asked: list[tuple[Key, SessionPartition]] = []
    for topic in request.topics:
        name = topic.topic
        if by_id:
            image = broker.image.topics_by_id.get(topic.topic_id)
            name = image.name if image is not None else ""
        for part in topic.partitions:
            key = (topic.topic_id if by_id else name, part.partition)
            asked.append((key, SessionPartition(name, topic.topic_id, part.partition, part)))
    session: FetchSession | None = None
    is_full = True
    if ctx.api_version >= SESSIONS_SINCE:
        sessions = broker.sessions
        if request.session_epoch in (FINAL_EPOCH, INITIAL_EPOCH):
            if request.session_id:
                sessions.end(request.session_id)
            if request.session_epoch == INITIAL_EPOCH:
                now_ms = broker.timers.monotonic_ms()
                session = sessions.begin(len(asked), by_id=by_id, now_ms=now_ms)
                if session is not None:
                    session.update(asked, ())
        else:
            forgotten = [
                (topic.topic_id if by_id else topic.topic, number)
                for topic in request.forgotten_topics_data
                for number in topic.partitions
            ]
            now_ms = broker.timers.monotonic_ms()
            try:
                session = sessions.go_on(
                    request.session_id, request.session_epoch, asked, forgotten, by_id=by_id,
                    now_ms=now_ms,
                )  # fmt: skip
            except (
                FetchSessionIdNotFound, InvalidFetchSessionEpoch, FetchSessionTopicIdError,
            ) as error:  # fmt: skip
                return FetchResponse(error_code=error.code)
            if session is not None:
                is_full = False
                asked = list(session.partitions.items())
                _resolve_names(broker, session)
    replica = request.replica_id
    if request.replica_state is not None:
        replica = request.replica_state.replica_id
    reading = _Reading(ctx, request, asked, session, is_full=is_full, is_replica=replica >= 0)
    if reading.look():
        return reading.response()
    return reading.wait(request.max_wait_ms)


def _resolve_names(broker: Broker, session: FetchSession) -> None:
    """Topics of a session that had no name yet, or have lost it."""
    if session.by_id:
        for one in session.partitions.values():
            image = broker.image.topics_by_id.get(one.topic_id)
            one.topic = image.name if image is not None else ""


class _Reading:
    """One fetch: looks at its partitions, waits, and makes the response."""

    def __init__(
        self, ctx: RequestContext, request: FetchRequest,
        asked: list[tuple[Key, SessionPartition]], session: FetchSession | None, *,
        is_full: bool, is_replica: bool,
    ) -> None:  # fmt: skip
        self.ctx, self.broker, self.asked, self.session = ctx, ctx.broker, asked, session
        self.is_full, self.is_replica = is_full, is_replica
        self.isolation_level = request.isolation_level
        self.min_bytes = request.min_bytes
        self.max_wait_ms = request.max_wait_ms
        self.max_bytes = min(request.max_bytes, self.broker.config["fetch.max.bytes"])
        self.copied = 0
        self.found: list[Found] = []
        self.watched: list[Partition] = []
        self.deferred: Deferred[FetchResponse] | None = None
        self.timer: Timer | None = None

    # ---- looking

    def look(self) -> bool:
        """See what there is; whether it is to be answered now."""
        left, size, urgent = self.max_bytes, 0, not self.asked
        self.found = found = []
        for _, asked in self.asked:
            one = self._look_at(asked, left, at_least_one=size == 0)
            found.append(one)
            if one.slice is not None:
                size += one.slice.size
                left -= one.slice.size
            if one.error is not None or one.diverging is not None:
                urgent = True
        return urgent or size >= self.min_bytes or self.max_wait_ms <= 0

    def _look_at(self, asked: SessionPartition, left: int, *, at_least_one: bool) -> Found:
        wanted, partition = asked.asked, None
        try:
            if self.ctx.api_version >= BY_ID_SINCE and not asked.topic:
                raise UnknownTopicId(f"there is no topic with the id {asked.topic_id.hex()}")
            partition = self.broker.partition(asked.topic, asked.number)
            if self.ctx.api_version >= BY_ID_SINCE and partition.topic_id != asked.topic_id:
                raise InconsistentTopicId(f"{partition.name} has been made anew with another id")
            if self.is_replica:
                raise NotLeaderOrFollower("replicas are not supported yet")
            partition.check_leader(wanted.current_leader_epoch)
            diverging = partition.diverging_epoch(wanted.fetch_offset, wanted.last_fetched_epoch)
            if diverging is not None:
                return Found(asked, partition, None, None, diverging)
            piece = partition.read(
                wanted.fetch_offset,
                max_bytes=max(min(wanted.partition_max_bytes, left), 0),
                at_least_one=at_least_one,
                isolation_level=self.isolation_level,
            )
            return Found(asked, partition, piece if piece.size else None, None, None)
        except KafkaError as error:
            return Found(asked, partition, None, error, None)

    # ---- waiting

    def wait(self, max_wait_ms: int) -> Deferred[FetchResponse]:
        """The response once there is enough, or the wait is over."""
        self.deferred = Deferred()
        for one in self.found:
            assert one.partition is not None
            one.partition.purgatory.await_data(self, self.wake)
            self.watched.append(one.partition)
        self.timer = self.broker.timers.after(max_wait_ms, self.time_out)
        self.broker.on_close(self.ctx.connection, self._leave)
        return self.deferred

    def wake(self) -> None:
        """Something has changed at one of the partitions."""
        if self.look():
            self._finish()

    def time_out(self) -> None:
        """What is there now has to do."""
        self.look()
        self._finish()

    def _leave(self) -> None:
        """Wait no longer; the answer may never be given, when the connection has closed."""
        for partition in self.watched:
            partition.purgatory.leave(self)
        self.watched.clear()
        if self.timer is not None:
            self.timer.cancel()

    def _finish(self) -> None:
        self.broker.on_close(self.ctx.connection, None)
        self._leave()
        assert self.deferred is not None
        if not self.deferred.done:
            self.deferred.complete(self.response())

    # ---- answering

    def response(self) -> FetchResponse:
        """What was found last."""
        response = FetchResponse(session_id=self.session.id if self.session is not None else 0)
        by_topic: dict[str | bytes, Any] = {}
        for (key, _), one in zip(self.asked, self.found, strict=True):
            data = self._data(one, response)
            if self.session is not None:
                changed = self._is_news(one, data)
                if not self.is_full:
                    if one.slice is not None:
                        self.session.answered(key)
                    if not changed:
                        continue
            asked = one.asked
            topic = by_topic.get(key[0])
            if topic is None:
                topic = TopicData(topic=asked.topic, topic_id=asked.topic_id, partitions=[])
                by_topic[key[0]] = topic
            topic.partitions.append(data)
        response.responses = list(by_topic.values())
        return response

    def _data(self, one: Found, response: FetchResponse) -> Any:
        number = one.asked.number
        if one.error is not None:
            failed = PartitionData(
                partition_index=number, error_code=one.error.code, high_watermark=-1, records=b""
            )
            if not isinstance(one.error, UnknownTopicOrPartition | UnknownTopicId):
                failed.aborted_transactions = None
            self._hint(one, failed, response)
            return failed
        assert one.partition is not None
        high_watermark = one.partition.high_watermark
        data = PartitionData(
            partition_index=number,
            high_watermark=high_watermark,
            last_stable_offset=one.partition.last_stable_offset,
            log_start_offset=one.partition.log.log_start_offset,
            # Null says that nobody looked for aborted transactions.
            aborted_transactions=[] if self.isolation_level else None,
            records=b"",
        )
        if one.diverging is not None:
            data.diverging_epoch = PartitionData.EpochEndOffset(
                epoch=one.diverging.epoch, end_offset=one.diverging.offset
            )
        elif one.slice is not None:
            size = one.slice.size
            try:
                if self.isolation_level and one.partition.log.last_abort >= 0:
                    start = one.asked.asked.fetch_offset
                    data.aborted_transactions = _aborted_in(one.partition, start, one.slice)
                if (
                    size >= SENDFILE_MIN
                    or self.copied + size > COPIED_BYTES_MAX
                    or unsent_bytes() > UNSENT_BYTES_MAX
                ):
                    data.records = one.slice.range()
                else:
                    self.copied += size
                    data.records = one.partition.log.copy(one.slice)
                one.partition.sent_bytes += size
            except (OSError, KafkaStorageError) as why:
                if isinstance(why, OSError):
                    self.broker.log_dir.fault(why)
                return PartitionData(
                    partition_index=number, error_code=KafkaStorageError.code, high_watermark=-1,
                    records=b"",
                )  # fmt: skip
        return data

    def _is_news(self, one: Found, data: Any) -> bool:
        """Whether a session's client does not know this yet; remembers that it does."""
        asked = one.asked
        changed = (
            one.slice is not None
            or one.error is not None
            or one.diverging is not None
            or data.high_watermark != asked.high_watermark
            or data.log_start_offset != asked.log_start_offset
        )
        asked.high_watermark, asked.log_start_offset = data.high_watermark, data.log_start_offset
        if one.error is not None:
            asked.high_watermark = -1  # to be sent again once the error has gone
        return changed

    def _hint(self, one: Found, failed: Any, response: FetchResponse) -> None:
        """Who leads instead (KIP-951)."""
        if self.ctx.api_version < 16 or one.partition is None:
            return
        if not isinstance(one.error, NotLeaderOrFollower | FencedLeaderEpoch):
            return
        node = self.broker.node(one.partition.leadership.leader, self.ctx)
        if node is None:
            return
        failed.current_leader = PartitionData.LeaderIdAndEpoch(
            leader_id=node.id, leader_epoch=one.partition.leader_epoch
        )
        if all(known.node_id != node.id for known in response.node_endpoints):
            # Once for all of its partitions: Java's consumer ends on a broker that is told twice.
            endpoint = FetchResponse.NodeEndpoint(
                node_id=node.id, host=node.host, port=node.port, rack=node.rack
            )
            response.node_endpoints = [*response.node_endpoints, endpoint]


def _aborted_in(partition: Partition, start: int, piece: Slice) -> list[Any]:
    """What a reader from `start` on that wants committed data leaves out of `piece`."""
    return [
        AbortedTransaction(producer_id=one.producer_id, first_offset=one.first_offset)
        for one in partition.aborted_transactions(start, partition.log.bound(piece))
    ]
