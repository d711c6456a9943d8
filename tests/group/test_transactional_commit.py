"""TxnOffsetCommit, rule by rule. Kafka: OffsetMetadataManager; KIP-98, 447, 890."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.group.transactions import Producer
from fastbroker.protocol.group_records import OffsetCommitKey, OffsetCommitValue
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.record_frames import decode_key, decode_value
from tests.group.bench import TOPICS, Bench, InTransaction

HERE, THERE = ("orders", 0), ("orders", 1)


def test_the_record_is_a_plain_commits_in_a_transactional_batch() -> None:
    bench = Bench()
    assert bench.commit_in_transaction({HERE: 5}, producer_epoch=3, metadata="note") == [0]
    (item,) = bench.log.partitions[bench.coordinator.partition_for("g")]
    assert isinstance(item, InTransaction)
    assert item.producer == Producer(7, 3)
    assert decode_key(item.key, {1: OffsetCommitKey}) == OffsetCommitKey(
        group="g", topic="orders", partition=0
    )
    assert item.value is not None
    kept = decode_value(item.value, OffsetCommitValue)
    assert (kept.offset, kept.leader_epoch, kept.metadata) == (5, 7, "note")
    assert (kept.topic_id, kept.expire_timestamp) == (TOPICS["orders"], -1)


# The transaction is verified, or takes the partition in.


@pytest.mark.parametrize(("version", "adds"), [(0, False), (4, False), (5, True)])
def test_the_transaction_is_asked_about_the_groups_partition_once(
    version: int, adds: bool
) -> None:
    bench = Bench()
    for offset in 1, 2:
        assert bench.commit_in_transaction({HERE: offset}, version=version) == [0]
    (asked,) = bench.log.enlisted
    assert asked.partition == bench.coordinator.partition_for("g")
    assert (asked.transactional_id, asked.producer, asked.add) == ("tx-7", Producer(7, 0), adds)
    bench.end(commit=True)
    bench.commit_in_transaction({HERE: 3}, version=version)
    assert len(bench.log.enlisted) == 2, "the next transaction is another one"


@pytest.mark.parametrize(
    ("version", "said", "told"),
    [
        (5, errors.InvalidTxnState, 48),
        (5, errors.TransactionAbortable, 120),
        (4, errors.TransactionAbortable, 120),
        (3, errors.TransactionAbortable, 48),
        (5, errors.ProducerFenced, 47),
        (5, errors.ConcurrentTransactions, 51),
        (5, errors.InvalidProducerIdMapping, 49),
        (5, errors.NetworkException, 14),
        (5, errors.OperationNotAttempted, 14),
        (2, errors.CoordinatorLoadInProgress, 14),
        (1, errors.CoordinatorLoadInProgress, 15),
        (1, errors.NetworkException, 15),
    ],
)
def test_what_the_transactions_coordinator_refuses(
    version: int, said: type[errors.KafkaError], told: int
) -> None:
    bench = Bench()
    bench.log.says = said.code
    answer = bench.commit_in_transaction({HERE: 5, ("nope", 0): 1}, version=version)
    assert answer == [told, errors.UnknownTopicOrPartition.code]
    assert bench.log.partitions == {}
    assert bench.list().groups == []


def test_a_coordinator_that_cannot_be_asked() -> None:
    bench = Bench()
    bench.log.says = None
    answer = bench.commit_in_transaction({HERE: 5})
    bench.log.enlisted[0].code.fail(errors.RequestTimedOut())
    assert answer.result() == [15]


def test_the_group_is_looked_at_once_the_transaction_is_verified() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.log.says = None
    answer = bench.commit_in_transaction({HERE: 5}, member_id=only.member_id, generation=1)
    bench.join(only.member_id)
    assert bench.group().generation_id == 2
    bench.log.enlisted[0].code.complete(0)
    assert answer.result() == [22]


def test_the_partition_is_led_elsewhere_by_then() -> None:
    bench = Bench()
    bench.log.says = None
    answer = bench.commit_in_transaction({HERE: 5})
    bench.coordinator.resigned(bench.coordinator.partition_for("g"))
    bench.log.enlisted[0].code.complete(0)
    assert answer.result() == [16]


def test_the_log_refuses_to_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(partition: int, producer: Producer) -> object:
        raise errors.InvalidProducerEpoch("an older epoch")

    bench = Bench(elect=False)
    monkeypatch.setattr(bench.log, "begin_verification", refuse)
    refusing = Bench(log=bench.log)
    assert refusing.commit_in_transaction({HERE: 5}) == [47]


# Who may commit.


def test_without_a_group_a_generation_is_illegal() -> None:
    bench = Bench()
    assert bench.commit_in_transaction({HERE: 5}, member_id="m", generation=0) == [22]
    assert bench.commit_in_transaction({HERE: 5}) == [0], "a simple group"


def test_member_generation_and_instance_are_checked() -> None:
    bench = Bench()
    waiting = [bench.join(instance="i1"), bench.enter()]
    bench.timers.advance(200)
    joined = [one.result() for one in waiting]
    bench.assign(joined)
    static, member = (one.member_id for one in joined)

    def commit(member_id: str, generation: int, instance: str | None = None) -> int:
        (code,) = bench.commit_in_transaction(
            {HERE: 5}, member_id=member_id, generation=generation, instance=instance
        )
        return int(code)

    assert commit(member, 1) == 0
    assert commit(static, 1, "i1") == 0
    assert commit(member, 0) == 22
    assert commit(member, 2) == 22
    assert commit(member, -1) == 22
    assert commit("somebody", 1) == 25
    assert commit("", 1) == 25
    assert commit(static, 1, "i2") == 25
    assert commit(member, 1, "i1") == 82
    assert commit("", -1, "i1") == 82


def test_who_names_nothing_is_not_asked() -> None:
    bench = Bench()
    bench.stable()
    assert bench.commit_in_transaction({HERE: 5}, version=2) == [0]


def test_a_rebalance_does_not_matter() -> None:
    bench = Bench()
    (leader,) = bench.stable()
    bench.enter()
    commit = {"member_id": leader.member_id, "generation": 1}
    assert bench.commit_in_transaction({HERE: 5}, **commit) == [0]
    bench.join(leader.member_id)
    commit["generation"] = 2
    assert bench.commit_in_transaction({HERE: 5}, **commit) == [0]


def test_a_transactional_commit_is_no_sign_of_life() -> None:
    bench = Bench()
    (only,) = bench.stable()
    bench.timers.advance(9_000)
    bench.commit_in_transaction({HERE: 5}, member_id=only.member_id, generation=1)
    bench.timers.advance(1_000)
    assert bench.heartbeat(only.member_id, 1) == 25


def test_a_group_being_deleted_takes_none() -> None:
    bench = Bench()
    bench.commit({HERE: 1})
    bench.log.instant = False
    bench.delete("g")
    assert bench.commit_in_transaction({HERE: 5}) == [15]


def test_where_the_group_is_not_served() -> None:
    bench = Bench(elect=False)
    assert bench.commit_in_transaction({HERE: 5}) == [16]
    assert bench.commit_in_transaction({HERE: 5}, group_id="") == [24]


# Partition by partition.


@pytest.mark.parametrize(
    ("producer_id", "epoch", "refused"),
    [
        (-1, -1, errors.InvalidProducerIdMapping),
        (-1, 0, errors.InvalidProducerIdMapping),
        (7, -1, errors.InvalidProducerEpoch),
    ],
)
@pytest.mark.parametrize("version", [4, 5])
def test_nobody_has_no_transaction(
    producer_id: int, epoch: int, refused: type[errors.KafkaError], version: int
) -> None:
    """Even where transactions are not verified: nothing would ever end this one."""
    bench = Bench()
    answer = bench.commit_in_transaction(
        {HERE: 5}, producer_id=producer_id, producer_epoch=epoch, version=version
    )
    assert answer == [refused.code]
    assert (bench.log.enlisted, bench.log.partitions) == ([], {})


def test_partitions_fail_one_by_one() -> None:
    bench = Bench()
    answer = bench.commit_in_transaction({HERE: 5, ("nope", 0): 1, ("orders", -1): 1})
    assert answer == [0, 3, 3]
    long = "x" * (bench.coordinator.settings.offset_metadata_max_bytes + 1)
    assert bench.commit_in_transaction({THERE: 5}, metadata=long) == [12]
    bench.end(commit=True)
    assert bench.committed() == {HERE: 5}


def test_a_commit_that_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.log.instant = False
    answer = bench.commit_in_transaction({HERE: 5, ("nope", 0): 1})
    bench.log.fail(errors.NotLeaderOrFollower())
    assert answer.result() == [16, 3]
    assert bench.list().groups == []


def test_nothing_to_commit_writes_nothing() -> None:
    bench = Bench()
    assert bench.commit_in_transaction({}) == []
    assert bench.log.partitions == {}


# OffsetFetch.


def test_a_stable_fetch_tells_of_open_transactions() -> None:
    bench = Bench()
    bench.commit({HERE: 1, THERE: 2})
    bench.commit_in_transaction({HERE: 5, ("clicks", 0): 6})
    assert bench.stable_offsets(HERE, THERE, ("clicks", 0)) == [-88, 2, -88]
    assert bench.committed() == {HERE: 1, THERE: 2}, "the last stable ones"
    bench.end(commit=False)
    assert bench.stable_offsets(HERE, THERE, ("clicks", 0)) == [1, 2, -1]


def test_a_stable_fetch_of_everything_is_about_what_is_committed() -> None:
    bench = Bench()
    bench.commit({HERE: 1, THERE: 2})
    bench.commit_in_transaction({HERE: 5, ("clicks", 0): 6})
    group = OffsetFetchRequest.OffsetFetchRequestGroup(group_id="g", topics=None)
    request = OffsetFetchRequest(groups=[group], require_stable=True)
    (answered,) = bench.fetch(request, 8).groups
    (topic,) = answered.topics
    found = {p.partition_index: (p.error_code, p.committed_offset) for p in topic.partitions}
    assert found == {0: (88, -1), 1: (0, 2)}


def test_a_stable_fetch_waits_for_transactional_writes() -> None:
    bench = Bench()
    bench.commit_in_transaction({HERE: 5})
    bench.log.instant = False
    bench.end(commit=True)
    group = OffsetFetchRequest.OffsetFetchRequestGroup(group_id="g", topics=None)
    answer = bench.fetch(OffsetFetchRequest(groups=[group], require_stable=True), 8)
    assert not answer.done
    bench.log.complete()
    assert answer.result().groups[0].topics[0].partitions[0].committed_offset == 5


def test_groups_and_partitions_end_by_themselves() -> None:
    bench = Bench()
    bench.commit_in_transaction({HERE: 5})
    bench.commit_in_transaction({HERE: 6}, group_id="other")
    partitions = {bench.coordinator.partition_for(group) for group in ("g", "other")}
    assert len(partitions) == 2
    bench.end(commit=True)
    assert bench.committed() == {HERE: 5}
    assert bench.stable_offsets(HERE, group_id="other") == [-88]
