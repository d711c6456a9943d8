"""Recovery's data is built, written to, killed and asked for; lost acknowledgements are noticed."""
from __future__ import annotations

import argparse
import asyncio
import pathlib

import pytest

from loadtests.recovery.__main__ import check, killed_under_load, recover, restart
from loadtests.recovery.cache import drop
from loadtests.recovery.cluster import by_topic, create, leaders
from loadtests.recovery.idle import by_partition, idle
from loadtests.recovery.pipe import Pipe
from tests.broker_process import BrokerProcess, free_ports


def arguments(**given: object) -> argparse.Namespace:
    told = {
        "partitions": 12, "bytes": 3e6, "each": 5, "workers": 2, "active": 3, "load": 0.2,
        "rounds": 1,
    }  # fmt: skip
    return argparse.Namespace(**(told | given))


def test_a_broker_is_built_killed_and_serves_again(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asyncio.run(recover(tmp_path, arguments()))
    for cache in ("kept", "dropped"):
        (one,) = found[cache]
        assert 0 < one["first_ack_s"] <= one["all_s"]
        assert one["acked_batches"] > 0
    assert len(found["empty"]) == 3
    logs = list((tmp_path / "full").glob("broker-*/t*/*.log"))
    assert len(logs) == 12
    assert sum(log.stat().st_size for log in logs) > 2.8e6
    assert "12 partitions, page cache dropped" in capsys.readouterr().out


def test_a_lost_acknowledgement_ends_it(tmp_path: pathlib.Path) -> None:
    async def lose() -> None:
        with BrokerProcess(tmp_path, workers=1) as broker:
            await create(broker.port, 2, 2)
            led = await leaders(broker.port, 2)
            load = await killed_under_load(broker, led, 2, 0.2)
            assert set(load.acked) == {("t00000", 0), ("t00000", 1)}
            found = await restart(broker, led)
            assert load.acked["t00000", 1] < found["offsets"]["t00000", 1]
            load.acked["t00000", 1] = found["offsets"]["t00000", 1]
            with pytest.raises(SystemExit, match="acknowledged and given away again"):
                check(found, load)

    asyncio.run(lose())


def test_requests_on_a_connection_that_ended_fail() -> None:
    async def ask() -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        port = free_ports(1)
        async with await asyncio.start_server(hang_up, "127.0.0.1", port):
            pipe = await Pipe.open(port)
            for _ in range(2):
                with pytest.raises(ConnectionError):
                    await pipe.send(b"\0\0\0\0")
            await pipe.close()

    asyncio.run(ask())


def test_partitions_are_grouped_by_topic() -> None:
    assert by_topic([("a", 1), ("b", 0), ("a", 0)]) == {"a": [1, 0], "b": [0]}


def test_idle_partitions_are_weighed(tmp_path: pathlib.Path) -> None:
    said: list[str] = []
    found = idle(tmp_path, 30, each=10, workers=1, say=said.append)
    assert set(found) == {"created", "restarted"}
    assert "30 partitions created" in said[0]
    assert set(found["created"]) == {"fb-controller", "fb-supervisor", "fb-worker-0", "workers"}


def test_workers_are_weighed_together() -> None:
    empty = {"fb-controller": 100, "fb-worker-0": 100, "fb-worker-1": 100}
    full = {"fb-controller": 300, "fb-worker-0": 1100, "fb-worker-1": 2100}
    assert by_partition(full, empty, 10) == {
        "fb-controller": 20, "fb-worker-0": 100, "fb-worker-1": 200, "workers": 300,
    }  # fmt: skip


def test_dropped_files_are_whole(tmp_path: pathlib.Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 10_000)
    drop(tmp_path)
    assert (tmp_path / "below" / "file").read_bytes() == b"x" * 10_000
