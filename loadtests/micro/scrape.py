"""What a scrape of many partitions takes, and whom it holds up.

    python -m loadtests.micro.scrape [--partitions 10000] [--scrapes 20] [--workers 2]

A broker with topics of a hundred partitions, each of which holds a record. First nobody else is
there: how long GET /metrics takes, and of that each process to answer. Then a client produces one
record after the other, acks=all, to worker 0, and another asks it for ApiVersions every
millisecond: their latencies while nobody scrapes and while somebody does all the time, in turns.
"""
from __future__ import annotations

import argparse
import http.client
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial

from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import build_batch
from loadtests.micro.start import cpu_s, family, free_ports
from loadtests.wire import call

PER_TOPIC, PAUSE_S, TURN_S, TURNS = 100, 0.6, 5.0, 4
Data = ProduceRequest.TopicProduceData


def create(address: tuple[str, int], partitions: int) -> None:
    """Topics t0, t1, ... of PER_TOPIC partitions each."""
    with socket.create_connection(address) as sock:
        for n in range(partitions // PER_TOPIC):
            topic = CreateTopicsRequest.CreatableTopic(
                name=f"t{n}", num_partitions=PER_TOPIC, replication_factor=1
            )
            answer = call(sock, CreateTopicsRequest(topics=[topic], timeout_ms=30_000), 5)
            if answer.topics[0].error_code:
                raise SystemExit(f"t{n}: error {answer.topics[0].error_code}")


def leaders(address: tuple[str, int]) -> dict[tuple[str, int], list[tuple[str, int]]]:
    """(topic, partition)s by their leader's address."""
    with socket.create_connection(address) as sock:
        answer = call(sock, MetadataRequest(topics=None), 9)
    brokers = {one.node_id: (one.host, one.port) for one in answer.brokers}
    found: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for topic in answer.topics:
        for part in topic.partitions:
            found.setdefault(brokers[part.leader_id], []).append((topic.name, part.partition_index))
    return found


def produce(sock: socket.socket, places: list[tuple[str, int]], size: int = 100) -> None:
    """One record to each of `places`."""
    batch = build_batch([(None, b"x" * size, (), int(time.time() * 1000))])
    data = [
        Data(
            name=topic,
            partition_data=[Data.PartitionProduceData(index=number, records=bytes(batch))],
        )
        for topic, number in places
    ]
    answer = call(sock, ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=data), 9)
    codes = {p.error_code for topic in answer.responses for p in topic.partition_responses}
    if codes != {0}:
        raise SystemExit(f"produce: errors {codes}")


def scrape(port: int) -> tuple[float, bytes]:
    """Milliseconds until the whole page was here, and the page."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read()
    connection.close()
    return (time.perf_counter() - begun) * 1000, page


def scrapes(port: int, count: int, pid: int) -> None:
    """How long they take, and what they cost each process of the broker."""
    took, answered = [], []
    processes = {one.name(): one.pid for one in family(pid)}
    begun = {name: cpu_s(one) for name, one in processes.items()}
    for _ in range(count):
        time.sleep(PAUSE_S)  # a page is given again to who asks too soon
        ms, page = scrape(port)
        took.append(ms)
        answers = re.findall(rb"^fastbroker_answer_seconds\{[^}]*} (\S+)", page, re.M)
        answered.append(max(float(one) for one in answers) * 1000)
    lines = page.count(b"\n")
    print(f"a page of {lines} lines, {len(page) / 1e6:.1f} MB, {count} times")
    for name, some in ("all of it", took), ("processes", answered):
        print(f"  {name}  median {statistics.median(some):5.1f} ms, least {min(some):5.1f} ms")
    each = {name: (cpu_s(one) - begun[name]) / count * 1000 for name, one in processes.items()}
    print("  CPU of one ", ", ".join(f"{name} {ms:.1f} ms" for name, ms in each.items()))


def versions(sock: socket.socket) -> None:
    """Ask for what is asked first on every connection."""
    call(sock, ApiVersionsRequest(), 3)


def take(
    address: tuple[str, int], one: Callable[[socket.socket], object], pause_s: float, until: float,
    times: list[float],
) -> None:  # fmt: skip
    """Add to `times` the milliseconds of each call of `one`, one after the other."""
    with socket.create_connection(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < until:
            begun = time.perf_counter()
            one(sock)
            times.append((time.perf_counter() - begun) * 1000)
            time.sleep(pause_s)


def in_turns(address: tuple[str, int], place: tuple[str, int], port: int) -> None:
    """Latencies of two clients, without scrapes and with."""
    found: dict[tuple[str, bool], list[float]] = {}
    for turn in range(2 * TURNS):
        is_scraped = turn % 2 == 1
        until = time.monotonic() + TURN_S
        clients = []
        for name, pause_s in ("produce", 0.0), ("ApiVersions", 0.001):
            times = found.setdefault((name, is_scraped), [])

            one = partial(produce, places=[place], size=1024) if name == "produce" else versions
            client = threading.Thread(target=take, args=(address, one, pause_s, until, times))
            clients.append(client)
            client.start()
        if is_scraped:
            subprocess.run([sys.executable, "-c", _SCRAPE, str(port), str(TURN_S)], check=True)
        for client in clients:
            client.join()
    for (name, is_scraped), times in found.items():
        cuts = statistics.quantiles(times, n=1000)
        print(
            f"  {name:12} {'scraped' if is_scraped else 'alone':8} median {cuts[499]:6.2f} ms"
            f"   p99 {cuts[989]:6.2f} ms   p99.9 {cuts[998]:6.2f} ms   most {max(times):6.2f} ms"
            f"   {len(times)} requests"
        )


# In a process of its own: reading a page holds up whoever measures latencies beside it.
_SCRAPE = """
import http.client, sys, time
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    connection.request("GET", "/metrics")
    connection.getresponse().read()
    connection.close()
    time.sleep(0.55)
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--partitions", type=int, default=10_000)
    options.add_argument("--scrapes", type=int, default=20)
    options.add_argument("--workers", type=int, default=2)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as data:
        port = free_ports(args.workers + 1)
        metrics_port = port + args.workers
        command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", data]
        command += ["--port", str(port), "--workers", str(args.workers)]
        command += ["--set", f"fastbroker.metrics.listener=127.0.0.1:{metrics_port}"]
        broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert broker.stdout is not None
            if not broker.stdout.readline().startswith(b"ready"):
                raise SystemExit("the broker did not become ready")
            address = ("127.0.0.1", port)
            create(address, args.partitions)
            by_leader = leaders(address)
            for leader, places in by_leader.items():
                with socket.create_connection(leader) as sock:
                    for at in range(0, len(places), 500):
                        produce(sock, places[at : at + 500])
            print(f"{args.partitions} partitions, {args.workers} workers")
            scrapes(metrics_port, args.scrapes, broker.pid)
            in_turns(address, by_leader[address][0], metrics_port)
        finally:
            broker.send_signal(signal.SIGTERM)
            broker.wait(60)


if __name__ == "__main__":
    main()
