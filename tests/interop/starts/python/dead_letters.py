"""Reads orders; one that cannot be read goes to a dead-letter topic with the reason, and the rest
goes on.

python dead_letters.py [TOPIC [GROUP]]    dead letters: TOPIC.dead-letters
"""
import json
import os
import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
group = sys.argv[2] if len(sys.argv) > 2 else "shipping"
dead_letters = f"{topic}.dead-letters"
bootstrap = os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092")
running = True

producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 0})
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }
)


def handle(message: Message) -> None:
    order = json.loads(message.value())
    if not isinstance(order, dict) or not isinstance(order.get("id"), int):
        raise ValueError("an order has a number as its id")
    print(f"order {order['id']} is on its way")


def bury(message: Message, error: Exception) -> None:
    headers = [
        *(message.headers() or ()),
        ("error", f"{type(error).__name__}: {error}"),
        ("original-topic", message.topic()),
        ("original-partition", str(message.partition())),
        ("original-offset", str(message.offset())),
    ]
    failures: list[KafkaError] = []
    # The key and the value stay the bytes that they are: what is mended can be sent again.
    producer.produce(
        dead_letters, message.value(), message.key(), headers=headers,
        on_delivery=lambda failure, _: failures.append(failure) if failure else None,
    )  # fmt: skip
    producer.flush()
    if failures:
        raise KafkaException(failures[0])  # it is not committed, so that it is read again
    where = f"{message.topic()}-{message.partition()}@{message.offset()}"
    print(f"{where} is a dead letter: {error}", file=sys.stderr)


def commit(*_: object) -> None:
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:  # nothing new is no error
            raise


def stop(*_: object) -> None:
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
consumer.subscribe([topic], on_revoke=commit)
try:
    while running:
        for message in consumer.consume(100, 0.1):
            if error := message.error():
                if error.fatal():
                    raise KafkaException(error)
                print(error, file=sys.stderr)
                continue
            try:
                handle(message)
            except Exception as reason:
                bury(message, reason)
            consumer.store_offsets(message)
        commit()
finally:
    commit()
    consumer.close()
