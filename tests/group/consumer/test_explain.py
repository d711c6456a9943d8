"""What people are told of a consumer group: whom it waits for, and what ends next."""
from __future__ import annotations

from typing import Any

from tests.group.consumer.bench import ConsumerBench


def explained(bench: ConsumerBench) -> Any:
    return bench.describe_consumers(explain=True).explanation


def deadlines(told: Any) -> list[tuple[str, str, int]]:
    return [(one.what, one.member_id, one.at_ms - told.now_ms) for one in told.deadlines]


def test_who_does_not_ask_is_not_told() -> None:
    bench = ConsumerBench()
    bench.consumers(1)
    assert bench.describe_consumers().explanation is None


def test_a_stable_group_tells_which_sessions_end_next() -> None:
    bench = ConsumerBench()
    one, _ = bench.consumers(2)
    bench.timers.advance(3_000)
    one.beat()
    told = explained(bench)
    assert told.summary == f"Epoch {one.epoch} is at work with 2 members."
    assert told.awaited == []
    assert [d[:2] for d in deadlines(told)] == [("session", "m1"), ("session", "m0")]
    assert deadlines(told)[1][2] == 45_000
    assert "others get its partitions" in told.deadlines[0].consequence


def test_a_member_that_has_to_let_go_of_partitions() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    bench.consumer("m1").join()
    bench.timers.advance(2_000)
    bench.heartbeat_as("m0", one.epoch, owned=one.owned)
    bench.timers.advance(5_000)
    told = explained(bench)
    assert told.summary.startswith("2 of 2 members are on their way to epoch")
    (awaited,) = told.awaited
    assert (awaited.member_id, awaited.what) == ("m0", "let go of partitions")
    assert told.now_ms - awaited.since_ms == 5_000
    assert ("rebalance", "m0") in [d[:2] for d in deadlines(told)]


def test_an_empty_group() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    one.leave()
    told = explained(bench)
    assert (told.summary, told.awaited, told.deadlines) == ("Nobody is a member.", [], [])


def test_offsets_that_wait_for_a_transaction() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    bench.commit_in_transaction(
        {("orders", 1): 5}, member_id="m0", generation=one.epoch, producer_id=9
    )
    (unstable,) = explained(bench).unstable_offsets
    assert (unstable.topic, unstable.partition, unstable.producer_id) == ("orders", 1, 9)
