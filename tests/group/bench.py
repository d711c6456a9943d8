"""A coordinator with a clock, a log and member ids under the test's control."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fastbroker import errors
from fastbroker.config.broker import BrokerConfig
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.record import Record
from fastbroker.group.coordinator import GroupCoordinator
from fastbroker.group.topics import Topics
from fastbroker.model import Deferred
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from fastbroker.records.builder import build_batch
from tests.group.virtual_timers import VirtualTimers

PARTITIONS = 4
TOPIC_PARTITIONS = 5000
TOPICS = {name: bytes([n]) * 16 for n, name in enumerate(["orders", "clicks", "gone"], 1)}


@dataclass
class Client:
    """A handler's context, as far as the coordinator looks at it."""

    api_version: int = 9
    client_id: str | None = "c"
    client_host: str = "/127.0.0.1"


@dataclass
class Write:
    """One batch on its way into the log."""

    partition: int
    records: list[Record]
    done: Deferred[None]


class Log:
    """__consumer_offsets: writes wait until the test lets them through, unless `instant`."""

    def __init__(self) -> None:
        self.instant = True
        self.pending: list[Write] = []
        self.partitions: dict[int, list[Record]] = {}

    def append(self, partition: int, records: list[Record]) -> Deferred[None]:
        write = Write(partition, list(records), Deferred())
        self.pending.append(write)
        if self.instant:
            self.complete()
        return write.done

    def complete(self, count: int | None = None) -> None:
        """Let the first `count` writes, or all of them, through."""
        for _ in range(len(self.pending) if count is None else count):
            write = self.pending.pop(0)
            self.partitions.setdefault(write.partition, []).extend(write.records)
            write.done.complete(None)

    def fail(self, error: errors.KafkaError) -> None:
        """Let the first write fail; nothing of it is in the log."""
        self.pending.pop(0).done.fail(error)

    def batches(self, partition: int) -> list[bytes]:
        """What is in a partition, as chunks of batches, a record each."""
        return [
            build_batch([(key, value, (), 0)], base_offset=offset)
            for offset, (key, value) in enumerate(self.partitions.get(partition, []))
        ]


class Bench:
    """One coordinator that leads every partition, and short ways to ask it things.

    Answers that are there are returned as they are, others as their Deferred.
    """

    def __init__(self, *, elect: bool = True, log: Log | None = None, **given: Any) -> None:
        self.timers = VirtualTimers()
        self.log = log or Log()
        self.topics = dict(TOPICS)
        self.made = 0
        given = {"offsets_topic_num_partitions": PARTITIONS} | given
        texts = {name.replace("_", "."): str(value) for name, value in given.items()}
        self.coordinator = GroupCoordinator(
            BrokerConfig(texts),
            self.timers,
            append=self.log.append,
            new_member_id=self._new_member_id,
            topics=Topics(
                self.topics.get,
                lambda wanted: next(
                    (name for name, one in self.topics.items() if one == wanted), None
                ),
                lambda name, number: name in self.topics and 0 <= number < TOPIC_PARTITIONS,
            ),
            log=logging.getLogger("tests.group"),
        )
        if elect:
            self.elect()

    def elect(self, epoch: int = 1) -> None:
        for partition in range(PARTITIONS):
            self.coordinator.elected(partition, epoch, self.log.batches(partition))

    def reload(self, epoch: int) -> None:
        """The partition moves away and comes back."""
        for partition in range(PARTITIONS):
            self.coordinator.resigned(partition)
        self.elect(epoch)

    def _new_member_id(self, text: str) -> str:
        self.made += 1
        return f"{text}-{self.made}"

    def group(self, group_id: str = "g") -> ClassicGroup:
        return self.coordinator.shards.of(group_id).groups[group_id]

    @property
    def timeouts(self) -> int:
        return self.timers.waiting

    # Requests.

    def join(
        self,
        member_id: str = "",
        *,
        version: int = 9,
        instance: str | None = None,
        session: int = 10_000,
        rebalance: int = 60_000,
        protocols: tuple[tuple[str, bytes], ...] = (("range", b"m"),),
        protocol_type: str = "consumer",
        group_id: str = "g",
    ) -> Any:
        request = JoinGroupRequest(
            group_id=group_id,
            session_timeout_ms=session,
            rebalance_timeout_ms=rebalance,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=memoryview(metadata))
                for name, metadata in protocols
            ],
        )
        return now(self.coordinator.join_group(Client(version), request))

    def enter(self, **how: Any) -> Any:
        """Join as a newcomer does: ask for an id, come back with it."""
        told = self.join(**how)
        assert told.error_code == errors.MemberIdRequired.code
        return self.join(told.member_id, **how)

    def sync(
        self,
        member_id: str,
        generation: int,
        assignments: dict[str, bytes] | None = None,
        *,
        instance: str | None = None,
        version: int = 4,
        group_id: str = "g",
        protocol: tuple[str | None, str | None] = (None, None),
    ) -> Any:
        request = SyncGroupRequest(
            group_id=group_id,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol[0],
            protocol_name=protocol[1],
            assignments=[
                SyncGroupRequest.SyncGroupRequestAssignment(
                    member_id=one, assignment=memoryview(part)
                )
                for one, part in (assignments or {}).items()
            ],
        )
        return now(self.coordinator.sync_group(Client(version), request))

    def heartbeat(
        self, member_id: str, generation: int, instance: str | None = None, group_id: str = "g"
    ) -> int:
        request = HeartbeatRequest(
            group_id=group_id,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
        )
        return self.coordinator.heartbeat(Client(4), request).error_code

    def leave(
        self, *who: tuple[str, str | None], version: int = 5, group_id: str = "g"
    ) -> LeaveGroupResponse:
        request = LeaveGroupRequest(group_id=group_id)
        if version < 3:
            request.member_id = who[0][0]
        else:
            request.members = [
                LeaveGroupRequest.MemberIdentity(member_id=one, group_instance_id=instance)
                for one, instance in who
            ]
        return self.coordinator.leave_group(Client(version), request)

    def commit(
        self,
        offsets: dict[tuple[str, int], int],
        *,
        member_id: str = "",
        generation: int = -1,
        version: int = 9,
        instance: str | None = None,
        group_id: str = "g",
        metadata: str | None = None,
        retention_ms: int = -1,
    ) -> Any:
        topic = OffsetCommitRequest.OffsetCommitRequestTopic
        request = OffsetCommitRequest(
            group_id=group_id,
            member_id=member_id,
            generation_id_or_member_epoch=generation,
            group_instance_id=instance,
            retention_time_ms=retention_ms,
            topics=[
                topic(
                    name=name if version < 10 else "",
                    topic_id=self.topics.get(name, bytes([9]) * 16),
                    partitions=[
                        topic.OffsetCommitRequestPartition(
                            partition_index=index,
                            committed_offset=offset,
                            committed_leader_epoch=7,
                            committed_metadata=metadata,
                        )
                    ],
                )
                for (name, index), offset in offsets.items()
            ],
        )
        return now(self.coordinator.offset_commit(Client(version), request))

    def fetch(self, request: OffsetFetchRequest, version: int) -> Any:
        return now(self.coordinator.offset_fetch(Client(version), request))

    def committed(self, group_id: str = "g") -> dict[tuple[str, int], int]:
        """Every offset of a group, asked for by version 8."""
        asked = OffsetFetchRequest.OffsetFetchRequestGroup(group_id=group_id, topics=None)
        (answered,) = self.fetch(OffsetFetchRequest(groups=[asked]), 8).groups
        assert not answered.error_code
        return {
            (topic.name, p.partition_index): p.committed_offset
            for topic in answered.topics
            for p in topic.partitions
        }

    def delete_offsets(self, *where: tuple[str, int], group_id: str = "g") -> Any:
        topic = OffsetDeleteRequest.OffsetDeleteRequestTopic
        request = OffsetDeleteRequest(
            group_id=group_id,
            topics=[
                topic(
                    name=name,
                    partitions=[topic.OffsetDeleteRequestPartition(partition_index=index)],
                )
                for name, index in where
            ],
        )
        return now(self.coordinator.offset_delete(Client(0), request))

    def delete(self, *group_ids: str) -> Any:
        request = DeleteGroupsRequest(groups_names=list(group_ids))
        return now(self.coordinator.delete_groups(Client(2), request))

    def list(self, states: tuple[str, ...] = (), types: tuple[str, ...] = ()) -> Any:
        request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
        return self.coordinator.list_groups(Client(5), request)

    def describe(self, group_id: str = "g", version: int = 6) -> Any:
        request = DescribeGroupsRequest(groups=[group_id])
        (one,) = self.coordinator.describe_groups(Client(version), request).groups
        return one

    # Lives.

    def stable(self, count: int = 1, **how: Any) -> list[JoinGroupResponse]:
        """A stable group of `count` members in its first generation; what their joins answered.

        Every member is assigned its own id.
        """
        waiting = [self.enter(**how) for _ in range(count)]
        self.timers.advance(200)
        joined = [one.result() for one in waiting]
        self.assign(joined)
        return joined

    def assign(self, joined: list[JoinGroupResponse]) -> list[SyncGroupResponse]:
        """Everyone syncs; the leader assigns to each member its id."""
        parts = {one.member_id: one.member_id.encode() for one in joined}
        synced = [
            self.sync(
                one.member_id,
                one.generation_id,
                parts if one.leader == one.member_id else None,
            )
            for one in joined
        ]
        return [now(one) for one in synced]


def now(answer: Any) -> Any:
    """The answer itself, when it is there."""
    if isinstance(answer, Deferred) and answer.done:
        return answer.result()
    return answer
