"""Reads orders and commits what is done. On SIGTERM it finishes the record in hand, commits and
leaves the group.

python consumer.py [TOPIC [GROUP]]
"""
import os
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

COMMIT_EVERY_S = 1.0  # a crash repeats what was done since
topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
group = sys.argv[2] if len(sys.argv) > 2 else "billing"
running = True

consumer = Consumer(
    {
        "bootstrap.servers": os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        "client.id": "billing",
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,  # a record counts when it is handled, not when it comes
    }
)


def handle(message: Message) -> None:
    where = f"{message.topic()}-{message.partition()}@{message.offset()}"
    print(where, message.key().decode(), message.value().decode())


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
# Whoever gets a partition that is taken from us begins where we have ended.
consumer.subscribe([topic], on_revoke=commit)
committed = time.monotonic()
try:
    while running:
        message = consumer.poll(0.5)
        if message is None:
            pass
        elif error := message.error():
            if error.fatal():
                raise KafkaException(error)
            print(error, file=sys.stderr)  # the client goes on trying by itself
        else:
            handle(message)
            consumer.store_offsets(message)
        if time.monotonic() - committed > COMMIT_EVERY_S:
            commit()
            committed = time.monotonic()
finally:
    commit()
    consumer.close()
