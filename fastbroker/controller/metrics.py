"""What the controller says of the cluster when it is asked for its metrics."""
from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Generator

from fastbroker.controller.node import Node
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples
from fastbroker.net.loop_delay import LoopDelay
from fastbroker.net.process import add_process


class ControllerMetrics:
    """Owned by the controller's loop."""

    def __init__(self, loop: AbstractEventLoop, node: Node) -> None:
        self.node = node
        self.delay = LoopDelay(loop)

    def answer(self, _: bytes = b"") -> Generator[None, None, bytes]:
        """Everything, in small steps."""
        samples = Samples()
        add_process(samples)
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
        partitions = offline = imbalanced = 0
        for topic in list(image.topics.values()):
            for one in topic.partitions.values():
                partitions += 1
                if one.leader < 0:
                    offline += 1
                if one.leader != one.replicas[0]:
                    imbalanced += 1
            yield
        samples.value(c.GLOBAL_PARTITIONS, partitions)
        samples.value(c.OFFLINE_PARTITIONS, offline)
        samples.value(c.IMBALANCE, imbalanced)
        return samples.encode()
