"""What is measured: a broker of ours, an Apache Kafka, or a cluster that is there already."""
from __future__ import annotations

import contextlib
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator

from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import build_batch
from loadtests.wire import call
from tests.apache_kafka.broker import KafkaNode
from tests.broker_process import BrokerProcess, wait_until

EXISTS = 36
KAFKA_DEFAULTS = {"group.initial.rebalance.delay.ms": "3000"}  # the test node sets it to 0
CREATED_WITHIN_S = 15.0


@contextlib.contextmanager
def cluster(bootstrap: str | None, *, kafka: bool, workers: int) -> Iterator[tuple[str, str]]:
    """(its name, an address) of the cluster; one that is started here ends with the context."""
    if bootstrap is not None:
        yield bootstrap, bootstrap
        return
    with tempfile.TemporaryDirectory() as data:
        if kafka:
            with KafkaNode(data, settings=KAFKA_DEFAULTS) as node:
                yield "Apache Kafka, default settings", node.bootstrap
        else:
            with BrokerProcess(data, workers=workers) as broker:
                yield f"fastbroker, {workers} workers", broker.bootstrap


def connect(address: str) -> socket.socket:
    """A connection to host:port."""
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)), 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def create_topic(bootstrap: str, name: str, partitions: int) -> None:
    """Have a topic, and wait until all its partitions are led."""
    topic = CreateTopicsRequest.CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=1
    )
    with connect(bootstrap) as sock:
        code = call(sock, CreateTopicsRequest(topics=[topic], timeout_ms=10_000), 5)
        if code.topics[0].error_code not in (0, EXISTS):
            raise SystemExit(f"{name} cannot be created: error {code.topics[0].error_code}")
        wait_until(lambda: len(leaders(sock, name)) == partitions, CREATED_WITHIN_S, name)


def leaders(sock: socket.socket, topic: str) -> dict[int, str]:
    """The address of the leader of each partition that has one."""
    asked = [MetadataRequest.MetadataRequestTopic(name=topic)]
    told = call(sock, MetadataRequest(topics=asked, allow_auto_topic_creation=False), 5)
    nodes = {one.node_id: f"{one.host}:{one.port}" for one in told.brokers}
    return {
        one.partition_index: nodes[one.leader_id]
        for one in told.topics[0].partitions
        if not one.error_code and one.leader_id in nodes
    }


class Source:
    """Writes small records to every partition of a topic, all the time; a context manager."""

    def __init__(self, bootstrap: str, topic: str, *, every_s: float = 0.005) -> None:
        self._topic, self._every_s = topic, every_s
        with connect(bootstrap) as sock:
            self._leaders = leaders(sock, topic)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Source:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            socks = {a: stack.enter_context(connect(a)) for a in set(self._leaders.values())}
            due = time.monotonic()
            while not self._end.wait(max(due - time.monotonic(), 0)):
                due += self._every_s
                for address, sock in socks.items():
                    led = [p for p, leader in self._leaders.items() if leader == address]
                    produce(sock, self._topic, led)


def produce(sock: socket.socket, topic: str, partitions: list[int], *, records: int = 1) -> None:
    """Write a batch to each of `partitions`, which the peer leads."""
    batch = bytes(build_batch([(None, struct.pack(">q", n), (), 0) for n in range(records)]))
    data = ProduceRequest.TopicProduceData
    parts = [data.PartitionProduceData(index=one, records=batch) for one in partitions]
    request = ProduceRequest(
        transactional_id=None, acks=-1, timeout_ms=30_000,
        topic_data=[data(name=topic, partition_data=parts)],
    )  # fmt: skip
    for one in call(sock, request, 9).responses[0].partition_responses:
        if one.error_code:
            raise SystemExit(f"{topic}-{one.index} takes no records: error {one.error_code}")
