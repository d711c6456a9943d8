"""Fetching partitions and counting what comes, for members of our own."""
from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from typing import Any

from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.records.reader import iter_batches
from loadtests.groups.peer import Peer

FETCH_VERSION = 11
MAX_WAIT_MS = 500
BUCKET_MS = 100


class Received:
    """Records that came, by the hundred milliseconds and by reader.

    positions: where each partition goes on, whoever reads it next.
    """

    def __init__(self) -> None:
        self.by_bucket: dict[str, Counter[int]] = defaultdict(Counter)
        self.last: dict[str, float] = {}
        self.longest: dict[str, float] = defaultdict(float)  # seconds between two answers with data
        self.positions: dict[int, int] = defaultdict(int)

    def count(self, reader: str, records: int) -> None:
        now = time.monotonic()
        self.by_bucket[reader][int(now * 1000) // BUCKET_MS] += records
        if reader in self.last:
            self.longest[reader] = max(self.longest[reader], now - self.last[reader])
        self.last[reader] = now


class Reader:
    """Reads the partitions it is given from their leaders; one connection to each of them."""

    def __init__(
        self, name: str, topic: str, leaders: dict[int, str], received: Received
    ) -> None:
        self.name, self._topic, self._leaders, self._received = name, topic, leaders, received
        self._peers: dict[str, Peer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.owned: set[int] = set()

    def read(self, partitions: set[int]) -> None:
        """Read exactly these from now on."""
        self.owned = set(partitions)
        for address in {self._leaders[one] for one in partitions} - self._tasks.keys():
            self._peers[address] = Peer(address, self.name)
            self._tasks[address] = asyncio.ensure_future(self._run(address))

    def close(self) -> None:
        self.owned.clear()
        for task in self._tasks.values():
            task.cancel()
        for peer in self._peers.values():
            peer.close()

    async def _run(self, address: str) -> None:
        while True:
            mine = [one for one in self.owned if self._leaders[one] == address]
            if not mine:
                await asyncio.sleep(0.005)
                continue
            answer = await self._peers[address].call(self._request(mine), FETCH_VERSION)
            for one in answer.responses[0].partitions if answer.responses else ():
                self._take(one)

    def _request(self, partitions: list[int]) -> FetchRequest:
        topic = FetchRequest.FetchTopic
        asked = [
            topic.FetchPartition(
                partition=one,
                fetch_offset=self._received.positions[one],
                partition_max_bytes=1 << 20,
            )
            for one in partitions
        ]
        return FetchRequest(
            max_wait_ms=MAX_WAIT_MS, min_bytes=1, max_bytes=50 << 20, session_epoch=-1,
            topics=[topic(topic=self._topic, partitions=asked)],
        )  # fmt: skip

    def _take(self, data: Any) -> None:
        if data.error_code:
            raise SystemExit(f"{self._topic}-{data.partition_index}: error {data.error_code}")
        if not data.records or data.partition_index not in self.owned:
            return  # what is revoked meanwhile belongs to its next owner
        *_, last = iter_batches(data.records)
        end = last.header.last_offset + 1
        records = end - self._received.positions[data.partition_index]
        self._received.positions[data.partition_index] = end
        self._received.count(self.name, records)
