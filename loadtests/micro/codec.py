"""CPU of decoding and encoding messages, beside the codecs of kio and kafka-python.

    python -m loadtests.micro.codec

The messages that a busy broker sees most: produce requests of 1 and of 100 partitions with 16 KiB
each, fetch requests and responses of 100 partitions, metadata of a topic with 1,000 partitions. The
other codecs read the bytes that ours wrote, and write what they have read; `-` where a codec is not
installed or does not take the message.
"""
from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from typing import Any

from fastbroker._c.codec import decode, encode, encode_frame
from fastbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from fastbroker.protocol.messages.metadata import MetadataResponse
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.protocol.schema import plan
from fastbroker.records.builder import build_batch
from loadtests.micro.timing import cpu_us

TOPIC = "orders"
BATCH = bytes(build_batch([(None, bytes(1000), (), 1_700_000_000_000)] * 16))


def produce(partitions: int) -> ProduceRequest:
    """One topic with a batch of 16 KiB for each partition."""
    data = ProduceRequest.TopicProduceData
    parts = [data.PartitionProduceData(index=i, records=BATCH) for i in range(partitions)]
    return ProduceRequest(
        transactional_id=None, acks=-1, timeout_ms=30000,
        topic_data=[data(name=TOPIC, partition_data=parts)],
    )  # fmt: skip


def fetch_request() -> FetchRequest:
    """A full fetch of 100 partitions."""
    topic = FetchRequest.FetchTopic
    parts = [
        topic.FetchPartition(partition=i, fetch_offset=1000 * i, partition_max_bytes=1 << 20)
        for i in range(100)
    ]
    return FetchRequest(
        max_wait_ms=500, min_bytes=1, max_bytes=50 << 20,
        topics=[topic(topic=TOPIC, partitions=parts)],
    )  # fmt: skip


def fetch_response() -> FetchResponse:
    """An answer of 100 partitions with 1 KiB each."""
    topic = FetchResponse.FetchableTopicResponse
    data = topic.PartitionData
    parts = [
        data(
            partition_index=i, high_watermark=1000, last_stable_offset=1000, log_start_offset=0,
            aborted_transactions=None, records=BATCH[:1024],
        )
        for i in range(100)
    ]  # fmt: skip
    return FetchResponse(responses=[topic(topic=TOPIC, partitions=parts)])


def metadata_response() -> MetadataResponse:
    """Three brokers, one topic of 1,000 partitions with three replicas."""
    broker, topic = MetadataResponse.MetadataResponseBroker, MetadataResponse.MetadataResponseTopic
    parts = [
        topic.MetadataResponsePartition(
            partition_index=i, leader_id=i % 3, leader_epoch=5, replica_nodes=[0, 1, 2],
            isr_nodes=[0, 1, 2], offline_replicas=[],
        )
        for i in range(1000)
    ]  # fmt: skip
    return MetadataResponse(
        brokers=[broker(node_id=i, host=f"broker-{i}", port=9092) for i in range(3)],
        cluster_id="abcdefghijklmnopqrstuv", controller_id=0,
        topics=[topic(name=TOPIC, topic_id=bytes(range(16)), partitions=parts)],
    )  # fmt: skip


Timed = tuple[float | None, float | None]  # us to decode, us to encode


def body_of(message: Any, version: int) -> bytes:
    """The message's bytes, without the frame's size."""
    return encode(plan(type(message), version), message)


def ours(message: Any, version: int, data: bytes) -> Timed:
    """The way of a request and of a response in the broker; records are not copied."""
    schema, view = plan(type(message), version), memoryview(data)
    decode(schema, view, 0)
    return (
        cpu_us(lambda: decode(schema, view, 0)),
        cpu_us(lambda: encode_frame(schema, message, b"")),
    )


def kios(message: Any, version: int, data: bytes) -> Timed:
    """kio, the typed way that its manual describes."""
    name, kind = split_name(message)
    try:
        serial = importlib.import_module("kio.serial")
        entity = getattr(
            importlib.import_module(f"kio.schema.{name}.v{version}.{kind}"), type(message).__name__
        )
    except (ImportError, AttributeError):
        return None, None
    read, write = serial.entity_reader(entity), serial.entity_writer(entity)
    found = read(data, 0)[0]

    def write_one() -> None:
        with io.BytesIO() as out:
            write(out, found)

    return cpu_us(lambda: read(data, 0), runs=3), cpu_us(write_one, runs=3)


def kafka_pythons(message: Any, version: int, data: bytes) -> Timed:
    """kafka-python, which makes its classes from Apache's schemas."""
    try:
        package = importlib.import_module(f"kafka.protocol.{PACKAGES[split_name(message)[0]]}")
        kind = getattr(package, type(message).__name__)
    except (ImportError, AttributeError):
        return None, None
    found = attempt(lambda: kind.decode(data, version=version))
    if found is None:
        return None, None
    found._header = None  # its decoder leaves it unset, its encoder asks for it
    return (
        cpu_us(lambda: kind.decode(data, version=version), runs=3),
        cpu_us(lambda: found.encode(version=version), runs=3)
        if attempt(lambda: found.encode(version=version)) is not None
        else None,
    )


PACKAGES = {"produce": "producer", "fetch": "consumer", "metadata": "metadata"}


def attempt(work: Callable[[], Any]) -> Any:
    """The result of `work`; None when the other codec cannot do it."""
    try:
        return work()
    except Exception:
        return None


def split_name(message: Any) -> tuple[str, str]:
    """("fetch", "request") of a FetchRequest."""
    name = type(message).__name__
    kind = "Request" if name.endswith("Request") else "Response"
    return name.removesuffix(kind).lower(), kind.lower()


CASES: list[tuple[str, Any, int]] = [
    ("Produce v9, 1 x 16 KiB", produce(1), 9),
    ("Produce v9, 100 x 16 KiB", produce(100), 9),
    ("Fetch v12 request, 100 partitions", fetch_request(), 12),
    ("Fetch v12 response, 100 partitions", fetch_response(), 12),
    ("Metadata v12 response, 1,000 partitions", metadata_response(), 12),
]


def cell(us: float | None) -> str:
    return "       -" if us is None else f"{us:8.1f}" if us >= 10 else f"{us:8.2f}"


def main() -> None:
    print(f"{'us of CPU: decode, encode':<40}{'ours':>17}{'kio':>18}{'kafka-python':>18}")
    for name, message, version in CASES:
        data = body_of(message, version)
        row = f"{name:<40}"
        for codec in (ours, kios, kafka_pythons):
            for us in codec(message, version, data):
                row += " " + cell(us)
        print(row, flush=True)


if __name__ == "__main__":
    main()
