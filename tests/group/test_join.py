"""JoinGroup and SyncGroup, rule by rule. Kafka: GroupMetadataManager; KIP-345, 394, 814."""
from __future__ import annotations

import logging
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.group.classic.state import State
from fastbroker.model import Deferred
from fastbroker.protocol.messages.join_group import JoinGroupRequest
from tests.group.bench import Bench, Client


def test_a_newcomer_is_told_its_id_from_version_4_on() -> None:
    bench = Bench()
    told = bench.join(version=4)
    assert (told.error_code, told.member_id) == (79, "c-1")
    assert isinstance(bench.join("c-1", version=4), Deferred)
    assert isinstance(bench.join(version=3, group_id="other"), Deferred)


def test_an_error_names_no_protocol() -> None:
    bench = Bench()
    assert [bench.join(version=version).protocol_name for version in (6, 7)] == ["", None]
    waiting = bench.enter()
    bench.coordinator.resigned(bench.coordinator.partition_for("g"))
    assert (waiting.result().error_code, waiting.result().protocol_name) == (16, None)


def test_an_id_handed_out_is_forgotten_after_the_session_timeout() -> None:
    bench = Bench()
    bench.join(session=6_000)
    bench.timers.advance(5_999)
    assert bench.group().roster.pending
    bench.timers.advance(1)
    assert bench.list().groups == [], "nothing is left of the group"
    assert bench.join("c-1").error_code == 25


def test_ids_handed_out_are_bounded() -> None:
    bench = Bench()
    for _ in range(1_001):
        bench.join()
    assert len(bench.group().roster.pending) == 1_000
    assert bench.join("c-1").error_code == 25, "the oldest one is forgotten"
    assert isinstance(bench.join("c-2"), Deferred)


def test_a_member_id_of_a_group_that_does_not_exist_is_unknown() -> None:
    bench = Bench()
    assert bench.join("me").error_code == 25
    assert bench.list().groups == []


def test_a_member_id_nobody_gave_is_unknown() -> None:
    bench = Bench()
    bench.stable()
    assert bench.join("me").error_code == 25


@pytest.mark.parametrize("session", [5_999, 1_800_001, -1])
def test_a_session_timeout_out_of_bounds_is_refused(session: int) -> None:
    assert Bench().join(session=session).error_code == 26


def test_an_empty_group_id_is_refused() -> None:
    bench = Bench()
    assert bench.join(group_id="").error_code == 24
    assert bench.sync("m", 1, group_id="").error_code == 24
    assert bench.heartbeat("m", 1, group_id="") == 24
    assert bench.leave(("m", None), group_id="").error_code == 24


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"instance": "i" * 40_000}, errors.InvalidRequest),
        ({"member_id": "m" * 40_000}, errors.InvalidRequest),
        ({"group_id": "g" * 40_000}, errors.InvalidGroupId),
        ({"protocol_type": "t" * 40_000}, errors.InconsistentGroupProtocol),
        ({"protocols": (("p" * 40_000, b"m"),)}, errors.InconsistentGroupProtocol),
    ],
)
def test_names_that_no_record_has_room_for_are_refused(
    how: dict[str, Any], error: type[errors.KafkaError]
) -> None:
    bench = Bench()
    assert bench.join(**how).error_code == error.code
    assert not bench.coordinator.shards.of("g").groups


def test_a_member_id_has_room_for_a_part_of_a_long_client_id() -> None:
    bench = Bench()
    request = JoinGroupRequest(
        group_id="g",
        session_timeout_ms=10_000,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"")],
    )
    told = bench.coordinator.members.join_group(Client(9, "c" * 32_767), request)
    assert told.member_id == "c" * 1_000 + "-1"


def test_which_of_two_errors_is_told() -> None:
    assert Bench().join(group_id="", session=1).error_code == 24
    assert Bench(elect=False).join(session=1).error_code == 26


def test_a_full_group_takes_nobody_new() -> None:
    bench = Bench(group_max_size=2)
    first, second = bench.stable(2)
    assert bench.join().error_code == 81
    bench.join(first.member_id)  # a rebalance: there is room until two wait
    told = bench.join()
    assert told.error_code == 79
    bench.join(second.member_id)
    refused = bench.join(told.member_id)
    assert (refused.error_code, refused.member_id) == (81, "")
    assert bench.group().generation_id == 2, "who was turned away is not waited for"


def test_a_group_wants_a_protocol_type_and_a_protocol() -> None:
    bench = Bench()
    assert bench.join(protocol_type="").error_code == 23
    assert bench.join(protocols=()).error_code == 23
    assert bench.list().groups == []


def test_members_share_protocol_type_and_a_protocol() -> None:
    bench = Bench()
    bench.stable()
    assert bench.join(protocol_type="connect").error_code == 23
    assert bench.join(protocols=(("sticky", b""),)).error_code == 23
    assert bench.join(protocols=(("sticky", b""), ("range", b""))).error_code == 79


def test_the_protocol_is_chosen_by_votes_among_those_of_everyone() -> None:
    bench = Bench()
    range_, sticky, mine = ("range", b"r"), ("sticky", b"s"), ("mine", b"m")
    waiting = [
        bench.enter(protocols=protocols)
        for protocols in [(mine, range_, sticky), (sticky, range_), (sticky, range_)]
    ]
    bench.timers.advance(200)
    leader = waiting[0].result()
    assert leader.protocol_name == "sticky"
    assert [bytes(m.metadata) for m in leader.members] == [b"s", b"s", b"s"]


def test_metadata_is_copied() -> None:
    bench = Bench()
    bench.stable()
    (member,) = bench.group().roster
    assert type(member.protocols["range"]) is bytes
    assert type(member.assignment) is bytes


def test_first_joins_are_gathered_until_none_comes_for_20_ms() -> None:
    bench = Bench()
    first = bench.enter()
    bench.timers.advance(15)
    second = bench.enter()
    bench.timers.advance(19)
    assert not first.done
    bench.timers.advance(1)
    assert first.result().generation_id == second.result().generation_id == 1


def test_first_joins_are_gathered_for_200_ms_at_most() -> None:
    bench = Bench()
    first = bench.enter()
    for _ in range(19):
        bench.timers.advance(10)
        bench.enter()
    bench.timers.advance(9)
    assert not first.done
    bench.timers.advance(1)
    assert len(first.result().members) == 20


def test_an_explicit_initial_delay_is_kept() -> None:
    bench = Bench(group_initial_rebalance_delay_ms=3_000)
    first = bench.enter(rebalance=5_000)
    bench.timers.advance(2_900)
    bench.enter(rebalance=5_000)
    bench.timers.advance(2_000)
    assert not first.done, "extended by the second join"
    bench.timers.advance(100)
    assert len(first.result().members) == 2, "up to the rebalance timeout"


def test_an_initial_delay_of_nothing_does_not_wait() -> None:
    bench = Bench(group_initial_rebalance_delay_ms=0)
    first = bench.enter()
    bench.timers.advance(0)
    assert first.done


def test_a_newcomer_starts_a_rebalance_that_waits_for_the_others() -> None:
    bench = Bench()
    (leader,) = bench.stable()
    newcomer = bench.enter()
    assert bench.group().state is State.PREPARING
    assert bench.heartbeat(leader.member_id, 1) == 27
    again = bench.join(leader.member_id)
    assert again.leader == leader.member_id
    assert len(again.members) == 2
    assert newcomer.result().generation_id == 2


def test_a_newcomer_during_completion_starts_another_rebalance() -> None:
    bench = Bench()
    waiting = [bench.enter(), bench.enter()]
    bench.timers.advance(200)
    leader, follower = (one.result().member_id for one in waiting)
    synced = bench.sync(follower, 1)
    bench.enter()
    assert synced.result().error_code == 27
    assert bench.heartbeat(leader, 1) == 27
    assert bench.group().state is State.PREPARING


def test_the_longest_rebalance_timeout_counts() -> None:
    bench = Bench()
    waiting = [bench.enter(rebalance=ms, session=100_000) for ms in (5_000, 9_000)]
    bench.timers.advance(200)
    joined = [one.result() for one in waiting]
    bench.assign(joined)
    again = bench.join(joined[0].member_id, rebalance=5_000, session=100_000)
    bench.timers.advance(8_999)
    assert not again.done
    bench.timers.advance(1)
    assert again.done


def test_a_member_that_joins_again_may_change_its_timeouts() -> None:
    bench = Bench()
    (only,) = bench.stable(session=100_000, rebalance=100_000)
    bench.join(only.member_id, session=6_000, rebalance=7_000)
    (member,) = bench.group().roster
    assert (member.session_timeout_ms, member.rebalance_timeout_ms) == (6_000, 7_000)
    bench.timers.advance(6_000)
    assert bench.heartbeat(only.member_id, 2) == 25


def test_an_id_handed_out_is_no_static_members() -> None:
    bench = Bench()
    told = bench.join()
    assert bench.join(told.member_id, instance="i1").error_code == 25
    assert isinstance(bench.join(told.member_id), Deferred)


def test_groups_do_not_know_each_other() -> None:
    bench = Bench()
    (mine,) = bench.stable()
    (theirs,) = bench.stable(group_id="other", protocol_type="connect")
    assert bench.heartbeat(mine.member_id, 1, group_id="other") == 25
    bench.leave((theirs.member_id, None), group_id="other")
    assert bench.heartbeat(mine.member_id, 1) == 0


def test_an_id_handed_out_is_waited_for() -> None:
    bench = Bench()
    (leader,) = bench.stable()
    told = bench.join()
    again = bench.join(leader.member_id)
    assert not again.done
    bench.join(told.member_id)
    assert len(again.result().members) == 2


def test_who_does_not_join_in_time_is_removed() -> None:
    bench = Bench()
    first, second = bench.stable(2, rebalance=7_000, session=20_000)
    again = bench.join(first.member_id, rebalance=7_000)
    bench.timers.advance(6_999)
    assert not again.done
    bench.timers.advance(1)
    assert [m.member_id for m in again.result().members] == [first.member_id]
    assert bench.heartbeat(second.member_id, 2) == 25


def test_version_0_waits_for_the_session_timeout() -> None:
    bench = Bench()
    first = bench.join(version=0, rebalance=-1, session=8_000)
    bench.timers.advance(20)
    assert first.done
    assert bench.group().roster.rebalance_timeout_ms == 8_000


def test_a_lost_join_answer_is_given_again() -> None:
    bench = Bench()
    waiting = [bench.enter(), bench.enter()]
    bench.timers.advance(200)
    leader, other = (one.result() for one in waiting)
    assert bench.join(leader.member_id) == leader
    assert bench.join(other.member_id) == other
    assert bench.group().generation_id == 1


def test_a_stable_follower_joining_unchanged_learns_its_generation() -> None:
    bench = Bench()
    _, follower = bench.stable(2)
    again = bench.join(follower.member_id)
    assert again.generation_id == 1
    assert bench.group().state is State.STABLE


def test_a_follower_with_new_metadata_starts_a_rebalance() -> None:
    bench = Bench()
    _, follower = bench.stable(2)
    assert isinstance(bench.join(follower.member_id, protocols=(("range", b"new"),)), Deferred)
    assert bench.group().state is State.PREPARING


def test_new_metadata_during_completion_starts_another_rebalance() -> None:
    bench = Bench()
    waiting = [bench.enter(), bench.enter()]
    bench.timers.advance(200)
    leader, follower = (one.result() for one in waiting)
    synced = bench.sync(follower.member_id, 1)
    bench.join(leader.member_id, protocols=(("range", b"new"),))
    assert synced.result().error_code == 27


def test_the_leader_of_a_stable_group_starts_a_rebalance_by_joining() -> None:
    bench = Bench()
    (leader,) = bench.stable()
    again = bench.join(leader.member_id)
    assert again.generation_id == 2


def test_a_second_join_answers_the_first() -> None:
    bench = Bench()
    (leader, _) = bench.stable(2)
    first = bench.join(leader.member_id)
    second = bench.join(leader.member_id)
    assert first.result().error_code == 27
    assert not second.done


def test_a_newcomer_that_never_gets_an_answer_is_given_up() -> None:
    bench = Bench()
    bench.stable(1, rebalance=1_000_000, session=1_000_000)
    newcomer = bench.enter()
    bench.timers.advance(300_000)
    assert newcomer.result().error_code == 25


def test_the_leaders_seat_passes_on() -> None:
    bench = Bench()
    leader, follower = bench.stable(2)
    bench.leave((leader.member_id, None))
    again = bench.join(follower.member_id)
    assert again.leader == follower.member_id


# Static members, KIP-345.


def static_pair(bench: Bench) -> tuple[str, str]:
    """A stable group of static members i1, who leads, and i2; their member ids."""
    waiting = [bench.join(instance=instance) for instance in ("i1", "i2")]
    bench.timers.advance(200)
    first, second = (one.result() for one in waiting)
    bench.assign([first, second])
    return first.member_id, second.member_id


def test_a_static_member_is_taken_in_at_once() -> None:
    bench = Bench()
    assert isinstance(bench.join(instance="i1"), Deferred)


def test_a_static_member_that_comes_back_keeps_its_assignment() -> None:
    bench = Bench()
    leader, follower = static_pair(bench)
    back = bench.join(instance="i2")
    assert back.error_code == 0
    assert back.member_id != follower
    assert (back.generation_id, back.leader, back.skip_assignment) == (1, leader, False)
    assert bench.group().state is State.STABLE
    synced = bench.sync(back.member_id, 1, instance="i2")
    assert synced.assignment == follower.encode()
    assert bench.heartbeat(follower, 1, "i2") == 82
    assert bench.sync(follower, 1, instance="i2").error_code == 82
    assert bench.join(follower, instance="i2").error_code == 82


def test_a_static_leader_that_comes_back_skips_the_assignment() -> None:
    bench = Bench()
    static_pair(bench)
    back = bench.join(instance="i1")
    assert back.skip_assignment
    assert len(back.members) == 2
    older = bench.join(instance="i1", version=8)
    assert not older.skip_assignment
    assert older.leader == back.member_id != older.member_id, "it must not think that it leads"


def test_a_static_members_new_id_is_stored_before_it_is_told() -> None:
    bench = Bench()
    static_pair(bench)
    bench.log.instant = False
    back = bench.join(instance="i2")
    assert not back.done
    bench.log.complete()
    told = back.result()
    bench.reload(2)
    assert bench.heartbeat(told.member_id, 1, "i2") == 0


def test_a_static_members_new_id_that_is_not_stored_is_an_error() -> None:
    bench = Bench()
    static_pair(bench)
    bench.log.instant = False
    back = bench.join(instance="i2")
    bench.log.fail(errors.NotLeaderOrFollower())
    assert back.result().error_code == 16
    assert bench.group().state is State.STABLE


def test_a_rebalance_answers_a_static_member_whose_id_is_being_stored() -> None:
    bench = Bench()
    leader, _ = static_pair(bench)
    bench.log.instant = False
    back = bench.join(instance="i2")
    bench.join(leader, instance="i1")
    assert back.result().generation_id == 2
    bench.log.complete()


def test_a_static_member_with_another_protocol_starts_a_rebalance() -> None:
    bench = Bench()
    both = (("range", b"r"), ("sticky", b"s"))
    waiting = [bench.join(instance=i, protocols=both) for i in ("i1", "i2")]
    bench.timers.advance(200)
    bench.assign([one.result() for one in waiting])
    assert isinstance(bench.join(instance="i2", protocols=(("sticky", b"s"),)), Deferred)


def test_a_static_member_that_comes_back_during_completion_starts_another_rebalance() -> None:
    bench = Bench()
    waiting = [bench.join(instance=instance) for instance in ("i1", "i2")]
    bench.timers.advance(200)
    leader, follower = (one.result() for one in waiting)
    synced = bench.sync(follower.member_id, 1, instance="i2")
    assert isinstance(bench.join(instance="i2"), Deferred)
    assert synced.result().error_code == 82
    assert bench.heartbeat(leader.member_id, 1, "i1") == 27


def test_a_static_member_that_comes_back_while_it_waits_fences_itself() -> None:
    bench = Bench()
    first = bench.join(instance="i1")
    second = bench.join(instance="i1")
    assert (first.result().error_code, first.result().member_id) == (82, "i1-1")
    bench.timers.advance(200)
    assert second.result().member_id == "i1-2"


def test_static_members_that_do_not_join_stay_until_their_session_ends() -> None:
    bench = Bench()
    leader, follower = static_pair(bench)
    told = bench.join(rebalance=7_000, session=30_000)
    newcomer = bench.join(told.member_id, rebalance=7_000, session=30_000)
    for _ in range(8):
        bench.timers.advance(9_000)
        bench.heartbeat(leader, 1, "i1")
        bench.heartbeat(follower, 1, "i2")
    joined = newcomer.result()
    assert joined.leader == joined.member_id, "one who is there leads"
    assert len(joined.members) == 3


def test_a_static_member_goes_when_its_session_ends() -> None:
    bench = Bench()
    leader, follower = static_pair(bench)
    bench.timers.advance(9_000)
    bench.heartbeat(leader, 1, "i1")
    bench.timers.advance(1_000)
    assert bench.heartbeat(follower, 1, "i2") == 25
    assert bench.heartbeat(leader, 1, "i1") == 27


def test_who_was_replaced_is_fenced_everywhere() -> None:
    bench = Bench()
    _, old = static_pair(bench)
    new = bench.join(instance="i2").member_id
    assert bench.heartbeat(old, 1, "i2") == 82
    assert bench.sync(old, 1, instance="i2").error_code == 82
    assert bench.join(old, instance="i2").error_code == 82
    assert bench.leave((old, "i2")).members[0].error_code == 82
    commit = {"generation": 1, "instance": "i2"}
    told = bench.commit({("orders", 0): 1}, member_id=old, **commit)
    assert told.topics[0].partitions[0].error_code == 82
    assert bench.commit_in_transaction({("orders", 0): 1}, member_id=old, **commit) == [82]
    assert bench.heartbeat(new, 1, "i2") == 0


def test_of_two_with_one_instance_id_the_last_to_join_stays() -> None:
    bench = Bench()
    static_pair(bench)
    bench.log.instant = False
    one, other = bench.join(instance="i2"), bench.join(instance="i2")
    assert one.result().error_code == 82
    bench.log.complete()
    assert other.result().error_code == 0
    assert bench.heartbeat(other.result().member_id, 1, "i2") == 0
    bench.log.instant = True
    bench.reload(2)
    assert bench.heartbeat(other.result().member_id, 1, "i2") == 0


def test_who_joins_with_its_old_id_comes_too_late_for_a_rebalance() -> None:
    bench = Bench()
    leader, old = static_pair(bench)
    waiting = bench.join(leader, instance="i1")
    new = bench.join(instance="i2")
    assert bench.join(old, instance="i2").error_code == 82
    assert waiting.result().generation_id == new.generation_id == 2


# SyncGroup.


def completing(bench: Bench) -> tuple[str, str]:
    waiting = [bench.enter(), bench.enter()]
    bench.timers.advance(200)
    leader, follower = (one.result() for one in waiting)
    return leader.member_id, follower.member_id


def test_the_assignment_is_stored_before_anyone_learns_it() -> None:
    bench = Bench()
    leader, follower = completing(bench)
    bench.log.instant = False
    theirs = bench.sync(follower, 1)
    mine = bench.sync(leader, 1, {leader: b"L", follower: b"F"})
    assert not mine.done
    assert not theirs.done
    bench.log.complete()
    assert (mine.result().assignment, theirs.result().assignment) == (b"L", b"F")
    assert bench.sync(follower, 1).assignment == b"F", "asked again"


def test_a_member_the_leader_forgot_gets_an_empty_assignment() -> None:
    bench = Bench()
    leader, follower = completing(bench)
    theirs = bench.sync(follower, 1)
    bench.sync(leader, 1, {leader: b"L"})
    assert theirs.result().assignment == b""


def test_an_assignment_that_is_not_stored_is_an_error_and_a_rebalance() -> None:
    bench = Bench()
    leader, follower = completing(bench)
    bench.log.instant = False
    theirs = bench.sync(follower, 1)
    mine = bench.sync(leader, 1, {leader: b"L"})
    bench.log.fail(errors.NotEnoughReplicas())
    assert mine.result().error_code == theirs.result().error_code == 15
    assert bench.group().state is State.PREPARING


def test_a_rebalance_overtakes_an_assignment_being_stored() -> None:
    bench = Bench()
    leader, follower = completing(bench)
    bench.log.instant = False
    mine = bench.sync(leader, 1, {leader: b"L"})
    bench.leave((follower, None))
    assert mine.result().error_code == 27
    bench.log.complete()
    assert bench.group().state is State.PREPARING


def test_a_leader_that_syncs_twice_assigns_once() -> None:
    bench = Bench()
    leader, follower = completing(bench)
    bench.log.instant = False
    first = bench.sync(leader, 1, {leader: b"1", follower: b"1"})
    second = bench.sync(leader, 1, {leader: b"2", follower: b"2"})
    assert len(bench.log.pending) == 1
    assert first.result().error_code == 27
    bench.log.complete()
    assert second.result().assignment == b"1"


def test_sync_refuses_another_generation_member_or_protocol() -> None:
    bench = Bench()
    leader, _ = completing(bench)
    assert bench.sync(leader, 0).error_code == 22
    assert bench.sync("me", 1).error_code == 25
    assert bench.sync(leader, 1, group_id="none").error_code == 25
    assert bench.sync(leader, 1, protocol=("consumer", "other"), version=5).error_code == 23
    assert bench.sync(leader, 1, protocol=("other", "range"), version=5).error_code == 23
    assert bench.sync(leader, 1, protocol=(None, None), version=5).error_code == 23
    assert bench.sync(leader, 1, protocol=("consumer", "range"), version=5).error_code == 0


def test_sync_during_a_rebalance_is_told_so() -> None:
    bench = Bench()
    leader, _ = bench.stable(2)
    bench.enter()
    assert bench.sync(leader.member_id, 1).error_code == 27


def test_who_does_not_sync_in_time_is_removed() -> None:
    bench = Bench()
    waiting = [bench.enter(rebalance=7_000, session=60_000) for _ in range(2)]
    bench.timers.advance(20)
    leader, follower = (one.result().member_id for one in waiting)
    bench.sync(leader, 1, {leader: b"L"})
    bench.timers.advance(6_999)
    assert bench.heartbeat(follower, 1) == 0
    bench.timers.advance(1)
    assert bench.heartbeat(follower, 1) == 25
    assert bench.heartbeat(leader, 1) == 27


def test_one_log_line_a_rebalance(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    with caplog.at_level(logging.INFO, "tests.group"):
        bench.stable(2)
    (line,) = [r.getMessage() for r in caplog.records if "rebalance" in r.getMessage()]
    assert line == (
        "group g: rebalance after generation 0 with 1 members:"
        " member c-1 joins; client's reason: not given"
    )


def test_a_rebalance_that_nobody_joins_is_looked_at_once_a_second_at_most() -> None:
    bench = Bench()
    waiting = [bench.join(instance=i, rebalance=1) for i in ("i1", "i2")]
    bench.timers.advance(20)
    bench.assign([one.result() for one in waiting])
    newcomer = bench.join(instance="i3", rebalance=1)
    bench.leave(("", "i3"))
    assert newcomer.result().error_code == 25
    for _ in range(9):
        before = bench.timers.made
        bench.timers.advance(1_000)
        assert bench.timers.made - before <= 2
        assert bench.group().state is State.PREPARING
    bench.timers.advance(1_000)
    assert bench.group().state is State.EMPTY


def test_a_group_whose_first_joiners_left_takes_any_protocol_type() -> None:
    bench = Bench()
    bench.enter()
    bench.leave(("c-1", None))
    assert bench.join(protocol_type="").error_code == 23
    bench.enter(protocol_type="connect")
    bench.timers.advance(200)
    assert bench.group().protocol_type == "connect"
