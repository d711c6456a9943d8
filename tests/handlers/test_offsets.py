"""ListOffsets, OffsetForLeaderEpoch, DeleteRecords."""
from __future__ import annotations

import os
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.delete_records import DeleteRecordsRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.protocol.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from fastbroker.storage.checkpoints import read_offsets
from fastbroker.storage.offset_checkpoints import LOG_STARTS
from tests.handlers.bench import ELSEWHERE, ME, Bench, Pending, cannot_open
from tests.storage.logs import batch

Listed = ListOffsetsRequest.ListOffsetsTopic
Epochs = OffsetForLeaderEpochRequest.OffsetForLeaderTopic
Delete = DeleteRecordsRequest.DeleteRecordsTopic


def list_offsets(
    bench: Bench, *wanted: tuple[int, int], version: int = 11, topic: str = "t", epoch: int = -1
) -> list[tuple[int, int, int]]:
    """(error, offset, timestamp) for each (partition, timestamp)."""
    parts = [
        Listed.ListOffsetsPartition(
            partition_index=number, timestamp=timestamp, current_leader_epoch=epoch
        )
        for number, timestamp in wanted
    ]
    request = ListOffsetsRequest(replica_id=-1, topics=[Listed(name=topic, partitions=parts)])
    response = bench.ask(request, version)
    return [
        (part.error_code, part.offset, part.timestamp)
        for one in response.topics
        for part in one.partitions
    ]


@pytest.fixture
def filled(slow: Bench) -> Bench:
    """Offsets 0, 1 and 2 at NOW, NOW + 10, NOW + 20; 3 is not committed. Starts at 1."""
    slow.create()
    for n in range(3):
        slow.append(f"{n}", at=slow.timers.now_ms() + 10 * n)
    slow.flush()
    slow.append("3", at=slow.timers.now_ms() + 30)
    slow.partition().delete_records(1)
    return slow


def test_offsets_by_time(filled: Bench) -> None:
    now = filled.timers.now_ms()
    for timestamp, found in [
        (0, (0, 1, now + 10)), (now + 11, (0, 2, now + 20)), (now + 25, (0, -1, -1)),
    ]:  # fmt: skip
        assert list_offsets(filled, (0, timestamp)) == [found]


def test_offsets_by_name(filled: Bench) -> None:
    for timestamp, offset in [(-1, 3), (-2, 1), (-4, 1), (-5, -1), (-6, -1)]:
        assert list_offsets(filled, (0, timestamp)) == [(0, offset, -1)], timestamp
    filled.flush()
    assert list_offsets(filled, (0, -3)) == [(0, 3, filled.timers.now_ms() + 30)]


@pytest.mark.parametrize(("timestamp", "since"), [(-3, 7), (-4, 8), (-5, 9), (-6, 11)])
def test_a_name_before_its_version_is_unsupported(
    filled: Bench, timestamp: int, since: int
) -> None:
    assert list_offsets(filled, (0, timestamp), version=since)[0][0] == 0
    (answer,) = list_offsets(filled, (0, timestamp), version=since - 1)
    assert answer == (errors.UnsupportedVersion.code, -1, -1)


def test_what_means_nothing(filled: Bench) -> None:
    assert list_offsets(filled, (0, -7)) == [(errors.UnsupportedVersion.code, -1, -1)]
    twice = list_offsets(filled, (0, -1), (1, -1), (0, -2))
    invalid, unknown = errors.InvalidRequest.code, errors.UnknownTopicOrPartition.code
    assert [error for error, _, _ in twice] == [invalid, unknown, invalid]
    assert list_offsets(filled, (0, -1), epoch=9)[0][0] == errors.UnknownLeaderEpoch.code
    filled.elect(ELSEWHERE)
    assert list_offsets(filled, (0, -1))[0][0] == errors.NotLeaderOrFollower.code


@pytest.mark.parametrize("version", range(1, 12))
def test_every_version(filled: Bench, version: int) -> None:
    assert list_offsets(filled, (0, -1), version=version) == [(0, 3, -1)]


@pytest.mark.parametrize("version", [2, 3, 4])
def test_the_end_of_an_epoch(bench: Bench, version: int) -> None:
    bench.create()
    bench.append("a")
    bench.elect(ME)
    bench.elect(ME)
    bench.append("b", "c")

    def end(epoch: int, number: int = 0, current: int = -1) -> tuple[int, int, int]:
        part = Epochs.OffsetForLeaderPartition(
            partition=number, current_leader_epoch=current, leader_epoch=epoch
        )
        request = OffsetForLeaderEpochRequest(
            replica_id=-1, topics=[Epochs(topic="t", partitions=[part])]
        )
        ((found,),) = [topic.partitions for topic in bench.ask(request, version).topics]
        return found.error_code, found.leader_epoch, found.end_offset

    assert end(1) == end(2) == (0, 1, 1)
    assert end(3) == (0, 3, 3)
    assert end(4) == (0, -1, -1)
    assert end(1, current=2) == (errors.FencedLeaderEpoch.code, -1, -1)
    assert end(1, number=4) == (errors.UnknownTopicOrPartition.code, -1, -1)


def test_the_end_of_an_epoch_in_a_log_that_cannot_be_opened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create()
    cannot_open(bench, monkeypatch, errors.KafkaStorageError("damaged"))
    part = Epochs.OffsetForLeaderPartition(partition=0, current_leader_epoch=1, leader_epoch=1)
    request = OffsetForLeaderEpochRequest(
        replica_id=-1, topics=[Epochs(topic="t", partitions=[part])]
    )
    ((found,),) = [topic.partitions for topic in bench.ask(request, 4).topics]
    assert found.error_code == errors.KafkaStorageError.code


def delete(
    bench: Bench, offset: int, *, topic: str = "t", number: int = 0, version: int = 2
) -> tuple[int, int]:
    """(error, new start)"""
    part = Delete.DeleteRecordsPartition(partition_index=number, offset=offset)
    request = DeleteRecordsRequest(
        topics=[Delete(name=topic, partitions=[part])], timeout_ms=1000
    )
    asked = bench.send(request, version)
    if bench.starts_to_save:
        assert not asked.done, "a start is promised when it is on disk"
        bench.save_log_starts()
    ((found,),) = [one.partitions for one in asked.response.topics]
    return found.error_code, found.low_watermark


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_start_moves(filled: Bench, version: int) -> None:
    assert delete(filled, 2, version=version) == (0, 2)
    assert delete(filled, 0, version=version) == (0, 2), "what is below is gone already"
    assert list_offsets(filled, (0, -2)) == [(0, 2, -1)]
    assert delete(filled, -1, version=version) == (0, 3)


def test_records_that_stay(filled: Bench) -> None:
    assert delete(filled, 4) == (errors.OffsetOutOfRange.code, -1)
    assert delete(filled, 0, number=5) == (errors.UnknownTopicOrPartition.code, -1)
    filled.create("compacted", cleanup_policy="compact")
    filled.create("both", cleanup_policy="compact,delete")
    filled.create("__consumer_offsets")
    assert delete(filled, 0, topic="compacted") == (errors.PolicyViolation.code, -1)
    assert delete(filled, 0, topic="both") == (0, 0)
    error, _ = delete(filled, 0, topic="__consumer_offsets")
    assert error == errors.InvalidTopicException.code


def test_a_start_is_promised_when_it_is_on_disk(filled: Bench) -> None:
    path = os.path.join(filled.log_dir.path, LOG_STARTS)
    first = filled.send(deletion(t=2), 2)
    second = filled.send(deletion(t=3, unknown=0), 2)
    assert not first.done
    assert not second.done
    assert list_offsets(filled, (0, -2)) == [(0, 3, -1)], "readers see it at once"
    filled.save_log_starts()
    assert read_offsets(filled.log_dir.disk, path) == {TopicPartition("t", 0): 3}
    assert outcomes(first) == {"t": (0, 2)}
    assert outcomes(second) == {"t": (0, 3), "unknown": (3, -1)}


def test_nothing_is_written_for_what_is_refused(slow: Bench) -> None:
    asked = slow.send(deletion(unknown=0), 2)
    assert outcomes(asked) == {"unknown": (3, -1)}
    assert not slow.starts_to_save


def test_a_start_that_is_not_on_disk_is_not_promised(
    filled: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(filled.log_dir.disk, "replace_file", full)
        asked = filled.send(deletion(t=2, unknown=0), 2)
        filled.save_log_starts()
        assert outcomes(asked) == {
            "t": (errors.KafkaStorageError.code, -1),
            "unknown": (errors.UnknownTopicOrPartition.code, -1),
        }
    assert "No space left" in caplog.text
    assert delete(filled, 2) == (0, 2), "asked again, it is written"


def test_records_of_an_open_transaction_can_be_deleted(bench: Bench) -> None:
    bench.create()
    partition = bench.partition()
    guard = partition.begin_verification(7, 0, base_sequence=0)
    partition.append(
        batch("a", "b", producer_id=7, producer_epoch=0, base_sequence=0, is_transactional=True),
        now_ms=bench.timers.now_ms(), produce_version=9, verification=guard,
    )  # fmt: skip
    assert partition.last_stable_offset == 0
    assert delete(bench, -1) == (0, 2), "up to the high watermark, not the last stable offset"
    assert partition.last_stable_offset == 2
    assert 7 in partition.log.producers.producers


def deletion(**offsets: int) -> DeleteRecordsRequest:
    return DeleteRecordsRequest(
        timeout_ms=1000,
        topics=[
            Delete(
                name=name,
                partitions=[Delete.DeleteRecordsPartition(partition_index=0, offset=offset)],
            )
            for name, offset in offsets.items()
        ],
    )


def outcomes(asked: Pending) -> dict[str, tuple[int, int]]:
    """(error, new start) by topic."""
    return {
        topic.name: (topic.partitions[0].error_code, topic.partitions[0].low_watermark)
        for topic in asked.response.topics
    }
