"""Writers that go on until the broker is gone, and what it had acknowledged by then."""
from __future__ import annotations

import asyncio
from collections import deque

from loadtests.recovery.build import batch_of
from loadtests.recovery.cluster import PRODUCE_VERSION, Place, produce
from loadtests.recovery.pipe import Pipe, frame
from loadtests.recovery.serving import check_produced

TOGETHER = 10  # partitions in a request
BATCH_BYTES = 1100
IN_FLIGHT = 16  # requests of a worker


class Load:
    """One writer for each worker, to `active` partitions of the worker in turns.

    acked: the highest offset acknowledged, by partition; a batch holds one record.
    """

    def __init__(self, port: int, led: dict[int, list[Place]], active: int) -> None:
        self.acked: dict[Place, int] = {}
        self.batches = 0
        self._tasks = [
            asyncio.ensure_future(self._write(port + index, places[:: len(places) // active or 1]))
            for index, places in led.items()
        ]

    async def end(self) -> None:
        """The broker was killed: whatever is still to be read has been read when this returns."""
        await asyncio.gather(*self._tasks)

    async def _write(self, port: int, places: list[Place]) -> None:
        pipe, batch = await Pipe.open(port), batch_of(BATCH_BYTES)
        parts = [places[n : n + TOGETHER] for n in range(0, len(places), TOGETHER)]
        frames = [frame(produce(part, batch), PRODUCE_VERSION) for part in parts]
        waiting, turn = deque[asyncio.Future[bytes]](), 0
        try:
            while True:
                if len(waiting) >= IN_FLIGHT:
                    self._note(await waiting.popleft())
                waiting.append(pipe.send(frames[turn % len(frames)]))
                turn += 1
        except ConnectionError:
            for answer in await asyncio.gather(*waiting, return_exceptions=True):
                if isinstance(answer, bytes):
                    self._note(answer)

    def _note(self, answer: bytes) -> None:
        offsets = check_produced(answer)
        self.batches += len(offsets)
        for place, offset in offsets.items():
            self.acked[place] = max(offset, self.acked.get(place, -1))
