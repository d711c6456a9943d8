"""The quorum's state machine with its effects carried out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker._c.codec import decode
from fastbroker.model import OffsetAndEpoch
from fastbroker.protocol.messages.describe_quorum import DescribeQuorumRequest
from fastbroker.protocol.raft_records import LeaderChangeMessage
from fastbroker.protocol.schema import plan
from fastbroker.raft import messages as m
from fastbroker.raft.epochs import EpochHistory
from fastbroker.raft.quorum import Quorum
from fastbroker.raft.state import QuorumState
from fastbroker.records.control import LEADER_CHANGE, control_kind
from fastbroker.records.reader import iter_batches

OWN = m.ReplicaKey(1, b"d" * 16)
OBSERVER = m.ReplicaKey(1001, bytes(16))


class Node:
    """A quorum over a log in memory; `disk` outlives `restart`."""

    def __init__(self) -> None:
        self.now_ms = 1000
        self.saved = QuorumState()
        self.batches: list[m.Append] = []
        self.done: list[m.Effect] = []
        self.restart()

    @property
    def end(self) -> int:
        return self.batches[-1].last_offset + 1 if self.batches else 0

    def restart(self) -> None:
        epochs = EpochHistory()
        for batch in self.batches:
            epochs.begin(batch.leader_epoch, offset=batch.first_offset)
        self.quorum = Quorum(
            OWN,
            [OWN],
            state=self.saved,
            epochs=epochs,
            log_start_offset=0,
            log_end_offset=self.end,
        )

    def step(self, message: m.Message) -> list[m.Effect]:
        effects = self.quorum.step(message, self.now_ms)
        for effect in effects:
            if isinstance(effect, m.SaveState):
                self.saved = effect.state
            elif isinstance(effect, m.Append):
                self.batches.append(effect)
        self.done += effects
        return effects

    def flush(self) -> list[m.Effect]:
        return self.step(m.Flushed(self.end))

    def lead(self) -> Node:
        self.step(m.Started())
        self.flush()
        return self

    def fetch(
        self, offset: int, last_epoch: int = -1, leader_epoch: int = -1, wait: int = 0
    ) -> Any:
        [effect] = self.step(m.Fetch("f", OBSERVER, offset, last_epoch, leader_epoch, wait))
        return effect


def test_the_only_voter_elects_itself_and_remembers_it_before_it_writes() -> None:
    node = Node()
    elected, change = node.step(m.Started())
    assert elected == m.SaveState(QuorumState(1, 1, -1))
    assert isinstance(change, m.Append)
    [batch] = iter_batches(change.batch)
    [record] = batch.records()
    assert batch.header.is_control
    assert batch.header.leader_epoch == 1
    assert record.key is not None
    assert record.value is not None
    assert control_kind(record.key) == LEADER_CHANGE
    message, _ = decode(plan(LeaderChangeMessage, 0), record.value)
    assert message.leader_id == 1
    assert [voter.voter_id for voter in message.voters] == [1]


def test_every_start_is_a_new_epoch() -> None:
    node = Node().lead()
    node.restart()
    node.lead()
    assert node.saved == QuorumState(2, 1, -1)
    assert [batch.leader_epoch for batch in node.batches] == [1, 2]


def test_a_lost_quorum_state_does_not_lead_back_into_an_old_epoch() -> None:
    node = Node().lead()
    node.saved = QuorumState()
    node.restart()
    node.lead()
    assert node.saved.epoch == 2


def test_nothing_is_committed_before_it_is_flushed() -> None:
    node = Node()
    node.step(m.Started())
    assert node.quorum.high_watermark == 0
    assert node.flush() == [m.Committed(1)]
    assert [type(e) for e in node.step(m.Propose([b"a", b"b"]))] == [m.Append]
    assert node.quorum.high_watermark == 1
    assert node.flush() == [m.Committed(3)]
    assert node.flush() == []


def test_records_of_older_epochs_wait_for_one_of_the_own() -> None:
    node = Node().lead()
    node.step(m.Propose([b"a"]))
    node.restart()
    node.step(m.Started())
    assert node.step(m.Flushed(2)) == []
    assert node.flush() == [m.Committed(3)]


def test_a_proposal_is_one_batch_at_the_end_of_the_log() -> None:
    node = Node().lead()
    [append] = node.step(m.Propose([b"a", b"b"]))
    assert isinstance(append, m.Append)
    assert (append.first_offset, append.last_offset, append.leader_epoch) == (1, 2, 1)
    [batch] = iter_batches(append.batch)
    records = [(r.offset, r.key, r.value) for r in batch.records()]
    assert records == [(1, None, b"a"), (2, None, b"b")]


def test_without_leadership_nothing_is_proposed_and_nothing_served() -> None:
    node = Node()
    with pytest.raises(errors.NotController):
        node.step(m.Propose([b"a"]))
    assert isinstance(node.fetch(0).error, errors.NotLeaderOrFollower)


def test_an_observer_gets_committed_records_only() -> None:
    node = Node().lead()
    node.step(m.Propose([b"a"]))
    assert node.fetch(0) == m.Answer("f", 0, 1)
    node.flush()
    assert node.fetch(0) == m.Answer("f", 0, 2)


def test_a_fetch_without_news_waits_for_the_high_watermark_or_its_time() -> None:
    node = Node().lead()
    assert node.fetch(1, wait=500) == m.Wait("f", 500)
    node.step(m.Propose([b"a"]))
    assert node.flush() == [m.Committed(2), m.Answer("f", 1, 2)]
    assert node.step(m.WaitOver("f")) == []
    node.fetch(2, wait=500)
    assert node.step(m.WaitOver("f")) == [m.Answer("f", 2, 2)]


def test_a_fetch_whose_sender_is_gone_is_forgotten() -> None:
    node = Node().lead()
    node.fetch(1, wait=500)
    node.step(m.Gone("f"))
    node.step(m.Propose([b"a"]))
    assert node.flush() == [m.Committed(2)]


def test_a_log_that_has_parted_is_told_where() -> None:
    node = Node().lead()  # epoch 1: offset 0
    node.restart()
    node.lead()  # epoch 2: offset 1
    node.restart()
    node.lead()  # epoch 3: offset 2
    assert node.fetch(5, last_epoch=2).diverging == OffsetAndEpoch(2, 2)
    assert node.fetch(2, last_epoch=1).diverging == OffsetAndEpoch(1, 1)
    assert node.fetch(2, last_epoch=9).diverging == OffsetAndEpoch(3, 3)
    assert node.fetch(9, last_epoch=-1).diverging == OffsetAndEpoch(3, 3)
    assert node.fetch(2, last_epoch=2) == m.Answer("f", 2, 3)
    assert node.fetch(0, last_epoch=0) == m.Answer("f", 0, 3)


def test_who_has_nothing_begins_with_the_snapshot() -> None:
    node = Node().lead()
    assert (node.fetch(0).start, node.fetch(0).end) == (0, 1)
    node.quorum.snapshot = snapshot = OffsetAndEpoch(1, 1)
    answer = node.fetch(0, wait=100)
    assert (answer.snapshot, answer.start, answer.end) == (snapshot, 0, 0)
    assert isinstance(node.fetch(1, 1, wait=100), m.Wait)


def test_what_is_not_in_the_log_any_more_is_in_the_snapshot() -> None:
    node = Node().lead()
    node.step(m.Propose([b"a", b"b"]))
    node.flush()
    node.quorum.snapshot, node.quorum.log_start_offset = OffsetAndEpoch(3, 1), 2
    assert node.fetch(1, 1).snapshot == node.quorum.snapshot
    assert node.fetch(2, 1).snapshot is None
    node.quorum.snapshot = None
    assert isinstance(node.fetch(1, 1).error, errors.OffsetOutOfRange)


def test_epochs_of_the_sender_are_fenced() -> None:
    node = Node().lead()
    node.restart()
    node.lead()
    assert isinstance(node.fetch(0, leader_epoch=1).error, errors.FencedLeaderEpoch)
    assert isinstance(node.fetch(0, leader_epoch=3).error, errors.UnknownLeaderEpoch)
    assert node.fetch(0, leader_epoch=2).error is None
    assert isinstance(node.fetch(-1).error, errors.InvalidRequest)


def test_several_voters_are_refused_for_now() -> None:
    with pytest.raises(errors.UnsupportedVersion, match="several voters"):
        Quorum(
            OWN,
            [OWN, m.ReplicaKey(2, bytes(16))],
            state=QuorumState(),
            epochs=EpochHistory(),
            log_start_offset=0,
            log_end_offset=0,
        )


def described(node: Node, topic: str = "__cluster_metadata") -> Any:
    Topic = DescribeQuorumRequest.TopicData
    request = DescribeQuorumRequest(
        topics=[Topic(topic_name=topic, partitions=[Topic.PartitionData(partition_index=0)])]
    )
    [answered] = node.quorum.describe(request, node.now_ms).topics
    [partition] = answered.partitions
    return partition


def test_the_quorum_is_described() -> None:
    node = Node().lead()
    node.step(m.Propose([b"a"]))
    node.flush()
    node.fetch(1)
    node.now_ms += 10
    partition = described(node)
    assert (partition.leader_id, partition.leader_epoch, partition.high_watermark) == (1, 1, 2)
    [voter] = partition.current_voters
    assert (voter.replica_id, voter.log_end_offset) == (1, 2)
    assert voter.last_caught_up_timestamp == node.now_ms
    [observer] = partition.observers
    assert (observer.replica_id, observer.log_end_offset) == (1001, 1)
    assert (observer.last_fetch_timestamp, observer.last_caught_up_timestamp) == (1000, -1)
    node.fetch(2)
    assert described(node).observers[0].last_caught_up_timestamp == node.now_ms
    node.now_ms += 300_000
    assert described(node).observers == []
    assert described(node, "other").error_code == 3


def test_the_file_has_kafka_s_form() -> None:
    state = QuorumState(2, 1, -1)
    text = state.to_json([1])
    assert text == (
        '{"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,'
        '"currentVoters":[{"voterId":1}],"data_version":0}'
    )
    assert QuorumState.from_json(text) == state
    newer = (
        '{"leaderId":-1,"leaderEpoch":2,"votedId":1,'
        '"votedDirectoryId":"J8aAPcfLQt2bqs1JT_rMgQ","data_version":1}'
    )
    assert QuorumState.from_json(newer) == QuorumState(2, -1, 1)
    for bad in ("", "[]", "{}", '{"data_version":0}', text.replace("0}", "7}")):
        with pytest.raises(ValueError):  # noqa: PT011
            QuorumState.from_json(bad)
