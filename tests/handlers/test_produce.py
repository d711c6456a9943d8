"""Produce: appended, acknowledged when committed, refused one by one."""
from __future__ import annotations

import os
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.handlers.produce_answer import FLUSH_PATIENCE_MS
from fastbroker.protocol.messages.produce import ProduceRequest
from tests.handlers.bench import ELSEWHERE, NEIGHBOUR, Bench, cannot_open
from tests.storage.logs import batch

Topic = ProduceRequest.TopicProduceData
Part = Topic.PartitionProduceData


def produce(
    *parts: tuple[int, Any],
    topic: str = "t",
    topic_id: bytes = bytes(16),
    acks: int = -1,
    timeout_ms: int = 1000,
) -> ProduceRequest:
    data = [Part(index=number, records=records) for number, records in parts]
    topics = [Topic(name=topic, topic_id=topic_id, partition_data=data)]
    return ProduceRequest(acks=acks, timeout_ms=timeout_ms, topic_data=topics)


def said(response: Any) -> list[tuple[int, int, int]]:
    """(partition, error, base offset) of every partition."""
    return [
        (part.index, part.error_code, part.base_offset)
        for topic in response.responses
        for part in topic.partition_responses
    ]


def only(response: Any) -> Any:
    ((part,),) = [topic.partition_responses for topic in response.responses]
    return part


@pytest.mark.parametrize("acks", [1, -1])
def test_it_is_answered_when_it_is_flushed(slow: Bench, acks: int) -> None:
    slow.create()
    pending = slow.send(produce((0, batch("a", "b")), acks=acks), 9)
    assert not pending.held, "the next request may be handled meanwhile"
    assert not pending.done
    slow.flush()
    assert said(pending.response) == [(0, 0, 0)]
    assert slow.timers.waiting == 0
    again = slow.send(produce((0, batch("c")), acks=acks), 9)
    slow.flush()
    assert said(again.response) == [(0, 0, 2)]


@pytest.mark.parametrize("version", [3, 5, 8, 10, 12])
def test_versions_by_name(bench: Bench, version: int) -> None:
    bench.create()
    part = only(bench.ask(produce((0, batch("a"))), version))
    assert (part.error_code, part.base_offset, part.log_append_time_ms) == (0, 0, -1)
    assert part.log_start_offset == (0 if version >= 5 else -1)


def test_version_13_by_id(bench: Bench) -> None:
    topic_id = bench.create()
    response = bench.ask(produce((0, batch("a")), topic_id=topic_id), 13)
    assert said(response) == [(0, 0, 0)]
    assert bytes(response.responses[0].topic_id) == topic_id
    unknown = bench.ask(produce((0, batch("a")), topic_id=b"?" * 16), 13)
    assert said(unknown) == [(0, errors.UnknownTopicId.code, -1)]


def test_partitions_fail_one_by_one(bench: Bench) -> None:
    bench.create(partitions=2)
    request = produce((0, batch("a")), (7, batch("b")), (1, b"\0" * 80), (1, batch("c")))
    assert said(bench.ask(request, 9)) == [
        (0, 0, 0), (7, errors.UnknownTopicOrPartition.code, -1),
        (1, errors.InvalidRecord.code, -1), (1, 0, 0),
    ]  # fmt: skip


def test_a_log_that_cannot_be_opened_fails_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create(partitions=2)
    bench.append("a")
    cannot_open(bench, monkeypatch, errors.NoSpaceLeft("full"))
    response = bench.ask(produce((0, batch("b")), (1, batch("c"))), 9)
    assert said(response) == [(0, 0, 1), (1, errors.NoSpaceLeft.code, -1)]


def test_the_timeout_opens_no_log(slow: Bench) -> None:
    slow.create(partitions=2)
    pending = slow.send(produce((0, batch("a")), (1, batch("b"))), 9)
    first = slow.partition("t", 0)
    job = first.log.begin_flush()
    assert job is not None
    job.run()
    first.flushed(job)
    first.forget_log()  # as one does that is idle
    slow.timers.advance(FLUSH_PATIENCE_MS)
    assert said(pending.response) == [(0, 0, 0), (1, errors.RequestTimedOut.code, -1)]
    assert first.opened is None


def test_all_failed_is_answered_at_once(slow: Bench) -> None:
    assert said(slow.ask(produce((0, batch("a"))), 9)) == [
        (0, errors.UnknownTopicOrPartition.code, -1)
    ]
    assert slow.timers.waiting == 0


def test_other_acks_are_refused(bench: Bench) -> None:
    bench.create()
    assert said(bench.ask(produce((0, batch("a")), acks=2), 9)) == [
        (0, errors.InvalidRequiredAcks.code, -1)
    ]
    assert bench.partition().log.log_end_offset == 0


def test_acks_0_is_never_answered(slow: Bench) -> None:
    slow.create()
    pending = slow.send(produce((0, batch("a")), acks=0), 9)
    assert pending.response is None
    assert slow.partition().log.log_end_offset == 1
    assert slow.timers.waiting == 0


def test_acks_0_closes_the_connection_on_an_error(bench: Bench) -> None:
    with pytest.raises(errors.CloseConnection, match="acks=0 failed"):
        bench.send(produce((0, batch("a")), acks=0), 9)


def test_after_the_timeout_what_is_not_committed_has_timed_out(slow: Bench) -> None:
    slow.create(partitions=2)
    pending = slow.send(produce((0, batch("a")), (1, batch("b")), timeout_ms=500), 9)
    first = slow.partition("t", 0)
    job = first.log.begin_flush()
    assert job is not None
    job.run()
    first.flushed(job)
    slow.timers.advance(FLUSH_PATIENCE_MS - 1)
    assert not pending.done, "our own disk has its time, however short the timeout"
    slow.timers.advance(1)
    assert said(pending.response) == [(0, 0, 0), (1, errors.RequestTimedOut.code, -1)]
    slow.flush()
    assert slow.partition("t", 1).high_watermark == 1, "it stays"


def test_a_repeated_batch_has_its_old_offset_once_that_is_committed(slow: Bench) -> None:
    slow.create()
    how: dict[str, Any] = {"producer_id": 5, "producer_epoch": 0, "base_sequence": 0}
    first = slow.send(produce((0, batch("a", **how))), 9)
    again = slow.send(produce((0, batch("a", **how))), 9)
    assert not first.done
    assert not again.done, "the first is not on disk yet"
    slow.flush()
    assert said(first.response) == said(again.response) == [(0, 0, 0)]
    assert said(slow.ask(produce((0, batch("a", **how))), 9)) == [(0, 0, 0)]
    assert slow.partition().log.log_end_offset == 1
    how["base_sequence"] = 2
    gap = slow.ask(produce((0, batch("c", **how))), 9)
    assert said(gap) == [(0, errors.OutOfOrderSequenceNumber.code, -1)]


def test_answers_keep_the_order_of_the_log(slow: Bench) -> None:
    slow.create()
    pending = [slow.send(produce((0, batch(f"{n}"))), 9) for n in range(5)]
    slow.flush()
    assert [said(one.response) for one in pending] == [[(0, 0, n)] for n in range(5)]


def test_internal_topics_are_the_admin_client_s(bench: Bench) -> None:
    bench.create("__consumer_offsets", cleanup_policy="delete")
    request = produce((0, batch("a")), topic="__consumer_offsets")
    assert said(bench.ask(request, 9)) == [(0, errors.InvalidTopicException.code, -1)]
    assert said(bench.ask(request, 9, client_id="__admin_client")) == [(0, 0, 0)]


def test_acks_all_wants_enough_replicas(bench: Bench) -> None:
    bench.create(min_insync_replicas=2)
    request = produce((0, batch("a")))
    assert said(bench.ask(request, 9)) == [(0, errors.NotEnoughReplicas.code, -1)]
    assert said(bench.ask(produce((0, batch("a")), acks=1), 9)) == [(0, 0, 0)]


def test_from_version_8_refused_records_are_named(bench: Bench) -> None:
    bench.create(cleanup_policy="compact")
    part = only(bench.ask(produce((0, batch("a", "b", key=None))), 8))
    assert part.error_code == errors.InvalidRecord.code
    assert [one.batch_index for one in part.record_errors] == [0, 1]
    assert part.error_message


def test_from_version_10_the_leader_is_named(bench: Bench) -> None:
    bench.create()
    bench.elect(NEIGHBOUR)
    for version, leader in [(9, None), (10, NEIGHBOUR)]:
        response = bench.ask(produce((0, batch("a"))), version)
        part = only(response)
        assert part.error_code == errors.NotLeaderOrFollower.code
        found = part.current_leader.leader_id if part.current_leader is not None else -1
        assert found == (leader or -1)
        assert [node.port for node in response.node_endpoints] == ([9093] if leader else [])


def test_a_leader_of_several_partitions_is_told_once(bench: Bench) -> None:
    bench.create()
    bench.elect(NEIGHBOUR)
    response = bench.ask(produce((0, batch("a")), (0, batch("b"))), 10)
    parts = response.responses[0].partition_responses
    assert [part.current_leader.leader_id for part in parts] == [NEIGHBOUR, NEIGHBOUR]
    assert [node.node_id for node in response.node_endpoints] == [NEIGHBOUR]


def test_a_lost_leadership_ends_the_wait(slow: Bench) -> None:
    slow.create()
    pending = slow.send(produce((0, batch("a"))), 9)
    slow.elect(ELSEWHERE)
    assert said(pending.response) == [(0, errors.NotLeaderOrFollower.code, -1)]
    assert slow.timers.waiting == 0


def test_a_deleted_topic_ends_the_wait(slow: Bench) -> None:
    slow.create()
    pending = slow.send(produce((0, batch("a"))), 9)
    slow.delete()
    assert said(pending.response)[0][1] == errors.NotLeaderOrFollower.code


def test_an_offline_directory_ends_the_wait_and_takes_nothing(slow: Bench) -> None:
    slow.create()
    pending = slow.send(produce((0, batch("a"))), 9)
    slow.partition().fail(OSError(5, os.strerror(5)))
    assert said(pending.response) == [(0, errors.KafkaStorageError.code, -1)]
    assert said(slow.ask(produce((0, batch("a"))), 9)) == [(0, errors.KafkaStorageError.code, -1)]


def test_an_answer_for_a_closed_connection_is_dropped(slow: Bench) -> None:
    slow.create()
    pending = slow.send(produce((0, batch("a"))), 9)
    slow.connection.close("gone")
    slow.flush()
    assert not pending.done
    assert slow.timers.waiting == 0


def test_append_time_is_told(bench: Bench) -> None:
    bench.create(message_timestamp_type="LogAppendTime")
    part = only(bench.ask(produce((0, batch("a"))), 9))
    assert part.log_append_time_ms == bench.timers.now_ms()


def test_a_changed_config_takes_effect_at_once(bench: Bench) -> None:
    from fastbroker.metadata.image import TOPIC
    from fastbroker.protocol.metadata_records import ConfigRecord

    bench.create()
    assert said(bench.ask(produce((0, batch("x" * 300))), 9)) == [(0, 0, 0)]
    record = ConfigRecord(
        resource_type=TOPIC, resource_name="t", name="max.message.bytes", value="200"
    )
    bench.apply(record)
    large = bench.ask(produce((0, batch("x" * 300))), 9)
    assert said(large) == [(0, errors.MessageTooLarge.code, -1)]
