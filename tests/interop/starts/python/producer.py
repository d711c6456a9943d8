"""Sends orders as fast as they come: large batches, compressed with snappy.

python producer.py [TOPIC [COUNT]]
"""
import json
import os
import sys
import time

from confluent_kafka import KafkaError, Message, Producer

topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
failures: list[KafkaError] = []

producer = Producer(
    {
        "bootstrap.servers": os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        "client.id": "shop",
        "compression.type": "snappy",
        "linger.ms": 20,  # a batch waits for so long to get full
        "batch.size": 256 * 1024,
        "enable.idempotence": True,  # no order lost or doubled by a retry; costs next to nothing
        "partitioner": "murmur2_random",  # a key's partition is the same as for Java and KafkaJS
    }
)


def delivered(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        failures.append(error)


def publish(order: dict[str, object]) -> None:
    key, value = str(order["customer"]), json.dumps(order)
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=delivered)
            break
        except BufferError:  # the broker is slower than we are: wait for it
            producer.poll(0.1)
    producer.poll(0)  # calls delivered() for what has been answered


begun = time.monotonic()
for number in range(count):
    publish({"id": number, "customer": f"customer-{number % 1000}", "amount": number % 90})
producer.flush()

if failures:
    sys.exit(f"{len(failures)} of {count} records were not stored: {failures[0]}")
seconds = time.monotonic() - begun
print(f"{count} records in {seconds:.1f} s, {count / seconds:.0f} a second")
