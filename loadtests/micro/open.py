"""What opening a log costs, for each of many small ones, as a broker opens them when first asked.

    python -m loadtests.micro.open [--partitions 2000] [--rounds 5] [--data-dir DIR]

clean: the run before has closed its logs. killed: it was killed with all of them open; of each, a
few batches are on disk that no checkpoint knows of. Batches are of an idempotent producer, as most
clients are, and a fetch of the last one is timed on its own: it opens what the opening did not.
Each round opens all of them, in a new LogDir, by a process of its own; the median of rounds is
given. System calls: with --rounds 1, under `strace -f -c`.
"""
from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import pathlib
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.records.builder import build_batch
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import CLEAN, LogDir

TAIL = 4  # batches behind the checkpoint, and as many before it
NOW_MS = int(time.time() * 1000)


class Cost(NamedTuple):
    """Microseconds for each log."""

    wall_us: float
    user_us: float
    system_us: float


def cost(work: Callable[[], object], count: int) -> Cost:
    """Of `work` on `count` logs."""
    gc.collect()
    before, begun = os.times(), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begun, os.times()
    scale = 1e6 / count
    return Cost(
        wall * scale, (after.user - before.user) * scale, (after.system - before.system) * scale
    )


def names(count: int) -> list[TopicPartition]:
    """Ten partitions a topic."""
    return [TopicPartition(f"orders-{number // 10}", number % 10) for number in range(count)]


def open_directory(path: str) -> LogDir:
    log_dir = LogDir(path, disk=Disk(), node_id=1)
    log_dir.open()
    log_dir.join_cluster("MkU3OEVBNTcwNTJENDM2Qk")
    return log_dir


def topic_id(name: TopicPartition) -> bytes:
    return name.topic.encode().ljust(16, b"-")[:16]


def open_all(log_dir: LogDir, all_names: Iterable[TopicPartition]) -> list[Log]:
    config = TopicConfig()
    return [log_dir.open_log(name, topic_id(name), config, NOW_MS) for name in all_names]


def append_some(logs: Iterable[Log], *, first: int) -> None:
    for log in logs:
        for number in range(first, first + TAIL):
            batch = build_batch(
                [(None, bytes(200), (), NOW_MS + number)],
                producer_id=7, producer_epoch=0, base_sequence=number,
            )  # fmt: skip
            log.append(
                memoryview(bytearray(batch)), leader_epoch=0, now_ms=NOW_MS, produce_version=9
            )


def build(path: str, count: int, *, closes: bool) -> None:
    """Run by a process of its own."""
    log_dir = open_directory(path)
    logs = open_all(log_dir, names(count))
    append_some(logs, first=0)
    for log in logs:
        job = log.begin_flush()
        assert job is not None
        log.end_flush(job)  # all of it is synced below
        log.let_go_of_files()
    log_dir.disk.sync_file_system(log_dir.fd)
    log_dir.write_recovery_points()
    append_some(logs, first=TAIL)
    if closes:
        log_dir.close(1)
        return
    log_dir.disk.sync_file_system(log_dir.fd)  # it is not what is timed
    os.kill(os.getpid(), signal.SIGKILL)


def measure(path: str, count: int) -> tuple[Cost, Cost]:
    """(opening, the first fetch of the last batch), run by a process of its own."""
    log_dir = open_directory(path)
    logs: list[Log] = []
    opening = cost(lambda: logs.extend(open_all(log_dir, names(count))), count)

    def fetch() -> None:
        for log in logs:
            assert log.log_end_offset == 2 * TAIL
            piece = log.read(
                2 * TAIL - 1, max_bytes=1 << 20, max_offset=2 * TAIL, at_least_one=True
            )
            assert piece.read_bytes()

    return opening, cost(fetch, count)


def measured_apart(path: str, count: int) -> tuple[Cost, Cost]:
    """`measure`, in a process that has measured nothing before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(measure, path, count).result()


def run(path: str, state: str, count: int, rounds: int) -> None:
    """Build the logs, open them `rounds` times, and print the medians."""
    builder = multiprocessing.get_context("fork").Process(
        target=build, args=(path, count), kwargs={"closes": state == "clean"}
    )
    builder.start()
    builder.join()
    mark = pathlib.Path(path, CLEAN)
    said = mark.read_bytes() if mark.exists() else None
    costs = []
    for _ in range(rounds):
        if said is not None:
            mark.write_bytes(said)  # the opening before has taken it away
        costs.append(measured_apart(path, count))
    for number, what in enumerate(("opened", "first fetch")):
        show(f"{state}, {what}", [one[number] for one in costs])


def show(what: str, costs: Sequence[Cost]) -> None:
    medians = [statistics.median(column) for column in zip(*costs, strict=True)]
    print(f"{what:<24}" + "".join(f"{value:>8.0f}" for value in medians))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data-dir", default=None)
    args = parser.parse_args()
    print(f"{'us a log':<24}{'wall':>8}{'user':>8}{'system':>8}")
    for state in ("clean", "killed"):
        with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
            run(path, state, args.partitions, args.rounds)


if __name__ == "__main__":
    main()
