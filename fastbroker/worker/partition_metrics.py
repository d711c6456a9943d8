"""Partitions and topics of one broker, as columns of numbers."""
from __future__ import annotations

from array import array
from collections.abc import Iterator

from fastbroker._c.partition_scan import PartitionScan
from fastbroker.handlers.context import Broker
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.labels import OTHER
from fastbroker.metrics.samples import Samples

STEP = 64  # partitions between two chances to let others in
NO_NUMBER = array("i", [-1]).tobytes()

# The scan's columns.
COLUMNS = (
    c.LOG_SIZE, c.LOG_SEGMENTS, c.LOG_START, c.LOG_END,
    c.CURRENT_OFFSET, c.OLDEST_OFFSET, c.REPLICAS, c.IN_SYNC, c.UNDER_REPLICATED,
    c.LEADER, c.IS_PREFERRED,
)  # fmt: skip


def add_partitions(samples: Samples, broker: Broker) -> Iterator[None]:
    """Add the samples of every partition and topic, and of the broker, some partitions a step."""
    most = broker.config["fastbroker.metrics.partitions.max"]
    default = int(broker.config["min.insync.replicas"])

    def min_isr(topic: str) -> int:
        if not broker.image.topic_configs(topic):
            return default
        return broker.topic_config(topic).min_insync_replicas

    partitions = list(broker.partitions.values())
    scan = PartitionScan(partitions, broker.log_dir.logs, broker.broker_id, most, min_isr)
    while scan.step(STEP):
        yield
    folded = max(len(partitions) - most, 0)
    samples.value(c.PARTITIONS_FOLDED, folded)
    samples.table(scan.rows(), COLUMNS, scan.columns())
    if folded:
        columns = [array("q", [number]).tobytes() for number in scan.folded()]
        samples.table([(OTHER, NO_NUMBER)], COLUMNS, columns)
    yield
    _add_topics(samples, broker, scan)
    yield
    _add_broker(samples, broker, scan)


def _add_topics(samples: Samples, broker: Broker, scan: PartitionScan) -> None:
    most = broker.config["fastbroker.metrics.topics.max"]
    names, sums = scan.names, scan.topic_sums()
    rows = [(topic, b"") for topic in names[:most]]
    if len(names) > most:
        rows.append((OTHER, b""))
        beyond = zip(*sums[most:], strict=True)
        sums = [*sums[:most], tuple(sum(column) for column in beyond)]
    samples.value(c.TOPICS_FOLDED, max(len(names) - most, 0))
    columns = [array("q", column).tobytes() for column in zip(*sums, strict=True)]
    samples.table(rows, (c.MESSAGES_IN, c.BYTES_IN, c.BYTES_OUT), columns)
    # Whoever leads a topic's first partition tells how many there are.
    sizes = {
        topic: len(image.partitions)
        for topic in names[:most]
        if (image := broker.image.topics.get(topic)) is not None
        and 0 in image.partitions
        and image.partitions[0].leader == broker.broker_id
    }
    rows = [(topic, b"") for topic in sizes]
    samples.table(rows, (c.TOPIC_PARTITIONS,), [array("q", sizes.values()).tobytes()])


def _add_broker(samples: Samples, broker: Broker, scan: PartitionScan) -> None:
    log_dir = broker.log_dir
    count, is_offline = len(broker.partitions), log_dir.failure is not None
    samples.value(c.PARTITION_COUNT, count)
    samples.value(c.LEADER_COUNT, scan.led)
    samples.value(c.UNDER_REPLICATED_COUNT, scan.under_replicated)
    samples.value(c.UNDER_MIN_ISR, scan.under_min_isr)
    samples.value(c.OFFLINE_REPLICAS, count if is_offline else 0)
    samples.value(c.OFFLINE_DIRS, int(is_offline))
    samples.value(c.OPEN_LOGS, len(log_dir.logs))
    samples.value(c.MIN_FREE, log_dir.space.marks.min_free)
    samples.value(c.REFUSES, int(log_dir.space.is_short))
