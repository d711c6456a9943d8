"""How long from the command to the first acknowledged record, and what an idle broker weighs.

    python -m loadtests.micro.start [--rounds 7] [--workers 2]

Each round starts `fastbroker start` on an empty directory, creates a topic by asking for its
metadata, produces one record with acks=all over a plain socket and stops the clock at the answer.
Memory is the sum of the proportional set sizes (PSS) of all processes of the last round, idle for
two seconds: shared pages count once. One line a round, then medians.
"""
from __future__ import annotations

import argparse
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

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


def once(workers: int, *, weigh: bool) -> tuple[float, float, dict[str, float]]:
    """(ms to `ready`, ms to the first ack, MiB of PSS by process) of one fresh broker."""
    with tempfile.TemporaryDirectory() as data:
        port = free_ports(workers)
        command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", data]
        command += ["--port", str(port), "--workers", str(workers)]
        begun = time.perf_counter()
        broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert broker.stdout is not None
            line = broker.stdout.readline()
            if not line.startswith(b"ready"):
                raise SystemExit(f"the broker did not become ready: {line!r}")
            ready = time.perf_counter() - begun
            first_ack(("127.0.0.1", port), time.monotonic() + DEADLINE_S)
            acked = time.perf_counter() - begun
            sizes = weights(broker.pid) if weigh else {}
        finally:
            broker.send_signal(signal.SIGTERM)
            broker.wait(DEADLINE_S)
    return ready * 1000, acked * 1000, sizes


def weights(pid: int) -> dict[str, float]:
    """PSS in MiB of a process and its children, after two idle seconds."""
    time.sleep(2)
    root = psutil.Process(pid)
    return {
        f"{process.pid}": process.memory_full_info().pss / 2**20
        for process in [root, *root.children(recursive=True)]
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--workers", type=int, default=2)
    args = options.parse_args()
    readies, acks = [], []
    sizes: dict[str, float] = {}
    for n in range(args.rounds):
        ready, acked, sizes = once(args.workers, weigh=n == args.rounds - 1)
        readies.append(ready)
        acks.append(acked)
        print(f"round {n + 1}: ready {ready:6.0f} ms   first ack {acked:6.0f} ms", flush=True)
    print(f"median : ready {statistics.median(readies):6.0f} ms   "
          f"first ack {statistics.median(acks):6.0f} ms   ({args.workers} workers)")
    each = " + ".join(f"{size:.1f}" for size in sizes.values())
    print(f"idle   : {sum(sizes.values()):.1f} MiB PSS in {len(sizes)} processes ({each})")


if __name__ == "__main__":
    assert pathlib.Path("fastbroker").is_dir(), "run it from the checkout"
    main()
