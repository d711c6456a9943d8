"""Makes an invoice of each order, exactly once: invoices and the offsets of their orders are one
transaction. Invoices are for consumers that read committed records only (librdkafka: the default).

INSTANCE names this process among others of its group, and is the same after a restart.

INSTANCE=0 python transactions.py [INPUT [OUTPUT [GROUP]]]
"""
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

input_topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
output_topic = sys.argv[2] if len(sys.argv) > 2 else "invoices"
group = sys.argv[3] if len(sys.argv) > 3 else "invoicing"
instance = f"{group}-{os.environ.get('INSTANCE', '0')}"
bootstrap = os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092")
running = True

consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "group.instance.id": instance,  # started again, it has its partitions back at once
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
)
# Its init_transactions() aborts what a process of this name has left open, and shuts it out.
producer = Producer(
    {
        "bootstrap.servers": bootstrap,
        "transactional.id": instance,
        "compression.type": "snappy",
        "partitioner": "murmur2_random",  # a key's partition is the same as for Java and KafkaJS
    }
)


def invoice(order: dict[str, Any]) -> dict[str, Any]:
    return {"order": order["id"], "amount": order["amount"]}


def insist(call: Callable[..., object], *arguments: object) -> None:
    """Again, while the error says that it may pass; the transaction's own timeout ends that."""
    while True:
        try:
            call(*arguments)
            return
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


def copy(orders: list[Message]) -> None:
    ends = {}
    producer.begin_transaction()
    for order in orders:
        value = json.dumps(invoice(json.loads(order.value())))
        producer.produce(output_topic, value, order.key())
        ends[order.partition()] = order.offset() + 1
    offsets = [TopicPartition(input_topic, *end) for end in ends.items()]
    # The group's generation goes with them: a member that has lost its partitions cannot commit.
    metadata = consumer.consumer_group_metadata()
    insist(producer.send_offsets_to_transaction, offsets, metadata)
    insist(producer.commit_transaction)


def rewind() -> None:
    """Read on from what is committed."""
    partitions = consumer.assignment()
    for partition in consumer.committed(partitions) if partitions else ():
        if partition.offset < 0:
            partition.offset = consumer.get_watermark_offsets(partition)[0]
        consumer.seek(partition)


def stop(*_: object) -> None:
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
producer.init_transactions()
# With a callback, partitions change hands in consume() only, never between it and the commit.
consumer.subscribe([input_topic], on_revoke=lambda *_: None)
try:
    while running:
        received = consumer.consume(500, 0.1)
        for error in filter(None, (message.error() for message in received)):
            if error.fatal():
                raise KafkaException(error)
            print(error, file=sys.stderr)
        orders = [message for message in received if message.error() is None]
        if not orders:
            continue
        try:
            copy(orders)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise  # fenced, or broken for good: end, and be started anew
            print(f"aborted, and once more: {error}", file=sys.stderr)
            insist(producer.abort_transaction)
            rewind()
finally:
    consumer.close()
