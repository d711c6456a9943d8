"""Metadata and DescribeTopicPartitions."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.protocol.messages.create_topics import CreateTopicsResponse
from fastbroker.protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from tests.handlers.bench import CLUSTER, ELSEWHERE, ME, NEIGHBOUR, Bench

Named = MetadataRequest.MetadataRequestTopic


def metadata(
    bench: Bench, *names: str | bytes, version: int = 13, create: bool = False, **fields: Any
) -> Any:
    """names: of topics, or their ids."""
    topics = [
        Named(name=one) if isinstance(one, str) else Named(name=None, topic_id=one)
        for one in names
    ]
    if version >= 4:
        fields["allow_auto_topic_creation"] = create
    return bench.ask(MetadataRequest(topics=topics, **fields), version)


def test_brokers_are_named_as_the_client_reaches_them(bench: Bench) -> None:
    response = metadata(bench)
    assert [(n.node_id, n.host, n.port, n.rack) for n in response.brokers] == [
        (ME, "192.168.0.7", 9092, "rack-1"),
        (ELSEWHERE, "host-2", 9092, "rack-2"),
        (NEIGHBOUR, "192.168.0.7", 9093, "rack-1"),
    ]
    assert (response.cluster_id, response.controller_id) == (CLUSTER, ME)
    bench.fence(ELSEWHERE)
    assert [n.node_id for n in metadata(bench).brokers] == [ME, NEIGHBOUR]


def test_a_fenced_broker_of_this_host_is_listed_as_it_comes_back(bench: Bench) -> None:
    bench.fence(NEIGHBOUR)
    bench.fence(ELSEWHERE)
    assert [n.node_id for n in metadata(bench).brokers] == [ME, NEIGHBOUR]
    bench.broker.workers = 1  # it was started with fewer of them
    assert [n.node_id for n in metadata(bench).brokers] == [ME]


def test_advertised_listeners_are_told_as_they_are(tmp_path: Any) -> None:
    bench = Bench(tmp_path, {"advertised.listeners": "PLAINTEXT://example.org:9092"})
    assert [n.host for n in metadata(bench).brokers] == ["host-1", "host-2", "host-1"]


def test_topics_and_their_partitions(bench: Bench) -> None:
    topic_id = bench.create(partitions=2)
    (topic,) = metadata(bench, "t").topics
    assert (topic.error_code, topic.name, bytes(topic.topic_id)) == (0, "t", topic_id)
    assert not topic.is_internal
    assert [
        (p.partition_index, p.error_code, p.leader_id, p.leader_epoch, p.replica_nodes)
        for p in topic.partitions
    ] == [(0, 0, ME, 1, [ME]), (1, 0, ME, 1, [ME])]
    (by_id,) = metadata(bench, topic_id, version=12).topics
    assert by_id.name == "t"
    (unknown,) = metadata(bench, b"?" * 16, version=12).topics
    assert (unknown.error_code, unknown.name) == (errors.UnknownTopicId.code, None)


@pytest.mark.parametrize("version", range(14))
def test_all_topics(bench: Bench, version: int) -> None:
    bench.create("a")
    bench.create("__consumer_offsets")
    request = MetadataRequest(topics=[] if version == 0 else None)
    topics = {topic.name: topic for topic in bench.ask(request, version).topics}
    assert set(topics) == {"a", "__consumer_offsets"}
    assert topics["__consumer_offsets"].is_internal == (version >= 1)
    if version >= 1:
        assert bench.ask(MetadataRequest(topics=[]), version).topics == []


def test_a_leader_that_is_not_there(bench: Bench) -> None:
    bench.create("theirs", leader=ELSEWHERE)
    bench.fence(ELSEWHERE)
    ((partition,),) = [topic.partitions for topic in metadata(bench, "theirs").topics]
    assert (partition.error_code, partition.leader_id) == (errors.LeaderNotAvailable.code, -1)
    assert partition.offline_replicas == [ELSEWHERE]


def test_an_unknown_topic_is_created_when_both_sides_allow_it(bench: Bench) -> None:
    unknown = errors.UnknownTopicOrPartition.code
    assert [t.error_code for t in metadata(bench, "new").topics] == [unknown]
    assert [t.error_code for t in metadata(bench, "new", create=True).topics] == [0]
    assert [t.error_code for t in metadata(bench, "older", version=3).topics] == [0]


def test_creation_can_be_forbidden(tmp_path: Any) -> None:
    bench = Bench(tmp_path, {"auto.create.topics.enable": "false"})
    (topic,) = metadata(bench, "new", create=True).topics
    assert topic.error_code == errors.UnknownTopicOrPartition.code


def test_it_waits_for_the_new_topic_and_no_longer_than_a_second(slow: Bench) -> None:
    request = MetadataRequest(topics=[Named(name="new")])
    pending = slow.send(request, 9)
    assert pending.held
    slow.decide(image_first=False)
    assert [t.error_code for t in pending.response.topics] == [0]
    assert slow.timers.waiting == 0
    pending = slow.send(MetadataRequest(topics=[Named(name="never")]), 9)
    answer = slow.forwarded.pop()[2]
    made = CreateTopicsResponse.CreatableTopicResult(name="never")
    answer.complete(CreateTopicsResponse(topics=[made]))
    assert not pending.done
    slow.timers.advance(1000)
    assert [t.error_code for t in pending.response.topics] == [3]
    assert not slow.broker._conditions, "nothing is left of the wait"


def test_a_lost_controller_leaves_the_topic_unknown(slow: Bench) -> None:
    pending = slow.send(MetadataRequest(topics=[Named(name="new")]), 9)
    slow.forwarded.pop()[2].fail(errors.RequestTimedOut("the controller was lost"))
    assert [t.error_code for t in pending.response.topics] == [3]


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "x" * 250, "ü"])
def test_names_that_cannot_be(bench: Bench, name: str) -> None:
    (topic,) = metadata(bench, name, create=True).topics
    assert topic.error_code == errors.InvalidTopicException.code
    assert not bench.image.topics


def test_without_a_name_before_version_12_it_is_invalid(bench: Bench) -> None:
    topic_id = bench.create()
    for version in (10, 11):
        request = MetadataRequest(topics=[Named(name=None, topic_id=topic_id)])
        (topic,) = bench.ask(request, version).topics
        assert topic.error_code == errors.InvalidRequest.code


def test_a_topic_is_answered_once(bench: Bench) -> None:
    topic_id = bench.create()
    bench.create("u")
    found = metadata(bench, "t", "u", topic_id, "t", "nope", "nope", topic_id).topics
    assert sorted(topic.name for topic in found) == ["nope", "t", "u"]


def test_operations_when_they_are_asked_for(bench: Bench) -> None:
    bench.create()
    (topic,) = metadata(bench, "t", include_topic_authorized_operations=True).topics
    assert topic.topic_authorized_operations > 0
    (topic,) = metadata(bench, "t").topics
    assert topic.topic_authorized_operations == -(2**31)


def described(
    bench: Bench, *names: str, limit: int = 100, cursor: tuple[str, int] | None = None
) -> tuple[list[tuple[str, int, list[int]]], tuple[str, int] | None]:
    """(name, error, partitions) of each topic, and the next cursor."""
    Cursor = DescribeTopicPartitionsRequest.Cursor
    Topic = DescribeTopicPartitionsRequest.TopicRequest
    request = DescribeTopicPartitionsRequest(
        topics=[Topic(name=name) for name in names],
        response_partition_limit=limit,
        cursor=cursor and Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    response = bench.ask(request, 0)
    found = response.next_cursor
    return [
        (topic.name, topic.error_code, [p.partition_index for p in topic.partitions])
        for topic in response.topics
    ], found and (found.topic_name, found.partition_index)


def test_topics_are_described_page_by_page(bench: Bench) -> None:
    for name, count in [("b", 3), ("a", 2), ("c", 1)]:
        bench.create(name, partitions=count)
    everything = [("a", 0, [0, 1]), ("b", 0, [0, 1, 2]), ("c", 0, [0])]
    assert described(bench) == (everything, None)
    cursor, pages = None, []
    while True:
        page, cursor = described(bench, limit=2, cursor=cursor)
        pages.append(page)
        if cursor is None:
            break
    assert pages == [[("a", 0, [0, 1])], [("b", 0, [0, 1])], [("b", 0, [2]), ("c", 0, [0])]]
    assert described(bench, "c", "a") == ([everything[0], everything[2]], None)


def test_topics_that_cannot_be_described(bench: Bench) -> None:
    bench.create("a")
    assert described(bench, "a", "nope", "no no") == ([
        ("a", 0, [0]),
        ("no no", errors.InvalidTopicException.code, []),
        ("nope", errors.UnknownTopicOrPartition.code, []),
    ], None)  # fmt: skip


@pytest.mark.parametrize("cursor", [("a", -1), ("b", 0)])
def test_a_cursor_that_is_none_of_ours(bench: Bench, cursor: tuple[str, int]) -> None:
    bench.create("a")
    bench.create("b")
    bench.create("c")
    refused = errors.InvalidRequest.code
    assert described(bench, "a", "c", cursor=cursor) == (
        [("a", refused, []), ("c", refused, [])], None,
    )  # fmt: skip
