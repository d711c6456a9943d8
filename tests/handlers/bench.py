"""One broker without a network: requests go in and come out as bytes, through `Dispatch`.

The clock, the flushes and the controller are the test's; logs are real files in a temporary
directory. Broker 1 is this one, 1001 another of its host, 2 one of another host.
"""
from __future__ import annotations

import os
import pathlib
import uuid
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest

from fastbroker.config.broker import BrokerConfig
from fastbroker.errors import KafkaError
from fastbroker.group.coordinator import GroupCoordinator
from fastbroker.group.topics import Topics
from fastbroker.handlers.context import TRANSACTIONS_TOPIC, Broker, RequestContext
from fastbroker.handlers.dispatch import Dispatch
from fastbroker.metadata.controller.configs import alter_configs, incremental_alter_configs
from fastbroker.metadata.controller.partitions import create_partitions
from fastbroker.metadata.controller.topics import create_topics, delete_topics
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.features import TRANSACTION_VERSION
from fastbroker.metadata.image import TOPIC, MetadataImage
from fastbroker.model import Deferred, TopicPartition
from fastbroker.partition.fetch_session import FetchSessions
from fastbroker.partition.partition import Partition
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.write_txn_markers import WriteTxnMarkersRequest
from fastbroker.protocol.metadata_records import (
    ConfigRecord,
    FenceBrokerRecord,
    PartitionChangeRecord,
    PartitionRecord,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from fastbroker.protocol.schema import Struct
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.txn.coordinator import TransactionCoordinator
from fastbroker.worker.internal_topic import InternalTopic
from fastbroker.worker.offsets_topic import OffsetsTopic
from fastbroker.worker.replicas import Replicas
from tests.group.virtual_timers import VirtualTimers
from tests.storage.logs import batch

ME, NEIGHBOUR, ELSEWHERE = 1, 1001, 2
WORKERS = 2
LISTENER = "PLAINTEXT"
CLUSTER = "cluster-of-tests"


class FakeConnection:
    """What a handler sees of a connection; `answers` by the place of the request."""

    def __init__(self, closed: Any) -> None:
        self.peer, self.local = ("10.1.2.3", 50000), ("192.168.0.7", 9092)
        self.context: Any = None
        self.is_closed = False
        self.why = ""
        self.answers: dict[int, bytes | None] = {}
        self.resumed = 0
        self.places = 0
        self._closed = closed

    def reserve(self, meter: object = None) -> int:
        self.places += 1
        return self.places - 1

    def reply(self, place: int, parts: Any) -> None:
        assert place not in self.answers
        self.answers[place] = None if parts is None else b"".join(map(content, parts))

    def resume(self) -> None:
        self.resumed += 1

    def close(self, reason: str, error: BaseException | None = None) -> None:
        self.is_closed, self.why = True, reason
        self._closed(self, reason, error)


def content(part: Any) -> bytes:
    """The bytes of a piece of a response."""
    if hasattr(part, "fd"):
        return os.pread(part.fd, part.length, part.offset)
    return bytes(part)


class Pending:
    """A request that was sent: whether it has been answered, and with what."""

    def __init__(self, connection: FakeConnection, place: int, kind: Any, version: int) -> None:
        self.connection, self.place, self.kind, self.version = connection, place, kind, version
        self.held = False

    @property
    def done(self) -> bool:
        return self.place in self.connection.answers

    @property
    def response(self) -> Any:
        """The decoded response; None when it was answered with nothing."""
        assert self.done, "not answered yet"
        data = self.connection.answers[self.place]
        if data is None:
            return None
        return decode_response(self.kind, self.version, memoryview(data)[4:])[1]


def cannot_open(bench: Bench, monkeypatch: pytest.MonkeyPatch, error: KafkaError) -> None:
    """No log can be opened from now on."""

    def refuse(*_: object) -> Log:
        raise error

    monkeypatch.setattr(bench.log_dir, "open_log", refuse)


class Bench:
    """The broker, and short ways to ask and to change it.

    instant: flushes and the controller's answers come at once; otherwise by `flush()`, `decide()`.
    """

    def __init__(
        self, path: pathlib.Path, settings: Mapping[str, str] | None = None, *, instant: bool = True
    ) -> None:
        self.timers = VirtualTimers()
        self.instant = instant
        own = {"node.id": str(ME), "log.dirs": str(path)}
        self.config = BrokerConfig(own | dict(settings or {}))
        self.log_dir = LogDir(str(path / "broker-1"), disk=Disk(), node_id=ME)
        self.log_dir.open()
        self.log_dir.join_cluster(CLUSTER)
        ids = count(1)
        self.producer_ids: list[Deferred[int]] = []
        self.forwarded: list[tuple[Any, RequestContext, Deferred[Any]]] = []
        self.broker = Broker(
            workers=WORKERS,
            config=self.config,
            broker_id=ME,
            timers=self.timers,
            log_dir=self.log_dir,
            sessions=FetchSessions(100, lambda: next(ids)),
            forward=self._forward,
            allocate_producer_id=self._allocate,
        )
        self.broker.groups = GroupCoordinator(
            self.config,
            self.timers,
            append=OffsetsTopic(self.broker).append,
            transactions=OffsetsTopic(self.broker).transactions,
            new_member_id=lambda name: f"{name}-{uuid.uuid4()}",
            topics=Topics(
                lambda name: self.image.topics[name].id,
                lambda topic_id: self.image.topics_by_id[topic_id].name,
                lambda name, number: number in self.image.topics[name].partitions,
                lambda name: len(self.image.topics[name].partitions),
                lambda: self.image.topics,
            ),
        )
        self.markers: list[tuple[int, WriteTxnMarkersRequest]] = []
        self.broker.transactions = TransactionCoordinator(
            self.config,
            self.timers,
            append=InternalTopic(self.broker, TRANSACTIONS_TOPIC).append,
            allocate_producer_id=self._allocate,
            write_markers=self._write_markers,
            leader_of=self._leader_of,
            offsets_partition=self.broker.groups.partition_for,
            version=lambda: self.broker.image.features.get(TRANSACTION_VERSION, 0),
        )
        self.enlisted: list[tuple[dict[str, Any], Deferred[dict[TopicPartition, int]]]] = []
        self.verdict = 0  # the transaction coordinator's, for every partition
        self.broker.enlist = self._enlist
        self.starts_to_save: list[Deferred[None]] = []
        self.broker.save_log_starts = self._save_log_starts
        self.dirty: dict[Partition, None] = {}
        self.removed: list[str] = []
        self.replicas = Replicas(
            self.broker, self.config, self._request_flush, lambda _, path: self.removed.append(path)
        )
        self.dispatch = Dispatch(self.broker, LISTENER)
        self.connection = self.connect()
        self.apply(*(_registered(n) for n in (ME, NEIGHBOUR, ELSEWHERE)))

    # ---- the cluster

    @property
    def image(self) -> MetadataImage:
        return self.broker.image

    def apply(self, *records: Struct) -> None:
        """The metadata log goes on by one batch."""
        delta = MetadataDelta(self.image)
        for record in records:
            delta.replay(record)
        image = delta.image(self.image.offset + len(records), 1)
        self.broker.image = image
        self.replicas.apply(delta, image)
        self.broker.apply(image)

    def create(
        self, name: str = "t", partitions: int = 1, *, leader: int = ME,
        topic_id: bytes | None = None, **configs: Any,
    ) -> bytes:  # fmt: skip
        """A topic led by one broker; its id."""
        topic_id = topic_id or uuid.uuid4().bytes
        records: list[Struct] = [TopicRecord(name=name, topic_id=topic_id)]
        records += [
            PartitionRecord(
                partition_id=n, topic_id=topic_id, replicas=[leader], isr=[leader], leader=leader,
                leader_epoch=1, directories=[bytes(16)],
            )
            for n in range(partitions)
        ]  # fmt: skip
        records += [
            ConfigRecord(
                resource_type=TOPIC, resource_name=name, name=key.replace("_", "."),
                value=str(value),
            )
            for key, value in configs.items()
        ]  # fmt: skip
        self.apply(*records)
        return topic_id

    def delete(self, name: str = "t") -> None:
        self.apply(RemoveTopicRecord(topic_id=self.image.topics[name].id))

    def elect(self, leader: int, name: str = "t", number: int = 0) -> None:
        """Another leader, and with it another epoch, for a partition."""
        topic = self.image.topics[name]
        self.apply(
            PartitionChangeRecord(partition_id=number, topic_id=topic.id, leader=leader)
        )

    def fence(self, broker_id: int) -> None:
        epoch = self.image.brokers[broker_id].epoch
        self.apply(FenceBrokerRecord(id=broker_id, epoch=epoch))

    def partition(self, name: str = "t", number: int = 0) -> Partition:
        return self.broker.partitions[TopicPartition(name, number)]

    def append(self, *values: str, name: str = "t", number: int = 0, **how: Any) -> None:
        """One batch, straight into a partition."""
        self.partition(name, number).append(
            batch(*values, **how), now_ms=self.timers.now_ms(), produce_version=9
        )

    # ---- flushes

    def _request_flush(self, partition: Partition) -> None:
        self.dirty[partition] = None
        if self.instant:
            self.flush()

    def flush(self) -> None:
        """Carry out what has been asked for."""
        waiting, self.dirty = self.dirty, {}
        for partition in waiting:
            job = partition.log.begin_flush()
            if job is not None:
                job.run()
                partition.flushed(job)

    def _save_log_starts(self) -> Deferred[None]:
        saved: Deferred[None] = Deferred()
        self.starts_to_save.append(saved)
        if self.instant:
            self.save_log_starts()
        return saved

    def save_log_starts(self) -> None:
        """Write what has been asked for."""
        waiting, self.starts_to_save = self.starts_to_save, []
        try:
            self.log_dir.write_log_starts()
        except OSError as error:
            for saved in waiting:
                saved.fail(error)
        else:
            for saved in waiting:
                saved.complete(None)

    # ---- the transaction coordinator

    def _enlist(self, **asked: Any) -> Deferred[dict[TopicPartition, int]]:
        answer: Deferred[dict[TopicPartition, int]] = Deferred()
        self.enlisted.append((asked, answer))
        if self.instant:
            self.judge()
        return answer

    def judge(self, **codes: int) -> None:
        """Answer the oldest question that is open: `verdict`, but for partitions named like t_0."""
        asked, answer = next(one for one in self.enlisted if not one[1].done)
        answer.complete(
            {
                name: codes.get(f"{name.topic}_{name.partition}", self.verdict)
                for name in asked["partitions"]
            }
        )

    # ---- the controller

    def _allocate(self) -> Deferred[int]:
        answer: Deferred[int] = Deferred()
        self.producer_ids.append(answer)
        if self.instant:
            answer.complete(1000 + len(self.producer_ids))
        return answer

    def _write_markers(self, broker: int, request: WriteTxnMarkersRequest) -> Deferred[Any]:
        """Nobody writes them: a test looks at them."""
        self.markers.append((broker, request))
        return Deferred()

    def _leader_of(self, partition: TopicPartition) -> int | None:
        topic = self.image.topics.get(partition.topic)
        found = topic.partitions.get(partition.partition) if topic is not None else None
        return found.leader if found is not None else None

    def _forward(self, request: Any, ctx: RequestContext) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.forwarded.append((request, ctx, answer))
        if self.instant:
            self.decide()
        return answer

    def decide(self, *, image_first: bool = True) -> None:
        """The controller carries out everything forwarded; its answer comes after the records, or
        before them."""
        waiting, self.forwarded = self.forwarded, []
        for request, ctx, answer in waiting:
            image, config = self.image, self.config
            match type(request).__name__:
                case "CreateTopicsRequest":
                    outcome = create_topics(
                        image, request, config=config, new_id=lambda: uuid.uuid4().bytes
                    )
                case "DeleteTopicsRequest":
                    outcome = delete_topics(
                        image, request, version=ctx.api_version, config=config
                    )
                case "CreatePartitionsRequest":
                    outcome = create_partitions(image, request)
                case "AlterConfigsRequest":
                    outcome = alter_configs(image, request, config=self.config)
                case _:
                    outcome = incremental_alter_configs(image, request, config=self.config)
            if not image_first:
                answer.complete(outcome.response)
            if outcome.records:
                self.apply(*outcome.records)
            if image_first:
                answer.complete(outcome.response)

    # ---- clients

    def connect(self) -> FakeConnection:
        return FakeConnection(self.broker.closed)

    def send(
        self,
        request: Any,
        version: int,
        *,
        connection: FakeConnection | None = None,
        client_id: str | None = "client",
    ) -> Pending:
        """Hand over a request as bytes."""
        connection = connection or self.connection
        parts = encode_request(request, version, 7, client_id)
        frame = memoryview(bytearray(b"".join(map(content, parts))[4:]))
        pending = Pending(connection, connection.places, type(request), version)
        pending.held = not self.dispatch(connection, frame)  # type: ignore[arg-type]
        return pending

    def ask(self, request: Any, version: int, **how: Any) -> Any:
        """The response to a request that is answered at once."""
        return self.send(request, version, **how).response


def _registered(broker_id: int) -> RegisterBrokerRecord:
    endpoint = RegisterBrokerRecord.BrokerEndpoint(
        name=LISTENER, host=f"host-{broker_id % 1000}", port=9092 + broker_id // 1000,
        security_protocol=0,
    )  # fmt: skip
    return RegisterBrokerRecord(
        broker_id=broker_id,
        incarnation_id=bytes([broker_id % 256]) * 16,
        broker_epoch=broker_id,
        end_points=[endpoint],
        features=[],
        rack=f"rack-{broker_id % 1000}",
        fenced=False,
        log_dirs=[bytes(15) + bytes([broker_id % 256])],
    )
