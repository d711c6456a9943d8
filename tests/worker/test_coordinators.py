"""Coordinators are there when they are needed, and cost nothing before."""
from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from fastbroker.handlers.context import OFFSETS_TOPIC, TRANSACTIONS_TOPIC
from fastbroker.model import Deferred
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.worker.group_coordinator import group_coordinator
from fastbroker.worker.transaction_coordinator import transaction_coordinator
from fastbroker.worker.upkeep import Upkeep
from tests.handlers.bench import Bench
from tests.worker.loops import InstantLoop


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> Bench:
    """A broker that has made no coordinator yet."""
    bench = Bench(tmp_path)
    broker = bench.broker
    del broker.groups, broker.transactions
    broker.new_groups = lambda: group_coordinator(broker)
    broker.new_transactions = lambda: transaction_coordinator(broker, lambda *_: Deferred())
    return bench


def test_a_worker_does_not_import_them_before() -> None:
    code = """
import sys
import fastbroker.worker.main
late = ("fastbroker.group", "fastbroker.txn.coordinator", "fastbroker.storage.compaction.cleaning")
print([name for name in sys.modules if name.startswith(late)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_makes_them_before_their_topics_are_there(bench: Bench) -> None:
    bench.create("orders")
    bench.delete("orders")
    upkeep = Upkeep(
        InstantLoop(), bench.broker, lambda _: None, lambda: None  # type: ignore[arg-type]
    )
    upkeep.start()
    assert bench.ask(InitProducerIdRequest(transactional_id=None), 4).producer_id == 1001
    bench.timers.advance(24 * 3_600_000)
    assert not bench.broker.has_groups
    assert not bench.broker.has_transactions


def test_they_serve_the_topics_that_are_there(bench: Bench) -> None:
    bench.create(OFFSETS_TOPIC, partitions=3)
    assert bench.broker.has_groups
    assert not bench.broker.has_transactions
    bench.create(TRANSACTIONS_TOPIC, partitions=2)
    assert bench.broker.has_transactions
    groups, transactions = bench.broker.groups, bench.broker.transactions
    assert {groups.partition_for(f"g{n}") for n in range(100)} == {0, 1, 2}
    assert {transactions.partition_for(f"t{n}") for n in range(100)} == {0, 1}
    assert [shard.partition for shard in groups.shards] == [0, 1, 2]


def test_one_that_is_asked_for_first_hears_of_its_topic_later(bench: Bench) -> None:
    groups = bench.broker.groups
    assert list(groups.shards) == []
    bench.create(OFFSETS_TOPIC, partitions=2)
    assert [shard.partition for shard in groups.shards] == [0, 1]
