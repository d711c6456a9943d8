"""What a scrape of consumer lag costs: many partitions, many groups that are behind in all of them.

    python -m loadtests.micro.lag [--groups 1000] [--partitions 10] [--workers 2] [--rounds 15]

Each group has committed in every partition of a topic of its own; all of them are behind. Kinds of
rounds: first, when nothing is known of these offsets yet; same, when nothing has moved since the
round before; moved, when every group has committed another offset; read, when every group has read
all, which is what they do mostly. For each kind: how
long the lag alone takes, asked and joined in this process, and its CPU time (means); how long
a scrape of the whole host takes; and how long a worker's loop was away at the most while the lag
was asked for, by questions that want no work, beside the same without any. Medians, but for what is
called longest: the median of each round's longest. With fewer free CPUs than workers and two, being
away is mostly waiting for one.
"""
from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import psutil
from confluent_kafka import Producer

from fastbroker.cli.client import Client, chunks
from fastbroker.gateway.host import Host
from fastbroker.gateway.lag import add_lag
from fastbroker.metrics.page import Page
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from loadtests.micro.start import DEADLINE_S, free_ports
from loadtests.wire import read_exactly

RECORDS = 12  # in each partition, a second after each other
WITHIN_S = 5.0
Topic = OffsetCommitRequest.OffsetCommitRequestTopic


def fill(client: Client, bootstrap: str, groups: int, partitions: int) -> None:
    """Make the topics, with records that are an hour old and a second apart."""
    made = CreateTopicsRequest.CreatableTopic
    for some in chunks(range(groups), 100):
        topics = [
            made(name=f"topic-{n}", num_partitions=partitions, replication_factor=1) for n in some
        ]
        client.call(CreateTopicsRequest(topics=topics, timeout_ms=60_000), timeout_s=60)
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 1000, "queue.buffering.max.messages": 10**6}
    )
    begun_ms = int(time.time() * 1000) - 3_600_000
    for number in range(RECORDS):
        for n in range(groups):
            for partition in range(partitions):
                producer.produce(
                    f"topic-{n}", b"v" * 100, partition=partition,
                    timestamp=begun_ms + number * 1000,
                )  # fmt: skip
        producer.flush(60)  # so many batches


def commit(client: Client, groups: int, partitions: int, offset: int) -> None:
    """Every group commits `offset` in all of its partitions."""
    names = [f"group-{n}" for n in range(groups)]
    where = client.attempt(lambda: client.coordinators(names))
    part = Topic.OffsetCommitRequestPartition
    for n, name in enumerate(names):
        parts = [part(partition_index=p, committed_offset=offset) for p in range(partitions)]
        request = OffsetCommitRequest(
            group_id=name, topics=[Topic(name=f"topic-{n}", partitions=parts)]
        )
        answer = client.attempt(
            lambda request=request, name=name: client.call(request, node=where[name], at_most=9)
        )
        assert answer.topics[0].partitions[0].error_code == 0, answer


class Watch:
    """A process of its own that asks a worker for nothing, again and again, and tells how long the
    worker was away at the most."""

    def __init__(self, path: str) -> None:
        self._ours, its = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=self._run, args=(path, its), daemon=True)
        self._process.start()
        self._ours.recv()

    @staticmethod
    def _run(path: str, pipe: Any) -> None:
        ping = len(b"ping").to_bytes(4, "big") + b"ping"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            pipe.send(None)
            longest_s = 0.0
            while not pipe.poll():
                begun = time.perf_counter()
                sock.sendall(ping)
                read_exactly(sock, 4)
                longest_s = max(longest_s, time.perf_counter() - begun)
                time.sleep(0.0002)
            pipe.send(longest_s)

    def stop(self) -> float:
        """Seconds."""
        self._ours.send(None)
        longest_s: float = self._ours.recv()
        self._process.join()
        return longest_s


def watched(host: Host, work: Callable[[], object]) -> tuple[float, float]:
    """(seconds that `work` took, the longest that a worker was away meanwhile)."""
    watches = [Watch(host.socket_path(name)) for name in host.worker_names()]
    begun = time.perf_counter()
    work()
    took = time.perf_counter() - begun
    return took, max([watch.stop() for watch in watches])


class Round:
    """One look at the lag, in ms."""

    def __init__(self, host: Host, workers: list[psutil.Process], url: str) -> None:
        def lag() -> None:
            asyncio.run(add_lag(Page(), host, WITHIN_S))

        def scrape() -> None:
            urllib.request.urlopen(url).read()

        before, own = cpu_s(workers), time.process_time()
        begun = time.perf_counter()
        lag()
        self.lag_ms = (time.perf_counter() - begun) * 1e3
        self.cpu_ms = (cpu_s(workers) - before) * 1e3
        self.join_ms = (time.process_time() - own) * 1e3
        self.away_ms = watched(host, lag)[1] * 1e3
        self.idle_ms = watched(host, lambda: time.sleep(self.lag_ms / 1000))[1] * 1e3
        time.sleep(0.6)  # or the gateway gives the same page again
        begun = time.perf_counter()
        scrape()
        self.scrape_ms = (time.perf_counter() - begun) * 1e3


def cpu_s(workers: list[psutil.Process]) -> float:
    """CPU time of the workers so far."""
    return sum(sum(one.cpu_times()[:2]) for one in workers)


def show(kind: str, rounds: list[Round]) -> None:
    """Print the line of one kind of rounds."""

    def median(name: str) -> float:
        return statistics.median(getattr(one, name) for one in rounds)

    def mean(name: str) -> float:
        """CPU time of other processes comes in steps of 10 ms."""
        return statistics.mean(getattr(one, name) for one in rounds)

    print(
        f"{kind:6s}  lag {median('lag_ms'):6.1f} ms   CPU of the workers {mean('cpu_ms'):5.1f} ms,"
        f" of the join {mean('join_ms'):5.1f} ms"
        f"   whole scrape {median('scrape_ms'):6.1f} ms"
        f"   longest away {median('away_ms'):5.2f} ms, without a scrape {median('idle_ms'):5.2f}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--groups", type=int, default=1000)
    options.add_argument("--partitions", type=int, default=10, help="of each group")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--rounds", type=int, default=15)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as data:
        port = free_ports(args.workers + 1)
        url = f"http://127.0.0.1:{port + args.workers}/metrics"
        command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", data]
        command += ["--port", str(port), "--workers", str(args.workers)]
        command += ["--set", f"fastbroker.metrics.listener=127.0.0.1:{port + args.workers}"]
        broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert broker.stdout is not None
            line = broker.stdout.readline()
            if not line.startswith(b"ready"):
                raise SystemExit(f"the broker did not become ready: {line!r}")
            host = Host(data, args.workers, broker.pid, dict)
            workers = [
                one for one in psutil.Process(broker.pid).children(recursive=True)
                if one.name().startswith("fb-worker")
            ]  # fmt: skip
            with Client(f"127.0.0.1:{port}") as client:
                fill(client, f"127.0.0.1:{port}", args.groups, args.partitions)
                commit(client, args.groups, args.partitions, 1)
                print(
                    f"{args.groups} groups, {args.groups * args.partitions} partitions,"
                    f" {args.workers} workers, {os.cpu_count()} CPUs",
                    flush=True,
                )
                show("first", [Round(host, workers, url)])
                show("same", [Round(host, workers, url) for _ in range(args.rounds)])
                moved = []
                for number in range(2, RECORDS - 1)[: args.rounds]:
                    commit(client, args.groups, args.partitions, number)
                    moved.append(Round(host, workers, url))
                show("moved", moved)
                commit(client, args.groups, args.partitions, RECORDS)
                show("read", [Round(host, workers, url) for _ in range(args.rounds)])
        finally:
            broker.send_signal(signal.SIGTERM)
            broker.wait(DEADLINE_S)


if __name__ == "__main__":
    main()
