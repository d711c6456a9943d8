"""Offset commits of many clients, one after the other each, on one worker.

    python -m loadtests.micro.offset_commits [--clients 100] [--groups 10] [--seconds 5]

A commit is acknowledged when it is on disk. Every client commits one partition in its group, waits
for the answer and commits again; the groups fall on the 50 partitions of __consumer_offsets. One
line for each number of groups: commits a second, how long one took (p50, p99), and the CPU time of
the worker for one. The clients are one process on the same machine.
"""
from __future__ import annotations

import argparse
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

import psutil

from fastbroker._c.buffer import FileRange
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from loadtests.micro.start import DEADLINE_S, free_ports
from loadtests.wire import call

TOPIC, PARTITIONS, VERSION = "load", 100, 8
WARM_S = 1.0
Commit = OffsetCommitRequest.OffsetCommitRequestTopic


class Client:
    """One connection with a commit under way, from then on always one."""

    def __init__(self, address: tuple[str, int], group_id: str, partition: int) -> None:
        self.sock = socket.create_connection(address, 5)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        part = Commit.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=partition
        )
        request = OffsetCommitRequest(
            group_id=group_id, topics=[Commit(name=TOPIC, partitions=[part])]
        )
        parts = encode_request(request, VERSION, 1, "loadtests")
        self.frame = b"".join(bytes(p) for p in parts if not isinstance(p, FileRange))
        self.sent_at = 0.0

    def commit(self) -> None:
        self.sent_at = time.perf_counter()
        self.sock.sendall(self.frame)

    def answer(self) -> float:
        """How long the commit took, in seconds; its answer has come."""
        took = time.perf_counter() - self.sent_at
        data = self.sock.recv(4096)
        (size,) = struct.unpack_from(">i", data)
        assert len(data) == size + 4, "an answer fits one packet"
        told: Any = decode_response(OffsetCommitRequest, VERSION, memoryview(data)[4:])[1]
        assert told.topics[0].partitions[0].error_code == 0, told
        return took


def prepare(address: tuple[str, int], groups: int) -> None:
    """The topic and __consumer_offsets are there, and the groups are served."""
    topic = CreateTopicsRequest.CreatableTopic(
        name=TOPIC, num_partitions=PARTITIONS, replication_factor=1
    )
    with socket.create_connection(address, 5) as sock:
        call(sock, CreateTopicsRequest(topics=[topic], timeout_ms=5000), 7)
        for n in range(groups):
            find = FindCoordinatorRequest(key=f"group-{n}", key_type=0)
            until = time.monotonic() + DEADLINE_S
            while call(sock, find, 3).error_code:
                assert time.monotonic() < until, "there is no coordinator"
                time.sleep(0.01)


def measure(
    address: tuple[str, int], worker: psutil.Process, *, clients: int, groups: int, seconds: float
) -> None:
    """Print the line of one number of groups."""
    prepare(address, groups)
    waiting = selectors.DefaultSelector()
    for n in range(clients):
        client = Client(address, f"group-{n % groups}", n % PARTITIONS)
        waiting.register(client.sock, selectors.EVENT_READ, client)
        client.commit()
    until = time.perf_counter() + WARM_S
    run(waiting, until)
    cpu_s = sum(worker.cpu_times()[:2])
    begun = time.perf_counter()
    took = sorted(run(waiting, begun + seconds))
    elapsed = time.perf_counter() - begun
    cpu_us = (sum(worker.cpu_times()[:2]) - cpu_s) / len(took) * 1e6
    for key in list(waiting.get_map().values()):
        key.data.sock.close()
    median_ms, slow_ms = took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3
    print(
        f"{clients} clients, {groups:4d} groups: {len(took) / elapsed:7.0f} commits/s"
        f"   p50 {median_ms:6.2f} ms   p99 {slow_ms:6.2f} ms"
        f"   worker CPU {cpu_us:5.1f} us a commit",
        flush=True,
    )


def run(waiting: selectors.DefaultSelector, until: float) -> list[float]:
    """Let the clients go on; how long each commit took."""
    took = []
    while time.perf_counter() < until:
        for key, _ in waiting.select(1):
            took.append(key.data.answer())
            key.data.commit()
    return took


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--clients", type=int, default=100)
    options.add_argument("--groups", type=int, nargs="*", default=[1, 10, 100])
    options.add_argument("--seconds", type=float, default=5.0)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as data:
        port = free_ports(1)
        command = [sys.executable, "-m", "fastbroker", "start", "--data-dir", data]
        command += ["--port", str(port), "--workers", "1"]
        broker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            assert broker.stdout is not None
            line = broker.stdout.readline()
            if not line.startswith(b"ready"):
                raise SystemExit(f"the broker did not become ready: {line!r}")
            address = ("127.0.0.1", port)
            for groups in args.groups:
                measure(
                    address, worker_of(broker.pid, port), clients=args.clients, groups=groups,
                    seconds=args.seconds,
                )  # fmt: skip
        finally:
            broker.send_signal(signal.SIGTERM)
            broker.wait(DEADLINE_S)


def worker_of(pid: int, port: int) -> psutil.Process:
    """The process that listens to clients."""
    for process in psutil.Process(pid).children(recursive=True):
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return process
    raise SystemExit("no process listens")


if __name__ == "__main__":
    main()
