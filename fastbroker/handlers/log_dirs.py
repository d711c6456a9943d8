"""DescribeLogDirs: what lies where."""
from __future__ import annotations

from collections import defaultdict
from typing import Any

from fastbroker.errors import KafkaStorageError
from fastbroker.handlers.context import RequestContext
from fastbroker.handlers.registry import handles
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.describe_log_dirs import (
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)

Result = DescribeLogDirsResponse.DescribeLogDirsResult
Topic = Result.DescribeLogDirsTopic


@handles(DescribeLogDirsRequest)
def describe_log_dirs(
    ctx: RequestContext, request: DescribeLogDirsRequest
) -> DescribeLogDirsResponse:
    """Behaviour
    - This broker's directory with the sizes of the partitions asked for; null: all.
    - An offline directory is KAFKA_STORAGE_ERROR.

    Versions: 1 is the first; 3 an error for all; 4 bytes of the file system; 5 cordoned.
    """
    broker = ctx.broker
    log_dir = broker.log_dir
    if log_dir.failure is not None:
        failed = Result(error_code=KafkaStorageError.code, log_dir=log_dir.path, topics=[])
        return DescribeLogDirsResponse(results=[failed])
    wanted = None
    if request.topics is not None:
        wanted = {TopicPartition(t.topic, n) for t in request.topics for n in t.partitions}
    topics: dict[str, list[Any]] = defaultdict(list)
    for name, partition in sorted(broker.partitions.items()):
        if wanted is None or name in wanted:
            log = partition.opened  # an answer about sizes opens nobody's log
            lag = 0 if log is None else max(partition.high_watermark - log.log_end_offset, 0)
            topics[name.topic].append(
                Topic.DescribeLogDirsPartition(
                    partition_index=name.partition,
                    partition_size=log_dir.size_of(name),
                    offset_lag=lag,
                )
            )
    total, usable = log_dir.disk.usable_bytes(log_dir.path)
    result = Result(
        log_dir=log_dir.path,
        topics=[Topic(name=name, partitions=parts) for name, parts in topics.items()],
        total_bytes=total,
        usable_bytes=usable,
    )
    return DescribeLogDirsResponse(results=[result])
