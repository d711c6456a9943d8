"""Groups that change their protocol while they live, and the members of both kinds in them."""
from __future__ import annotations

from fastbroker import errors
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.state import State
from fastbroker.group.consumer import embedded
from tests.group.bench import now
from tests.group.consumer.bench import ConsumerBench
from tests.group.consumer.classic_consumer import ClassicConsumer, metadata

ORDERS = {("orders", number) for number in range(6)}


def classic(bench: ConsumerBench, count: int, instance: str | None = None) -> list[ClassicConsumer]:
    """A stable classic group, whose leader gave everyone the same share."""
    members = [ClassicConsumer(bench, instance=instance) for _ in range(count)]
    waiting = [one.join() for one in members]
    bench.timers.advance(200)
    for one, answer in zip(members, waiting, strict=True):
        one.joined(now(answer))
    shares = {
        one.member_id: embedded.assignment_bytes({"orders": list(range(n, 6, count))}, 1)
        for n, one in enumerate(members)
    }
    leader = next(one for one in members if one.leads)
    leader.sync(shares)
    for one in members:
        one.sync()
    return members


def test_a_classic_group_takes_in_a_member_with_the_new_protocol() -> None:
    bench = ConsumerBench()
    one, two = classic(bench, 2)
    assert one.owned | two.owned == ORDERS
    new = bench.consumer("n1")
    assert new.join().error_code == 0
    assert new.owned == set()
    described = bench.describe_consumers()
    assert {m.member_id: m.member_type for m in described.members} == {
        one.member_id: 0, two.member_id: 0, "n1": 1,
    }  # fmt: skip
    assert (described.group_epoch, one.generation) == (2, 1)
    for _ in range(6):
        for member in (one, two):
            member.keep_up()
        new.beat()
        owned = [one.owned, two.owned, new.owned]
        assert sum(map(len, owned)) == len(set().union(*owned)), "nobody shares a partition"
    assert [len(part) for part in owned] == [2, 2, 2]
    assert one.generation == two.generation == new.epoch
    assert bench.describe_consumers().group_state == "Stable"
    (listed,) = bench.list().groups
    assert (listed.group_type, listed.group_state) == ("consumer", "Stable")
    bench.reload(2)
    assert one.beat() == 0
    assert one.sync().error_code == 0
    assert len(one.owned) == 2


def test_the_last_member_with_the_new_protocol_leaves_a_classic_group_behind() -> None:
    bench = ConsumerBench()
    one, two = classic(bench, 2)
    new = bench.consumer("n1")
    new.join()
    for _ in range(6):
        for member in (one, two):
            member.keep_up()
        new.beat()
    assert new.leave().error_code == 0
    group = bench.group()
    assert isinstance(group, ClassicGroup)
    assert group.state is State.PREPARING
    assert one.beat() == errors.RebalanceInProgress.code
    waiting = [one.join(), two.join()]
    for member, answer in zip((one, two), waiting, strict=True):
        member.joined(now(answer))
    assert one.generation == two.generation > 2
    leader = one if one.leads else two
    assert sorted(leader.members) == sorted([one.member_id, two.member_id])
    bench.reload(2)
    group = bench.group()
    assert {one.member_id for one in group.roster} == {one.member_id, two.member_id}
    assert group.state is State.PREPARING, "nobody has the part of the one that left yet"
    assert one.beat() in (errors.RebalanceInProgress.code, errors.IllegalGeneration.code)


def test_a_classic_member_keeps_what_it_reads_when_its_group_is_converted_back_and_forth() -> None:
    bench = ConsumerBench()
    (one,) = classic(bench, 1)
    assert one.owned == ORDERS
    new = bench.consumer("n1")
    new.join()
    new.leave()
    assert bench.group().state is State.PREPARING
    other = bench.consumer("n2")
    other.join()
    assert other.owned == set(), "all is read by the classic member, which has not heard of this"
    assert one.beat() == errors.IllegalGeneration.code, "which has it let go of everything"
    one.owned = set()
    one.joined(one.join())
    one.sync()
    for _ in range(8):
        one.keep_up()
        other.beat()
        assert not one.owned & other.owned
    assert len(one.owned) == len(other.owned) == 3


def test_migration_both_ways_with_a_session_that_ends() -> None:
    bench = ConsumerBench()
    (one,) = classic(bench, 1)
    bench.consumer("n1").join()
    for _ in range(12):
        bench.timers.advance(4_000)
        one.keep_up()
    assert isinstance(bench.group(), ClassicGroup), "n1 was silent for its session"


def test_a_policy_may_forbid_it() -> None:
    bench = ConsumerBench(group_consumer_migration_policy="downgrade")
    (one,) = classic(bench, 1)
    refused = bench.consumer("n1").join()
    assert refused.error_code == errors.GroupIdNotFound.code
    assert "group.consumer.migration.policy" in refused.error_message
    assert one.beat() == 0
    bench = ConsumerBench(group_consumer_migration_policy="upgrade")
    (one,) = classic(bench, 1)
    new = bench.consumer("n1")
    new.join()
    new.leave()
    assert bench.describe_consumers().members[0].member_type == 0, "no way back"
    for _ in range(4):
        bench.timers.advance(100)
        one.keep_up()
    assert one.owned == ORDERS
    bench = ConsumerBench(group_consumer_migration_policy="disabled")
    bench.consumers(1)
    refused = ClassicConsumer(bench).join()
    assert refused.error_code == errors.InconsistentGroupProtocol.code


def test_other_protocols_are_not_converted() -> None:
    bench = ConsumerBench()
    bench.stable(1, protocol_type="connect")
    refused = bench.join_as("n1")
    assert refused.error_code == errors.GroupIdNotFound.code
    assert "embedded" in refused.error_message


def test_what_cannot_be_read_is_not_converted() -> None:
    bench = ConsumerBench()
    bench.stable(1)  # its metadata is b"m"
    refused = bench.join_as("n1")
    assert refused.error_code == errors.GroupIdNotFound.code
    assert "malformed" in refused.error_message
    assert bench.group().state is State.STABLE


def test_a_classic_member_joins_a_consumer_group() -> None:
    bench = ConsumerBench()
    (new,) = bench.consumers(1)
    one = ClassicConsumer(bench)
    one.joined(one.join())
    assert one.generation == 3
    one.sync()
    assert one.owned == set()
    for _ in range(4):
        new.beat()
        one.keep_up()
    assert (len(one.owned), len(new.owned)) == (3, 3)
    other = ClassicConsumer(bench)
    assert bench.join(protocols=(("range", metadata(["orders"], set())),)).error_code == (
        errors.InconsistentGroupProtocol.code
    )
    assert bench.join(protocol_type="connect").error_code == errors.InconsistentGroupProtocol.code
    other.joined(other.join())
    left = bench.leave((one.member_id, None))
    assert now(left).error_code == 0
    assert bench.leave(("m9", None)).members[0].error_code == errors.UnknownMemberId.code
    assert {m.member_id for m in bench.describe_consumers().members} == {"m0", other.member_id}
    assert now(bench.leave(("m0", None))).members[0].error_code == 0, "an admin removes it so"
    assert isinstance(bench.group(), ClassicGroup), "nobody is left with the new protocol"


def test_a_classic_member_that_was_removed_lets_go_before_it_joins_again() -> None:
    bench = ConsumerBench()
    new = bench.consumer("n1")
    new.join()
    late = ClassicConsumer(bench)
    late.member_id, late.owned = "gone", {("orders", 0)}
    assert late.join().error_code == errors.UnknownMemberId.code
    late.owned = set()
    assert late.join().error_code == 0


def test_a_classic_member_that_does_not_join_or_sync_in_time_is_gone() -> None:
    bench = ConsumerBench()
    (new,) = bench.consumers(1)
    one = ClassicConsumer(bench)
    one.joined(one.join())
    for _ in range(8):
        bench.timers.advance(4_000)
        new.beat()
        one.beat()
    assert [m.member_id for m in bench.describe_consumers().members] == ["m0"], "it did not sync"
    two = ClassicConsumer(bench)
    two.joined(two.join())
    two.sync()
    new.beat()
    for _ in range(9):
        bench.timers.advance(4_000)
        new.beat()
        assert two.beat() in (errors.RebalanceInProgress.code, errors.UnknownMemberId.code)
    assert [m.member_id for m in bench.describe_consumers().members] == ["m0"], "nor join"


def test_wrong_generations_and_protocols_of_classic_members() -> None:
    bench = ConsumerBench()
    bench.consumers(1)
    one = ClassicConsumer(bench)
    one.joined(one.join())
    assert bench.heartbeat(one.member_id, 9) == errors.IllegalGeneration.code
    assert bench.heartbeat("who", 1) == errors.UnknownMemberId.code
    assert bench.heartbeat("m0", 1) == errors.UnknownMemberId.code, "it uses the other protocol"
    assert bench.sync(one.member_id, 9).error_code == errors.IllegalGeneration.code
    wrong = bench.sync(one.member_id, one.generation, protocol=("consumer", "range"))
    assert wrong.error_code == errors.InconsistentGroupProtocol.code


def test_a_static_member_changes_its_protocol() -> None:
    bench = ConsumerBench()
    (one,) = classic(bench, 1, instance="i1")
    assert one.owned == ORDERS
    new = bench.consumer("n1", instance="i1")
    new.join()
    assert new.owned == ORDERS
    assert [m.member_type for m in bench.describe_consumers().members] == [1]
    back = ClassicConsumer(bench, instance="i1")
    back.joined(back.join())
    assert isinstance(bench.group(), ClassicGroup)
    assert new.beat().error_code == errors.GroupIdNotFound.code


def test_an_empty_group_is_of_whoever_comes_first() -> None:
    bench = ConsumerBench()
    (new,) = bench.consumers(1)
    new.leave()
    (one,) = classic(bench, 1)
    assert one.owned == ORDERS
    now(bench.leave((one.member_id, None)))
    again = bench.consumer("n2")
    again.join()
    assert again.owned == ORDERS
    bench.reload(2)
    assert [m.member_id for m in bench.describe_consumers().members] == ["n2"]


def test_a_conversion_that_is_not_written_is_undone() -> None:
    bench = ConsumerBench()
    one, two = classic(bench, 2)
    bench.log.instant = False
    joined = bench.join_as("n1")
    bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    bench.log.instant = True
    assert joined.result().error_code == errors.CoordinatorNotAvailable.code
    group = bench.group()
    assert isinstance(group, ClassicGroup)
    assert (group.state, one.beat(), two.beat()) == (State.STABLE, 0, 0)
    bench.join_as("n1")
    bench.log.instant = False
    left = bench.heartbeat_as("n1", -1)
    bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    bench.log.instant = True
    while bench.log.pending:
        bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    assert left.result().error_code == errors.CoordinatorNotAvailable.code
    assert {m.member_id for m in bench.describe_consumers().members} == {
        one.member_id, two.member_id, "n1",
    }  # fmt: skip
