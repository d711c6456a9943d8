"""What a flush round costs, by how many partitions have written.

    python -m loadtests.micro.group_commit [--data-dir DIR] [--rounds N] [--bytes N]

Each round appends a batch of 1 KiB to each of 1, 4, 10, 100 and 1,000 partitions and waits until
all are flushed: with every segment synced itself, and with the commit journal; the two in turns on
the same disk, after rounds in which the journal's files have grown. Per round: median and 99th
percentile of the time, CPU of the process, and syncs of any kind. In the rounds with the journal is
what its checkpoints cost meanwhile.
"""
from __future__ import annotations

import argparse
import asyncio
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial

from fastbroker._c.record_batch import stamp
from fastbroker._c.sync_thread import SyncThread
from fastbroker.config.broker import BrokerConfig
from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import HALF_BYTES, Frame
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.worker.checkpoint import Checkpoint
from fastbroker.worker.flusher import Flusher
from loadtests.micro.append import batch_of

COUNTS = (1, 4, 10, 100, 1000)
NOW_MS = int(time.time() * 1000)


class CountingThread:
    """The sync thread, which counts its syncs."""

    def __init__(self) -> None:
        self._thread = SyncThread()
        self.done_fd = self._thread.done_fd
        self.syncs = 0

    def begin(
        self, files: Sequence[tuple[int, int]], journal: int = -1, frames: Sequence[Frame] = ()
    ) -> None:
        self.syncs += len(files) + (journal >= 0)
        self._thread.begin(files, journal, frames)

    def end(self) -> list[int]:
        return self._thread.end()

    def close(self) -> list[int]:
        return self._thread.close()


def _itself(log: Log) -> Log:
    return log


class Side:
    """A broker's log directory and its flusher, with or without the journal."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: pathlib.Path, has_journal: bool):
        self.loop = loop
        self.log_dir = LogDir(str(path), disk=Disk(), node_id=1)
        self.log_dir.open()
        self.thread, self.other = CountingThread(), CountingThread()
        self.checkpoint = Checkpoint(
            loop, self.other, self.log_dir, failed=self.failed, write_points=lambda: None
        )
        journal = (self.log_dir.journal, self.checkpoint) if has_journal else ()
        self.flusher = Flusher(loop, self.thread, self.failed, *journal)
        self.partitions: list[Partition] = []
        self.times_ms: list[float] = []
        self.cpu_s = 0.0

    def failed(self, error: OSError) -> None:
        raise error

    def have(self, count: int, topic: str) -> None:
        """Lead `count` new partitions, which have been written."""
        config = TopicConfig.resolve({}, BrokerConfig())
        self.partitions = []
        for number in range(count):
            name = TopicPartition(topic, number)
            opened = self.log_dir.open_log(name, os.urandom(16), config, NOW_MS)
            one = Partition(
                name, bytes(16), partial(_itself, opened), broker_id=1,
                request_flush=self.flusher.request,
            )
            one.lead(Leadership(1, 0, 0, (1,), (1,)))
            self.partitions.append(one)

    def round(self, data: memoryview) -> None:
        begun, cpu = time.perf_counter(), time.process_time()
        for one in self.partitions:
            stamp(data, 0, -1)
            one.append(data, now_ms=NOW_MS, produce_version=9)
        self.loop.run_until_complete(self._flushed())
        self.times_ms.append((time.perf_counter() - begun) * 1e3)
        self.cpu_s += time.process_time() - cpu

    async def _flushed(self) -> None:
        last = self.partitions[-1]
        waiting = self.loop.create_future()
        last.await_commit(last.log.log_end_offset, lambda: waiting.set_result(None))
        await waiting

    def begin(self) -> None:
        self.times_ms, self.cpu_s = [], 0.0
        self.thread.syncs = self.other.syncs = 0

    def show(self, name: str, count: int) -> None:
        rounds = len(self.times_ms)
        ordered = sorted(self.times_ms)
        print(
            f"{count:>6} {name:<10}{statistics.median(ordered):9.3f} ms"
            f"{ordered[min(int(rounds * 0.99), rounds - 1)]:9.3f} ms"
            f"{self.cpu_s / rounds * 1e3:9.3f} ms{self.thread.syncs / rounds:9.2f}"
            f"{self.other.syncs:6}",
            flush=True,
        )

    def close(self) -> None:
        self.flusher.close()
        self.checkpoint.close()
        self.log_dir.close(0)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.micro.group_commit")
    options.add_argument("--data-dir", help="where to put the files; default: the temporary one")
    options.add_argument("--rounds", type=int, default=300, help="at 1 partition; fewer at many")
    options.add_argument("--bytes", type=int, default=1024, help="of each batch")
    args = options.parse_args()
    data = memoryview(batch_of(args.bytes))
    print(f"{'':>6} {'':<10}{'median':>12}{'p99':>12}{'CPU':>12}{'syncs':>9}  checkpoints")
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
        sides = {
            name: Side(loop, pathlib.Path(path) / name, name == "journal")
            for name in ("direct", "journal")
        }
        for count in COUNTS:
            grown = 2 * HALF_BYTES // max(count * args.bytes, 4096) + 2
            for name, side in sides.items():
                side.have(count, f"t{count}")
                for _ in range(min(grown, 20_000 // count) if name == "journal" else 2):
                    side.round(data)
                side.begin()
            for _ in range(max(args.rounds // (1 + count // 30), 20)):
                for side in sides.values():
                    side.round(data)
            for name, side in sides.items():
                side.show(name, count)
        for side in sides.values():
            side.close()
    loop.close()


if __name__ == "__main__":
    main()
