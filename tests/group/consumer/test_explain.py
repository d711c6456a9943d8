"""What people are told of a consumer group."""
from __future__ import annotations

from fastbroker.protocol.explanation import Explanation
from fastbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from tests.group.bench import Client
from tests.group.consumer.bench import ConsumerBench


def explained(bench: ConsumerBench, group_id: str = "g") -> Explanation:
    request = ConsumerGroupDescribeRequest(group_ids=[group_id], explain=True)
    (one,) = bench.coordinator.administration.describe_consumers(Client(1), request).groups
    assert isinstance(one.explanation, Explanation)
    return one.explanation


def test_nobody_asks_and_nobody_is_told() -> None:
    bench = ConsumerBench()
    bench.consumers(1)
    assert bench.describe_consumers().explanation is None


def test_a_stable_group_and_its_sessions() -> None:
    bench = ConsumerBench()
    bench.consumers(2)
    told = explained(bench)
    assert told.summary == "Epoch 3 is at work with 2 members."
    assert told.reason == "member m1 joins"
    assert told.awaited == []
    assert {(one.what, one.member_id) for one in told.deadlines} == {
        ("session", "m0"), ("session", "m1"),
    }  # fmt: skip
    assert all(40_000 < one.at_ms - told.now_ms <= 45_000 for one in told.deadlines)


def test_who_has_yet_to_follow() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    bench.consumer("new").join()
    told = explained(bench)
    assert told.summary.startswith("The group rebalances: it waits for 1 of 2 members")
    assert [(m.member_id, m.what) for m in told.awaited] == [("m0", "send a heartbeat")]
    one.beat()
    told = explained(bench)
    assert [(m.member_id, m.what) for m in told.awaited] == [("m0", "let go of 3 partitions")]
    assert "rebalance" in {end.what for end in told.deadlines}
    one.beat()
    told = explained(bench)
    assert [m.member_id for m in told.awaited] == ["new"]


def test_an_empty_group() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    one.leave()
    assert explained(bench).summary == "Nobody is a member."


def test_offsets_that_wait_for_a_transaction() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    bench.commit_in_transaction(
        {("orders", 1): 5}, member_id="m0", generation=one.epoch, producer_id=9
    )
    (unstable,) = explained(bench).unstable_offsets
    assert (unstable.topic, unstable.partition, unstable.producer_id) == ("orders", 1, 9)
