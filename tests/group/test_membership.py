"""Heartbeat, LeaveGroup and sessions, rule by rule."""
from __future__ import annotations

import pytest

from fastbroker.group.classic.state import State
from tests.group.bench import Bench


def test_heartbeats_keep_a_member() -> None:
    bench = Bench()
    (only,) = bench.stable()
    for _ in range(10):
        bench.timers.advance(9_999)
        assert bench.heartbeat(only.member_id, 1) == 0


def test_silence_ends_a_session() -> None:
    bench = Bench()
    first, second = bench.stable(2)
    bench.timers.advance(9_000)
    bench.heartbeat(first.member_id, 1)
    bench.timers.advance(1_000)
    assert bench.heartbeat(second.member_id, 1) == 25
    assert bench.heartbeat(first.member_id, 1) == 27


def test_a_commit_is_a_sign_of_life() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.timers.advance(9_000)
    bench.commit({("orders", 0): 1}, member_id=only.member_id, generation=1)
    bench.timers.advance(9_000)
    assert bench.heartbeat(only.member_id, 1) == 0


def test_who_waits_for_an_answer_is_alive() -> None:
    bench = Bench()
    first, second = bench.stable(2, rebalance=60_000)
    again = bench.join(first.member_id)
    for _ in range(5):
        bench.timers.advance(9_000)
        bench.heartbeat(second.member_id, 1)
    bench.join(second.member_id)
    assert len(again.result().members) == 2
    bench.timers.advance(9_999)
    assert bench.heartbeat(first.member_id, 2) == 0, "its session begins with the answer"


def test_heartbeat_refuses_another_generation_or_member() -> None:
    bench = Bench()
    (only,) = bench.stable()
    assert bench.heartbeat(only.member_id, 0) == 22
    assert bench.heartbeat("me", 1) == 25
    assert bench.heartbeat(only.member_id, 1, "i9") == 25
    assert bench.heartbeat("me", 1, group_id="none") == 25


def test_a_heartbeat_during_completion_is_fine() -> None:
    bench = Bench()
    first = bench.enter()
    bench.timers.advance(200)
    assert bench.heartbeat(first.result().member_id, 1) == 0


@pytest.mark.parametrize("version", [0, 2, 3, 5])
def test_who_leaves_is_gone_at_once(version: int) -> None:
    bench = Bench()
    first, second = bench.stable(2)
    assert bench.leave((second.member_id, None), version=version).error_code == 0
    assert bench.heartbeat(second.member_id, 1) == 25
    assert bench.heartbeat(first.member_id, 1) == 27


def test_up_to_version_2_an_unknown_member_is_an_error_at_the_top() -> None:
    bench = Bench()
    bench.stable()
    assert bench.leave(("me", None), version=2).error_code == 25
    assert bench.leave(("me", None), version=2, group_id="none").error_code == 25


def test_from_version_3_each_member_has_its_answer() -> None:
    bench = Bench()
    waiting = [bench.join(instance="i1"), bench.join(instance="i2"), bench.enter()]
    bench.timers.advance(200)
    bench.assign([one.result() for one in waiting])
    pending = bench.join().member_id
    answer = bench.leave(("", "i1"), ("i1-1", "i2"), ("me", None), ("", None), (pending, None))
    assert answer.error_code == 0
    assert [one.error_code for one in answer.members] == [0, 82, 25, 25, 0]
    assert bench.leave(("x", None), group_id="none").members[0].error_code == 25
    assert list(bench.group().roster.static) == ["i2"]


def test_a_static_member_goes_by_its_instance_id_only() -> None:
    bench = Bench()
    waiting = [bench.join(instance="i1"), bench.join(instance="i2")]
    bench.timers.advance(200)
    bench.assign([one.result() for one in waiting])
    bench.leave(("", "i2"))
    assert len(bench.group().roster) == 1


def test_several_that_leave_are_one_rebalance() -> None:
    bench = Bench()
    first, second, third = bench.stable(3)
    bench.leave((second.member_id, None), (third.member_id, None))
    again = bench.join(first.member_id)
    assert (again.generation_id, len(again.members)) == (2, 1)


def test_when_the_last_one_leaves_the_group_is_empty_and_that_is_stored() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.leave((only.member_id, None))
    assert bench.group().state is State.EMPTY
    bench.reload(2)
    assert (bench.group().state, bench.group().generation_id) == (State.EMPTY, 2)


def test_who_leaves_while_it_waits_is_answered() -> None:
    bench = Bench()
    first, second = bench.stable(2)
    again = bench.join(first.member_id)
    bench.leave((first.member_id, None))
    assert again.result().error_code == 25
    bench.join(second.member_id)
    assert bench.group().generation_id == 2


def test_who_leaves_waiting_for_its_assignment_is_answered() -> None:
    bench = Bench()
    waiting = [bench.enter(), bench.enter()]
    bench.timers.advance(200)
    follower = waiting[1].result().member_id
    synced = bench.sync(follower, 1)
    bench.leave((follower, None))
    assert synced.result().error_code == 25


def test_when_an_expected_newcomer_leaves_the_rebalance_goes_on() -> None:
    bench = Bench()
    (only,) = bench.stable()
    told = bench.join()
    again = bench.join(only.member_id)
    bench.leave((told.member_id, None))
    assert again.result().generation_id == 2


def test_an_empty_group_has_no_timers() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.leave((only.member_id, None))
    bench.timers.advance(1)
    assert bench.timers.waiting == 0
