"""How fast a log is compacted, what memory that takes, and what producers notice of it.

    python -m loadtests.micro.compaction [--data-dir DIR] [--mib 256] [--seconds 5]

First one thread without a broker: logs of 100 B and 1 KiB records in batches of about 16 KiB,
uncompressed, lz4 and zstd, with few distinct keys (each written 50 times) and with only distinct
ones; GB a second of CPU (bytes of the log, once), and how much resident memory grows. Then a real
broker: a producer waits for each acknowledgement on one topic while another is compacted, or is
not, in turns; its latencies. --seconds: of a turn without; one with lasts as long as compaction.
"""
from __future__ import annotations

import argparse
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.records.builder import build_batch
from fastbroker.storage.compaction import cleaning
from fastbroker.storage.compaction.candidates import candidate
from fastbroker.storage.compaction.cleaning import Cleaning, Means
from fastbroker.storage.compaction.offset_map import MapSize
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.opening import open_log

BATCH_BYTES = 16 << 10
REPEATS = 50
NOW_MS = int(time.time() * 1000)
MAP_SIZE = MapSize(128 << 20, 0.9)
CHUNK_BYTES = 256 << 10


class Case(NamedTuple):
    """One kind of log."""

    codec: str
    record_bytes: int
    has_repeats: bool

    def __str__(self) -> str:
        keys = f"each key {REPEATS} times" if self.has_repeats else "distinct keys"
        return f"{self.codec:<5} {self.record_bytes:>5} B  {keys}"


CASES = [
    Case(codec, size, has_repeats)
    for codec in ("none", "lz4", "zstd")
    for size in (100, 1024)
    for has_repeats in (True, False)
]


def written(path: pathlib.Path, case: Case, size: int) -> Log:
    """A log of about `size` uncompressed bytes in closed segments."""
    log = open_log(
        str(path), disk=Disk(), partition=TopicPartition("bench", 0), now_ms=NOW_MS,
        config=TopicConfig(segment_bytes=128 << 20, max_message_bytes=2 << 20),
    )  # fmt: skip
    dice = random.Random(1)
    a_batch = BATCH_BYTES // case.record_bytes
    records = size // case.record_bytes
    distinct = records // REPEATS if case.has_repeats else records
    # Half of a value is noise, so that codecs have something to do.
    noise = dice.randbytes(1 << 20)
    length = case.record_bytes - 24
    for first in range(0, records, a_batch):
        batch = []
        for number in range(first, first + a_batch):
            key = dice.randrange(distinct) if case.has_repeats else number
            at = dice.randrange((1 << 20) - length)
            value = noise[at : at + length // 2] + b"v" * (length - length // 2)
            batch.append((b"key-%012d" % key, value, (), NOW_MS))
        log.append_internal(
            build_batch(batch, compression=case.codec), leader_epoch=0, now_ms=NOW_MS
        )
    log.roll(NOW_MS)
    log.flush()
    log.config = TopicConfig(cleanup_policy=("compact",), segment_bytes=128 << 20)
    return log


def compact(log: Log) -> Cleaning:
    """One cleaning of all of `log`, as a worker does it."""
    found = candidate(
        log.segments, cleaned=0, log_start_offset=0, log_end_offset=log.log_end_offset,
        limit=log.recovery_point, config=log.config, now_ms=NOW_MS,
    )  # fmt: skip
    begun = cleaning.plan(log, found, NOW_MS)
    means = Means(log.disk, lambda _: None, MAP_SIZE, CHUNK_BYTES, os.urandom(16))
    work = Cleaning(begun, means)
    work.map_keys()
    for group in work.groups():
        new = work.rewrite(group)
        if not new.is_same:
            cleaning.commit_group(log, begun, new)
            segment, retired = cleaning.swap_in(log, begun, new)
            cleaning.settle_group(log, segment)
            for path in retired:
                log.disk.remove(path)
    return work


def one(case: Case, folder: pathlib.Path, size: int) -> None:
    """Measure one case in a process of its own, for its memory."""
    log = written(folder / "log", case, size)
    stored = log.size
    before = resource.getrusage(resource.RUSAGE_SELF)
    peak_before = before.ru_maxrss
    begun = time.perf_counter()
    work = compact(log)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert work.keys is not None
    grown = (after.ru_maxrss - peak_before) / 1e3
    print(
        f"{case}: {stored / 1e6:7.1f} MB stored, {size / cpu / 1e9:6.3f} GB/s of CPU"
        f" uncompressed, {stored / cpu / 1e9:6.3f} as stored; {wall:5.2f} s;"
        f" {work.records_kept} of {work.records_read} records left;"
        f" map {work.keys.slots * 24 / 1e6:.1f} MB, resident +{grown:.0f} MB", flush=True,
    )  # fmt: skip


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def producers(folder: pathlib.Path, seconds: float, rate: str) -> None:
    """Latencies of acknowledged writes, with and without compaction, in turns."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import (
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
    )
    from confluent_kafka.cimpl import NewTopic

    from tests.broker_process import BrokerProcess

    settings = ["log.cleaner.backoff.ms=100", "log.segment.delete.delay.ms=100"]
    settings.append(f"log.cleaner.io.max.bytes.per.second={rate}")
    with BrokerProcess(folder, workers=1, settings=settings) as broker:
        at = {"bootstrap.servers": broker.bootstrap}
        admin = AdminClient(at)
        topics = [NewTopic("dirty", 1, 1, config={"segment.bytes": str(64 << 20)}),
                  NewTopic("watched", 1, 1)]  # fmt: skip
        for future in admin.create_topics(topics).values():
            future.result(10)
        filler = Producer({**at, "linger.ms": 20, "compression.type": "zstd"})
        clean = next(folder.glob("broker-*")) / "cleaner-offset-checkpoint"
        noise, value, count = os.urandom(1 << 20), os.urandom(1000), 0

        def fill() -> None:
            """600 MB more that is dirty: each key twelve times, all of it is rewritten."""
            nonlocal count
            for number in range(600_000):
                at_ = number * 997 % (len(noise) - 500)
                text = noise[at_ : at_ + 500] + bytes(500)
                while True:
                    try:
                        filler.produce("dirty", key=b"%d" % (count % 50_000), value=text)
                        break
                    except BufferError:
                        filler.poll(0.1)
                count += 1
            assert filler.flush(60) == 0

        def set_policy(policy: str) -> None:
            resource_ = ConfigResource("topic", "dirty", incremental_configs=[
                ConfigEntry(name, text, incremental_operation=AlterConfigOpType.SET)
                for name, text in (
                    ("cleanup.policy", policy), ("min.cleanable.dirty.ratio", "0.0"),
                    ("retention.ms", "-1"),
                )
            ])  # fmt: skip
            for future in admin.incremental_alter_configs([resource_]).values():
                future.result(10)

        def latencies(is_over: Callable[[], bool]) -> list[float]:
            producer = Producer({**at, "linger.ms": 0})
            out = []
            while not is_over():
                begun = time.perf_counter()
                producer.produce("watched", value)
                producer.flush()
                out.append((time.perf_counter() - begun) * 1e3)
            return out

        results: dict[str, list[list[float]]] = {"without": [], "with": []}
        for turn in range(6):
            kind = ("without", "with")[turn % 2]
            if kind == "with":
                fill()
                clean.unlink(missing_ok=True)
                set_policy("compact")
            spent_before = cpu_of(broker.roles()["fb-worker-0"])
            begun = time.monotonic()
            if kind == "with":
                found = latencies(clean.exists)
            else:
                found = latencies(lambda begun=begun: time.monotonic() > begun + seconds)
            lasted = time.monotonic() - begun
            spent = cpu_of(broker.roles()["fb-worker-0"]) - spent_before
            if kind == "with":
                set_policy("delete")
            results[kind].append(found)
            print(
                f"{kind:>8} compaction, {lasted:.1f} s: {len(found)} writes,"
                f" p50 {percentile(found, 0.5):.2f}, p99 {percentile(found, 0.99):.2f},"
                f" largest {max(found):.1f} ms; worker {spent:.1f} s of CPU", flush=True,
            )  # fmt: skip
        for kind, runs in results.items():
            middle = statistics.median(percentile(run, 0.99) for run in runs)
            print(f"{kind:>8} compaction: median p99 {middle:.2f} ms")


def cpu_of(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.micro.compaction")
    options.add_argument("--data-dir", help="where to put the files; default: the temporary one")
    options.add_argument("--mib", type=int, default=256, help="of each log, before compression")
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--producers", action="store_true", help="only what producers notice")
    options.add_argument("--rate", default="1e300", help="log.cleaner.io.max.bytes.per.second")
    options.add_argument("--case", type=int, help=argparse.SUPPRESS)
    args = options.parse_args()
    with tempfile.TemporaryDirectory(dir=args.data_dir) as name:
        folder = pathlib.Path(name)
        if args.case is not None:
            one(CASES[args.case], folder, args.mib << 20)
            return
        for number in range(0 if args.producers else len(CASES)):
            command = [sys.executable, "-m", "loadtests.micro.compaction", "--case", str(number)]
            command += ["--mib", str(args.mib)]
            if args.data_dir:
                command += ["--data-dir", args.data_dir]
            subprocess.run(command, check=True)
        producers(folder / "broker", args.seconds, args.rate)
        shutil.rmtree(folder / "broker", ignore_errors=True)


if __name__ == "__main__":
    main()
