"""A member of a classic consumer group: joins, keeps alive, commits, leaves."""
from __future__ import annotations

import contextlib
import time
from typing import Any

from fastbroker import errors
from fastbroker.cli import ranges
from fastbroker.cli.client import TIMEOUT_S, Client, check
from fastbroker.cli.output import Failure
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.messages.sync_group import SyncGroupRequest
from fastbroker.protocol.schema import Struct

PROTOCOL_TYPE, PROTOCOL = "consumer", "range"
SESSION_S, REBALANCE_S, HEARTBEAT_S = 30.0, 60.0, 2.0
JOINS_MAX = 1000  # in a row, none of which led to an assignment
PURPOSE = "group"
# Raised where the group went on without us: whoever gets one joins again.
OUTDATED = (errors.RebalanceInProgress, errors.IllegalGeneration, errors.UnknownMemberId)


class Member:
    """One member that reads one topic.

    is_joined: whether the group counts us in, as far as we know; else `join` is due.
    """

    def __init__(self, client: Client, group: str, topic: str) -> None:
        self.is_joined = False
        self._client, self._group, self._topic = client, group, topic
        self._member_id, self._generation = "", -1
        self._next_heartbeat = 0.0
        self._committed: dict[int, int] = {}
        self._find()

    def join(self) -> list[int]:
        """Join, or join again, and return our partitions of the topic. Raises KafkaError, Failure.

        The members' leader, which may be us, deals the partitions.
        """
        for _ in range(JOINS_MAX):
            try:
                assignment = self._join_once()
            except errors.MemberIdRequired:
                continue
            except OUTDATED as error:
                self._outdated(error)
                continue
            self.is_joined = True
            self._next_heartbeat = time.monotonic() + HEARTBEAT_S
            return sorted(assignment.get(self._topic, ()))
        raise Failure(f"group {self._group!r} does not come to rest; try again later")

    def heartbeat(self) -> None:
        """Say that we live, when it is time; afterwards `is_joined` may be False."""
        if time.monotonic() < self._next_heartbeat:
            return
        request = HeartbeatRequest(
            group_id=self._group, generation_id=self._generation, member_id=self._member_id
        )
        try:
            self._call(request)
        except OUTDATED as error:
            self._outdated(error)
        self._next_heartbeat = time.monotonic() + HEARTBEAT_S

    def committed(self, partitions: list[int]) -> dict[int, int]:
        """The group's offset of each of `partitions` that has one."""
        group = OffsetFetchRequest.OffsetFetchRequestGroup
        (topic,) = self._client.topics([self._topic])
        request = OffsetFetchRequest(
            groups=[
                group(
                    group_id=self._group,
                    topics=[
                        group.OffsetFetchRequestTopics(
                            name=self._topic,
                            topic_id=topic.topic_id,
                            partition_indexes=partitions,
                        )
                    ],
                )
            ],
            require_stable=True,
        )
        out = {}
        for one in self._call(request, at_least=8).groups[0].topics:
            for part in one.partitions:
                if part.committed_offset >= 0:
                    out[part.partition_index] = part.committed_offset
        self._committed = dict(out)
        return out

    def commit(self, offsets: dict[int, int]) -> bool:
        """Commit those of `offsets` that changed; False when the group went on without us."""
        changed = {
            partition: offset
            for partition, offset in offsets.items()
            if self._committed.get(partition) != offset
        }
        if not changed:
            return True
        try:
            self._call(self._commit_request(changed))
        except OUTDATED as error:
            self._outdated(error)
            return False
        self._committed.update(changed)
        return True

    def leave(self) -> None:
        """Leave, so that others need not wait until we count as dead. Errors do not matter."""
        if not self._member_id:
            return
        identity = LeaveGroupRequest.MemberIdentity(member_id=self._member_id)
        request = LeaveGroupRequest(
            group_id=self._group, member_id=self._member_id, members=[identity]
        )
        with contextlib.suppress(Failure, errors.KafkaError):
            self._client.call(request, node=self._coordinator, purpose=PURPOSE, timeout_s=5)
        self.is_joined, self._member_id = False, ""

    def _join_once(self) -> ranges.Assignment:
        protocol = JoinGroupRequest.JoinGroupRequestProtocol
        joined = self._call(
            JoinGroupRequest(
                group_id=self._group,
                session_timeout_ms=int(SESSION_S * 1000),
                rebalance_timeout_ms=int(REBALANCE_S * 1000),
                member_id=self._member_id,
                protocol_type=PROTOCOL_TYPE,
                protocols=[
                    protocol(name=PROTOCOL, metadata=ranges.encode_subscription([self._topic]))
                ],
            ),
            timeout_s=REBALANCE_S + TIMEOUT_S,
        )
        self._member_id, self._generation = joined.member_id, joined.generation_id
        assignments = []
        if joined.leader == joined.member_id and not joined.skip_assignment:
            one = SyncGroupRequest.SyncGroupRequestAssignment
            assignments = [
                one(member_id=member, assignment=ranges.encode_assignment(assignment))
                for member, assignment in self._deal(joined.members).items()
            ]
        synced = self._call(
            SyncGroupRequest(
                group_id=self._group,
                generation_id=self._generation,
                member_id=self._member_id,
                protocol_type=PROTOCOL_TYPE,
                protocol_name=joined.protocol_name,
                assignments=assignments,
            ),
            timeout_s=REBALANCE_S + TIMEOUT_S,
        )
        return ranges.decode_assignment(synced.assignment)

    def _deal(self, members: list[Any]) -> dict[str, ranges.Assignment]:
        topics_of = {
            member.member_id: ranges.decode_subscription(member.metadata) for member in members
        }
        names = sorted({topic for topics in topics_of.values() for topic in topics})
        partitions_of = {
            topic.name or "": [one.partition_index for one in topic.partitions]
            for topic in self._client.attempt(lambda: self._client.topics(names))
        }
        return ranges.assign(topics_of, partitions_of)

    def _commit_request(self, offsets: dict[int, int]) -> OffsetCommitRequest:
        asked = OffsetCommitRequest.OffsetCommitRequestTopic
        (topic,) = self._client.attempt(lambda: self._client.topics([self._topic]))
        return OffsetCommitRequest(
            group_id=self._group,
            generation_id_or_member_epoch=self._generation,
            member_id=self._member_id,
            topics=[
                asked(
                    name=self._topic,
                    topic_id=topic.topic_id,
                    partitions=[
                        asked.OffsetCommitRequestPartition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_metadata="",
                        )
                        for partition, offset in sorted(offsets.items())
                    ],
                )
            ],
        )

    def _call(self, request: Struct, *, at_least: int = 0, timeout_s: float = TIMEOUT_S) -> Any:
        """The coordinator's answer, asked again while it moves. Raises KafkaError, Failure."""

        def ask() -> Any:
            answer = self._client.call(
                request, node=self._coordinator, purpose=PURPOSE, at_least=at_least,
                timeout_s=timeout_s,
            )  # fmt: skip
            if isinstance(request, JoinGroupRequest) and answer.member_id:
                request.member_id = self._member_id = answer.member_id
            for code in _codes(answer):
                check(code, where=f"group {self._group!r}")
            return answer

        return self._client.attempt(ask, again=self._find)

    def _find(self) -> None:
        self._coordinator = self._client.coordinator(self._group)

    def _outdated(self, error: errors.KafkaError) -> None:
        self.is_joined = False
        if isinstance(error, errors.UnknownMemberId):
            self._member_id = ""


def _codes(answer: Any) -> list[int]:
    """Every error code that an answer of a coordinator carries."""
    out = [getattr(answer, "error_code", 0)]
    for group in getattr(answer, "groups", ()):
        out.append(group.error_code)
        out += [part.error_code for topic in group.topics for part in topic.partitions]
    for topic in getattr(answer, "topics", ()):
        out += [part.error_code for part in topic.partitions]
    return out
