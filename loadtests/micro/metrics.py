"""What counting costs: CPU of a worker for a request, with metrics and without.

    python -m loadtests.micro.metrics [--rounds N]

One real worker with its controller; in turns, the same requests while it counts and while it does
not, in one process, so that nothing else differs: ApiVersions on four connections, one at a time on
each; Produce of 1 KiB and of 16 KiB, acks=all, eight in flight on each. CPU is that of all threads
of the worker. Of each kind of turns the tenth that took least is compared: what else runs on the
machine only adds, and by far more than what is measured. The medians are printed, too.
"""
from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Callable

import fastbroker.controller.main as controller_main
import fastbroker.worker.main as worker_main
from fastbroker._c.connection import measure
from fastbroker.config.broker import BrokerConfig
from fastbroker.protocol.header import encode_request
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import build_batch
from fastbroker.supervisor.child import Child
from fastbroker.worker.worker import Worker
from loadtests.micro.start import first_ack, free_ports
from loadtests.wire import read_exactly

CONNECTIONS, TURN_S, DEADLINE_S = 4, 0.05, 60.0


class Switch:
    """In the worker: counts or does not, as a byte on `sock` says; answers with the CPU time."""

    def __init__(self, worker: Worker, sock: socket.socket) -> None:
        self.worker, self.sock = worker, sock
        self.counts = worker.flusher.counts
        worker.loop.add_reader(sock.fileno(), self.asked)

    def asked(self) -> None:
        wanted = self.sock.recv(1)
        metrics = self.worker.metrics
        assert metrics is not None
        if wanted in b"01":
            is_on = wanted == b"1"
            measure(is_on)
            self.worker.flusher.counts = self.counts if is_on else None
            metrics.delay.close()
            if is_on:
                metrics.delay.start()
        self.sock.send(struct.pack("d", time.process_time()))


def run_worker(
    config: BrokerConfig, sock: socket.socket, ready: Callable[[], object], fd: int
) -> None:
    class Switched(Worker):
        def start(self) -> None:
            super().start()
            Switch(self, sock)

    worker_main.Worker = Switched  # type: ignore[misc]
    worker_main.run(config, 0, 1, ready, fd)


class Broker:
    """A controller and one worker in `data`; `ask` reaches its Switch."""

    def __init__(self, data: str, port: int, metrics_port: int) -> None:
        os.makedirs(os.path.join(data, "run"))
        given = {"log.dirs": data, "listeners": f"PLAINTEXT://127.0.0.1:{port}"}
        given["fastbroker.metrics.listener"] = f"127.0.0.1:{metrics_port}"
        config = BrokerConfig(given)
        lifeline, self._lifeline = os.pipe()
        self._sock, theirs = socket.socketpair()
        own = [self._lifeline]
        self.children = [
            Child("controller", lambda *a: controller_main.run(config, *a), lifeline, own),
            Child("worker-0", lambda *a: run_worker(config, theirs, *a), lifeline, own),
        ]
        for child in self.children:
            child.start()
            if not select.select([child.ready_fd], [], [], DEADLINE_S)[0] or not child.ready():
                raise SystemExit(f"{child.role} did not start")

    def ask(self, what: bytes) -> float:
        self._sock.send(what)
        return float(struct.unpack("d", self._sock.recv(8))[0])

    def stop(self) -> None:
        for child in reversed(self.children):
            child.kill(signal.SIGTERM)
            child.ended()


class Load:
    """The same request again and again on some connections, `depth` of them in flight on each."""

    def __init__(self, name: str, frame: bytes, address: tuple[str, int], depth: int) -> None:
        self.name, self.frame, self.depth = name, frame, depth
        self.socks = [socket.create_connection(address) for _ in range(CONNECTIONS)]
        for sock in self.socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, count: int) -> None:
        """Have `count` requests answered, or a few more."""
        poll = select.poll()
        by_fd = {sock.fileno(): sock for sock in self.socks}
        for sock in self.socks:
            poll.register(sock, select.POLLIN)
            sock.sendall(self.frame * self.depth)
        sent = done = self.depth * len(self.socks)
        done = 0
        while done < sent:
            for fd, _ in poll.poll():
                answered = self._answers(by_fd[fd])
                done += answered
                if sent < count:
                    by_fd[fd].sendall(self.frame * answered)
                    sent += answered
        self.sent = sent

    def _answers(self, sock: socket.socket) -> int:
        """Read what is there, whole answers; how many."""
        data, count, at = sock.recv(1 << 16), 0, 0
        while at < len(data):
            if len(data) - at < 4:
                data += read_exactly(sock, 4 - (len(data) - at))
            size = struct.unpack_from(">i", data, at)[0]
            at += 4 + size
            if at > len(data):
                data += read_exactly(sock, at - len(data))
            count += 1
        return count


def frame_of(request: object, version: int) -> bytes:
    return b"".join(bytes(part) for part in encode_request(request, version, 1, "load"))  # type: ignore[arg-type]


def produce(size: int) -> bytes:
    """One record of `size` bytes to partition 0 of the topic that start.py makes."""
    batch = build_batch([(None, os.urandom(size), (), int(time.time() * 1000))])
    part = ProduceRequest.TopicProduceData.PartitionProduceData(index=0, records=batch)
    topic = ProduceRequest.TopicProduceData(name="first", partition_data=[part])
    return frame_of(ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=[topic]), 9)


def compare(broker: Broker, load: Load, rounds: int) -> None:
    """Turns with and without, and a line of what came of it."""
    load.run(2000)
    begun = time.monotonic()
    load.run(2000)
    count = max(int(load.sent * TURN_S / (time.monotonic() - begun)), 100)
    spent: dict[bytes, list[float]] = {b"0": [], b"1": []}
    for n in range(2 * rounds + 1):  # without, with, without, ...
        turn = b"01"[n % 2 : n % 2 + 1]
        cpu = broker.ask(turn)
        load.run(count)
        spent[turn].append((broker.ask(b"?") - cpu) / load.sent * 1e6)
    least = {turn: statistics.quantiles(some, n=10)[0] for turn, some in spent.items()}
    middle = {turn: statistics.median(some) for turn, some in spent.items()}
    line = f"{load.name:15}"
    for name, found in ("least", least), ("median", middle):
        line += f" {name}: without {found[b'0']:6.2f} us, with {found[b'1']:6.2f} us,"
        line += f" {found[b'1'] / found[b'0'] * 100 - 100:+5.2f} %  "
    print(line, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=300)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as data:
        port = free_ports(2)
        broker = Broker(data, port, port + 1)
        address = ("127.0.0.1", port)
        try:
            first_ack(address, time.monotonic() + DEADLINE_S)
            loads = [
                ("ApiVersions", frame_of(ApiVersionsRequest(), 3), 1),
                ("Produce 1 KiB", produce(1024), 8),
                ("Produce 16 KiB", produce(16384), 8),
            ]
            for name, frame, depth in loads:
                compare(broker, Load(name, frame, address, depth), args.rounds)
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
