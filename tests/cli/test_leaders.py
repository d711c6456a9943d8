"""Questions to leaders: in batches, again what passes, and told apart what fails."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.cli import leaders as module
from fastbroker.cli.client import Client, Topic
from fastbroker.cli.leaders import Asked, Leaders
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.describe_producers import DescribeProducersRequest
from fastbroker.protocol.messages.metadata import MetadataResponse
from fastbroker.protocol.schema import Struct

PARTITION = MetadataResponse.MetadataResponseTopic.MetadataResponsePartition


class Cluster(Client):
    """Topics whose leaders are given (-1: none); notes what each leader was asked for."""

    def __init__(self, topics: dict[str, list[int]]) -> None:
        super().__init__("a:1")
        self.known, self.asked = topics, list[tuple[int, Asked]]()
        self.codes: dict[str, int] = {}

    def topics(self, names: Sequence[str] | None = None, *, create: bool = False) -> list[Topic]:
        unknown = errors.UnknownTopicOrPartition.code
        return [
            Topic(
                name=name,
                error_code=self.codes.get(name, 0 if name in self.known else unknown),
                partitions=[
                    PARTITION(partition_index=n, leader_id=leader)
                    for n, leader in enumerate(self.known.get(name, ()))
                ],
            )
            for name in names or ()
        ]

    def call(self, request: Struct, *, node: int = -1, **_: Any) -> Any:
        assert isinstance(request, DescribeProducersRequest)
        asked = {topic.name: topic.partition_indexes for topic in request.topics}
        self.asked.append((node, asked))
        return node, asked


def make(asked: Asked) -> Struct:
    topic = DescribeProducersRequest.TopicRequest
    return DescribeProducersRequest(
        topics=[topic(name=name, partition_indexes=numbers) for name, numbers in asked.items()]
    )


def read(response: tuple[int, Asked]) -> Iterator[tuple[TopicPartition, int, None, int]]:
    node, asked = response
    for topic, numbers in asked.items():
        for one in numbers:
            yield TopicPartition(topic, one), 0, None, node


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEADER_S", 0.05)


def test_each_leader_is_asked_for_its_own() -> None:
    cluster = Cluster({"a": [1, 2, 1], "b": [2]})
    leaders = Leaders(cluster, ["a", "b", "gone"])
    assert sorted(leaders.topics) == ["a", "b"]
    wanted = [*leaders.partitions("a"), *leaders.partitions("b")]
    found = leaders.ask(wanted, make, read)
    assert found.failed == {}
    assert {str(one): node for one, node in found.values.items()} == {
        "a-0": 1, "a-1": 2, "a-2": 1, "b-0": 2,
    }  # fmt: skip
    assert cluster.asked == [(1, {"a": [0, 2]}), (2, {"a": [1], "b": [0]})]


def test_one_request_asks_for_so_many() -> None:
    cluster = Cluster({"a": [1] * 5})
    leaders = Leaders(cluster, ["a"])
    assert len(leaders.ask(leaders.partitions("a"), make, read, most=2).values) == 5
    assert [len(asked["a"]) for _, asked in cluster.asked] == [2, 2, 1]


def test_a_partition_without_a_leader_does_not_keep_the_others_from_their_answers() -> None:
    leaders = Leaders(Cluster({"a": [1, -1]}), ["a"])
    found = leaders.ask(leaders.partitions("a"), make, read)
    assert [str(one) for one in found.values] == ["a-0"]
    assert found.failed[TopicPartition("a", 1)].message == "a-1 has no leader now"


def test_who_leads_is_looked_for_anew() -> None:
    cluster = Cluster({"a": [-1]})
    leaders = Leaders(cluster, ["a"])
    cluster.known["a"] = [3]
    found = leaders.ask(leaders.partitions("a"), make, read)
    assert (found.values, found.failed) == ({TopicPartition("a", 0): 3}, {})


def test_what_does_not_exist_is_said() -> None:
    leaders = Leaders(Cluster({"a": [1]}), ["a"])
    with pytest.raises(errors.UnknownTopicOrPartition, match="there is no partition a-7"):
        leaders.leader(TopicPartition("a", 7))


def test_a_topic_that_may_not_be_seen_is_not_one_that_there_is_not() -> None:
    cluster = Cluster({"a": [1]})
    cluster.codes["secret"] = errors.TopicAuthorizationFailed.code
    leaders = Leaders(cluster, ["a", "secret", "gone"])
    assert (list(leaders.topics), list(leaders.refused)) == (["a"], ["secret"])
    with pytest.raises(errors.TopicAuthorizationFailed, match="topic 'secret'"):
        leaders.leader(TopicPartition("secret", 0))
