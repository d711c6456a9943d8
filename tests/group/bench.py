"""A coordinator with a clock, a log and member ids under the test's control."""
from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastbroker import errors
from fastbroker._c.record_batch import stamp
from fastbroker.config.broker import BrokerConfig
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.record import Record
from fastbroker.group.coordinator import GroupCoordinator
from fastbroker.group.topics import Topics
from fastbroker.group.transactions import Producer, Transactions
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
from fastbroker.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
)
from fastbroker.records.builder import build_batch
from fastbroker.records.control import EndTransactionMarker, marker_batch
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


class InTransaction(NamedTuple):
    """A record of a transactional batch."""

    key: bytes
    value: bytes | None
    producer: Producer


@dataclass
class Write:
    """One batch on its way into the log: records, or those of a transaction, or a marker."""

    partition: int
    records: list[Any]
    done: Deferred[None]


@dataclass
class Enlisting:
    """A question to a transaction's coordinator."""

    partition: int
    transactional_id: str
    producer: Producer
    add: bool
    code: Deferred[int]


class Log:
    """__consumer_offsets: writes wait until the test lets them through, unless `instant`.

    open: (partition, producer id) of every transaction that is open. enlisted: every question to
    transaction coordinators; `says` is their answer, None: it is a test's to give.
    """

    def __init__(self) -> None:
        self.instant = True
        self.pending: list[Write] = []
        self.partitions: dict[int, list[Any]] = {}
        self.open: set[tuple[int, int]] = set()
        self.enlisted: list[Enlisting] = []
        self.says: int | None = 0

    @property
    def transactions(self) -> Transactions:
        return Transactions(
            self.begin_verification, self.append_transactional, self.append_marker, self.enlist
        )

    def begin_verification(self, partition: int, producer: Producer) -> object | None:
        return None if (partition, producer.id) in self.open else object()

    def append_transactional(
        self, partition: int, records: list[Record], producer: Producer, verification: object
    ) -> Deferred[None]:
        opened = (partition, producer.id) in self.open
        assert opened == (verification is None)
        self.open.add((partition, producer.id))
        return self._write(partition, [InTransaction(*record, producer) for record in records])

    def append_marker(self, partition: int, marker: EndTransactionMarker) -> Deferred[None]:
        self.open.discard((partition, marker.producer_id))
        return self._write(partition, [marker])

    def enlist(
        self, partition: int, transactional_id: str, producer: Producer, *, add: bool
    ) -> Deferred[int]:
        asked = Enlisting(partition, transactional_id, producer, add, Deferred())
        self.enlisted.append(asked)
        if self.says is not None:
            asked.code.complete(self.says)
        return asked.code

    def append(self, partition: int, records: list[Record]) -> Deferred[None]:
        return self._write(partition, list(records))

    def _write(self, partition: int, records: list[Any]) -> Deferred[None]:
        write = Write(partition, records, Deferred())
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
            bytes(batch_of(item, offset))
            for offset, item in enumerate(self.partitions.get(partition, []))
        ]


def batch_of(item: Any, offset: int) -> bytearray:
    """One record or marker of a log as a batch of its own."""
    if isinstance(item, EndTransactionMarker):
        marker = marker_batch(item, now_ms=0)
        stamp(marker, offset, 0)
        return marker
    if isinstance(item, InTransaction):
        return build_batch(
            [(item.key, item.value, (), 0)],
            base_offset=offset,
            producer_id=item.producer.id,
            producer_epoch=item.producer.epoch,
            is_transactional=True,
        )
    return build_batch([(*item, (), 0)], base_offset=offset)


class Bench:
    """One coordinator that leads every partition, and short ways to ask it things.

    Answers that are there are returned as they are, others as their Deferred.
    """

    def __init__(
        self,
        *,
        elect: bool = True,
        log: Log | None = None,
        config: BrokerConfig | None = None,
        **given: Any,
    ) -> None:
        self.timers = VirtualTimers()
        self.log = log or Log()
        self.topics = dict(TOPICS)
        self.partitions: dict[str, int] = {}
        self.overrides: dict[str, dict[str, str]] = {}
        self.made = 0
        if config is None:
            given = {"offsets_topic_num_partitions": PARTITIONS} | given
            config = BrokerConfig({n.replace("_", "."): str(v) for n, v in given.items()})
        self.coordinator = GroupCoordinator(
            config,
            self.timers,
            append=self.log.append,
            transactions=self.log.transactions,
            new_member_id=self._new_member_id,
            topics=Topics(
                self.topics.get,
                lambda wanted: next(
                    (name for name, one in self.topics.items() if one == wanted), None
                ),
                lambda name, number: 0 <= number < self.partition_count(name),
                self.partition_count,
                lambda: self.topics,
            ),
            overrides=lambda group_id: self.overrides.get(group_id, {}),
            log=logging.getLogger("tests.group"),
        )
        if elect:
            self.elect()

    def partition_count(self, topic: str) -> int:
        return self.partitions.get(topic, TOPIC_PARTITIONS) if topic in self.topics else 0

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
        group = self.coordinator.shards.of(group_id).groups[group_id]
        assert isinstance(group, ClassicGroup)
        return group

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
        reason: str | None = None,
    ) -> Any:
        request = JoinGroupRequest(
            group_id=group_id,
            session_timeout_ms=session,
            rebalance_timeout_ms=rebalance,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            reason=reason,
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=memoryview(metadata))
                for name, metadata in protocols
            ],
        )
        return now(self.coordinator.members.join_group(Client(version), request))

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
        return now(self.coordinator.members.sync_group(Client(version), request))

    def heartbeat(
        self, member_id: str, generation: int, instance: str | None = None, group_id: str = "g"
    ) -> int:
        request = HeartbeatRequest(
            group_id=group_id,
            generation_id=generation,
            member_id=member_id,
            group_instance_id=instance,
        )
        return self.coordinator.members.heartbeat(Client(4), request).error_code

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
        return self.coordinator.members.leave_group(Client(version), request)

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
        return now(self.coordinator.offsets.commit(Client(version), request))

    def commit_in_transaction(
        self,
        offsets: dict[tuple[str, int], int],
        *,
        producer_id: int = 7,
        producer_epoch: int = 0,
        member_id: str = "",
        generation: int = -1,
        version: int = 5,
        instance: str | None = None,
        group_id: str = "g",
        metadata: str | None = None,
    ) -> Any:
        """TxnOffsetCommit; the error code of each partition once it is answered."""
        topic = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
        request = TxnOffsetCommitRequest(
            transactional_id=f"tx-{producer_id}",
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            group_id=group_id,
            member_id=member_id,
            generation_id=generation,
            group_instance_id=instance,
            topics=[
                topic(
                    name=name,
                    partitions=[
                        topic.TxnOffsetCommitRequestPartition(
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
        answer = self.coordinator.offsets.commit_in_transaction(Client(version), request)
        codes: Deferred[list[int]] = Deferred()
        if not isinstance(answer, Deferred):
            return _codes(answer)
        answer.then(lambda done: codes.complete(_codes(done.result())))
        return now(codes)

    def end(
        self, *, commit: bool, producer_id: int = 7, producer_epoch: int = 0, group_id: str = "g"
    ) -> Any:
        """The marker of a transaction, in the partition of a group."""
        marker = EndTransactionMarker(producer_id, producer_epoch, 0, commit, 2)
        partition = self.coordinator.partition_for(group_id)
        return self.coordinator.offsets.complete_transaction(partition, marker)

    def fetch(self, request: OffsetFetchRequest, version: int) -> Any:
        return now(self.coordinator.offsets.fetch(Client(version), request))

    def stable_offsets(self, *where: tuple[str, int], group_id: str = "g") -> list[int]:
        """OffsetFetch 8 with require_stable: the offset of each place, or minus the error code."""
        group = OffsetFetchRequest.OffsetFetchRequestGroup
        topics = [
            group.OffsetFetchRequestTopics(name=name, partition_indexes=[index])
            for name, index in where
        ]
        request = OffsetFetchRequest(
            groups=[group(group_id=group_id, topics=topics)], require_stable=True
        )
        (answered,) = self.fetch(request, 8).groups
        found = [p for topic in answered.topics for p in topic.partitions]
        return [-p.error_code if p.error_code else p.committed_offset for p in found]

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
        return now(self.coordinator.offsets.delete(Client(0), request))

    def delete(self, *group_ids: str) -> Any:
        request = DeleteGroupsRequest(groups_names=list(group_ids))
        return now(self.coordinator.administration.delete(Client(2), request))

    def list(self, states: tuple[str, ...] = (), types: tuple[str, ...] = ()) -> Any:
        request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
        return self.coordinator.administration.list(Client(5), request)

    def describe(self, group_id: str = "g", version: int = 6, *, explain: bool = False) -> Any:
        request = DescribeGroupsRequest(groups=[group_id], explain=explain)
        (one,) = self.coordinator.administration.describe(Client(version), request).groups
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


def _codes(answer: TxnOffsetCommitResponse) -> list[int]:
    return [p.error_code for topic in answer.topics for p in topic.partitions]


def now(answer: Any) -> Any:
    """The answer itself, when it is there."""
    if isinstance(answer, Deferred) and answer.done:
        return answer.result()
    return answer
