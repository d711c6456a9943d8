"""What people are told of a group: whom it waits for, since when, and what ends next."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.explanation import LONGEST
from tests.group.bench import Bench

DAY_MS = 86_400_000


def explained(bench: Bench) -> Any:
    told = bench.describe(explain=True).explanation
    assert told.now_ms == bench.timers.now_ms()
    return told


def awaited(told: Any) -> list[tuple[str, str, int]]:
    """(member, what, for how long) of each that is waited for."""
    return [(one.member_id, one.what, told.now_ms - one.since_ms) for one in told.awaited]


def deadlines(told: Any) -> list[tuple[str, str, int]]:
    """(what, member, in how long), the soonest first."""
    return [(one.what, one.member_id, one.at_ms - told.now_ms) for one in told.deadlines]


def test_who_does_not_ask_is_not_told() -> None:
    bench = Bench()
    bench.stable()
    assert bench.describe().explanation is None


def test_a_group_that_does_not_exist_has_no_explanation() -> None:
    assert Bench().describe(explain=True).explanation is None


def test_a_stable_group_tells_which_sessions_end_next() -> None:
    bench = Bench()
    first, second = bench.stable(2)
    bench.timers.advance(4_000)
    bench.heartbeat(first.member_id, 1)
    bench.timers.advance(1_000)
    told = explained(bench)
    assert told.summary == "Generation 1 is at work with 2 members."
    assert told.reason == "member c-1 joins; client's reason: not given"
    assert told.now_ms - told.since_ms == 5_000
    assert awaited(told) == []
    assert deadlines(told) == [
        ("session", second.member_id, 4_820),
        ("session", first.member_id, 9_000),
    ]
    assert told.deadlines[0].consequence == "it is removed from the group, which rebalances"


def test_a_rebalance_tells_whom_it_waits_for_and_until_when() -> None:
    bench = Bench()
    first, second = bench.stable(2, rebalance=30_000)
    bench.timers.advance(2_000)
    bench.join(first.member_id, rebalance=30_000)
    bench.timers.advance(3_000)
    told = explained(bench)
    assert told.summary == "The group rebalances: it waits for 1 of 2 members to join."
    assert told.reason.startswith("leader c-1 joins again")
    assert awaited(told) == [(second.member_id, "join", 3_000)]
    assert deadlines(told) == [
        ("session", second.member_id, 4_820),
        ("rebalance", "", 27_000),
    ]
    assert told.awaited[0].client_host == "/127.0.0.1"
    session, rebalance = told.deadlines
    assert session.consequence == "it is removed from the group"
    assert rebalance.consequence.startswith("members that have not joined are removed")


def test_first_joins_are_gathered_until_then() -> None:
    bench = Bench(group_initial_rebalance_delay_ms=3_000)
    bench.enter()
    bench.timers.advance(1_000)
    told = explained(bench)
    assert told.summary == "1 member joined the empty group; more may come."
    assert deadlines(told) == [("first joins", "", 2_000), ("session", "c-1", 299_000)]
    assert told.deadlines[1].consequence == "its JoinGroup is given up"


def test_an_id_handed_out_is_waited_for() -> None:
    bench = Bench()
    (only,) = bench.stable()
    handed_out = bench.join(session=6_000).member_id
    bench.join(only.member_id)
    bench.timers.advance(1_000)
    told = explained(bench)
    assert awaited(told) == [(handed_out, "come back", 1_000)]
    assert ("session", handed_out, 5_000) in deadlines(told)


def test_a_generation_that_has_joined_waits_for_its_assignment() -> None:
    bench = Bench()
    waiting = [bench.enter(rebalance=20_000) for _ in range(2)]
    bench.timers.advance(200)
    leader, follower = (one.result().member_id for one in waiting)
    bench.timers.advance(1_000)
    told = explained(bench)
    assert told.summary.startswith("The group rebalances: generation 1 has joined, it waits for 2")
    assert awaited(told) == [(leader, "assign", 1_180), (follower, "sync", 1_180)]
    assert ("sync", "", 20_000 - 1_180) in deadlines(told)
    bench.sync(follower, 1)
    told = explained(bench)
    assert awaited(told) == [(leader, "assign", 1_180)]
    assert ("session", follower) not in [one[:2] for one in deadlines(told)], "it waits for us"
    bench.log.instant = False
    bench.sync(leader, 1, {})
    told = explained(bench)
    assert told.summary == "The group rebalances: the leader's assignment is being written."
    assert awaited(told) == []
    bench.log.complete()


def test_a_stable_group_waits_for_who_has_not_asked_for_its_part() -> None:
    bench = Bench()
    waiting = [bench.enter(rebalance=20_000) for _ in range(2)]
    bench.timers.advance(200)
    leader, follower = (one.result().member_id for one in waiting)
    bench.sync(leader, 1, {})
    told = explained(bench)
    assert [one[:2] for one in awaited(told)] == [(follower, "sync")]
    assert "sync" in [one.what for one in told.deadlines]
    bench.sync(follower, 1)
    told = explained(bench)
    assert awaited(told) == []
    assert {one.what for one in told.deadlines} == {"session"}


def test_an_empty_group_tells_when_its_offsets_expire() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.leave((only.member_id, None))
    bench.timers.advance(DAY_MS)
    told = explained(bench)
    assert told.summary == "Nobody is a member."
    assert deadlines(told) == [("offsets", "", 6 * DAY_MS)]


def test_a_static_member_is_named_by_its_instance() -> None:
    bench = Bench()
    waiting = bench.join(instance="i1")
    bench.timers.advance(20)
    bench.assign([waiting.result()])
    assert explained(bench).deadlines[0].group_instance_id == "i1"


def test_offsets_that_wait_for_a_transaction() -> None:
    bench = Bench()
    bench.commit_in_transaction({("orders", 0): 5, ("orders", 1): 6}, producer_id=9)
    told = explained(bench)
    assert [(one.topic, one.partition, one.producer_id) for one in told.unstable_offsets] == [
        ("orders", 0, 9),
        ("orders", 1, 9),
    ]
    bench.end(commit=False, producer_id=9)
    bench.commit({("orders", 0): 5})
    assert explained(bench).unstable_offsets == []


def test_lists_are_cut_off() -> None:
    bench = Bench()
    bench.stable(LONGEST + 5)
    assert len(explained(bench).deadlines) == LONGEST
    bench.commit_in_transaction({("orders", n): 5 for n in range(LONGEST + 5)})
    assert len(explained(bench).unstable_offsets) == LONGEST


def test_a_rebalance_ends_its_deadlines() -> None:
    bench = Bench()
    (only,) = bench.stable(session=1_000_000)
    newcomer = bench.enter(session=1_000_000)
    assert "rebalance" in [one.what for one in explained(bench).deadlines]
    bench.join(only.member_id, session=1_000_000)
    assert newcomer.done
    assert "rebalance" not in [one.what for one in explained(bench).deadlines]
