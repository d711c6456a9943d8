"""ConsumerGroupHeartbeat: joining, staying, reconciling, leaving."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.group.consumer.change import Change
from fastbroker.group.consumer.member import Subscription
from fastbroker.model import Deferred
from tests.group.bench import now
from tests.group.consumer.bench import ConsumerBench

ORDERS = {("orders", number) for number in range(6)}


def test_a_lone_member_gets_everything_with_its_first_answer() -> None:
    bench = ConsumerBench()
    answer = bench.join_as("m1")
    assert (answer.error_code, answer.member_id, answer.member_epoch) == (0, "m1", 2)
    assert bench.told(answer) == ORDERS


def test_a_second_member_gets_its_part_when_the_first_has_let_go_of_it() -> None:
    bench = ConsumerBench()
    one, two = bench.consumer("m1"), bench.consumer("m2")
    one.join()
    bench.timers.advance(20)
    two.join()
    assert (two.epoch, two.owned) == (3, set())
    told = one.beat()
    assert told.member_epoch == 2, "it has not let go yet"
    assert len(one.owned) == 3
    two.beat()
    assert two.owned == set(), "the first has not said that it has let go"
    one.beat()
    assert one.epoch == 3
    two.beat()
    assert two.owned | one.owned == ORDERS
    assert not two.owned & one.owned
    bench.settle(one, two)
    assert bench.describe_consumers().group_state == "Stable"


def test_answers_wait_for_what_they_rest_on() -> None:
    bench = ConsumerBench()
    bench.log.instant = False
    joined = bench.join_as("m1")
    assert not joined.done
    unchanged = bench.heartbeat_as("m1", 2)
    assert not unchanged.done, "that it is a member is not written yet"
    bench.log.complete()
    assert joined.result().member_epoch == 2
    assert unchanged.result().member_epoch == 2
    assert bench.heartbeat_as("m1", 2).member_epoch == 2, "at once, and without a write"
    assert not bench.log.pending


def test_a_change_that_is_not_written_is_undone() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    before = bench.describe_consumers()
    bench.log.instant = False
    joined, beaten = bench.join_as("m2"), bench.heartbeat_as("m0", one.epoch)
    bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    bench.log.instant = True
    while bench.log.pending:
        bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    assert joined.result().error_code == errors.CoordinatorNotAvailable.code
    assert "try again" in joined.result().error_message
    assert now(beaten).error_code in (0, errors.CoordinatorNotAvailable.code)
    after = bench.describe_consumers()
    assert after == before
    bench.timers.advance(44_000)
    one.beat()
    bench.timers.advance(20_000)
    assert bench.describe_consumers().members, "its session goes on"


def test_changes_that_are_not_written_are_few_lines_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = ConsumerBench()
    bench.consumers(1)
    bench.log.instant = False
    for n in range(200):
        bench.join_as(f"other{n}")
        bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    said = [line for line in caplog.messages if "is undone" in line]
    assert 0 < len(said) < 20


def test_who_has_no_time_to_let_go_costs_little_while_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", rebalance_timeout_ms=0)
    one.join()
    bench.join_as("m2")
    bench.timers.advance(10)
    bench.heartbeat_as("m1", one.epoch)
    tries = []

    def append(partition: int, records: list[Any]) -> Deferred[None]:
        tries.append(records)
        assert len(tries) < 100, "it tries again and again"
        done: Deferred[None] = Deferred()
        done.fail(errors.KafkaStorageError("the disk is gone"))
        return done

    with monkeypatch.context() as patch:
        patch.setattr(bench.log, "_write", append)
        bench.timers.advance(1_000)
    assert len(tries) >= 5
    assert set(bench.consumer_group().members) == {"m1", "m2"}
    bench.timers.advance(200)
    assert set(bench.consumer_group().members) == {"m2"}


def test_a_fenced_member_joins_again() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    for epoch in (one.epoch + 1, one.epoch - 5):
        refused = bench.heartbeat_as("m0", epoch)
        assert refused.error_code in (
            errors.FencedMemberEpoch.code, errors.InvalidRequest.code
        )  # fmt: skip
    refused = bench.heartbeat_as("m0", one.epoch + 1)
    assert refused.error_code == errors.FencedMemberEpoch.code
    assert "rejoin" in refused.error_message
    told = bench.join_as("m0")
    assert bench.told(told) == ORDERS


def test_the_epoch_before_will_do_when_the_answer_was_lost() -> None:
    bench = ConsumerBench()
    one, two = bench.consumers(2)
    three = bench.consumer("m2")
    three.join()
    one.beat()  # told to let go
    lost = one.epoch
    bench.heartbeat_as("m0", lost, owned=one.owned)  # lets go; the answer is lost
    assert bench.consumer_group().members["m0"].now.epoch > lost
    again = bench.heartbeat_as("m0", lost, owned=one.owned)
    assert (again.error_code, again.member_epoch) == (0, bench.consumer_group().epoch)
    refused = bench.heartbeat_as("m0", lost, owned=one.owned | two.owned)
    assert refused.error_code == errors.FencedMemberEpoch.code


def test_who_is_not_a_member_is_told_so() -> None:
    bench = ConsumerBench()
    assert bench.heartbeat_as("m1", 3).error_code == errors.GroupIdNotFound.code
    bench.consumers(1)
    assert bench.heartbeat_as("m1", 3).error_code == errors.UnknownMemberId.code
    assert bench.heartbeat_as("m1", -1).error_code == errors.UnknownMemberId.code


def test_a_silent_member_is_gone_after_its_session() -> None:
    bench = ConsumerBench()
    one, two = bench.consumers(2)
    for _ in range(10):
        bench.timers.advance(5_000)
        one.beat()
    assert [m.member_id for m in bench.describe_consumers().members] == ["m0"]
    bench.settle(one)
    assert one.owned == ORDERS
    assert two.beat().error_code == errors.UnknownMemberId.code


def test_a_member_that_does_not_let_go_is_gone_after_its_rebalance_timeout() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", rebalance_timeout_ms=10_000)
    one.join()
    bench.timers.advance(20)
    two = bench.consumer("m2")
    two.join()
    owned = set(one.owned)
    bench.heartbeat_as("m1", 2)  # told to let go, but goes on
    for _ in range(3):
        bench.timers.advance(4_000)
        bench.heartbeat_as("m1", 2, owned=owned)
        two.beat()
    assert bench.heartbeat_as("m1", 2).error_code == errors.UnknownMemberId.code
    bench.settle(two)
    assert two.owned == ORDERS


def test_leaving_frees_partitions_at_once() -> None:
    bench = ConsumerBench()
    one, two = bench.consumers(2)
    left = two.leave()
    assert (left.error_code, left.member_epoch) == (0, -1)
    bench.timers.advance(50)
    one.beat()
    assert one.owned == ORDERS
    one.leave()
    assert bench.describe_consumers().group_state == "Empty"
    assert bench.log.partitions


def test_a_static_member_comes_back_to_what_it_had() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", instance="i1")
    two = bench.consumer("m2", instance="i2")
    one.join()
    bench.timers.advance(20)
    two.join()
    bench.settle(one, two)
    had = set(one.owned)
    epoch = bench.consumer_group().epoch
    assert one.leave(for_a_while=True).member_epoch == -2
    back = bench.consumer("m3", instance="i1")
    back.join()
    assert back.owned == had
    assert bench.consumer_group().epoch == epoch, "nobody else notices"
    fenced = bench.heartbeat_as("m1", epoch, instance_id="i1")
    assert fenced.error_code == errors.FencedInstanceId.code
    taken = bench.consumer("m4", instance="i1").join()
    assert taken.error_code == errors.UnreleasedInstanceId.code
    assert "i1" in taken.error_message
    unknown = bench.heartbeat_as("m9", 3, instance_id="i9")
    assert unknown.error_code == errors.UnknownMemberId.code


def test_a_static_member_that_does_not_come_back_is_gone_after_its_session() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", instance="i1")
    one.join()
    one.leave(for_a_while=True)
    bench.timers.advance(44_000)
    assert len(bench.describe_consumers().members) == 1
    bench.timers.advance(2_000)
    assert bench.describe_consumers().group_state == "Empty"


def test_a_changed_subscription_is_followed() -> None:
    bench = ConsumerBench()
    one, two = bench.consumers(2)
    one.subscribe("clicks")
    assert {name for name, _ in one.owned} == set(), "it has still to say that it let go"
    bench.settle(one, two)
    assert one.owned == {("clicks", number) for number in range(6)}
    assert two.owned == ORDERS


def test_a_full_heartbeat_is_answered_in_full() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    assert one.beat().assignment is None
    full = bench.heartbeat_as(
        "m0", one.epoch, owned=one.owned, rebalance_timeout_ms=60_000,
        subscribed_topic_names=["orders"],
    )  # fmt: skip
    assert bench.told(full) == ORDERS


def test_what_no_member_may_say() -> None:
    bench = ConsumerBench()
    invalid = errors.InvalidRequest.code
    assert bench.join_as("").error_code == invalid
    assert bench.join_as("", version=0).member_id == "consumer-1"
    assert bench.join_as("m", group_id="").error_code == invalid
    assert bench.join_as("m", instance_id="").error_code == invalid
    assert bench.join_as("m", rack_id="").error_code == invalid
    assert bench.join_as("m", rebalance_timeout_ms=-1).error_code == invalid
    assert bench.join_as("m", owned={("orders", 1)}).error_code == invalid
    assert bench.join_as("m", owned=None).error_code == invalid
    assert bench.join_as("m", subscribed_topic_names=None).error_code == invalid
    assert bench.heartbeat_as("m", -2).error_code == invalid
    assert bench.heartbeat_as("m", -3).error_code == invalid
    refused = bench.join_as("m", server_assignor="sticky")
    assert refused.error_code == errors.UnsupportedAssignor.code
    assert "uniform, range" in refused.error_message


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"member_id": "m" * 40_000}, errors.InvalidRequest),
        ({"member_id": "\u20ac" * 11_000}, errors.InvalidRequest),
        ({"instance_id": "i" * 40_000}, errors.InvalidRequest),
        ({"group_id": "g" * 40_000}, errors.InvalidGroupId),
    ],
)
def test_names_that_no_record_has_room_for_are_refused(
    how: dict[str, str], error: type[errors.KafkaError]
) -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1")
    one.join()
    refused = bench.join_as(**({"member_id": "m2"} | how))
    assert refused.error_code == error.code
    assert "32767 bytes" in refused.error_message
    one.leave()
    one.join()
    assert len(one.owned) == 6, "the group goes on"
    assert list(bench.consumer_group().members) == ["m1"]


def test_what_cannot_be_recorded_is_not_done() -> None:
    bench = ConsumerBench()
    bench.consumer("m1").join()
    group = bench.consumer_group()
    change = Change(bench.coordinator.shards.of("g"), group)
    with pytest.raises(ValueError, match="does not fit"):
        change.subscription("m" * 40_000, Subscription())
    assert list(group.members) == ["m1"]


def test_a_full_group_takes_nobody() -> None:
    bench = ConsumerBench(group_consumer_max_size=1)
    bench.consumers(1)
    refused = bench.join_as("m9")
    assert refused.error_code == errors.GroupMaxSizeReached.code
    assert "group.consumer.max.size" in refused.error_message
    assert bench.join_as("m0").error_code == 0


def test_new_partitions_and_topics_are_assigned() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", "orders", "later")
    one.join()
    bench.topics_change(orders=8)
    one.beat()
    assert one.owned == {("orders", number) for number in range(8)}
    bench.timers.advance(20)
    bench.topics_change(later=1)
    one.beat()
    assert ("later", 0) in one.owned
    bench.timers.advance(20)
    bench.topics_change(orders=0)
    bench.settle(one)
    assert one.owned == {("later", 0)}


def test_the_interval_grows_with_the_members_and_is_short_for_who_waits() -> None:
    bench = ConsumerBench(partitions=300)
    one = bench.consumer("m0")
    one.join()
    assert one.interval_ms == 250
    bench.timers.advance(1_100)
    two = bench.consumer("m1")
    two.join()
    assert two.interval_ms == 50
    bench.settle(one, two)
    assert two.interval_ms == 250
    more = [bench.consumer(f"n{n}") for n in range(400)]
    for other in more:
        other.join()
    bench.timers.advance(1_100)
    bench.settle(one, two, *more)
    assert two.interval_ms == 402 * 1000 // 400
    bench.overrides["g"] = {"consumer.heartbeat.interval.ms": "7000"}
    assert two.beat().heartbeat_interval_ms == 7_000


def test_an_assignment_is_made_in_time_even_if_nobody_asks() -> None:
    bench = ConsumerBench(group_consumer_assignment_interval_ms=1_000)
    one, two = bench.consumer("m1"), bench.consumer("m2")
    one.join()
    two.join()
    group = bench.consumer_group()
    assert (two.epoch, group.epoch, group.target_epoch) == (2, 3, 2)
    bench.timers.advance(1_000)
    assert group.target_epoch == 3
    bench.settle(one, two)
    assert one.owned | two.owned == ORDERS

