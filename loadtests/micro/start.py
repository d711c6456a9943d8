"""How long from the command to the first acknowledged record, and what an idle broker weighs.

    python -m loadtests.micro.start [--rounds 7] [--workers 2] [--beside DIR]

Each round starts `fastbroker start` on an empty directory, creates a topic by asking for its
metadata, produces one record with acks=all over a plain socket and stops the clock at the answer.
CPU is what all its processes have used by then; other load on the machine changes it less than it
does the clock. Memory is the sum of the proportional set sizes (PSS) of all processes of the last
round, idle for two seconds: shared pages count once. One line a round, then medians.

The bytecode of all modules is cached, as pip leaves it, whatever the environment says: a start that
is not measured writes it to a directory of this run's. --beside: another checkout, measured in
turns with this one.
"""
from __future__ import annotations

import argparse
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import psutil

from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import build_batch
from loadtests.wire import call

DEADLINE_S = 30.0
TOPIC = "first"


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that are free now, below the ephemeral range."""
    for base in range(23000, 30000, count):
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise SystemExit("no free ports")


def first_ack(address: tuple[str, int], deadline: float) -> None:
    """Create the topic through Metadata and produce until one record is acknowledged."""
    metadata = MetadataRequest(
        topics=[MetadataRequest.MetadataRequestTopic(name=TOPIC)], allow_auto_topic_creation=True
    )
    while time.monotonic() < deadline:
        with socket.create_connection(address, 1) as sock:
            answer = call(sock, metadata, 9)
        partition = next((p for t in answer.topics if not t.error_code for p in t.partitions), None)
        if partition is None or partition.error_code:
            time.sleep(0.001)  # the topic is being created: ask again, as every client does
            continue
        leader = next(b for b in answer.brokers if b.node_id == partition.leader_id)
        batch = build_batch([(None, b"hello", (), int(time.time() * 1000))])
        with socket.create_connection((leader.host, leader.port), 1) as sock:
            produced = call(
                sock,
                ProduceRequest(
                    acks=-1,
                    timeout_ms=5000,
                    topic_data=[
                        ProduceRequest.TopicProduceData(
                            name=TOPIC,
                            partition_data=[
                                ProduceRequest.TopicProduceData.PartitionProduceData(
                                    index=partition.partition_index, records=batch
                                )
                            ],
                        )
                    ],
                ),
                9,
            )
        if produced.responses[0].partition_responses[0].error_code == 0:
            return
    raise SystemExit("no record was acknowledged in time")


class Start(NamedTuple):
    """One start: ms to `ready` and to the first ack, ms of CPU until then, MiB by process."""

    ready: float
    acked: float
    cpu: float
    sizes: list[float]


def once(tree: str, cache: str, *, workers: int, weigh: bool) -> Start:
    """Start a fresh broker of the checkout `tree`; `cache`: where its bytecode lies."""
    environment = {**os.environ, "PYTHONPATH": tree, "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as data:
        port = free_ports(workers)
        command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", data]
        command += ["--port", str(port), "--workers", str(workers)]
        begun = time.perf_counter()
        broker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tree, env=environment
        )
        try:
            assert broker.stdout is not None
            line = broker.stdout.readline()
            if not line.startswith(b"ready"):
                raise SystemExit(f"the broker did not become ready: {line!r}")
            ready = time.perf_counter() - begun
            first_ack(("127.0.0.1", port), time.monotonic() + DEADLINE_S)
            acked = time.perf_counter() - begun
            cpu = sum(cpu_s(process.pid) for process in family(broker.pid))
            sizes = weights(broker.pid) if weigh else []
        finally:
            broker.send_signal(signal.SIGTERM)
            broker.wait(DEADLINE_S)
    return Start(ready * 1000, acked * 1000, cpu * 1000, sizes)


def family(pid: int) -> list[psutil.Process]:
    """A process and its children."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_s(pid: int) -> float:
    """Seconds that a process has run; psutil has them in hundredths only."""
    threads = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def weights(pid: int) -> list[float]:
    """PSS in MiB of a process and its children, after two idle seconds."""
    time.sleep(2)
    return [process.memory_full_info().pss / 2**20 for process in family(pid)]


def show(tree: str, starts: list[Start]) -> None:
    """The medians of one checkout."""
    ready, acked, cpu = (
        statistics.median(values)
        for values in zip(*((s.ready, s.acked, s.cpu) for s in starts), strict=True)
    )
    sizes = starts[-1].sizes
    each = " + ".join(f"{size:.1f}" for size in sizes)
    print(f"{tree}")
    print(f"  median: ready {ready:6.0f} ms   first ack {acked:6.0f} ms   CPU {cpu:6.0f} ms")
    print(f"  idle  : {sum(sizes):.1f} MiB PSS in {len(sizes)} processes ({each})")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--beside", metavar="DIR", help="another checkout")
    args = options.parse_args()
    trees = [os.path.abspath(tree) for tree in (args.beside, ".") if tree]
    starts: dict[str, list[Start]] = {tree: [] for tree in trees}
    with tempfile.TemporaryDirectory() as cache:
        for tree in trees:
            once(tree, cache, workers=args.workers, weigh=False)  # writes the bytecode
        for n in range(args.rounds):
            for tree in trees:
                weigh = n == args.rounds - 1
                start = once(tree, cache, workers=args.workers, weigh=weigh)
                starts[tree].append(start)
                print(
                    f"round {n + 1}: ready {start.ready:6.0f} ms   first ack {start.acked:6.0f} ms"
                    f"   CPU {start.cpu:6.0f} ms   {tree}",
                    flush=True,
                )
    for tree in trees:
        show(tree, starts[tree])


if __name__ == "__main__":
    assert pathlib.Path("fastbroker").is_dir(), "run it from the checkout"
    main()
