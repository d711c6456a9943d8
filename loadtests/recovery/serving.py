"""The clock: when a broker that is starting has served a partition, and all of them."""
from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from fastbroker.errors import of
from fastbroker.protocol.header import decode_response
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import build_batch
from loadtests.recovery.cluster import (
    FETCH_VERSION,
    PRODUCE_VERSION,
    Place,
    fetch,
    produce,
)
from loadtests.recovery.pipe import Pipe, frame

TOGETHER = 100  # partitions in a request
IN_FLIGHT = 8  # requests of a worker
RETRY_S = 0.002
DEADLINE_S = 300.0


class Served(NamedTuple):
    """Seconds since `begun`. offsets: where the record of each partition went."""

    first_ack_s: float
    all_s: float
    offsets: dict[Place, int]


async def serve(port: int, led: dict[int, list[Place]], begun: float) -> Served:
    """Produce one record to every partition and fetch it, asking until each worker answers.

    begun: of time.perf_counter.
    """
    batch = bytes(build_batch([(None, b"again", (), int(time.time() * 1000))]))
    offsets: dict[Place, int] = {}
    acks: list[float] = []
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(
            *(
                _Worker(port + index, batch, offsets).serve(places, acks)
                for index, places in led.items()
                if places
            )
        )
    return Served(min(acks) - begun, time.perf_counter() - begun, offsets)


class _Worker:
    """One worker's share."""

    def __init__(self, port: int, batch: bytes, offsets: dict[Place, int]) -> None:
        self.port, self.batch, self.offsets = port, batch, offsets
        self.pipe: Pipe
        self._turns = asyncio.Semaphore(IN_FLIGHT)

    async def serve(self, places: list[Place], acks: list[float]) -> None:
        # Encoded before anybody listens: the clock is the broker's.
        parts = [places[n : n + TOGETHER] for n in range(0, len(places), TOGETHER)]
        frames = [frame(produce(part, self.batch), PRODUCE_VERSION) for part in parts]
        while True:
            try:
                self.pipe = await Pipe.open(self.port)
                break
            except OSError:
                await asyncio.sleep(RETRY_S)
        await self._produce(places[:1])
        acks.append(time.perf_counter())
        await asyncio.gather(
            *(self._part(part, data) for part, data in zip(parts, frames, strict=True))
        )
        await self.pipe.close()

    async def _part(self, places: list[Place], request: bytes) -> None:
        async with self._turns:
            await self._produce(places, request)
            await self._fetch(places)

    async def _produce(self, places: list[Place], request: bytes | None = None) -> None:
        while places:
            data = request or frame(produce(places, self.batch), PRODUCE_VERSION)
            failed, offsets = produced(await self.pipe.send(data))
            self.offsets.update(offsets)
            places, request = list(failed), None
            if places:
                await asyncio.sleep(RETRY_S)

    async def _fetch(self, places: list[Place]) -> None:
        while places:
            wanted = {place: self.offsets[place] for place in places}
            answer = await self.pipe.send(frame(fetch(wanted), FETCH_VERSION))
            _, said = decode_response(FetchRequest, FETCH_VERSION, memoryview(answer))
            places = [
                (topic.topic, one.partition_index)
                for topic in said.responses
                for one in topic.partitions
                if one.error_code or not one.records
            ]
            if places:
                await asyncio.sleep(RETRY_S)


def produced(answer: bytes) -> tuple[dict[Place, int], dict[Place, int]]:
    """(error codes of those that failed, offsets of the others) in a produce's answer."""
    failed, offsets = {}, {}
    _, said = decode_response(ProduceRequest, PRODUCE_VERSION, memoryview(answer))
    for topic in said.responses:
        for one in topic.partition_responses:
            if one.error_code:
                failed[topic.name, one.index] = one.error_code
            else:
                offsets[topic.name, one.index] = one.base_offset
    return failed, offsets


def check_produced(answer: bytes) -> dict[Place, int]:
    """The offsets in a produce's answer. SystemExit when a batch was refused."""
    failed, offsets = produced(answer)
    for (topic, number), code in failed.items():
        raise SystemExit(f"{topic}-{number}: {of(code).name}")
    return offsets
