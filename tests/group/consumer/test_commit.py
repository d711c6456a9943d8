"""Offsets of consumer groups: who may commit and fetch them, and when they go."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from tests.group.consumer.bench import ConsumerBench


def code(answer: object) -> int:
    """The error of a commit of one partition."""
    return answer.topics[0].partitions[0].error_code  # type: ignore[attr-defined]


def fetch(bench: ConsumerBench, member_id: str | None, epoch: int) -> int:
    asked = OffsetFetchRequest.OffsetFetchRequestGroup(
        group_id="g", member_id=member_id, member_epoch=epoch, topics=None
    )
    (answered,) = bench.fetch(OffsetFetchRequest(groups=[asked]), 9).groups
    assert isinstance(answered.error_code, int)
    return answered.error_code


@pytest.mark.parametrize("version", [9, 10])
def test_a_member_commits_with_its_epoch(version: int) -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    commit = {("orders", 1): 5}
    how = {"version": version, "member_id": "m0"}
    assert code(bench.commit(commit, generation=one.epoch, **how)) == 0
    assert bench.committed() == commit
    newer = bench.commit(commit, generation=one.epoch + 1, **how)
    assert code(newer) == errors.StaleMemberEpoch.code
    stranger = bench.commit(commit, generation=one.epoch, member_id="who", version=version)
    assert code(stranger) == errors.UnknownMemberId.code
    assert code(bench.commit(commit, version=version)) == errors.UnknownMemberId.code


def test_old_versions_are_for_classic_members() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    refused = bench.commit({("orders", 1): 5}, generation=one.epoch, member_id="m0", version=8)
    assert code(refused) == errors.UnsupportedVersion.code


def test_an_older_epoch_is_enough_for_what_the_member_owned_since() -> None:
    bench = ConsumerBench()
    one, two = bench.consumers(2)
    older = one.epoch
    three = bench.consumer("m2")
    three.join()
    bench.settle(one, two, three)
    assert one.epoch > older
    three.leave()
    bench.settle(one, two)
    newest = bench.consumer_group().members["m0"].now.assigned[bench.ids["orders"]]
    late = [n for n, epoch in newest.items() if epoch > older]
    early = [n for n, epoch in newest.items() if epoch <= older]
    assert early
    how = {"member_id": "m0", "generation": older}
    assert code(bench.commit({("orders", early[0]): 5}, **how)) == 0
    for number in late:
        refused = bench.commit({("orders", number): 5}, **how)
        assert code(refused) == errors.StaleMemberEpoch.code
    others = next(n for n in range(6) if n not in newest)
    lost = bench.commit({("orders", others): 5}, **how)
    assert code(lost) == errors.StaleMemberEpoch.code


def test_what_is_to_be_let_go_of_may_be_committed() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    older = one.epoch
    bench.consumer("m1").join()
    one.beat()
    revoking = bench.consumer_group().members["m0"].now.revoking[bench.ids["orders"]]
    assert revoking
    for number in revoking:
        done = bench.commit({("orders", number): 5}, member_id="m0", generation=older)
        assert code(done) == 0


def test_administrators_commit_for_an_empty_group() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    one.leave()
    assert code(bench.commit({("orders", 1): 5})) == 0


def test_a_member_fetches_with_its_epoch_and_others_without() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    assert fetch(bench, None, -1) == 0
    assert fetch(bench, "m0", one.epoch) == 0
    assert fetch(bench, "m0", one.epoch + 1) == errors.StaleMemberEpoch.code
    assert fetch(bench, "who", one.epoch) == errors.UnknownMemberId.code


def test_offsets_of_topics_that_are_read_are_kept() -> None:
    bench = ConsumerBench(offsets_retention_minutes=1)
    (one,) = bench.consumers(1)
    for name in ("orders", "clicks"):
        bench.commit({(name, 0): 3}, member_id="m0", generation=one.epoch)
    refused = bench.delete_offsets(("orders", 0)).topics[0].partitions[0]
    assert refused.error_code == errors.GroupSubscribedToTopic.code
    bench.timers.advance(30_000)
    one.beat()
    bench.timers.advance(40_000)
    one.beat()
    bench.coordinator.expire(bench.timers.now_ms())
    assert bench.committed() == {("orders", 0): 3}


def test_groups_are_listed_by_type_and_state() -> None:
    bench = ConsumerBench()
    bench.consumers(1)
    bench.enter(group_id="c")
    bench.timers.advance(200)
    assert [g.group_id for g in bench.list(types=("consumer",)).groups] == ["g"]
    assert [g.group_id for g in bench.list(types=("Classic",)).groups] == ["c"]
    assert [g.group_id for g in bench.list(states=("stable",)).groups] == ["g"]
    bench.join_as("m9")
    (one,) = bench.list(states=("RECONCILING", "assigning")).groups
    assert (one.group_id, one.protocol_type) == ("g", "consumer")


def test_describe_groups_knows_no_consumer_groups() -> None:
    bench = ConsumerBench()
    bench.consumers(1)
    told = bench.describe("g", 6)
    assert (told.error_code, told.group_state) == (errors.GroupIdNotFound.code, "Dead")
    assert "describe it with ConsumerGroupDescribe" in told.error_message
    assert bench.describe("g", 5).error_code == 0
    bench.enter(group_id="c")
    told = bench.describe_consumers("c")
    assert told.error_code == errors.GroupIdNotFound.code
    assert told.error_message == "Group c is not a consumer group."


def test_a_member_commits_in_a_transaction_with_its_epoch() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    here = {("orders", 1): 5}

    def commit(member_id: str, epoch: int) -> int:
        (told,) = bench.commit_in_transaction(here, member_id=member_id, generation=epoch)
        return int(told)

    assert commit("m0", one.epoch) == 0
    assert commit("m0", one.epoch + 1) == errors.IllegalGeneration.code
    assert commit("who", one.epoch) == errors.UnknownMemberId.code
    assert commit("m0", -1) in (errors.IllegalGeneration.code, errors.UnknownMemberId.code)
    assert bench.commit_in_transaction(here, version=2) == [0], "who names nothing is not asked"
    assert bench.stable_offsets(("orders", 1)) == [-errors.UnstableOffsetCommit.code]
    bench.end(commit=True)
    assert bench.committed() == here


def test_an_open_transaction_of_a_consumer_group_outlives_a_reload() -> None:
    bench = ConsumerBench()
    (one,) = bench.consumers(1)
    here = {("orders", 1): 5}
    bench.commit_in_transaction(here, member_id="m0", generation=one.epoch)
    bench.reload(2)
    assert bench.committed() == {}
    assert bench.stable_offsets(("orders", 1)) == [-errors.UnstableOffsetCommit.code]
    bench.end(commit=True)
    assert bench.committed() == here
    assert bench.consumer_group().members
