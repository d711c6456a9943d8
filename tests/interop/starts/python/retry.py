"""Posts orders to a service. While that fails it tries again, waiting twice as long each time; what
it does not take in the end, or refuses for good, goes to a dead-letter topic.

python retry.py URL [TOPIC [GROUP]]    dead letters: TOPIC.dead-letters
"""
import os
import signal
import sys
import threading
import urllib.error
import urllib.request

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

ATTEMPTS = 5
FIRST_WAIT_S = 0.2  # the waits come to 3 s: all partitions stand still for so long at most
TIMEOUT_S = 5
url = sys.argv[1]
topic = sys.argv[2] if len(sys.argv) > 2 else "orders"
group = sys.argv[3] if len(sys.argv) > 3 else "payments"
dead_letters = f"{topic}.dead-letters"
bootstrap = os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092")
stopping = threading.Event()

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


class Refused(Exception):
    """The service has not taken an order; `for_good`: nor will it."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


def post(message: Message) -> None:
    request = urllib.request.Request(url, data=message.value(), method="POST")
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        for_good = error.code < 500 and error.code != 429
        raise Refused(f"status {error.code}", for_good=for_good) from error
    except OSError as error:
        raise Refused(str(error), for_good=False) from error


def bury(message: Message, reason: str, attempts: int) -> None:
    headers = [
        *(message.headers() or ()),
        ("error", reason),
        ("attempts", str(attempts)),
        ("original-topic", message.topic()),
        ("original-partition", str(message.partition())),
        ("original-offset", str(message.offset())),
    ]
    failures: list[KafkaError] = []
    producer.produce(
        dead_letters, message.value(), message.key(), headers=headers,
        on_delivery=lambda failure, _: failures.append(failure) if failure else None,
    )  # fmt: skip
    producer.flush()
    if failures:
        raise KafkaException(failures[0])  # it is not committed, so that it is read again


def insist(message: Message) -> bool:
    """Whether the record is done with: not when a stop came before the last attempt."""
    where = f"{message.topic()}-{message.partition()}@{message.offset()}"
    wait = FIRST_WAIT_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            post(message)
            return True
        except Refused as refused:
            if refused.for_good or attempt == ATTEMPTS:
                bury(message, str(refused), attempt)
                print(f"{where} is a dead letter: {refused}", file=sys.stderr)
                return True
            print(f"{where}: {refused}, again in {wait} s", file=sys.stderr)
        if stopping.wait(wait):  # the client's own thread sends heartbeats meanwhile
            return False
        wait *= 2
    return True


def commit(*_: object) -> None:
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:  # nothing new is no error
            raise


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopping.set())
consumer.subscribe([topic], on_revoke=commit)
try:
    while not stopping.is_set():
        message = consumer.poll(0.5)
        if message is None:
            continue
        if error := message.error():
            if error.fatal():
                raise KafkaException(error)
            print(error, file=sys.stderr)
        elif insist(message):
            consumer.store_offsets(message)
            commit()  # what was posted is not posted again
finally:
    commit()
    consumer.close()
