"""Flushes, counted by the flusher."""
from __future__ import annotations

import pathlib

from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples
from fastbroker.worker.flush_counts import FlushCounts
from tests.metrics.text import Text
from tests.worker.answers import told
from tests.worker.test_flusher import Bench


def page_of(counts: FlushCounts) -> Text:
    def add(samples: Samples) -> None:
        counts.add(samples)

    return told(add)


def test_a_round_counts_the_batches_and_bytes_of_all_partitions(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    bench.flusher.counts = counts = FlushCounts()
    one, other = bench.partitions(2)
    bench.append(one, one, other)
    bench.loop.turn()
    assert page_of(counts).value(c.FLUSH_BYTES.name, process="worker-0") == 0
    bench.append(other)  # for the next
    bench.loop.turn()
    bench.end()
    first = one.log.size + other.log.size // 2
    text = page_of(counts)
    assert text.value(c.FLUSH_BYTES.name, process="worker-0") == first
    assert text.value(f"{c.FLUSH_BATCHES.name}_sum", process="worker-0") == 3
    assert text.value(f"{c.FLUSH_BATCHES.name}_bucket", process="worker-0", le="2") == 0
    assert text.value(f"{c.FLUSH_BATCHES.name}_bucket", process="worker-0", le="4") == 1
    bench.end()
    text = page_of(counts)
    assert text.value(c.FLUSH_BYTES.name, process="worker-0") == one.log.size + other.log.size
    assert text.value(f"{c.FLUSH_BATCHES.name}_count", process="worker-0") == 2
    assert text.value(f"{c.FLUSH_SECONDS.name}_count", process="worker-0") == 2
    assert text.value(f"{c.FLUSH_SECONDS.name}_sum", process="worker-0") > 0


def test_what_was_not_made_durable_is_not_counted(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    bench.flusher.counts = counts = FlushCounts()
    partition = bench.partition()
    bench.append(partition)
    bench.loop.turn()
    bench.thread.number = 5  # EIO
    bench.end()
    text = page_of(counts)
    assert text.value(c.FLUSH_BYTES.name, process="worker-0") == 0
    assert text.value(f"{c.FLUSH_SECONDS.name}_count", process="worker-0") == 1
