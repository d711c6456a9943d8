"""Topics of a broker, who leads their partitions, and requests for many of them."""
from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from fastbroker.model import WORKER_STRIDE
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from loadtests.recovery.pipe import Pipe

CREATE_VERSION, METADATA_VERSION, PRODUCE_VERSION, FETCH_VERSION = 5, 9, 9, 12
CREATED_AT_ONCE = 5_000  # partitions
CREATE_S = 120.0
FETCH_BYTES = 4096

Place = tuple[str, int]  # topic and partition
Topic = CreateTopicsRequest.CreatableTopic
Topics = ProduceRequest.TopicProduceData
Asked = FetchRequest.FetchTopic


async def create(port: int, count: int, each: int) -> None:
    """Topics with `count` partitions in all, `each` of them in a topic."""
    pipe = await Pipe.open(port)
    sizes = [min(each, count - begun) for begun in range(0, count, each)]
    at_once = max(CREATED_AT_ONCE // each, 1)
    for begun in range(0, len(sizes), at_once):
        topics = [
            Topic(name=f"t{begun + n:05}", num_partitions=size, replication_factor=1)
            for n, size in enumerate(sizes[begun : begun + at_once])
        ]
        request = CreateTopicsRequest(topics=topics, timeout_ms=int(CREATE_S * 1000))
        made = await asyncio.wait_for(pipe.call(request, CREATE_VERSION), CREATE_S)
        for topic in made.topics:
            if topic.error_code:
                raise SystemExit(f"{topic.name}: {topic.error_message}")
    await pipe.close()
    await leaders(port, count)


async def leaders(port: int, count: int) -> dict[int, list[Place]]:
    """What each worker leads, by its index, once all `count` partitions are led."""
    pipe = await Pipe.open(port)
    async with asyncio.timeout(CREATE_S):
        while True:
            answer = await pipe.call(MetadataRequest(topics=None), METADATA_VERSION)
            led: dict[int, list[Place]] = defaultdict(list)
            for topic in answer.topics:
                for one in topic.partitions:
                    if one.leader_id >= 0:
                        index = one.leader_id // WORKER_STRIDE
                        led[index].append((topic.name, one.partition_index))
            if sum(map(len, led.values())) == count:
                break
            await asyncio.sleep(0.1)
    await pipe.close()
    return dict(led)


def by_topic(places: Iterable[Place]) -> dict[str, list[int]]:
    """Partitions by their topic."""
    out: dict[str, list[int]] = defaultdict(list)
    for topic, number in places:
        out[topic].append(number)
    return out


def produce(places: Iterable[Place], batch: bytes) -> ProduceRequest:
    """The same batch for each of the partitions."""
    data = [
        Topics(
            name=topic,
            partition_data=[
                Topics.PartitionProduceData(index=number, records=batch) for number in numbers
            ],
        )
        for topic, numbers in by_topic(places).items()
    ]
    return ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=data)


def fetch(offsets: dict[Place, int]) -> FetchRequest:
    """A little of each of the partitions, from these offsets on."""
    topics = [
        Asked(
            topic=topic,
            partitions=[
                Asked.FetchPartition(
                    partition=number,
                    fetch_offset=offsets[topic, number],
                    partition_max_bytes=FETCH_BYTES,
                )
                for number in numbers
            ],
        )
        for topic, numbers in by_topic(offsets).items()
    ]
    return FetchRequest(
        max_wait_ms=0, min_bytes=0, max_bytes=1 << 26, topics=topics, forgotten_topics_data=[]
    )
