"""Asks the leaders of many partitions: in batches, again what fails for a passing reason."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from fastbroker import errors
from fastbroker.cli.client import Client, Topic, check, chunks
from fastbroker.cli.connection import ConnectionLost
from fastbroker.model import TopicPartition
from fastbroker.protocol.schema import Struct

T = TypeVar("T")

TOPICS_MAX, PARTITIONS_MAX = 1000, 1000  # in one request
LEADER_S = 5.0  # how long a partition may be without a leader until it is reported so

Asked = dict[str, list[int]]  # partitions by topic
Make = Callable[[Asked], Struct]
# response -> (partition, error code, error message, value) of each
Read = Callable[[Any], Iterable[tuple[TopicPartition, int, str | None, T]]]


class Found(NamedTuple, Generic[T]):
    """What the leaders said, and the error of each partition of which none said anything."""

    values: dict[TopicPartition, T]
    failed: dict[TopicPartition, errors.KafkaError]


class Leaders:
    """What the cluster knows of some topics.

    topics: by name, those that it knows; refused: why it does not tell of others, except that there
    are none.
    """

    def __init__(self, client: Client, names: Iterable[str]) -> None:
        """Raises KafkaError, Failure."""
        self.client = client
        self.topics: dict[str, Topic] = {}
        self.refused: dict[str, errors.KafkaError] = {}
        self._look(names)

    def partitions(self, name: str) -> list[TopicPartition]:
        """The partitions of one topic, in order."""
        known = self.topics[name].partitions
        return [TopicPartition(name, one.partition_index) for one in known]

    def ids(self) -> dict[bytes, str]:
        """Names of topics by their id."""
        return {topic.topic_id: name for name, topic in self.topics.items()}

    def leader(self, partition: TopicPartition) -> int:
        """The broker that leads a partition. Raises LeaderNotAvailable, UnknownTopicOrPartition."""
        if partition.topic in self.refused:
            raise self.refused[partition.topic]
        topic = self.topics.get(partition.topic)
        for one in topic.partitions if topic is not None else ():
            if one.partition_index == partition.partition:
                if one.leader_id < 0:
                    raise errors.LeaderNotAvailable(f"{partition} has no leader now")
                return int(one.leader_id)
        raise errors.UnknownTopicOrPartition(f"there is no partition {partition}")

    def ask(
        self, partitions: Iterable[TopicPartition], make: Make, read: Read[T],
        *, most: int = PARTITIONS_MAX,
    ) -> Found[T]:  # fmt: skip
        """What the leader of each partition answers to `make`'s request of `most` at most."""
        pending = dict.fromkeys(partitions)
        out = Found[T]({}, {})

        def once() -> None:
            out.failed.clear()
            failed: Exception | None = None
            by_leader: dict[int, list[TopicPartition]] = {}
            for one in pending:
                try:
                    by_leader.setdefault(self.leader(one), []).append(one)
                except errors.KafkaError as error:
                    out.failed[one] = failed = error
            for leader, mine in by_leader.items():
                for chunk in chunks(mine, most):
                    failed = self._ask(leader, chunk, make, read, out) or failed
            for one in out.values:
                pending.pop(one, None)
            if failed is not None:
                raise failed

        try:
            self.client.attempt(
                once, timeout_s=LEADER_S, again=lambda: self._look([*self.topics, *self.refused])
            )
        except (errors.KafkaError, ConnectionLost):
            if not out.failed:  # metadata could not be had
                raise
        return out

    def _ask(
        self, leader: int, chunk: list[TopicPartition], make: Make, read: Read[T], out: Found[T]
    ) -> Exception | None:
        """Ask one leader; the last error, each of which is also in `out`."""
        asked: Asked = {}
        for one in chunk:
            asked.setdefault(one.topic, []).append(one.partition)
        failed: Exception | None = None
        try:
            for one, code, message, value in read(self.client.call(make(asked), node=leader)):
                try:
                    check(code, message, where=str(one))
                    out.values[one] = value
                except errors.KafkaError as error:
                    out.failed[one] = failed = error
        except (ConnectionLost, errors.KafkaError) as error:
            failed = error
            for one in chunk:
                out.failed[one] = errors.LeaderNotAvailable(f"{one}: {error}")
        return failed

    def _look(self, names: Iterable[str]) -> None:
        for chunk in chunks(dict.fromkeys(names), TOPICS_MAX):
            for topic in self.client.attempt(partial(self.client.topics, chunk)):
                name = topic.name or ""
                self.topics.pop(name, None)
                self.refused.pop(name, None)
                try:
                    check(topic.error_code, where=f"topic {name!r}")
                    self.topics[name] = topic
                except errors.UnknownTopicOrPartition:
                    continue
                except errors.KafkaError as error:
                    self.refused[name] = error
