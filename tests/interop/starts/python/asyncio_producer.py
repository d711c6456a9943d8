"""For asyncio: sends orders in batches, compressed with snappy, and waits for them at the end.

python asyncio_producer.py [TOPIC [COUNT]]
"""
import asyncio
import json
import os
import sys
import time

from aiokafka import AIOKafkaProducer

WAITING = 10_000  # records that may be without an answer
topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000


async def main() -> None:
    begun = time.monotonic()
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        client_id="shop",
        compression_type="snappy",
        linger_ms=20,
        max_batch_size=256 * 1024,
        enable_idempotence=True,
    )
    answers: list[asyncio.Future[object]] = []
    async with producer:
        for number in range(count):
            order = {"id": number, "customer": f"customer-{number % 1000}", "amount": number % 90}
            value, key = json.dumps(order).encode(), order["customer"].encode()
            # Returns when the record is in a batch; what it returns is done when it is stored.
            answers.append(await producer.send(topic, value, key))
            if len(answers) == WAITING:
                await asyncio.gather(*answers)
                answers.clear()
        await asyncio.gather(*answers)
    seconds = time.monotonic() - begun
    print(f"{count} records in {seconds:.1f} s, {count / seconds:.0f} a second")


asyncio.run(main())
