"""Topics: made before a run, and asked for without blocking."""
from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import gevent
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from loadtests.users.kafka_user import LEAST_PAUSE_S, blocking, client_settings

LEAST_SEGMENT = 16 << 20
LEAST_TIMEOUT_S = 10.0  # a run may be about shorter ones, its topics are not


def answer(futures: Mapping[Any, Any] | Any) -> Any:
    """What a future of the admin client, the only one of a dict, has; raises KafkaException.

    librdkafka sets it from a thread of its own: a greenlet asks for it instead of waiting.
    """
    future = next(iter(futures.values())) if isinstance(futures, Mapping) else futures
    while not future.done():
        gevent.sleep(LEAST_PAUSE_S)
    return future.result()


def retention(options: argparse.Namespace) -> dict[str, str]:
    """Settings of a topic that keep a long run from filling a disk."""
    each = max(1 << 20, options.retention_bytes // options.partitions)
    return {"retention.bytes": str(each), "segment.bytes": str(max(LEAST_SEGMENT, each // 4))}


def create(options: argparse.Namespace) -> None:
    """The topics of a run, unless they are there. KafkaException says why not."""
    admin = AdminClient(client_settings(options))
    timeout_s = max(LEAST_TIMEOUT_S, options.timeout)
    there = _described(admin, timeout_s)
    for topic in _names(options):
        if topic in there:
            continue
        wanted = NewTopic(
            topic, num_partitions=options.partitions, config=retention(options),
            replication_factor=options.replication_factor,
        )  # fmt: skip
        try:
            answer(admin.create_topics([wanted], request_timeout=timeout_s))
        except KafkaException as failure:
            if failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    end = time.monotonic() + timeout_s
    while not _known(_described(admin, timeout_s), options) and time.monotonic() < end:
        gevent.sleep(0.05)


def _known(there: Mapping[str, Any], options: argparse.Namespace) -> bool:
    """Whether a broker has heard of all partitions' leaders."""
    topics = [there.get(name) for name in _names(options)]
    return all(
        topic is not None and topic.partitions
        and all(partition.leader >= 0 for partition in topic.partitions.values())
        for topic in topics
    )  # fmt: skip


def _described(admin: AdminClient, timeout_s: float) -> Mapping[str, Any]:
    """What the cluster's metadata says of all topics."""
    return blocking(lambda: admin.list_topics(timeout=timeout_s)).topics


def _names(options: argparse.Namespace) -> tuple[str, str]:
    return options.topic, f"{options.topic}-probe"
