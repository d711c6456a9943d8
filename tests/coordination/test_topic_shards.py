"""Elections and loading of shards that only count their records."""
from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fastbroker.coordination import topic_shards
from fastbroker.coordination.topic_shards import TopicShards
from fastbroker.errors import (
    CoordinatorLoadInProgress,
    KafkaError,
    KafkaStorageError,
    NotCoordinator,
)
from fastbroker.records.builder import build_batch
from tests.group.virtual_timers import VirtualTimers


class Counting:
    def __init__(self, partition: int, leader_epoch: int) -> None:
        self.partition, self.leader_epoch = partition, leader_epoch
        self.loaded = self.ended = False
        self.keys: list[bytes | None] = []
        self.told: type[KafkaError] | None = None

    def replay(self, key: bytes | None, value: bytes | None) -> None:
        self.keys.append(key)

    def begin(self) -> None:
        self.loaded = True

    def end(self, error: type[KafkaError]) -> None:
        self.ended, self.told = True, error


class Shards(TopicShards[Counting]):
    def __init__(self) -> None:
        self.timers = VirtualTimers()
        super().__init__("__kept", 4, self.timers, logging.getLogger("tests.coordination"))

    def make(self, partition: int, leader_epoch: int) -> Counting:
        return Counting(partition, leader_epoch)


def batch(key: bytes, *, control: bool = False) -> bytes:
    return bytes(build_batch([(key, b"", (), 0)], is_control=control))


def test_a_partition_is_served_once_it_is_loaded() -> None:
    shards = Shards()
    with pytest.raises(NotCoordinator):
        shards.at(1)
    done = shards.elected(1, 5, [batch(b"a"), batch(b"marker", control=True), batch(b"b")])
    assert done.done
    assert shards.at(1).keys == [b"a", b"b"]
    shards.resigned(1)
    with pytest.raises(NotCoordinator):
        shards.at(1)


def test_an_older_epoch_changes_nothing_and_a_newer_one_everything() -> None:
    shards = Shards()
    shards.elected(1, 5, [batch(b"a")])
    first = shards.at(1)
    assert shards.elected(1, 5, [batch(b"b")]).done
    assert shards.at(1) is first
    shards.elected(1, 6, [batch(b"b")])
    assert first.told is NotCoordinator
    assert shards.at(1).keys == [b"b"]


def test_what_is_not_there_yet_is_asked_for_again() -> None:
    shards, ready = Shards(), False

    def chunks() -> Iterator[bytes]:
        while not ready:
            yield b""
        yield batch(b"a")

    done = shards.elected(1, 5, chunks())
    shards.timers.advance(topic_shards.LOAD_WAIT_MS)
    with pytest.raises(CoordinatorLoadInProgress):
        shards.at(1)
    assert not done.done
    ready = True
    shards.timers.advance(2 * topic_shards.LOAD_WAIT_MS)
    assert done.done
    assert shards.at(1).keys == [b"a"]


def test_what_stays_away_is_asked_for_once_a_second() -> None:
    shards, asked = Shards(), 0

    def chunks() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b""

    shards.elected(1, 5, chunks())
    shards.timers.advance(10 * topic_shards.LOAD_WAIT_MAX_MS)
    before = asked
    shards.timers.advance(10 * topic_shards.LOAD_WAIT_MAX_MS)
    assert asked - before == 10
    shards.resigned(1)
    shards.timers.advance(topic_shards.LOAD_WAIT_MAX_MS)
    assert asked - before == 10
    assert shards.timers.waiting == 0


def test_a_load_that_fails_ends_the_shard(caplog: pytest.LogCaptureFixture) -> None:
    shards = Shards()

    def chunks() -> Iterator[bytes]:
        yield batch(b"a")
        raise KafkaStorageError("offline")

    assert shards.elected(1, 5, chunks()).done
    with pytest.raises(NotCoordinator):
        shards.at(1)
    assert "__kept-1: not served" in caplog.text
