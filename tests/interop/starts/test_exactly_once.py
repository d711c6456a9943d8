"""A transactional program is killed in the middle of one; each order has one invoice all the same."""
from __future__ import annotations

import itertools
import signal
import threading
import time

import pytest
from confluent_kafka import IsolationLevel, Producer

from tests.broker_process import wait_until
from tests.interop.broker import Broker
from tests.interop.starts.programs import Program
from tests.interop.starts.topics import (
    DEADLINE_S,
    committed,
    ends,
    everything,
    ids,
    new_topic,
    order,
)

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(180)]

PARTITIONS = 2
PAUSE_S = 0.002  # between orders
SETTLE_S = 0.1  # what a frozen program has sent is done with by then


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


def is_open(bootstrap: str, topic: str) -> bool:
    """Whether `topic` has records of a transaction that has not ended."""
    stable = ends(bootstrap, topic, PARTITIONS, isolation_level=IsolationLevel.READ_COMMITTED)
    return stable != ends(bootstrap, topic, PARTITIONS)


def freeze_within_a_transaction(program: Program, bootstrap: str, output: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        wait_until(lambda: is_open(bootstrap, output), DEADLINE_S, "an open transaction")
        program.send(signal.SIGSTOP)
        time.sleep(SETTLE_S)
        if is_open(bootstrap, output):
            return
        program.send(signal.SIGCONT)
        assert time.monotonic() < deadline, "it is never within a transaction"


@pytest.mark.parametrize("name", ["node/transactions.js", "python/transactions.py"])
def test_killed_within_a_transaction(broker: Broker, name: str) -> None:
    bootstrap = broker.bootstrap
    source, output = (new_topic(bootstrap, word, PARTITIONS) for word in ("orders", "invoices"))
    group = f"{source}-group"
    orders = Orders(bootstrap, source)
    orders.start()
    with Program(name, bootstrap, source, output, group) as program:
        wait_until(lambda: everything(bootstrap, output), DEADLINE_S, "the first invoices")
        freeze_within_a_transaction(program, bootstrap, output)
        program.send(signal.SIGKILL)
    orders.stop()
    assert len(everything(bootstrap, output)) < orders.count

    end = ends(bootstrap, source, PARTITIONS)
    with Program(name, bootstrap, source, output, group) as program:
        wait_until(
            lambda: committed(bootstrap, source, PARTITIONS, group) == end, DEADLINE_S, "the rest"
        )
        program.stop()
    invoices = everything(bootstrap, output)
    assert sorted(ids(invoices, "order")) == list(range(orders.count))
