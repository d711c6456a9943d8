"""The quorum's state machine: a message and the time in, effects out.

With one voter it elects itself as soon as it has started. Elections among several go through the
same steps, candidate and leader, with the votes of the others between them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from fastbroker import errors
from fastbroker._c.codec import encode
from fastbroker.model import METADATA_TOPIC, OffsetAndEpoch
from fastbroker.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
)
from fastbroker.protocol.raft_records import LeaderChangeMessage, Voter
from fastbroker.protocol.schema import plan
from fastbroker.raft import messages as m
from fastbroker.raft.epochs import EpochHistory
from fastbroker.raft.leader import LeaderState
from fastbroker.raft.state import NOBODY, QuorumState
from fastbroker.records.builder import build_batch
from fastbroker.records.control import LEADER_CHANGE, control_key

PARKED_MAX = 10_000


class Quorum:
    """One node's part in the quorum.

    own: this node. voters: all of them, this node among them.
    epochs, log_start_offset, log_end_offset: of the log as found at the start.
    snapshot: the newest, which replicas that have nothing begin with.
    Owned by the controller process.
    """

    def __init__(
        self,
        own: m.ReplicaKey,
        voters: Sequence[m.ReplicaKey],
        *,
        state: QuorumState,
        epochs: EpochHistory,
        log_start_offset: int,
        log_end_offset: int,
        snapshot: OffsetAndEpoch | None = None,
    ) -> None:
        if [voter.id for voter in voters] != [own.id]:
            raise errors.UnsupportedVersion(
                "A quorum of several voters is not supported yet: this node has to be the only one"
            )
        self.own, self.voters = own, tuple(voters)
        self.state, self.epochs = state, epochs
        self.log_start_offset, self.log_end_offset = log_start_offset, log_end_offset
        self.snapshot = snapshot
        self.leader: LeaderState | None = None
        self._parked: dict[Hashable, m.Fetch] = {}

    @property
    def high_watermark(self) -> int:
        """The offset behind the last committed record; 0 before it is known."""
        return self.leader.high_watermark if self.leader is not None else 0

    def step(self, message: m.Message, now_ms: int) -> list[m.Effect]:
        """Take `message` in; the effects have to be carried out in their order."""
        match message:
            case m.Started():
                return self._campaign(now_ms)
            case m.Propose():
                return [self._append(message.values, now_ms)]
            case m.Flushed():
                assert self.leader is not None
                moved = self.leader.flushed(message.end_offset)
                return self._committed(now_ms) if moved else []
            case m.Fetch():
                return self._fetch(message, now_ms)
            case m.WaitOver():
                parked = self._parked.pop(message.ticket, None)
                return [] if parked is None else [self._answer(parked, now_ms)]
            case m.Gone():
                self._parked.pop(message.ticket, None)
                return []

    def describe(self, request: DescribeQuorumRequest, now_ms: int) -> DescribeQuorumResponse:
        """Who is in the quorum and how far each one is."""
        Topic = DescribeQuorumResponse.TopicData
        Partition = Topic.PartitionData
        topics = []
        for topic in request.topics:
            partitions = []
            for asked in topic.partitions:
                out = Partition(partition_index=asked.partition_index)
                partitions.append(out)
                if topic.topic_name != METADATA_TOPIC or asked.partition_index != 0:
                    out.error_code = errors.UnknownTopicOrPartition.code
                    out.error_message = f"Only {METADATA_TOPIC}-0 has a quorum."
                elif self.leader is None:
                    out.error_code = errors.NotLeaderOrFollower.code
                    out.error_message = "This node does not lead the quorum."
                else:
                    out.leader_id, out.leader_epoch = self.own.id, self.state.epoch
                    out.high_watermark = self.high_watermark
                    out.current_voters = self.leader.voters(
                        log_end_offset=self.log_end_offset, now_ms=now_ms
                    )
                    out.observers = self.leader.observers(now_ms)
            topics.append(Topic(topic_name=topic.topic_name, partitions=partitions))
        return DescribeQuorumResponse(topics=topics)

    def _campaign(self, now_ms: int) -> list[m.Effect]:
        epoch = max(self.state.epoch, self.epochs.last_epoch) + 1
        self.state = QuorumState(epoch, NOBODY, self.own.id)
        # Our own vote is a majority, and nobody hears of it: the victory alone has to be saved.
        return self._lead(now_ms)

    def _lead(self, now_ms: int) -> list[m.Effect]:
        self.state = self.state._replace(leader_id=self.own.id, voted_id=NOBODY)
        self.leader = LeaderState(
            self.own.id, self.voters, epoch_start=self.log_end_offset, high_watermark=0
        )
        voters = [Voter(voter_id=voter.id) for voter in self.voters]
        change = LeaderChangeMessage(
            version=0, leader_id=self.own.id, voters=voters, granting_voters=voters
        )
        value = encode(plan(LeaderChangeMessage, 0), change)
        return [
            m.SaveState(self.state),
            self._append([value], now_ms, control_key(LEADER_CHANGE)),
        ]

    def _append(
        self, values: Sequence[bytes], now_ms: int, control: bytes | None = None
    ) -> m.Append:
        if self.leader is None:
            raise errors.NotController("This node does not lead the quorum; ask again in a moment")
        first, epoch = self.log_end_offset, self.state.epoch
        batch = build_batch(
            [(control, value, (), now_ms) for value in values],
            base_offset=first,
            leader_epoch=epoch,
            is_control=control is not None,
        )
        self.epochs.begin(epoch, offset=first)
        self.log_end_offset += len(values)
        return m.Append(batch, epoch, first, self.log_end_offset - 1)

    def _committed(self, now_ms: int) -> list[m.Effect]:
        ready = [f for f in self._parked.values() if f.offset < self.high_watermark]
        for fetch in ready:
            del self._parked[fetch.ticket]
        return [
            m.Committed(self.high_watermark),
            *(self._answer(fetch, now_ms) for fetch in ready),
        ]

    def _fetch(self, fetch: m.Fetch, now_ms: int) -> list[m.Effect]:
        answer = self._answer(fetch, now_ms)
        if answer.error or answer.diverging or answer.snapshot or answer.start < answer.end:
            return [answer]
        if fetch.max_wait_ms <= 0 or len(self._parked) >= PARKED_MAX:
            return [answer]
        self._parked[fetch.ticket] = fetch
        return [m.Wait(fetch.ticket, fetch.max_wait_ms)]

    def _answer(self, fetch: m.Fetch, now_ms: int) -> m.Answer:
        try:
            diverging = self._check(fetch)
        except errors.KafkaError as error:
            return m.Answer(fetch.ticket, fetch.offset, fetch.offset, error)
        if diverging is not None:
            return m.Answer(fetch.ticket, fetch.offset, fetch.offset, diverging=diverging)
        if self._needs_snapshot(fetch):
            return m.Answer(fetch.ticket, fetch.offset, fetch.offset, snapshot=self.snapshot)
        assert self.leader is not None
        self.leader.fetched(
            fetch.replica, fetch.offset, leader_end=self.log_end_offset, now_ms=now_ms
        )
        return m.Answer(fetch.ticket, fetch.offset, max(fetch.offset, self.high_watermark))

    def _needs_snapshot(self, fetch: m.Fetch) -> bool:
        """Whether the replica has nothing yet, or what it lacks is not in the log any more."""
        is_new = fetch.offset == 0 or fetch.offset < self.log_start_offset
        return is_new and self.snapshot is not None

    def _check(self, fetch: m.Fetch) -> OffsetAndEpoch | None:
        """Where the replica has to truncate to, if its log has parted from ours."""
        if fetch.offset < 0:
            raise errors.InvalidRequest(f"a fetch at offset {fetch.offset}")
        if self.leader is None:
            raise errors.NotLeaderOrFollower("This node does not lead the quorum")
        if 0 <= fetch.leader_epoch < self.state.epoch:
            raise errors.FencedLeaderEpoch(f"The quorum is in epoch {self.state.epoch} by now")
        if fetch.leader_epoch > self.state.epoch:
            raise errors.UnknownLeaderEpoch(f"The quorum is in epoch {self.state.epoch} yet")
        if self._needs_snapshot(fetch):
            return None
        if fetch.offset < self.log_start_offset:
            raise errors.OffsetOutOfRange(f"The log starts at {self.log_start_offset}")
        if fetch.offset == 0:
            return None
        if fetch.last_epoch >= 0:
            end = self.epochs.end_of(fetch.last_epoch, log_end_offset=self.log_end_offset)
            if end.epoch != fetch.last_epoch or end.offset < fetch.offset:
                return end
        if fetch.offset > self.log_end_offset:
            return OffsetAndEpoch(self.log_end_offset, self.epochs.last_epoch)
        return None
