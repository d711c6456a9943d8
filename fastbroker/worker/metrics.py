"""What a worker says of itself when it is asked for its metrics."""
from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator
from itertools import islice

from fastbroker._c.connection import receive_bytes, unsent_bytes
from fastbroker.handlers.context import Broker
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import MISSING, Samples
from fastbroker.net.listener import Listener
from fastbroker.net.process import add_process


class WorkerMetrics:
    """Owned by the worker's loop. Counts are taken where things happen; here they are looked up."""

    def __init__(self, broker: Broker, listeners: list[Listener]) -> None:
        self.broker, self.listeners = broker, listeners

    def answer(self) -> Generator[None, None, bytes]:
        """Everything, in small steps."""
        samples = Samples()
        add_process(samples)
        samples.value(c.CONNECTIONS, sum([len(one.connections) for one in self.listeners]))
        samples.value(c.RECEIVE_BYTES, receive_bytes())
        samples.value(c.UNSENT_BYTES, unsent_bytes())
        yield
        yield from self._partitions(samples)
        return samples.encode()

    def _partitions(self, samples: Samples) -> Iterator[None]:
        rows: list[tuple[str, array[int]]] = []  # a topic may come again
        current, oldest = array("q"), array("q")
        broker = self.broker
        for partition in islice(list(broker.partitions.values()), 10_000):
            name = partition.name
            if not rows or rows[-1][0] != name.topic:
                rows.append((name.topic, array("i")))
            rows[-1][1].append(name.partition)
            log = partition.opened
            current.append(MISSING if log is None else partition.high_watermark)
            oldest.append(MISSING if log is None else log.log_start_offset)
            yield
        samples.table(
            [(topic, numbers.tobytes()) for topic, numbers in rows],
            {c.CURRENT_OFFSET: current, c.OLDEST_OFFSET: oldest},
        )
