"""CPU of one batch on its way into a log, and of finding it again.

    python -m loadtests.micro.append [--data-dir DIR]

Batches of 1 KiB, 16 KiB and 1 MiB of records of about 1 KiB, without compression: validation alone,
`Log.append` without and with an idempotent producer, and what the system call alone takes. Then
reading: locating a random offset, and locating and copying its batch. The file is overwritten from
its beginning when it has grown to 128 MiB, so that it is the code that is timed and not the first
touch of fresh pages.
"""
from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial

from fastbroker._c.record_batch import stamp
from fastbroker.config.broker import BrokerConfig
from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.records.builder import build_batch
from fastbroker.storage import opening
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.log import Log, Slice
from fastbroker.storage.validator import validate
from loadtests.micro.timing import cpu_us

FILE_MAX = 128 << 20
ROUND_MAX = 512 << 20  # announced bytes after which the log's file begins again, below a segment's
SIZES = [("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)]
NOW_MS = int(time.time() * 1000)


class RotatingDisk(Disk):
    """Writes of a log go round in the first FILE_MAX bytes of its file."""

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        os.pwrite(fd, data, offset % FILE_MAX)


def open_log(folder: pathlib.Path, disk: Disk) -> Log:
    """An empty log."""
    config = TopicConfig.resolve({"max.message.bytes": str(2 << 20)}, BrokerConfig())
    return opening.open_log(
        str(folder / "bench-0"), disk=disk, partition=TopicPartition("bench", 0),
        config=config, now_ms=NOW_MS,
    )  # fmt: skip


def batch_of(size: int, *, producer_id: int = -1, number: int = 0) -> bytearray:
    """One batch of about `size` bytes, the `number`th of its producer."""
    count = max(size // 1024, 1)
    value = bytes((size - 61) // count - 10)
    batch = build_batch(
        [(None, value, (), NOW_MS)] * count, producer_id=producer_id,
        producer_epoch=0 if producer_id >= 0 else -1,
        base_sequence=number * count if producer_id >= 0 else -1,
    )  # fmt: skip
    return bytearray(batch)


def appending(log: Log, size: int, producer_id: int) -> Callable[[], object]:
    """Appends a few prebuilt batches in turn; -1: without a producer."""
    many = min(64, (8 << 20) // size)
    views = [
        memoryview(batch_of(size, producer_id=producer_id, number=i)) for i in range(many)
    ]
    order = itertools.cycle(range(many))

    def append() -> None:
        number = next(order)
        if number == 0:
            log.producers.producers.clear()  # its sequences begin again
            if log.segments[-1].size > ROUND_MAX:
                log.segments[-1].size = 0
        data = views[number]
        stamp(data, 0, -1)
        log.append(data, leader_epoch=0, now_ms=NOW_MS, produce_version=9)

    return append


def show(name: str, us: float, size: int) -> None:
    """One line."""
    print(f"{name:<44}{us:9.2f} us{us * 1e3 / size:9.3f} s/GB", flush=True)


def writes(folder: pathlib.Path) -> None:
    """Into a log whose file has all its pages."""
    log = open_log(folder, RotatingDisk())
    appending(log, 1024, -1)()  # its file is made with the first batch
    for at in range(0, FILE_MAX + (1 << 20), 1 << 20):
        os.pwrite(log.segments[-1].fd, bytes(1 << 20), at)
    for name, size in SIZES:
        write(log, name, size)


def write(log: Log, name: str, size: int) -> None:
    """Batches of one size."""
    data, file = memoryview(batch_of(size)), log.segments[-1].fd
    places = itertools.cycle(range(0, FILE_MAX, size))
    check = partial(validate, data, config=log.config, now_ms=NOW_MS, produce_version=9)
    show(f"{name}: pwrite", cpu_us(lambda: os.pwrite(file, data, next(places))), size)
    show(f"{name}: validate", cpu_us(check), size)
    show(f"{name}: append", cpu_us(appending(log, size, -1)), size)
    show(f"{name}: append, idempotent", cpu_us(appending(log, size, 7)), size)


def read(folder: pathlib.Path, name: str, size: int) -> None:
    """From a log of 64 MiB in batches of one size."""
    chance = random.Random(1)
    log = open_log(folder, Disk())
    append = appending(log, size, -1)
    for _ in range((64 << 20) // size):
        append()
    end = log.log_end_offset
    last = end - max(size // 1024, 1)

    def locate(offset: int) -> Slice:
        return log.read(offset, max_bytes=size, max_offset=end, at_least_one=True)

    def locate_any() -> Slice:
        return locate(chance.randrange(end))

    show(f"{name}: locate a random offset", cpu_us(locate_any), size)
    show(f"{name}: locate the last batch", cpu_us(partial(locate, last)), size)
    show(f"{name}: locate and copy", cpu_us(lambda: locate_any().read_bytes()), size)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.micro.append")
    options.add_argument("--data-dir", help="where to put the files; default: the temporary one")
    args = options.parse_args()
    with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
        writes(pathlib.Path(path) / "writes")
        for name, size in SIZES:
            read(pathlib.Path(path) / str(size), name, size)


if __name__ == "__main__":
    main()
