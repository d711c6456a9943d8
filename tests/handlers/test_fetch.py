"""Fetch: reading, waiting, sessions."""
from __future__ import annotations

import os
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.handlers.fetch import SENDFILE_MIN
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.records.reader import iter_records
from tests.handlers.bench import ELSEWHERE, ME, NEIGHBOUR, Bench

Topic = FetchRequest.FetchTopic
Part = Topic.FetchPartition
Forgotten = FetchRequest.ForgottenTopic


def fetch(
    *wanted: tuple[Any, ...],
    topic: str = "t",
    topic_id: bytes = bytes(16),
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 1 << 20,
    part_max: int = 1 << 20,
    **fields: Any,
) -> FetchRequest:
    """wanted: (partition, offset) or (partition, offset, current epoch, last fetched epoch)."""
    parts = []
    for number, offset, *epochs in wanted:
        part = Part(partition=number, fetch_offset=offset, partition_max_bytes=part_max)
        part.current_leader_epoch, part.last_fetched_epoch = epochs or (-1, -1)
        parts.append(part)
    topics = [Topic(topic=topic, topic_id=topic_id, partitions=parts)] if wanted else []
    fields.setdefault("forgotten_topics_data", [])
    return FetchRequest(
        max_wait_ms=max_wait_ms, min_bytes=min_bytes, max_bytes=max_bytes, topics=topics, **fields
    )


def data(response: Any) -> list[tuple[int, int, list[str]]]:
    """(partition, error, values) of every partition of a response, in its order."""
    return [
        (
            part.partition_index,
            part.error_code,
            [(r.value or b"").decode() for r in iter_records(bytes(part.records or b""))],
        )
        for topic in response.responses
        for part in topic.partitions
    ]


# ---- reading


def test_what_is_committed_is_given_from_the_offset_on(slow: Bench) -> None:
    slow.create()
    slow.append("a")
    slow.append("b")
    slow.flush()
    slow.append("not flushed")
    response = slow.ask(fetch((0, 1)), 12)
    assert data(response) == [(0, 0, ["b"])]
    part = response.responses[0].partitions[0]
    assert (part.high_watermark, part.last_stable_offset, part.log_start_offset) == (2, 2, 0)


@pytest.mark.parametrize("version", [4, 7, 11, 12])
def test_versions_by_name(bench: Bench, version: int) -> None:
    bench.create()
    bench.append("a")
    assert data(bench.ask(fetch((0, 0)), version)) == [(0, 0, ["a"])]


@pytest.mark.parametrize("version", [13, 15, 17, 18])
def test_versions_by_id(bench: Bench, version: int) -> None:
    topic_id = bench.create()
    bench.append("a")
    assert data(bench.ask(fetch((0, 0), topic_id=topic_id), version)) == [(0, 0, ["a"])]
    unknown = bench.ask(fetch((0, 0), topic_id=b"?" * 16), version)
    assert data(unknown) == [(0, errors.UnknownTopicId.code, [])]


def test_the_first_batch_is_whole_and_the_rest_fits_the_limits(bench: Bench) -> None:
    bench.create(partitions=2)
    for number in (0, 1):
        for _ in range(3):
            bench.partition("t", number).append_internal(
                _batch("x" * 1000), now_ms=bench.timers.now_ms()
            )
    size = len(_batch("x" * 1000))
    one = bench.ask(fetch((0, 0), (1, 0), max_bytes=1), 12)
    assert [len(p.records) for p in one.responses[0].partitions] == [size, 0]
    two = bench.ask(fetch((0, 0), (1, 0), max_bytes=2 * size + 10, part_max=size), 12)
    assert [len(p.records) for p in two.responses[0].partitions] == [size, size]
    cut = bench.ask(fetch((0, 0), (1, 0), max_bytes=3 * size + 10), 12)
    assert [len(p.records) for p in cut.responses[0].partitions] == [3 * size, 10]


def test_large_pieces_are_sent_from_the_file(bench: Bench) -> None:
    bench.create()
    bench.append("x" * SENDFILE_MIN)
    ((_, _, values),) = data(bench.ask(fetch((0, 0)), 12))
    assert values == ["x" * SENDFILE_MIN]


def test_errors_are_given_at_once_and_by_partition(bench: Bench) -> None:
    bench.create()
    bench.create("theirs", leader=ELSEWHERE)
    bench.append("a")
    response = bench.ask(fetch((0, 5), (0, 0), (7, 0), max_wait_ms=1000), 12)
    assert [(n, e) for n, e, _ in data(response)] == [
        (0, errors.OffsetOutOfRange.code), (0, 0), (7, errors.UnknownTopicOrPartition.code),
    ]  # fmt: skip
    response = bench.ask(fetch((0, 0), topic="theirs", max_wait_ms=1000), 12)
    assert data(response) == [(0, errors.NotLeaderOrFollower.code, [])]
    response = bench.ask(fetch((0, 0, 9, -1), max_wait_ms=1000), 12)
    assert data(response) == [(0, errors.UnknownLeaderEpoch.code, [])]
    response = bench.ask(fetch(max_wait_ms=1000), 12)
    assert data(response) == []


@pytest.mark.parametrize(("isolation_level", "aborted"), [(0, None), (1, [])])
def test_aborted_transactions_are_null_where_nobody_looked(
    bench: Bench, isolation_level: int, aborted: list[Any] | None
) -> None:
    bench.create()
    wanted = fetch((0, 0), (0, 9), (5, 0), isolation_level=isolation_level)
    parts = bench.ask(wanted, 11).responses[0].partitions
    assert [(part.error_code, part.aborted_transactions) for part in parts] == [
        (0, aborted), (errors.OffsetOutOfRange.code, None),
        (errors.UnknownTopicOrPartition.code, []),
    ]  # fmt: skip


def test_followers_are_not_served(bench: Bench) -> None:
    bench.create()
    response = bench.ask(fetch((0, 0), replica_id=2), 12)
    assert data(response) == [(0, errors.NotLeaderOrFollower.code, [])]


def test_a_reader_of_a_log_that_was_left_is_told_where(bench: Bench) -> None:
    bench.create()
    bench.append("a")
    bench.elect(ME)
    bench.append("b")
    (part,) = bench.ask(fetch((0, 2, -1, 1)), 12).responses[0].partitions
    assert (part.diverging_epoch.epoch, part.diverging_epoch.end_offset) == (1, 1)
    assert not part.records
    (part,) = bench.ask(fetch((0, 2, -1, 2)), 12).responses[0].partitions
    assert part.diverging_epoch is None or part.diverging_epoch.epoch == -1


def test_from_version_16_the_leader_is_named(bench: Bench) -> None:
    topic_id = bench.create()
    bench.elect(NEIGHBOUR)
    response = bench.ask(fetch((0, 0), topic_id=topic_id), 16)
    (part,) = response.responses[0].partitions
    assert part.error_code == errors.NotLeaderOrFollower.code
    assert (part.current_leader.leader_id, part.current_leader.leader_epoch) == (NEIGHBOUR, 2)
    (node,) = response.node_endpoints
    assert (node.node_id, node.host, node.port) == (NEIGHBOUR, "192.168.0.7", 9093)


def test_a_leader_of_several_partitions_is_told_once(bench: Bench) -> None:
    """Java's consumer ends on a broker that is told twice."""
    topic_id = bench.create()
    bench.elect(NEIGHBOUR)
    response = bench.ask(fetch((0, 0), (0, 0), topic_id=topic_id), 16)
    parts = response.responses[0].partitions
    assert [part.current_leader.leader_id for part in parts] == [NEIGHBOUR, NEIGHBOUR]
    assert [node.node_id for node in response.node_endpoints] == [NEIGHBOUR]


def test_a_read_error_is_the_partition_s(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.create()
    bench.append("a" * 100)
    bench.append("b")

    def broken(*_: object) -> bytes:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch:
        patch.setattr(bench.log_dir.disk, "pread", broken)
        assert data(bench.ask(fetch((0, 0)), 12)) == [(0, errors.KafkaStorageError.code, [])]
    assert data(bench.ask(fetch((0, 1)), 12)) == [(0, 0, ["b"])]


# ---- waiting


def test_it_waits_for_min_bytes(bench: Bench) -> None:
    bench.create()
    bench.append("a")
    size = bench.partition().log.size
    pending = bench.send(fetch((0, 0), max_wait_ms=500, min_bytes=size + 1), 12)
    assert pending.held
    assert not pending.done
    bench.append("b")
    assert data(pending.response) == [(0, 0, ["a", "b"])]
    assert bench.connection.resumed == 1
    assert not bench.partition().purgatory.readers


def test_it_waits_for_max_wait_and_no_longer(bench: Bench) -> None:
    bench.create()
    pending = bench.send(fetch((0, 0), max_wait_ms=500), 12)
    bench.timers.advance(499)
    assert not pending.done
    bench.timers.advance(1)
    assert data(pending.response) == [(0, 0, [])]
    assert not bench.partition().purgatory.readers
    assert bench.timers.waiting == 0


def test_data_that_is_not_flushed_wakes_nobody(slow: Bench) -> None:
    slow.create()
    pending = slow.send(fetch((0, 0), max_wait_ms=500), 12)
    slow.append("a")
    assert not pending.done
    slow.flush()
    assert data(pending.response) == [(0, 0, ["a"])]


def test_a_deleted_topic_ends_the_wait(bench: Bench) -> None:
    bench.create()
    pending = bench.send(fetch((0, 0), max_wait_ms=60_000), 12)
    bench.delete()
    assert data(pending.response) == [(0, errors.UnknownTopicOrPartition.code, [])]
    assert bench.timers.waiting == 0


def test_a_lost_leadership_and_a_new_epoch_end_the_wait(bench: Bench) -> None:
    bench.create()
    pending = bench.send(fetch((0, 0, 1, -1), max_wait_ms=60_000), 12)
    bench.elect(ME)
    assert data(pending.response) == [(0, errors.FencedLeaderEpoch.code, [])]
    pending = bench.send(fetch((0, 0), max_wait_ms=60_000), 12)
    bench.elect(ELSEWHERE)
    assert data(pending.response) == [(0, errors.NotLeaderOrFollower.code, [])]


def test_an_offline_directory_ends_the_wait(bench: Bench) -> None:
    bench.create()
    pending = bench.send(fetch((0, 0), max_wait_ms=60_000), 12)
    bench.partition().fail(OSError("EIO"))
    assert data(pending.response) == [(0, errors.KafkaStorageError.code, [])]


def test_a_deleted_start_wakes_and_is_out_of_range(bench: Bench) -> None:
    bench.create()
    bench.append("a")
    pending = bench.send(fetch((0, 1), max_wait_ms=60_000), 12)
    bench.append("b")
    assert data(pending.response) == [(0, 0, ["b"])]
    pending = bench.send(fetch((0, 0), max_wait_ms=60_000, min_bytes=1 << 20), 12)
    bench.partition().delete_records(-1)
    assert data(pending.response) == [(0, errors.OffsetOutOfRange.code, [])]


def test_a_closed_connection_waits_for_nothing(bench: Bench) -> None:
    bench.create()
    pending = bench.send(fetch((0, 0), max_wait_ms=2**31 - 1), 12)
    bench.connection.close("gone")
    assert not bench.partition().purgatory.readers
    assert bench.timers.waiting == 0
    bench.append("a")
    assert not pending.done


def test_a_topic_made_anew_is_not_taken_for_the_old_one(bench: Bench) -> None:
    topic_id = bench.create()
    pending = bench.send(fetch((0, 0), topic_id=topic_id, max_wait_ms=60_000), 13)
    old = bench.partition().purgatory
    bench.delete()
    assert data(pending.response)[0][1] != 0
    assert not old.readers
    bench.create()
    bench.append("new")
    assert data(bench.ask(fetch((0, 0), topic_id=topic_id), 13)) == [
        (0, errors.UnknownTopicId.code, [])
    ]


# ---- sessions


def begin(bench: Bench, *wanted: tuple[int, int], version: int = 12, **how: Any) -> Any:
    return bench.ask(fetch(*wanted, session_epoch=0, **how), version)


def test_an_incremental_answer_holds_what_changed(bench: Bench) -> None:
    bench.create(partitions=3)
    first = begin(bench, (0, 0), (1, 0), (2, 0))
    assert first.session_id > 0
    assert [n for n, _, _ in data(first)] == [0, 1, 2], "a full one holds all"

    def more(epoch: int, *wanted: tuple[int, int], **how: Any) -> list[Any]:
        request = fetch(*wanted, session_id=first.session_id, session_epoch=epoch, **how)
        response = bench.ask(request, 12)
        assert response.session_id == first.session_id
        return data(response)

    assert more(1) == []
    bench.append("a")
    assert more(2) == [(0, 0, ["a"])]
    assert more(3) == [(0, 0, ["a"])], "data is given until the offset moves"
    assert more(4, (0, 1)) == []
    bench.partition().delete_records(1)
    assert more(5) == [(0, 0, [])], "the log's start is news"
    assert more(6) == []
    forgotten = [Forgotten(topic="t", partitions=[0])]
    assert more(7, forgotten_topics_data=forgotten) == []
    bench.append("b")
    assert more(8) == []


def test_what_was_answered_is_served_last(bench: Bench) -> None:
    bench.create(partitions=2)
    first = begin(bench, (0, 0), (1, 0))
    for number in (0, 1):
        bench.partition("t", number).append_internal(_batch("v"), now_ms=bench.timers.now_ms())
    orders = []
    for epoch in (1, 2, 3):
        request = fetch(session_id=first.session_id, session_epoch=epoch, max_bytes=1)
        orders.append([(n, values) for n, _, values in data(bench.ask(request, 12)) if values])
    assert orders == [[(0, ["v"])], [(1, ["v"])], [(0, ["v"])]]


def test_an_error_is_told_until_it_is_gone(bench: Bench) -> None:
    bench.create()
    first = begin(bench, (0, 0), (1, 0))
    assert [(n, e) for n, e, _ in data(first)] == [(0, 0), (1, 3)]
    for epoch in (1, 2):
        again = bench.ask(fetch(session_id=first.session_id, session_epoch=epoch), 12)
        assert data(again) == [(1, 3, [])]


def test_a_session_of_ids_learns_topics_that_come_and_go(bench: Bench) -> None:
    unknown = b"u" * 16
    topic_id = bench.create()
    first = begin(bench, (0, 0), version=13, topic_id=topic_id)

    def more(epoch: int, *wanted: tuple[int, int], **how: Any) -> list[Any]:
        request = fetch(*wanted, session_id=first.session_id, session_epoch=epoch, **how)
        response = bench.ask(request, 13)
        return [
            (bytes(topic.topic_id), part.error_code)
            for topic in response.responses
            for part in topic.partitions
        ]

    assert more(1, (0, 0), topic_id=unknown) == [(unknown, errors.UnknownTopicId.code)]
    bench.delete()
    assert more(2) == [
        (topic_id, errors.UnknownTopicId.code), (unknown, errors.UnknownTopicId.code),
    ]  # fmt: skip
    bench.create()
    assert (topic_id, errors.UnknownTopicId.code) in more(3), "the new one has another id"
    forgotten = [Forgotten(topic_id=one, partitions=[0]) for one in (topic_id, unknown)]
    assert more(4, forgotten_topics_data=forgotten) == []
    gone = bench.ask(fetch(session_id=first.session_id, session_epoch=5), 13)
    assert gone.error_code == errors.FetchSessionIdNotFound.code, "an empty session ends"


def test_errors_of_sessions(bench: Bench) -> None:
    bench.create()
    first = begin(bench, (0, 0))
    known = first.session_id
    for version, session_id, epoch, error in [
        (12, 99, 1, errors.FetchSessionIdNotFound),
        (12, known, 2, errors.InvalidFetchSessionEpoch),
        (13, known, 1, errors.FetchSessionTopicIdError),
    ]:
        answer = bench.ask(fetch(session_id=session_id, session_epoch=epoch), version)
        assert (answer.error_code, answer.session_id) == (error.code, 0)
    closed = bench.ask(fetch((0, 0), session_id=known, session_epoch=-1), 12)
    assert (closed.error_code, closed.session_id) == (0, 0)
    assert not bench.broker.sessions.sessions


def test_a_full_fetch_replaces_the_session_that_it_names(bench: Bench) -> None:
    bench.create()
    first = begin(bench, (0, 0))
    second = begin(bench, (0, 0), session_id=first.session_id)
    assert list(bench.broker.sessions.sessions) == [second.session_id]


def test_a_partition_forgotten_while_it_is_waited_for(bench: Bench) -> None:
    bench.create(partitions=2)
    first = begin(bench, (0, 0), (1, 0))
    waiting = bench.send(
        fetch(session_id=first.session_id, session_epoch=1, max_wait_ms=1000), 12
    )
    other = bench.connect()
    forget = fetch(
        session_id=first.session_id, session_epoch=2,
        forgotten_topics_data=[Forgotten(topic="t", partitions=[0])],
    )  # fmt: skip
    bench.ask(forget, 12, connection=other)
    bench.append("a")
    assert data(waiting.response) == [(0, 0, ["a"])]


def _batch(value: str) -> bytearray:
    from fastbroker.records.builder import build_batch

    return bytearray(build_batch([(b"k", value.encode(), (), 1)]))
