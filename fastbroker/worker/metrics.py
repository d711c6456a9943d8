"""What a worker says of itself when it is asked for its metrics."""
from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Generator

from fastbroker._c.connection import measure, receive_bytes, unsent_bytes
from fastbroker.handlers.context import Broker
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples
from fastbroker.net.listener import Listener
from fastbroker.net.loop_delay import LoopDelay
from fastbroker.worker.closed_logs import ClosedLogs
from fastbroker.worker.flush_counts import FlushCounts
from fastbroker.worker.group_metrics import add_groups
from fastbroker.worker.partition_metrics import add_partitions
from fastbroker.worker.request_metrics import add_requests


class WorkerMetrics:
    """Owned by the worker's loop. Counts are taken where things happen; here they are looked up."""

    def __init__(
        self, loop: AbstractEventLoop, broker: Broker, listeners: list[Listener],
        flushes: FlushCounts,
    ) -> None:  # fmt: skip
        self.broker, self.listeners, self.flushes = broker, listeners, flushes
        self.delay = LoopDelay(loop)
        self.closed_logs = ClosedLogs(loop, broker)

    def start(self) -> None:
        """Count requests, and look at the loop, from here on."""
        measure(True)
        self.delay.start()

    def close(self) -> None:
        self.delay.close()

    def answer(self, _: bytes = b"") -> Generator[None, None, bytes]:
        """Everything, in small steps."""
        samples = Samples()
        samples.pid(os.getpid())
        self._add_state(samples)
        yield
        add_requests(samples)
        yield
        yield from add_partitions(samples, self.broker)
        yield from add_groups(samples, self.broker)
        self.closed_logs.look()  # for the next answer
        return samples.encode()

    def _add_state(self, samples: Samples) -> None:
        broker, listeners = self.broker, self.listeners
        samples.value(c.CONNECTIONS, sum([len(one.connections) for one in listeners]))
        samples.value(c.CONNECTIONS_OPENED, sum([one.opened for one in listeners]))
        samples.value(c.CONNECTIONS_REFUSED, sum([one.refused for one in listeners]))
        samples.value(c.RECEIVE_BYTES, receive_bytes())
        samples.value(c.UNSENT_BYTES, unsent_bytes())
        samples.value(c.METADATA_APPLIED, broker.image.offset)
        samples.value(c.FETCH_SESSIONS, len(broker.sessions))
        self.delay.add(samples)
        self.flushes.add(samples)
