"""What topics keep, and for how long: settings, and bytes of partitions."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastbroker import errors
from fastbroker.cli.client import Client, check, chunks
from fastbroker.cli.connection import ConnectionLost, NotServed
from fastbroker.cli.leaders import Leaders
from fastbroker.group.backlog import UNLIMITED, Retention
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest

TOPIC_RESOURCE = 2
KEYS = ["cleanup.policy", "retention.ms", "retention.bytes"]
TOPICS_MAX = 500  # in one request


def retentions(client: Client, names: Iterable[str]) -> dict[str, Retention]:
    """By topic; those that may not be asked for are left out. Raises KafkaError, Failure."""
    out = {}
    asked = DescribeConfigsRequest.DescribeConfigsResource
    for chunk in chunks(names, TOPICS_MAX):
        request = DescribeConfigsRequest(
            resources=[
                asked(resource_type=TOPIC_RESOURCE, resource_name=name, configuration_keys=KEYS)
                for name in chunk
            ]
        )
        for result in client.call(request).results:
            if not result.error_code:
                out[result.resource_name] = retention({c.name: c.value for c in result.configs})
    return out


def retention(settings: dict[str, str | None]) -> Retention:
    """From the texts of a topic's settings."""
    if "delete" not in (settings.get("cleanup.policy") or "delete"):
        return Retention(UNLIMITED, UNLIMITED)
    ms, most = settings.get("retention.ms"), settings.get("retention.bytes")
    return Retention(int(ms or UNLIMITED), int(most or UNLIMITED))


def sizes(leaders: Leaders, names: Iterable[str]) -> dict[TopicPartition, int]:
    """Bytes of each partition of the topics, at its leader; what cannot be had is left out."""
    by_leader: dict[int, dict[str, list[int]]] = {}
    for name in names:
        for one in leaders.partitions(name):
            try:
                mine = by_leader.setdefault(leaders.leader(one), {})
            except errors.KafkaError:
                continue
            mine.setdefault(name, []).append(one.partition)
    out: dict[TopicPartition, int] = {}
    for leader, wanted in by_leader.items():
        for chunk in chunks(wanted.items(), TOPICS_MAX):
            try:
                response = leaders.client.call(_log_dirs(chunk), node=leader)
                check(getattr(response, "error_code", 0), where=f"broker {leader}")
            except (NotServed, ConnectionLost, errors.KafkaError):
                break
            for directory in response.results:
                for topic in directory.topics:
                    for part in topic.partitions:
                        if not part.is_future_key:
                            one = TopicPartition(topic.name, part.partition_index)
                            out[one] = part.partition_size
    return out


def _log_dirs(wanted: list[tuple[str, list[int]]]) -> Any:
    asked = DescribeLogDirsRequest.DescribableLogDirTopic
    return DescribeLogDirsRequest(
        topics=[asked(topic=name, partitions=indexes) for name, indexes in wanted]
    )
