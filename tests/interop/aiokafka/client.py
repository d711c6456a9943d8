"""aiokafka: a client on asyncio; its codecs come from cramjam."""
from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]

from tests.interop.records import Record


async def produce(bootstrap: str, file: str, topics: list[str]) -> None:
    with open(file) as lines:
        records = [Record.from_json(line) for line in lines]
    for codec, topic in (one.split("=") for one in topics):
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=True,
            linger_ms=20,
        )
        async with producer:
            sent = [
                await producer.send(
                    topic,
                    key=record.key,
                    value=record.value,
                    partition=record.partition,
                    headers=list(record.headers),
                )
                for record in records
                if record.topic == topic
            ]
            await asyncio.gather(*sent)


async def consume(bootstrap: str, group: str, count: int, topics: list[str]) -> None:
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest"
    )
    async with consumer:
        seen = 0
        async for message in consumer:
            where = message.topic, message.partition
            record = Record(*where, message.key, message.value, tuple(message.headers))
            print(record.to_json(), flush=True)
            seen += 1
            if seen == count:
                break


if __name__ == "__main__":
    role, bootstrap, first, *rest = sys.argv[1:]
    if role == "produce":
        asyncio.run(produce(bootstrap, first, rest))
    else:
        asyncio.run(consume(bootstrap, first, int(rest[0]), rest[1:]))
