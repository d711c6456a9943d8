"""What partitions weigh that nobody uses."""
from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Callable

import psutil

from loadtests.recovery.cluster import create, leaders
from loadtests.recovery.serving import DEADLINE_S
from tests.broker_process import BrokerProcess

SETTLE_S = 3.0

Sizes = dict[str, int]


def weigh(broker: BrokerProcess) -> Sizes:
    """PSS in bytes of the supervisor and its children by name, after some quiet seconds."""
    time.sleep(SETTLE_S)
    pids = {"fb-supervisor": broker.pid, **broker.roles()}
    return {
        name: psutil.Process(pid).memory_full_info().pss for name, pid in sorted(pids.items())
    }


def idle(
    folder: pathlib.Path, count: int, *, each: int, workers: int, say: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Bytes by partition and process, after creating them and after a restart."""
    with BrokerProcess(folder / "empty", workers=workers) as broker:
        empty = weigh(broker)
    out = {}
    with BrokerProcess(folder / "idle", workers=workers) as broker:
        begun = time.perf_counter()
        asyncio.run(create(broker.port, count, each))
        say(f"{count} partitions created in {time.perf_counter() - begun:.1f} s")
        out["created"] = by_partition(weigh(broker), empty, count)
    begun = time.perf_counter()
    broker = BrokerProcess(folder / "idle", workers=workers)
    try:
        broker.start(DEADLINE_S)
        asyncio.run(leaders(broker.port, count))
        say(f"started with them in {time.perf_counter() - begun:.1f} s")
        out["restarted"] = by_partition(weigh(broker), empty, count)
    finally:
        broker.stop()
    return out


def by_partition(full: Sizes, empty: Sizes, count: int) -> dict[str, float]:
    """The difference by process name, divided; `workers` is their sum."""
    out = {name: (size - empty[name]) / count for name, size in full.items()}
    out["workers"] = sum(size for name, size in out.items() if name.startswith("fb-worker"))
    return out
