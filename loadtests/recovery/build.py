"""Data for all partitions, through Produce with few and large requests."""
from __future__ import annotations

import asyncio
import os
import time
from collections import deque

from fastbroker.records.builder import build_batch
from loadtests.recovery.cluster import PRODUCE_VERSION, Place, produce
from loadtests.recovery.pipe import Pipe, frame
from loadtests.recovery.serving import check_produced

BATCH_BYTES = 256 << 10
RECORD_BYTES = 1000
REQUEST_BYTES = 4 << 20
IN_FLIGHT = 6


def batch_of(size: int) -> bytes:
    """One batch of `size` bytes, more or less, of records that do not compress."""
    count = max(size // (RECORD_BYTES + 12), 1)
    now_ms = int(time.time() * 1000)
    value = os.urandom(min(size, RECORD_BYTES))
    return bytes(build_batch([(None, value, (), now_ms)] * count))


async def fill(port: int, led: dict[int, list[Place]], size: int) -> None:
    """`size` bytes over all partitions, evenly."""
    each = size // sum(map(len, led.values()))
    if not each:
        return
    rounds = max(round(each / BATCH_BYTES), 1)
    batch = batch_of(each // rounds)
    await asyncio.gather(
        *(_fill_one(port + index, places, batch, rounds) for index, places in led.items())
    )


async def _fill_one(port: int, places: list[Place], batch: bytes, rounds: int) -> None:
    pipe, waiting = await Pipe.open(port), deque[asyncio.Future[bytes]]()
    width = max(REQUEST_BYTES // len(batch), 1)
    for begun in range(0, len(places), width):
        request = frame(produce(places[begun : begun + width], batch), PRODUCE_VERSION)
        for _ in range(rounds):
            if len(waiting) >= IN_FLIGHT:
                check_produced(await waiting.popleft())
            waiting.append(pipe.send(request))
    while waiting:
        check_produced(await waiting.popleft())
    await pipe.close()
