"""Where logs begin and end, which offset a time has, and the time of the record at an offset."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from fastbroker import errors
from fastbroker.cli.client import TIMEOUT_S
from fastbroker.cli.leaders import Asked, Found, Leaders
from fastbroker.group.backlog import NO_RECORD, Bounds
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.records.reader import iter_batches

LATEST, EARLIEST = -1, -2  # ListOffsets' special timestamps
CONSUMER = -1
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
# A record's time needs its whole batch: most batches fit; the others are asked for alone.
BATCH_BYTES, FETCH_MAX_BYTES = 32 * 1024, 4 * 1024 * 1024
FETCH_PARTITIONS = 64
NO_TIME = -1  # of a record whose producer gave none
CONTROL_BATCHES_MAX = 8  # skipped in a row until a record's time is given up


def bounds(leaders: Leaders, partitions: Iterable[TopicPartition]) -> Found[Bounds]:
    """The bounds of each partition."""
    wanted = list(partitions)
    start = _list(leaders, wanted, lambda _: EARLIEST)
    stable = _list(leaders, start.values, lambda _: LATEST, READ_COMMITTED)
    # Asked last: between two questions an end can only grow, so stable <= end holds.
    end = _list(leaders, stable.values, lambda _: LATEST)
    return Found(
        {one: Bounds(start.values[one], stable.values[one], end.values[one]) for one in end.values},
        {**start.failed, **stable.failed, **end.failed},
    )


def offsets_at(leaders: Leaders, partitions: Iterable[TopicPartition], time_ms: int) -> Found[int]:
    """The first offset whose record is of `time_ms` or later; -1 when there is none."""
    at_ms = max(0, time_ms)  # what is less means something else
    return _list(leaders, list(partitions), lambda _: at_ms, READ_COMMITTED)


def times(leaders: Leaders, spans: Mapping[TopicPartition, range]) -> dict[TopicPartition, int]:
    """The timestamp of the first record of each span of offsets, in ms; NO_RECORD: there is none.

    A ListOffsets by time would answer from an offset of some time on, and times need not ascend
    with offsets: so the record is fetched. Control batches are passed over, as readers do.
    Partitions of which it cannot be had are left out: a leader that does not answer, a record
    without a time.
    """
    out: dict[TopicPartition, int] = {}
    pending = {one: span.start for one, span in spans.items()}
    each_bytes, most = BATCH_BYTES, FETCH_PARTITIONS
    for _ in range(CONTROL_BATCHES_MAX):
        found = _fetch(leaders, pending, each_bytes, most)
        for one in list(pending):
            time_ms, after = found.get(one, (NO_TIME, None))
            if time_ms is None and after is not None and after >= spans[one].stop:
                time_ms, out[one] = NO_TIME, NO_RECORD
            if time_ms is not None:
                del pending[one]
                if time_ms >= 0:
                    out[one] = time_ms
            elif after is not None:
                pending[one] = after
        if not pending:
            break
        # Of one byte there is always one whole batch, if it is of the first partition.
        each_bytes, most = 1, 1
    return out


def first_time(data: Any, offset: int) -> tuple[int | None, int | None]:
    """(timestamp of the first record at or after `offset`, offset after what was looked at).

    Each is None when there is none: no record, or no whole batch. A batch that cannot be read has
    no time.
    """
    after: int | None = None
    try:
        for batch in iter_batches(data):
            header = batch.header
            after = header.base_offset + header.last_offset_delta + 1
            if after <= offset or header.is_control:
                continue
            for record in batch.records():
                if record.offset >= offset:
                    return record.timestamp, after
    except errors.CorruptMessage:
        return NO_TIME, None
    return None, after


def _list(
    leaders: Leaders, partitions: Iterable[TopicPartition],
    time_of: Callable[[TopicPartition], int], isolation: int = READ_UNCOMMITTED,
) -> Found[int]:  # fmt: skip
    topic = ListOffsetsRequest.ListOffsetsTopic

    def make(asked: Asked) -> ListOffsetsRequest:
        return ListOffsetsRequest(
            replica_id=CONSUMER,
            isolation_level=isolation,
            timeout_ms=int(TIMEOUT_S * 1000),
            topics=[
                topic(
                    name=name,
                    partitions=[
                        topic.ListOffsetsPartition(
                            partition_index=one, timestamp=time_of(TopicPartition(name, one))
                        )
                        for one in indexes
                    ],
                )
                for name, indexes in asked.items()
            ],
        )

    return leaders.ask(partitions, make, _offsets)


def _offsets(response: Any) -> Iterator[tuple[TopicPartition, int, str | None, int]]:
    for topic in response.topics:
        for one in topic.partitions:
            yield TopicPartition(topic.name, one.partition_index), one.error_code, None, one.offset


def _fetch(
    leaders: Leaders, offsets: Mapping[TopicPartition, int], each_bytes: int, most: int
) -> dict[TopicPartition, tuple[int | None, int | None]]:
    """By partition, what first_time says of the data at its offset."""
    make = partial(_fetch_request, leaders, offsets, each_bytes)
    read = partial(_first_times, leaders.ids(), offsets)
    return leaders.ask(offsets, make, read, most=most).values


def _fetch_request(
    leaders: Leaders, offsets: Mapping[TopicPartition, int], each_bytes: int, asked: Asked
) -> FetchRequest:
    topic = FetchRequest.FetchTopic
    return FetchRequest(
        replica_id=CONSUMER,
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=FETCH_MAX_BYTES,
        isolation_level=READ_UNCOMMITTED,
        topics=[
            topic(
                topic=name,
                topic_id=leaders.topics[name].topic_id,
                partitions=[
                    topic.FetchPartition(
                        partition=one,
                        fetch_offset=offsets[TopicPartition(name, one)],
                        partition_max_bytes=each_bytes,
                    )
                    for one in indexes
                ],
            )
            for name, indexes in asked.items()
        ],
    )


def _first_times(
    names: Mapping[bytes, str], offsets: Mapping[TopicPartition, int], response: Any
) -> Iterator[tuple[TopicPartition, int, str | None, tuple[int | None, int | None]]]:
    """Looks at the data at once: of many partitions it is too much to be held."""
    for topic in response.responses:
        name = topic.topic or names.get(topic.topic_id, "")
        for part in topic.partitions:
            one = TopicPartition(name, part.partition_index)
            yield one, part.error_code, None, first_time(part.records or b"", offsets[one])
