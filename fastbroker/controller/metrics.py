"""What the controller says of the cluster when it is asked for its metrics."""
from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Generator, Iterator

from fastbroker.controller.node import Node
from fastbroker.metadata.image import MetadataImage
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples
from fastbroker.net.loop_delay import LoopDelay

STEP = 256  # partitions between two chances to let others in
COUNTED = (c.GLOBAL_PARTITIONS, c.OFFLINE_PARTITIONS, c.IMBALANCE)


class ControllerMetrics:
    """Owned by the controller's loop."""

    def __init__(self, loop: AbstractEventLoop, node: Node) -> None:
        self.node = node
        self._counted: tuple[MetadataImage | None, list[int]] = (None, [])
        self.delay = LoopDelay(loop)

    def answer(self, _: bytes = b"") -> Generator[None, None, bytes]:
        """Everything, in small steps."""
        samples = Samples()
        samples.pid(os.getpid())
        self.delay.add(samples)
        node = self.node
        image = node.image
        fenced = sum([one.fenced for one in image.brokers.values()])
        samples.value(c.BROKERS, len(image.brokers) - fenced)
        samples.value(c.ACTIVE_BROKERS, len(image.brokers) - fenced)
        samples.value(c.FENCED_BROKERS, fenced)
        samples.value(c.ACTIVE_CONTROLLER, int(node.quorum.leader is not None))
        samples.value(c.GLOBAL_TOPICS, len(image.topics))
        samples.value(c.METADATA_COMMITTED, node.quorum.high_watermark - 1)
        yield
        counted, counts = self._counted
        if counted is not image:
            counts = [0, 0, 0]
            yield from _count(image, counts)
            self._counted = image, counts
        for family, count in zip(COUNTED, counts, strict=True):
            samples.value(family, count)
        return samples.encode()


def _count(image: MetadataImage, counts: list[int]) -> Iterator[None]:
    """Partitions, those without a leader, and those that a replica leads that is not preferred."""
    for topic in image.topics.values():
        for at, one in enumerate(topic.partitions.values()):
            counts[0] += 1
            counts[1] += one.leader < 0
            counts[2] += one.leader != one.replicas[0]
            if at % STEP == STEP - 1:
                yield
        yield
