"""One worker: a broker on one event loop, wired from the floors below."""
from __future__ import annotations

import logging
import os
import uuid
from asyncio import AbstractEventLoop
from collections.abc import Callable
from functools import partial
from os.path import join
from typing import TYPE_CHECKING, Any

from fastbroker._c.connection import limit_receive_bytes
from fastbroker._c.sync_thread import SyncThread
from fastbroker.config.broker import BrokerConfig, ListenerAddress
from fastbroker.handlers.context import Broker
from fastbroker.handlers.dispatch import Dispatch
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.features import SUPPORTED
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import Deferred, broker_id
from fastbroker.net.address import listen
from fastbroker.net.client import BrokerClient
from fastbroker.net.listener import Listener, connections_max
from fastbroker.partition.fetch_session import FetchSessions
from fastbroker.protocol.messages.broker_registration import BrokerRegistrationRequest
from fastbroker.protocol.messages.describe_cluster import (
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from fastbroker.shared import Line
from fastbroker.storage.disk import Disk
from fastbroker.storage.log_dir import LogDir
from fastbroker.worker.checkpoint import Checkpoint
from fastbroker.worker.compaction import Compaction
from fastbroker.worker.controller import Forwarding, Lifecycle, ProducerIds
from fastbroker.worker.enlistment import Enlistment
from fastbroker.worker.flusher import Flusher
from fastbroker.worker.log_starts import LogStarts
from fastbroker.worker.observer import Observer
from fastbroker.worker.peers import Peers
from fastbroker.worker.removal import Removal
from fastbroker.worker.replicas import Replicas
from fastbroker.worker.rounds import Rounds
from fastbroker.worker.saving import Saving
from fastbroker.worker.space import SpaceWatch
from fastbroker.worker.timers import TimerWheel
from fastbroker.worker.upkeep import Upkeep

if TYPE_CHECKING:
    from fastbroker.group.coordinator import GroupCoordinator
    from fastbroker.net.answering import Answering
    from fastbroker.txn.coordinator import TransactionCoordinator
    from fastbroker.worker.metrics import WorkerMetrics

log = logging.getLogger(__name__)

PROTOCOL_NUMBERS = {"PLAINTEXT": 0, "SSL": 1, "SASL_PLAINTEXT": 2, "SASL_SSL": 3}
STOP_DEADLINE_MS = 5000
DRAIN_DEADLINE_MS, DRAIN_EVERY_MS = 2000, 10


class Worker:
    """Owned by its process.

    workers: how many of them this host runs. ready(): called once clients are accepted.
    fatal(error): this process cannot go on.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        config: BrokerConfig,
        index: int,
        *,
        workers: int,
        ready: Callable[[], object],
        fatal: Callable[[BaseException], object],
    ) -> None:
        self.loop, self.config, self.index = loop, config, index
        self._ready, self._fatal = ready, fatal
        self.id = broker_id(config.node_id, index)
        self.timers = TimerWheel(loop)
        self.log_dir = LogDir(
            join(config.data_dir, f"broker-{self.id}"), disk=Disk(), node_id=self.id
        )
        self.log_dir.failed = self._log_dir_failed
        self.log_dir.open()
        limit = config["queued.max.request.bytes"]
        if limit > 0:
            limit_receive_bytes(limit)
        address = join(config.data_dir, "run", f"controller-{config.node_id}.sock")
        client_id = f"broker-{self.id}"
        self.client = BrokerClient(
            loop, address, client_id=client_id, connected=self._connected
        )
        self.metadata_client = BrokerClient(loop, address, client_id=client_id)
        self.lifecycle = Lifecycle(
            self.client,
            self.timers,
            self._registration(),
            interval_ms=config["broker.heartbeat.interval.ms"],
            metadata_offset=lambda: self.observer.image.offset,
            unfenced=self._unfenced,
        )
        self.broker = Broker(
            config=config,
            broker_id=self.id,
            workers=workers,
            timers=self.timers,
            log_dir=self.log_dir,
            sessions=FetchSessions(
                config["max.incremental.fetch.session.cache.slots"],
                lambda: int.from_bytes(os.urandom(4), "big") >> 1,
            ),
            forward=Forwarding(self.client, config["request.timeout.ms"]),
            allocate_producer_id=ProducerIds(
                self.client, self.id, lambda: self.lifecycle.broker_epoch
            ),
        )
        self.peers = Peers(loop, self.broker, config.data_dir)
        self.broker.enlist = Enlistment(self.broker, call=self.peers.call, soon=loop.call_soon)
        self.broker.new_groups = self._group_coordinator
        self.broker.new_transactions = self._transaction_coordinator
        self.log_starts = LogStarts(loop, self.log_dir)
        self.broker.save_log_starts = self.log_starts.save
        self.saving = Saving(loop, self.broker, self.log_dir.take_offline)
        self.checkpoint = Checkpoint(
            loop,
            SyncThread(),
            self.log_dir,
            failed=self.log_dir.take_offline,
            write_points=self.saving.begin,
        )
        self.flusher = Flusher(
            loop, SyncThread(), self.log_dir.take_offline, self.log_dir.journal, self.checkpoint
        )
        remove = Removal(loop, self.timers, self.log_dir.disk)
        self.replicas = Replicas(self.broker, config, self.flusher.request, remove)
        self.observer = Observer(
            self.metadata_client,
            self.timers,
            self.id,
            self.log_dir.directory_id,
            is_registered=self._is_registered,
            apply=self._apply,
            fatal=fatal,
        )
        self.upkeep = Upkeep(loop, self.broker, self.flusher.request, self.saving.begin)
        self.rounds = Rounds(self.broker, remove, self.flusher.request)
        self.compaction = Compaction(loop, self.broker, remove, self.log_dir.take_offline)
        self.space = SpaceWatch(self.broker, self.rounds.begin, remove.hurry)
        self.listeners = [self._listener(one.at(index)) for one in config.listeners()]
        self.metrics: WorkerMetrics | None = None
        self.answering = self._answering() if config.metrics_listener() else None

    # ---- what is made once

    def _registration(self) -> BrokerRegistrationRequest:
        config = self.config
        advertised = config.advertised()
        listeners = []
        for one in config.listeners():
            told = advertised.get(one.name, one).at(self.index)
            listeners.append(
                BrokerRegistrationRequest.Listener(
                    name=told.name,
                    host=told.reachable_host,
                    port=told.port,
                    security_protocol=PROTOCOL_NUMBERS[config.protocol(told.name)],
                )
            )
        return BrokerRegistrationRequest(
            broker_id=self.id,
            incarnation_id=uuid.uuid4().bytes,
            listeners=listeners,
            features=[
                BrokerRegistrationRequest.Feature(
                    name=name, min_supported_version=low, max_supported_version=high
                )
                for name, (low, high) in SUPPORTED.items()
            ],
            rack=config["broker.rack"],
            log_dirs=[self.log_dir.directory_id],
            previous_broker_epoch=self.log_dir.previous_broker_epoch,
        )

    def _listener(self, address: ListenerAddress) -> Listener:
        config = self.config
        return Listener(
            self.loop,
            listen((address.host, address.port), backlog=config["socket.listen.backlog.size"]),
            name=address.name,
            dispatch=Dispatch(self.broker, address.name),
            closed=self.broker.closed,
            max_frame_bytes=config["socket.request.max.bytes"],
            max_connections=min(
                config["max.connections"], connections_max(len(config.listeners()))
            ),
            idle_ms=config["connections.max.idle.ms"],
        )

    def _answering(self) -> Answering:
        from fastbroker.net.answering import Answering, socket_path
        from fastbroker.worker.committed import committed
        from fastbroker.worker.flush_counts import FlushCounts
        from fastbroker.worker.lag import Positions
        from fastbroker.worker.metrics import WorkerMetrics

        self.flusher.counts = FlushCounts()
        self.metrics = WorkerMetrics(self.loop, self.broker, self.listeners, self.flusher.counts)
        return Answering(
            self.loop,
            socket_path(self.config.data_dir, f"worker-{self.index}"),
            {
                b"metrics": self.metrics.answer,
                b"committed": partial(committed, self.broker),
                b"positions": Positions(self.loop, self.broker).answer,
            },
        )

    def _group_coordinator(self) -> GroupCoordinator:
        from fastbroker.worker.group_coordinator import group_coordinator

        return group_coordinator(self.broker)

    def _transaction_coordinator(self) -> TransactionCoordinator:
        from fastbroker.worker.transaction_coordinator import transaction_coordinator

        return transaction_coordinator(self.broker, self.peers.call)

    # ---- the beginning

    def start(self) -> None:
        """Connect to the controller; the rest follows from its answers."""
        if self.answering is not None and self.metrics is not None:
            self.metrics.start()
            self.answering.start()
        self.peers.start()
        self.client.start()
        self.metadata_client.start()

    def _connected(self) -> None:
        if self.lifecycle.registration.cluster_id:
            self.lifecycle.connected()
            return
        # The first time: learn which cluster this is, before anything is written or registered.
        self.client.call(DescribeClusterRequest(endpoint_type=2), 1).then(self._joined)

    def _joined(self, answer: Deferred[DescribeClusterResponse]) -> None:
        if answer.error is not None:
            if self.client.is_connected:  # no answer in time; otherwise we are connected again soon
                self._connected()
            return
        try:
            self.log_dir.join_cluster(answer.result().cluster_id)
        except Exception as error:
            self._fatal(error)
            return
        self.lifecycle.registration.cluster_id = answer.result().cluster_id
        self.lifecycle.connected()
        self.observer.start()

    def _apply(self, delta: MetadataDelta, image: MetadataImage) -> None:
        self.broker.image = image
        self.replicas.apply(delta, image)
        self.broker.apply(image)
        self.peers.apply(image)
        self.lifecycle.caught_up()

    def _is_registered(self, image: MetadataImage) -> bool:
        """Whether the image knows this process, not an earlier one with this broker's id."""
        own = image.brokers.get(self.id)
        return own is not None and (
            own.incarnation_id == self.lifecycle.registration.incarnation_id
        )

    def _unfenced(self) -> None:
        """The controller lets clients come; wait until our own image says so, too."""
        self.broker.when(self._is_unfenced, 2**30).then(lambda _: self._serve())

    def _is_unfenced(self) -> bool:
        own = self.broker.image.brokers.get(self.id)
        return own is not None and own.epoch == self.lifecycle.broker_epoch and not own.fenced

    def _serve(self) -> None:
        for name in self.log_dir.unknown_directories(self.broker.partitions):
            log.warning("%s is no partition of this broker: kept as %s", name,
                        self.log_dir.set_aside(name))  # fmt: skip
        self.upkeep.start()
        self.rounds.start()
        self.compaction.start()
        self.space.start()
        for listener in self.listeners:
            listener.start()
        self._ready()

    def _log_dir_failed(self, error: BaseException) -> None:
        """Who waits for one of its partitions is told."""
        for partition in list(self.broker.partitions.values()):
            partition.fail(error)

    # ---- while it runs

    def count(self) -> tuple[int, int]:
        """Connections of clients, and partitions."""
        connections = sum(len(listener.connections) for listener in self.listeners)
        return connections, len(self.broker.partitions)

    def reload(self, line: Line) -> None:
        """Take over the settings that the supervisor has read anew, if it has."""
        texts = line.settings()
        if texts is not None:
            self.config = self.config.reloaded(texts)
            self.replicas.reload(self.config, self.broker.image)

    # ---- the end

    def stop(self, done: Callable[[], Any], *, is_controlled: bool = True) -> None:
        """Take this broker out of the cluster, answer what was asked, let go of clients; `done()`
        follows.

        is_controlled: ask the controller first, for STOP_DEADLINE_MS at most.
        """
        finished = False

        def finish(*_: object) -> None:
            nonlocal finished
            if not finished:
                finished = True
                self._drain(done, self.loop.time() + DRAIN_DEADLINE_MS / 1000)

        if is_controlled and self.client.is_connected and self.lifecycle.broker_epoch >= 0:
            self.lifecycle.stop().then(finish)
            self.timers.after(STOP_DEADLINE_MS, finish)
        else:
            finish()

    def _drain(self, done: Callable[[], Any], deadline_s: float) -> None:
        """Close what is answered, until nothing is left or the deadline has come."""
        left = sum(listener.drain() for listener in self.listeners)
        if left and self.loop.time() < deadline_s:
            self.loop.call_later(DRAIN_EVERY_MS / 1000, self._drain, done, deadline_s)
        else:
            done()

    def close(self) -> None:
        """Close connections, logs and files; the loop has been stopped, and runs once more for what
        threads have still to tell."""
        for listener in self.listeners:
            listener.close()
        if self.answering is not None and self.metrics is not None:
            self.metrics.close()
            self.answering.close()
        self.peers.close()
        self.observer.close()
        self.client.close()
        self.metadata_client.close()
        self.timers.close()
        self.saving.close()
        self.log_starts.close()
        self.compaction.close()
        self.flusher.close()
        self.checkpoint.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.log_dir.close(self.lifecycle.broker_epoch)
