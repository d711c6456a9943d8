"""Producer state, leader epochs, checkpoints and the log directory."""
from __future__ import annotations

import os
import pathlib

import pytest

from fastbroker._c.record_batch import read_header
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber
from fastbroker.model import OffsetAndEpoch, TopicPartition
from fastbroker.storage.checkpoints import CorruptFile, UnknownVersion, read_offsets, write_offsets
from fastbroker.storage.disk import Disk
from fastbroker.storage.leader_epochs import UNKNOWN, LeaderEpochs
from fastbroker.storage.log_dir import LogDir, LogDirError
from fastbroker.storage.producer_state import ProducerState
from fastbroker.uuids import uuid_bytes, uuid_text
from tests.storage.logs import NOW, TP, append, batch, contents

TOPIC = bytes(range(16))


def one(state: ProducerState, sequence: int, *, epoch: int = 0, size: int = 1, at: int = 0) -> bool:
    """Append a batch of producer 1; whether it was new."""
    header = read_header(
        batch(*["v"] * size, producer_id=1, producer_epoch=epoch, base_sequence=sequence)
    )
    if state.check(header) is not None:
        return False
    state.appended(header, at, NOW)
    return True


def test_sequences_continue_and_wrap() -> None:
    state = ProducerState()
    assert one(state, 2**31 - 2, size=3)  # 2147483646, 2147483647, 0
    assert one(state, 1)
    with pytest.raises(OutOfOrderSequenceNumber):
        one(state, 3)


def test_the_last_five_batches_are_known_again() -> None:
    state = ProducerState()
    for sequence in range(6):
        assert one(state, sequence, at=sequence)
    for sequence in range(1, 6):
        assert not one(state, sequence)
    with pytest.raises(OutOfOrderSequenceNumber):
        one(state, 0)
    with pytest.raises(OutOfOrderSequenceNumber):
        one(state, 5, size=2)  # the same beginning, but another batch


def test_a_new_epoch_begins_at_zero_and_fences_the_old() -> None:
    state = ProducerState()
    one(state, 0)
    with pytest.raises(OutOfOrderSequenceNumber):
        one(state, 1, epoch=1)
    assert one(state, 0, epoch=1)
    with pytest.raises(InvalidProducerEpoch):
        one(state, 1, epoch=0)


def test_a_snapshot_holds_the_last_batch_and_notices_damage() -> None:
    state = ProducerState()
    one(state, 0, size=3, at=10)
    data = state.snapshot()
    again = ProducerState.from_snapshot(data)
    assert again is not None
    assert not one(again, 0, size=3)
    assert one(again, 3)
    for at in range(2, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1
        assert ProducerState.from_snapshot(bytes(damaged)) is None
    with pytest.raises(UnknownVersion, match=r"^x has version 2, this broker understands 1: "):
        ProducerState.from_snapshot(b"\0\2" + data[2:], "x")
    assert ProducerState.from_snapshot(b"") is None


def test_idle_producers_expire() -> None:
    state = ProducerState()
    one(state, 0)
    state.expire(NOW - 1)
    assert state.producers
    state.expire(NOW)
    assert not state.producers


@pytest.mark.parametrize("rows", ["5 0\n4 9\n", "5 9\n6 9\n", "5 9\n6 3\n", "-2 0\n3 4\n"])
def test_epochs_that_go_back_are_not_believed(tmp_path: pathlib.Path, rows: str) -> None:
    path = tmp_path / "leader-epoch-checkpoint"
    path.write_text(f"0\n2\n{rows}")
    epochs = LeaderEpochs(Disk(), str(path))
    assert not epochs.load()
    assert epochs.entries == []


def test_epochs_are_found_by_number_and_offset(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "leader-epoch-checkpoint")
    epochs = LeaderEpochs(Disk(), path)
    assert epochs.end_of(0, 100) == UNKNOWN
    for epoch, start in ((1, 0), (3, 10), (5, 20)):
        epochs.assign(epoch, start)
    epochs.assign(4, 99)  # older: nothing
    assert epochs.is_dirty
    epochs.write()
    again = LeaderEpochs(Disk(), path)
    again.load()
    for epochs in (epochs, again):  # noqa: B020
        assert epochs.end_of(5, 100) == OffsetAndEpoch(100, 5)
        assert epochs.end_of(4, 100) == OffsetAndEpoch(20, 3)
        assert epochs.end_of(3, 100) == OffsetAndEpoch(20, 3)
        assert epochs.end_of(6, 100) == UNKNOWN
        assert epochs.end_of(0, 100) == OffsetAndEpoch(0, 0)
        assert [epochs.epoch_of(n) for n in (0, 9, 10, 25)] == [1, 1, 3, 5]
    epochs.cut_from(20)
    assert epochs.entries == [(1, 0), (3, 10)]
    epochs.cut_before(12)
    assert epochs.entries == [(3, 12)]


def test_a_checkpoint_is_read_back_and_damage_noticed(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "checkpoint")
    offsets = {TopicPartition("a.b-c", 3): 2**40, TP: 0}
    write_offsets(Disk(), path, offsets)
    assert read_offsets(Disk(), path) == offsets
    pathlib.Path(path).write_text("1\n0\n")
    with pytest.raises(UnknownVersion, match=f"^{path} has version 1, this broker understands 0"):
        read_offsets(Disk(), path)
    for damage in ("", "0", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na b 0\n", "0\n1\na 0 ?\n"):
        pathlib.Path(path).write_text(damage)
        with pytest.raises(CorruptFile):
            read_offsets(Disk(), path)


def opened(path: pathlib.Path, node: int = 1) -> LogDir:
    directory = LogDir(str(path / "broker"), disk=Disk(), node_id=node)
    directory.open()
    directory.join_cluster("cluster-a")
    return directory


def test_a_clean_end_is_known_at_the_next_start(tmp_path: pathlib.Path) -> None:
    first = opened(tmp_path)
    assert not first.was_clean
    log = first.open_log(TP, TOPIC, TopicConfig(), NOW)
    append(log, "a")
    identity = first.directory_id
    first.close(broker_epoch=77)
    second = opened(tmp_path)
    assert second.was_clean
    assert (second.previous_broker_epoch, second.directory_id) == (77, identity)
    assert contents(second.open_log(TP, TOPIC, TopicConfig(), NOW)) == [(0, "a")]
    os.close(second._lock)
    third = opened(tmp_path)
    assert not third.was_clean  # the second one did not close
    third.close(1)


def test_a_directory_is_used_once_by_its_own_node_and_cluster(tmp_path: pathlib.Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(LogDirError, match="another process"):
        opened(tmp_path)
    first.close(1)
    with pytest.raises(LogDirError, match="belongs to node 1"):
        opened(tmp_path, node=2)
    again = LogDir(first.path, disk=Disk(), node_id=1)
    # The refused opening above holds the lock until it is closed.
    with pytest.raises(LogDirError):
        again.open()


def test_another_topic_of_the_same_name_is_put_aside(tmp_path: pathlib.Path) -> None:
    first = opened(tmp_path)
    append(first.open_log(TP, TOPIC, TopicConfig(), NOW), "old")
    first.close(1)
    second = opened(tmp_path)
    log = second.open_log(TP, bytes(16), TopicConfig(), NOW)
    assert log.log_end_offset == 0
    assert not os.path.exists(log.directory), "nothing was written to it"
    append(log, "new")
    assert [name for name in os.listdir(second.path) if name.endswith("-stray")]
    assert second.unknown_directories([TP]) == []
    renamed = second.forget_log(TP)
    assert renamed is not None
    assert renamed.endswith("-delete")
    second.close(1)
    opened(tmp_path).close(1)
    assert not os.path.exists(renamed)


def test_ids_have_a_text() -> None:
    assert uuid_bytes(uuid_text(TOPIC)) == TOPIC
    with pytest.raises(ValueError, match="no uuid"):
        uuid_bytes("shor")
