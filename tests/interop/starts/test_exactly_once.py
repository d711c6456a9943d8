"""A program is killed within a transaction; each order has one invoice all the same."""
from __future__ import annotations

import itertools
import random
import signal
import threading
import time

import pytest
from confluent_kafka import Producer

from tests.broker_process import wait_until
from tests.interop.broker import Broker
from tests.interop.starts.programs import Program, started
from tests.interop.starts.topic import DEADLINE_S, Topic, ids, order

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]

PARTITIONS = 2
PAUSE_S = 0.005  # between orders
SETTLE_S = 0.05  # what a frozen program has sent is done with by then
RUN_S = 0.1  # between two looks, at most


class Orders(threading.Thread):
    """Sends orders to both partitions until it is told to stop; `count` are sent then."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._producer, self._topic = Producer({"bootstrap.servers": bootstrap}), topic
        self._stopped = threading.Event()
        self.count = 0

    def run(self) -> None:
        for number in itertools.count():
            self._producer.produce(self._topic, order(number), partition=number % PARTITIONS)
            self._producer.poll(0)
            self.count = number + 1
            if self._stopped.wait(PAUSE_S):
                break

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        assert self._producer.flush(DEADLINE_S) == 0


def is_open(topic: Topic) -> bool:
    """Whether `topic` has records of a transaction that has not ended."""
    return topic.ends() != topic.ends(stable=True)


def freeze_within_a_transaction(program: Program, output: Topic) -> None:
    """Stop it at arbitrary moments until one of them is within a transaction."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        program.send(signal.SIGSTOP)
        time.sleep(SETTLE_S)
        if is_open(output):
            return
        assert time.monotonic() < deadline, "it is never within a transaction"
        program.send(signal.SIGCONT)
        time.sleep(random.uniform(0, RUN_S))


@pytest.mark.parametrize("name", ["node/transactions.js", "python/transactions.py"])
def test_killed_within_a_transaction(broker: Broker, name: str) -> None:
    source = Topic(broker.bootstrap, "orders", partitions=PARTITIONS)
    output = Topic(broker.bootstrap, "invoices", partitions=PARTITIONS)
    arguments = broker.bootstrap, source.name, output.name, f"{source.name}-group"
    orders = Orders(broker.bootstrap, source.name)
    orders.start()
    with started(name, *arguments) as program:
        wait_until(lambda: any(output.ends(stable=True).values()), DEADLINE_S, "invoices")
        freeze_within_a_transaction(program, output)
        program.send(signal.SIGKILL)
    orders.stop()
    assert len(output.everything()) < orders.count

    end = source.ends()
    with started(name, *arguments) as program:
        wait_until(lambda: source.committed(arguments[-1]) == end, DEADLINE_S, "the rest")
        program.stop()
    assert sorted(ids(output.everything(), "order")) == list(range(orders.count))
