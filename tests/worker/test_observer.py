"""The metadata log, followed; the controller is the test."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import OffsetAndEpoch
from fastbroker.protocol.messages.fetch import FetchResponse
from fastbroker.protocol.messages.fetch_snapshot import FetchSnapshotResponse
from fastbroker.protocol.metadata_records import NoOpRecord, RemoveTopicRecord, TopicRecord
from fastbroker.protocol.record_frames import encode_metadata_record
from fastbroker.protocol.schema import Struct
from fastbroker.raft.snapshot import batches_of
from fastbroker.records.builder import build_batch
from fastbroker.worker.observer import (
    CHANGE_RECORDS,
    METADATA_TOPIC_ID,
    RETRY_MS,
    TURN_MS,
    Observer,
)
from tests.group.virtual_timers import VirtualTimers
from tests.worker.fake_client import FakeClient

Topic = FetchResponse.FetchableTopicResponse
Part = Topic.PartitionData


def batch(*records: Struct, offset: int, epoch: int = 1, is_control: bool = False) -> bytes:
    return bytes(
        build_batch(
            [(None, encode_metadata_record(record), (), 0) for record in records],
            base_offset=offset,
            leader_epoch=epoch,
            is_control=is_control,
        )
    )


class Bench:
    def __init__(self) -> None:
        self.client, self.timers = FakeClient(), VirtualTimers()
        self.applied: list[tuple[set[str], int, int]] = []
        self.registered_from = 0  # the offset of the registration
        self.fatal: list[BaseException] = []
        self.observer = Observer(
            self.client,  # type: ignore[arg-type]
            self.timers,
            3,
            b"d" * 16,
            is_registered=lambda image: image.offset >= self.registered_from,
            apply=self._apply,
            fatal=self.fatal.append,
        )
        self.observer.start()

    def _apply(self, delta: MetadataDelta, image: MetadataImage) -> None:
        self.applied.append((delta.changed_topics, image.offset, image.epoch))

    def asked(self) -> tuple[int, int]:
        """(offset, last epoch) of the fetch that is under way."""
        (part,) = self.client.calls[0][0].topics[0].partitions
        return part.fetch_offset, part.last_fetched_epoch

    def answer(self, data: bytes = b"", *, error: int = 0, **fields: Any) -> None:
        part = Part(records=memoryview(data), error_code=error, **fields)
        topic = Topic(topic_id=METADATA_TOPIC_ID, partitions=[part])
        self.client.take("FetchRequest")[1].complete(FetchResponse(responses=[topic]))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_images_follow_one_another(bench: Bench) -> None:
    assert bench.asked() == (0, 0)
    one, two = bytes([1]) * 16, bytes([2]) * 16
    bench.answer(
        batch(TopicRecord(name="a", topic_id=one), offset=0)
        + batch(TopicRecord(name="b", topic_id=two), NoOpRecord(), offset=1, epoch=2)
    )
    assert bench.applied == [({"a", "b"}, 2, 2)]
    assert bench.asked() == (3, 2)
    bench.answer(batch(RemoveTopicRecord(topic_id=one), offset=3, epoch=2))
    assert bench.applied[1:] == [(set(), 3, 2)]
    assert list(bench.observer.image.topics) == ["b"]


def test_what_was_before_the_registration_is_not_carried_out(bench: Bench) -> None:
    """A topic's earlier life above all: its directory is another one's by now."""
    bench.registered_from = 5
    old, new = bytes([1]) * 16, bytes([2]) * 16
    bench.answer(batch(TopicRecord(name="t", topic_id=old), offset=0))
    bench.answer(batch(RemoveTopicRecord(topic_id=old), offset=1))
    assert (bench.applied, bench.observer.image.offset) == ([], -1)
    assert bench.asked() == (2, 1)
    bench.answer(
        batch(TopicRecord(name="u", topic_id=old), RemoveTopicRecord(topic_id=old), offset=2)
        + batch(TopicRecord(name="t", topic_id=new), NoOpRecord(), offset=4)
    )
    assert bench.applied == [({"t"}, 5, 1)]
    assert bench.observer.image.topics["t"].id == new
    assert bench.asked() == (6, 1)
    bench.answer(batch(RemoveTopicRecord(topic_id=new), offset=6))
    assert bench.applied[1:] == [(set(), 6, 1)]


def test_the_first_image_is_applied_in_parts_that_know_all_of_it(bench: Bench) -> None:
    count = 3 * CHANGE_RECORDS
    bench.registered_from = count - 1
    topics = [
        TopicRecord(name=f"t{n}", topic_id=n.to_bytes(16, "big")) for n in range(1, count + 1)
    ]
    bench.answer(batch(*topics, offset=0))
    while not bench.client.calls:
        assert bench.observer.image.offset == -1, "not all is applied"
        bench.timers.advance(0)
    assert [(len(names), offset) for names, offset, _ in bench.applied] == [
        (CHANGE_RECORDS, count - 1)
    ] * 3
    assert set().union(*(names for names, _, _ in bench.applied)) == set(
        bench.observer.image.topics
    )
    assert bench.asked() == (count, 1)


def test_others_have_their_turn_between_the_parts(bench: Bench) -> None:
    count = 3 * CHANGE_RECORDS
    topics = [TopicRecord(name=f"t{n}", topic_id=n.to_bytes(16, "big")) for n in range(count)]
    bench.answer(batch(*topics[:1], offset=0))
    apply, turns = bench.observer._apply, []

    def slowly(delta: MetadataDelta, image: MetadataImage) -> None:
        apply(delta, image)
        bench.timers.at_ms += TURN_MS
        turns.append("ours")
        bench.timers.after(0, turns.append, "another's")

    bench.observer._apply = slowly
    bench.answer(batch(*topics[1:], offset=1))
    while not bench.client.calls:
        bench.timers.advance(TURN_MS)
    assert turns[:5] == ["ours", "another's", "ours", "another's", "ours"]
    assert [offset for _, offset, _ in bench.applied] == [
        0, CHANGE_RECORDS, 2 * CHANGE_RECORDS, count - 1,
    ]  # fmt: skip
    assert len(bench.observer.image.topics) == count


def test_nothing_new_applies_nothing(bench: Bench) -> None:
    bench.answer()
    assert bench.applied == []
    assert bench.asked() == (0, 0)


def test_control_batches_count_and_say_nothing(bench: Bench) -> None:
    bench.answer(batch(NoOpRecord(), offset=0, is_control=True))
    assert bench.applied == [(set(), 0, 1)]


def test_a_batch_cut_short_is_fetched_again(bench: Bench) -> None:
    whole = batch(NoOpRecord(), offset=0)
    bench.answer(whole + batch(NoOpRecord(), offset=1)[:-5])
    assert bench.asked() == (1, 1)


@pytest.mark.parametrize("error", [errors.NetworkException("lost"), errors.RequestTimedOut("no")])
def test_a_lost_answer_is_asked_for_again(bench: Bench, error: Exception) -> None:
    bench.client.take("FetchRequest")[1].fail(error)
    assert not bench.client.calls
    bench.timers.advance(RETRY_MS)
    assert bench.asked() == (0, 0)


def test_an_error_is_asked_about_later(bench: Bench) -> None:
    bench.answer(error=errors.NotLeaderOrFollower.code)
    bench.timers.advance(RETRY_MS)
    assert not bench.client.calls
    bench.timers.advance(RETRY_MS * 9)
    assert bench.asked() == (0, 0)


def test_an_answer_without_the_partition_is_an_error(bench: Bench) -> None:
    bench.client.take("FetchRequest")[1].complete(FetchResponse(responses=[], error_code=-1))
    bench.timers.advance(RETRY_MS * 10)
    assert len(bench.client.calls) == 1


def test_another_log_is_fatal(bench: Bench) -> None:
    bench.answer(diverging_epoch=Part.EpochEndOffset(epoch=1, end_offset=5))
    assert "ends at 5" in str(bench.fatal[0])
    assert not bench.client.calls


def test_a_record_that_cannot_be_applied_is_fatal(bench: Bench) -> None:
    bench.answer(batch(RemoveTopicRecord(topic_id=b"?" * 16), offset=0))
    assert len(bench.fatal) == 1
    assert not bench.client.calls
    assert bench.applied == []


def test_a_damaged_batch_is_fatal(bench: Bench) -> None:
    data = bytearray(batch(TopicRecord(name="a", topic_id=b"a" * 16), offset=0))
    data[-1] ^= 1
    bench.answer(bytes(data))
    assert isinstance(bench.fatal[0], errors.CorruptMessage)


def test_closed_it_asks_no_more(bench: Bench) -> None:
    bench.observer.close()
    bench.answer(batch(NoOpRecord(), offset=0))
    assert bench.applied == []
    assert not bench.client.calls


SNAPSHOT = OffsetAndEpoch(5, 2)
TOPICS = [TopicRecord(name=f"t{n}", topic_id=n.to_bytes(16, "big")) for n in (1, 2)]
SNAPSHOT_DATA = b"".join(
    batches_of([encode_metadata_record(topic) for topic in TOPICS], epoch=2, timestamp_ms=0)
)


def told_of_snapshot(bench: Bench) -> None:
    """The controller says that the log is to be begun with it."""
    bench.answer(snapshot_id=Part.SnapshotId(end_offset=SNAPSHOT.offset, epoch=SNAPSHOT.epoch))


def answer_snapshot(bench: Bench, data: bytes, *, size: int = len(SNAPSHOT_DATA)) -> int:
    """Give a piece of it; the position that was asked for."""
    Topic = FetchSnapshotResponse.TopicSnapshot
    request, answer = bench.client.take("FetchSnapshotRequest")
    [partition] = request.topics[0].partitions
    assert (request.topics[0].name, partition.partition) == ("__cluster_metadata", 0)
    asked = partition.snapshot_id
    assert OffsetAndEpoch(asked.end_offset, asked.epoch) == SNAPSHOT
    piece = Topic.PartitionSnapshot(
        position=partition.position,
        size=size,
        unaligned_records=memoryview(data),
        snapshot_id=Topic.PartitionSnapshot.SnapshotId(),
    )
    answer.complete(FetchSnapshotResponse(topics=[Topic(partitions=[piece])]))
    return int(partition.position)


def test_it_begins_with_the_snapshot(bench: Bench) -> None:
    bench.registered_from = 6
    told_of_snapshot(bench)
    assert answer_snapshot(bench, SNAPSHOT_DATA[:100]) == 0
    assert answer_snapshot(bench, SNAPSHOT_DATA[100:]) == 100
    assert not bench.applied
    assert bench.asked() == (5, 2)
    bench.answer(batch(RemoveTopicRecord(topic_id=TOPICS[0].topic_id), NoOpRecord(), offset=5))
    assert bench.applied == [({"t2"}, 6, 1)]


def test_a_snapshot_may_have_the_registration(bench: Bench) -> None:
    told_of_snapshot(bench)
    answer_snapshot(bench, SNAPSHOT_DATA)
    assert bench.applied == [({"t1", "t2"}, 4, 2)]
    assert bench.asked() == (5, 2)


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_snapshot_that_is_not_to_be_had_is_asked_for_anew(bench: Bench, is_lost: bool) -> None:
    told_of_snapshot(bench)
    answer_snapshot(bench, SNAPSHOT_DATA[:100])
    _, answer = bench.client.take("FetchSnapshotRequest")
    if is_lost:
        answer.fail(errors.NetworkException("gone"))
    else:
        Topic = FetchSnapshotResponse.TopicSnapshot
        piece = Topic.PartitionSnapshot(
            error_code=errors.SnapshotNotFound.code,
            snapshot_id=Topic.PartitionSnapshot.SnapshotId(),
        )
        answer.complete(FetchSnapshotResponse(topics=[Topic(partitions=[piece])]))
    assert not bench.client.calls
    bench.timers.advance(RETRY_MS * 10)
    assert bench.asked() == (0, 0)
    told_of_snapshot(bench)
    assert answer_snapshot(bench, SNAPSHOT_DATA) == 0
    assert bench.asked() == (5, 2)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (SNAPSHOT_DATA[:-1], len(SNAPSHOT_DATA) - 1),
        (b"", len(SNAPSHOT_DATA)),
        (SNAPSHOT_DATA[:-1] + b"\xff", len(SNAPSHOT_DATA)),
    ],
)
def test_a_damaged_snapshot_is_fatal(bench: Bench, data: bytes, size: int) -> None:
    told_of_snapshot(bench)
    answer_snapshot(bench, data, size=size)
    assert len(bench.fatal) == 1
    assert not bench.client.calls


def test_a_log_that_has_gone_on_without_us_is_fatal(bench: Bench) -> None:
    bench.answer(batch(*TOPICS, offset=0))
    told_of_snapshot(bench)
    assert "has no offset 2 any more" in str(bench.fatal[0])
