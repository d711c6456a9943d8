"""ListOffsets, OffsetForLeaderEpoch, DeleteRecords: places in a log."""
from __future__ import annotations

import logging
from typing import Any

from fastbroker.errors import (
    InvalidRequest,
    InvalidTopicException,
    KafkaError,
    KafkaStorageError,
    PolicyViolation,
    UnsupportedVersion,
)
from fastbroker.handlers.context import INTERNAL_TOPICS, RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import Deferred
from fastbroker.partition.partition import (
    EARLIEST_LOCAL,
    EARLIEST_PENDING_UPLOAD,
    LATEST_TIERED,
    MAX_TIMESTAMP,
)
from fastbroker.protocol.messages.delete_records import (
    DeleteRecordsRequest,
    DeleteRecordsResponse,
)
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from fastbroker.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
)

log = logging.getLogger(__name__)

ListedTopic = ListOffsetsResponse.ListOffsetsTopicResponse
Listed = ListedTopic.ListOffsetsPartitionResponse
EpochTopic = OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult
Deleted = DeleteRecordsResponse.DeleteRecordsTopicResult

# Special timestamps and the version that brought each.
SPECIAL_SINCE = {
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
LOWEST_SPECIAL = EARLIEST_PENDING_UPLOAD


@handles(ListOffsetsRequest)
def list_offsets(ctx: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Behaviour
    - timestamp >= 0: the first offset with a timestamp at or after it; -1 when there is none that
      the client can read.
    - -1 the high watermark, or with isolation level READ_COMMITTED the last stable offset; -2 the
      log's start, -3 the record with the largest timestamp, -4 the local log's start, -5 and -6
      what is tiered or waits for it: nothing (-1).
    - A partition named twice is INVALID_REQUEST.

    Versions: 1 one offset; 2 isolation level; 4 leader epochs; 7 -3; 8 -4; 9 -5; 10 timeout;
    11 -6. A special timestamp before its version is UNSUPPORTED_VERSION.
    """
    seen: set[tuple[str, int]] = set()
    twice: set[tuple[str, int]] = set()
    for topic in request.topics:
        for part in topic.partitions:
            key = topic.name, part.partition_index
            (twice if key in seen else seen).add(key)
    return ListOffsetsResponse(
        topics=[
            ListedTopic(
                name=topic.name,
                partitions=[
                    _list_one(
                        ctx, topic.name, part, (topic.name, part.partition_index) in twice,
                        request.isolation_level,
                    )
                    for part in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _list_one(
    ctx: RequestContext, topic: str, asked: Any, is_twice: bool, isolation_level: int
) -> Any:
    number, timestamp = asked.partition_index, asked.timestamp
    try:
        if is_twice:
            raise InvalidRequest(f"partition {number} of {topic} is asked for twice")
        since = SPECIAL_SINCE.get(timestamp, 0)
        if timestamp < LOWEST_SPECIAL or ctx.api_version < since:
            raise UnsupportedVersion(f"timestamp {timestamp} means nothing in v{ctx.api_version}")
        partition = ctx.broker.partition(topic, number)
        partition.check_leader(asked.current_leader_epoch)
        found = partition.find(timestamp, isolation_level)
    except KafkaError as error:
        return Listed(partition_index=number, error_code=error.code)
    if found is None:
        return Listed(partition_index=number)
    return Listed(
        partition_index=number,
        timestamp=found.timestamp,
        offset=found.offset,
        leader_epoch=found.leader_epoch,
    )


@handles(OffsetForLeaderEpochRequest)
def offset_for_leader_epoch(
    ctx: RequestContext, request: OffsetForLeaderEpochRequest
) -> OffsetForLeaderEpochResponse:
    """Behaviour
    - Gives the end of the largest leader epoch that is not above the one asked for, and which it
      is; -1 and -1 when nothing is known (KIP-320).

    Versions: 2 is the first, with the current leader epoch; 3 replica id; 4 flexible.
    """
    return OffsetForLeaderEpochResponse(
        topics=[
            EpochTopic(
                topic=topic.topic,
                partitions=[_end_of(ctx, topic.topic, part) for part in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _end_of(ctx: RequestContext, topic: str, asked: Any) -> Any:
    try:
        partition = ctx.broker.partition(topic, asked.partition)
        partition.check_leader(asked.current_leader_epoch)
        end = partition.end_of_epoch(asked.leader_epoch)
    except KafkaError as error:
        return EpochTopic.EpochEndOffset(partition=asked.partition, error_code=error.code)
    return EpochTopic.EpochEndOffset(
        partition=asked.partition, leader_epoch=end.epoch, end_offset=end.offset
    )


@handles(DeleteRecordsRequest)
def delete_records(
    ctx: RequestContext, request: DeleteRecordsRequest
) -> Deferred[DeleteRecordsResponse]:
    """Behaviour
    - Moves the log's start to an offset, -1: to the high watermark; answers with the new start,
      once it is on disk: what was deleted does not come back.
    - Compacted topics without "delete" are POLICY_VIOLATION, internal ones
      INVALID_TOPIC_EXCEPTION, an offset above the high watermark OFFSET_OUT_OF_RANGE.

    Versions: 2 is flexible.
    """
    response = DeleteRecordsResponse(
        topics=[
            Deleted(
                name=topic.name,
                partitions=[_delete_one(ctx, topic.name, part) for part in topic.partitions],
            )
            for topic in request.topics
        ]
    )
    moved = [
        one for topic in response.topics for one in topic.partitions if not one.error_code
    ]
    answer: Deferred[DeleteRecordsResponse] = Deferred()

    def saved(write: Deferred[None]) -> None:
        if write.error is not None:
            log.error("log starts were not written, no deletion is confirmed: %s", write.error)
            for one in moved:
                one.error_code, one.low_watermark = KafkaStorageError.code, -1
        answer.complete(response)

    if moved:
        ctx.broker.save_log_starts().then(saved)
    else:
        answer.complete(response)
    return answer


def _delete_one(ctx: RequestContext, topic: str, asked: Any) -> Any:
    number = asked.partition_index
    try:
        if topic in INTERNAL_TOPICS:
            raise InvalidTopicException(f"records of the internal topic {topic} stay")
        partition = ctx.broker.partition(topic, number)
        partition.check_leader()
        if "delete" not in partition.log.config.cleanup_policy:
            raise PolicyViolation(f"cleanup.policy of {topic} is without delete")
        start = partition.delete_records(asked.offset)
    except KafkaError as error:
        return Deleted.DeleteRecordsPartitionResult(
            partition_index=number, low_watermark=-1, error_code=error.code
        )
    return Deleted.DeleteRecordsPartitionResult(partition_index=number, low_watermark=start)
