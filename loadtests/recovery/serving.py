"""The clock: when a broker that is starting has served a partition, and all of them."""
from __future__ import annotations

import asyncio
import socket
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
CONNECT_RETRY_S = 0.005
DEADLINE_S = 300.0


class Served(NamedTuple):
    """Seconds since `begun`. offsets: where the record of each partition went.

    client_cpu_s: what the client took of the processors, which it shares with the broker.
    """

    first_ack_s: float
    all_s: float
    client_cpu_s: float
    offsets: dict[Place, int]


class Serving:
    """Produces one record to every partition and fetches it, once.

    Made before the broker is started: encoding the requests is not on the clock.
    """

    def __init__(self, port: int, led: dict[int, list[Place]]) -> None:
        batch = bytes(build_batch([(None, b"again", (), int(time.time() * 1000))]))
        self.offsets: dict[Place, int] = {}
        self._workers = [
            _Worker(port + index, places, batch, self.offsets)
            for index, places in led.items()
            if places
        ]

    async def serve(self, begun: float) -> Served:
        """Ask until each worker answers. begun: of time.perf_counter."""
        cpu_s = time.process_time()
        async with asyncio.timeout(DEADLINE_S):
            acks = [asyncio.ensure_future(worker.first_ack()) for worker in self._workers]
            await asyncio.gather(*(
                worker.serve(ack) for worker, ack in zip(self._workers, acks, strict=True)
            ))  # fmt: skip
        all_s = time.perf_counter() - begun
        first_ack_s = min(ack.result() for ack in acks) - begun
        return Served(first_ack_s, all_s, time.process_time() - cpu_s, self.offsets)


class _Worker:
    """One worker's share."""

    def __init__(
        self, port: int, places: list[Place], batch: bytes, offsets: dict[Place, int]
    ) -> None:
        self.port, self.batch, self.offsets = port, batch, offsets
        self._first = places[:1]
        parts = [places[n : n + TOGETHER] for n in range(0, len(places), TOGETHER)]
        self._parts = [(part, frame(produce(part, batch), PRODUCE_VERSION)) for part in parts]
        self._turns = asyncio.Semaphore(IN_FLIGHT)
        self.pipe: Pipe

    async def first_ack(self) -> float:
        """Connect and produce one record; when that was acknowledged."""
        while not (listening := connected(self.port)):
            await asyncio.sleep(CONNECT_RETRY_S)
        self.pipe = await Pipe.over(listening)
        await self._produce(self._first)
        return time.perf_counter()

    async def serve(self, first_ack: asyncio.Future[float]) -> None:
        await first_ack
        await asyncio.gather(*(self._part(part, data) for part, data in self._parts))
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


def connected(port: int) -> socket.socket | None:
    """A connection, or None while nobody listens. On loopback that is known at once, and a plain
    socket asks for a tenth of what asyncio's own connecting takes."""
    one = socket.socket()
    try:
        one.connect(("127.0.0.1", port))
    except ConnectionRefusedError:
        one.close()
        return None
    return one


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
