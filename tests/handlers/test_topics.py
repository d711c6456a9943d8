"""CreateTopics, DeleteTopics, CreatePartitions: forwarded, and answered when the change is here."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.protocol.messages.create_partitions import CreatePartitionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from tests.handlers.bench import ELSEWHERE, NEIGHBOUR, Bench

Creatable = CreateTopicsRequest.CreatableTopic


def create(*names: str, partitions: int = 1, **fields: Any) -> CreateTopicsRequest:
    topics = [
        Creatable(name=name, num_partitions=partitions, replication_factor=1) for name in names
    ]
    return CreateTopicsRequest(topics=topics, timeout_ms=1000, **fields)


def delete(*names: str) -> DeleteTopicsRequest:
    return DeleteTopicsRequest(topic_names=list(names), timeout_ms=1000)


def more(name: str, count: int) -> CreatePartitionsRequest:
    Topic = CreatePartitionsRequest.CreatePartitionsTopic
    topic = Topic(name=name, count=count, assignments=None)
    return CreatePartitionsRequest(topics=[topic], timeout_ms=1000)


def codes(response: Any) -> list[int]:
    for name in ("topics", "responses", "results"):
        if hasattr(response, name):
            return [one.error_code for one in getattr(response, name)]
    raise AssertionError(response)


@pytest.mark.parametrize("version", range(2, 8))
def test_topics_are_created_one_by_one(bench: Bench, version: int) -> None:
    response = bench.ask(create("a", "no no", "b"), version)
    found = {one.name: one.error_code for one in response.topics}
    assert found == {"a": 0, "no no": errors.InvalidTopicException.code, "b": 0}
    assert set(bench.image.topics) == {"a", "b"}


def test_the_answer_comes_when_the_topic_is_here(slow: Bench) -> None:
    pending = slow.send(create("a"), 7)
    assert pending.held
    request, ctx, _ = slow.forwarded[0]
    assert (ctx.api_version, request.topics[0].name) == (7, "a")
    slow.decide(image_first=False)
    assert codes(pending.response) == [0]
    assert slow.timers.waiting == 0


def test_what_is_only_validated_is_not_waited_for(slow: Bench) -> None:
    pending = slow.send(create("a", validate_only=True), 7)
    slow.decide()
    assert codes(pending.response) == [0]
    assert not slow.image.topics


@pytest.mark.parametrize("version", range(1, 7))
def test_topics_are_deleted_with_their_partitions(bench: Bench, version: int) -> None:
    topic_id = bench.create("a", partitions=2)
    request = delete("a", "nope")
    if version >= 6:
        State = DeleteTopicsRequest.DeleteTopicState
        topics = [State(name=None, topic_id=topic_id), State(name="nope")]
        request = DeleteTopicsRequest(topics=topics, timeout_ms=1000)
    assert sorted(codes(bench.ask(request, version))) == [0, errors.UnknownTopicOrPartition.code]
    assert not bench.image.topics
    assert not bench.broker.partitions


def test_deletion_can_be_forbidden(tmp_path: Any) -> None:
    bench = Bench(tmp_path, {"delete.topic.enable": "false"})
    bench.create("a")
    assert codes(bench.ask(delete("a"), 3)) == [errors.TopicDeletionDisabled.code]
    assert "a" in bench.image.topics


@pytest.mark.parametrize("version", range(4))
def test_partitions_are_added(bench: Bench, version: int) -> None:
    bench.create("a", partitions=1)
    assert codes(bench.ask(more("a", 3), version)) == [0]
    assert len(bench.image.topics["a"].partitions) == 3
    assert codes(bench.ask(more("a", 2), version)) == [errors.InvalidPartitions.code]


@pytest.mark.parametrize(("request_", "version"), [
    (create("a", "b"), 7), (delete("a", "b"), 5), (more("a", 2), 3),
])  # fmt: skip
def test_a_lost_controller_is_each_topic_s_error(
    slow: Bench, request_: Any, version: int
) -> None:
    pending = slow.send(request_, version)
    slow.forwarded.pop()[2].fail(errors.RequestTimedOut("the controller was lost"))
    assert set(codes(pending.response)) == {errors.RequestTimedOut.code}
    assert len(codes(pending.response)) == (1 if version == 3 else 2)


def test_created_deleted_and_created_again(bench: Bench) -> None:
    ids = set()
    for other in (NEIGHBOUR, ELSEWHERE):
        bench.fence(other)
    for _ in range(3):
        assert codes(bench.ask(create("a"), 7)) == [0]
        bench.append("v", name="a")
        assert bench.partition("a").high_watermark == 1
        ids.add(bench.image.topics["a"].id)
        assert codes(bench.ask(delete("a"), 5)) == [0]
    assert len(ids) == 3


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_without_time_nothing_is_begun(bench: Bench, timeout_ms: int) -> None:
    bench.create("t")
    for request, version in ((create("a"), 7), (delete("t"), 5), (more("t", 2), 3)):
        request.timeout_ms = timeout_ms
        assert codes(bench.ask(request, version)) == [errors.RequestTimedOut.code]
    assert set(bench.image.topics) == {"t"}
    assert len(bench.image.topics["t"].partitions) == 1
