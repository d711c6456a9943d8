"""A controller's state over a disk that fails."""

from __future__ import annotations

import asyncio
import pathlib
import time

import pytest
import uvloop

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig, ConfigError
from fastbroker.controller.home import Home
from fastbroker.controller.node import Node
from fastbroker.controller.requests import Requests
from fastbroker.protocol.metadata_records import ProducerIdsRecord
from fastbroker.storage.disk import Disk
from tests.storage.full_disk import FullDisk


class FailingDisk(Disk):
    fails = False

    def sync(self, fd: int) -> None:
        if self.fails:
            raise OSError(5, "Input/output error")
        super().sync(fd)




def test_what_is_not_flushed_is_not_answered_and_ends_the_process(tmp_path: pathlib.Path) -> None:
    loop, disk = uvloop.new_event_loop(), FailingDisk()
    home = Home(BrokerConfig({"log.dirs": str(tmp_path)}), disk)
    fatal: list[BaseException] = []
    node = Node(loop, home, home.identity(), fatal=fatal.append)
    node.start()
    kept = node.propose([])
    assert kept.done
    disk.fails = True
    lost = node.propose([ProducerIdsRecord(broker_id=1, next_producer_id=1000)])
    with pytest.raises(errors.KafkaStorageError):
        node._flush()
    assert not lost.done
    assert isinstance(fatal[0], OSError)
    loop.close()


def test_on_a_full_disk_changes_wait_in_order(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastbroker.controller.node.FULL_RETRY_S", 0.001)
    loop, disk = uvloop.new_event_loop(), FullDisk()
    home = Home(BrokerConfig({"log.dirs": str(tmp_path)}), disk)
    node = Node(loop, home, home.identity(), fatal=pytest.fail)
    node.start()
    assert (tmp_path / "controller-1" / "reserve").stat().st_size > 0
    assert node.has_space()
    disk.is_full = True
    changes = [
        node.propose([ProducerIdsRecord(broker_id=1, next_producer_id=1000 * n)]) for n in (1, 2)
    ]
    loop.run_until_complete(asyncio.sleep(0.01))
    assert not any(change.done for change in changes)
    assert not node.has_space()
    assert not (tmp_path / "controller-1" / "reserve").exists()
    disk.is_full = False
    deadline = time.monotonic() + 5
    while not all(change.done for change in changes):
        loop.run_until_complete(asyncio.sleep(0.001))
        assert time.monotonic() < deadline
    assert node.has_space()
    assert node.image.next_producer_id == 2000
    node.close()
    loop.close()
    again = uvloop.new_event_loop()
    assert Node(again, home, home.identity(), fatal=pytest.fail).image.next_producer_id == 2000
    again.close()


def test_a_directory_of_another_node_or_a_damaged_one_is_refused(tmp_path: pathlib.Path) -> None:
    mine = Home(BrokerConfig({"log.dirs": str(tmp_path), "node.id": "1"}), Disk())
    made = mine.identity()
    assert mine.identity() == made
    meta = tmp_path / "controller-1" / "meta.properties"
    text = meta.read_text()
    meta.write_text(text.replace("node.id=1", "node.id=2"))
    with pytest.raises(ConfigError, match="belongs to node 2"):
        mine.identity()
    meta.write_text(text.replace("cluster.id", "x"))
    with pytest.raises(ConfigError, match=r"meta\.properties"):
        mine.identity()
    (tmp_path / "controller-1" / "__cluster_metadata-0").mkdir()
    (tmp_path / "controller-1" / "__cluster_metadata-0" / "quorum-state").write_text("{")
    with pytest.raises(ConfigError, match="quorum-state"):
        mine.quorum_state()


def test_a_session_lasts_as_long_as_it_is_set(tmp_path: pathlib.Path) -> None:
    loop = uvloop.new_event_loop()
    config = BrokerConfig({"log.dirs": str(tmp_path), "broker.session.timeout.ms": "1234"})
    home = Home(config, Disk())
    requests = Requests(Node(loop, home, home.identity(), fatal=lambda _: None), config)
    assert requests.brokers.session_timeout_ms == 1234
    requests.close()
    loop.close()
