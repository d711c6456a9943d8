"""Sends orders one by one; each is stored once and in order, however often its request is sent.

python idempotent.py [TOPIC [COUNT]]
"""
import json
import os
import sys

from confluent_kafka import KafkaError, KafkaException, Message, Producer

topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 10

producer = Producer(
    {
        "bootstrap.servers": os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        "client.id": "shop",
        "enable.idempotence": True,  # implies acks=all
        "linger.ms": 0,  # each order waits for its answer: nothing would join it in a batch
        "partitioner": "murmur2_random",  # a key's partition is the same as for Java and KafkaJS
    }
)


def publish(order: dict[str, object]) -> Message:
    """The order as it was stored, with its partition and offset."""
    answers: list[tuple[KafkaError | None, Message]] = []
    producer.produce(
        topic, json.dumps(order), str(order["customer"]), on_delivery=lambda *a: answers.append(a)
    )
    producer.flush()
    [(error, message)] = answers
    if error is not None:
        # It may have arrived all the same, when its time was up (delivery.timeout.ms, 5 minutes)
        # before an answer came. Whoever sends it once more, perhaps doubles it.
        raise KafkaException(error)
    return message


for number in range(count):
    stored = publish({"id": number, "customer": f"customer-{number % 3}", "amount": number})
    print(f"order {number}: partition {stored.partition()}, offset {stored.offset()}")
