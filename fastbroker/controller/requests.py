"""Which request is answered by which rule, on the socket that workers and controllers share."""

from __future__ import annotations

import logging
from asyncio import TimerHandle
from collections.abc import Callable, Hashable
from typing import Any

from fastbroker import errors
from fastbroker._c.connection import Connection
from fastbroker.config.broker import BrokerConfig
from fastbroker.controller.node import Node, now_ms
from fastbroker.controller.snapshots import fetch_snapshot
from fastbroker.metadata.controller.brokers import Brokers
from fastbroker.metadata.controller.configs import alter_configs, incremental_alter_configs
from fastbroker.metadata.controller.features import update_features
from fastbroker.metadata.controller.outcome import Outcome
from fastbroker.metadata.controller.partitions import create_partitions
from fastbroker.metadata.controller.producer_ids import allocate_producer_ids
from fastbroker.metadata.controller.topics import create_topics, delete_topics
from fastbroker.metadata.features import SUPPORTED
from fastbroker.metadata.image import BROKER
from fastbroker.model import METADATA_TOPIC_ID, Deferred
from fastbroker.protocol.api import KEYS, api
from fastbroker.protocol.header import (
    RequestHeader,
    decode_request,
    encode_response,
    parse_header,
)
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from fastbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest
from fastbroker.protocol.messages.broker_registration import BrokerRegistrationRequest
from fastbroker.protocol.messages.describe_cluster import (
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from fastbroker.protocol.messages.describe_quorum import DescribeQuorumRequest
from fastbroker.protocol.messages.envelope import EnvelopeRequest, EnvelopeResponse
from fastbroker.protocol.messages.fetch import FetchRequest, FetchResponse
from fastbroker.protocol.messages.fetch_snapshot import FetchSnapshotRequest
from fastbroker.protocol.schema import Struct
from fastbroker.raft import messages as m
from fastbroker.shared import Line
from fastbroker.uuids import new_uuid

log = logging.getLogger(__name__)

FETCH_MAX_BYTES = 8 << 20
EXPIRY_INTERVAL_S = 0.5
CONTROLLERS = 2  # an endpoint type in DescribeCluster

Reply = Struct | Deferred[Struct]
Handler = Callable[[Connection, RequestHeader, Any], Reply]


class Requests:
    """Answers frames. Owned by the controller process's loop."""

    def __init__(self, node: Node, config: BrokerConfig) -> None:
        self.node, self.config = node, config
        node.answer, node.wait = self._answer_fetch, self._wait_fetch
        self.brokers = Brokers(
            node.image,
            cluster_id=node.identity.cluster_id,
            now_ms=self._monotonic_ms(),
            session_timeout_ms=config["broker.session.timeout.ms"],
        )
        self._fetches: dict[Hashable, _PendingFetch] = {}
        self._workers: dict[int, Connection] = {}  # the newest connection of each broker
        self._expiry = node.loop.call_later(EXPIRY_INTERVAL_S, self._expire)
        forwarded: dict[str, Handler] = {
            "CreateTopics": self._rule(lambda image, request, _: create_topics(
                image, request, config=self._dynamic_config(), new_id=new_uuid)),
            "DeleteTopics": self._rule(lambda image, request, version: delete_topics(
                image, request, version=version, config=self._dynamic_config())),
            "CreatePartitions": self._rule(lambda image, request, _: create_partitions(
                image, request)),
            "AlterConfigs": self._rule(lambda image, request, _: alter_configs(
                image, request, config=self._dynamic_config())),
            "IncrementalAlterConfigs": self._rule(
                lambda image, request, _: incremental_alter_configs(
                    image, request, config=self._dynamic_config())),
            "UpdateFeatures": self._rule(lambda image, request, version: update_features(
                image, request, version=version, node_id=node.identity.node_id)),
        }  # fmt: skip
        own: dict[str, Handler] = {
            "ApiVersions": self._api_versions,
            "BrokerRegistration": self._register,
            "BrokerHeartbeat": self._heartbeat,
            "Fetch": self._fetch,
            "FetchSnapshot": self._fetch_snapshot,
            "Envelope": self._envelope,
            "AllocateProducerIds": self._rule(
                lambda image, request, _: allocate_producer_ids(image, request)
            ),
            "DescribeQuorum": self._describe_quorum,
            "DescribeCluster": self._describe_cluster,
        }
        self._forwarded = {KEYS[name]: handler for name, handler in forwarded.items()}
        self._handlers = self._forwarded | {KEYS[name]: handler for name, handler in own.items()}

    def dispatch(self, connection: Connection, frame: memoryview) -> bool:
        """Handle one frame; the connection's `dispatch`."""
        header, offset = parse_header(frame)
        place = connection.reserve()

        def reply(response: Struct, version: int = header.api_version) -> None:
            connection.reply(place, encode_response(response, version, header.correlation_id))

        handler = self._handlers.get(header.api_key)
        kind = api(header.api_key) if handler is not None else None
        if handler is None or kind is None or not kind.first <= header.api_version <= kind.last:
            if kind is not None and kind.key == KEYS["ApiVersions"]:
                reply(ApiVersionsResponse(error_code=errors.UnsupportedVersion.code), version=0)
                return True
            raise errors.CorruptFrame(
                f"api key {header.api_key} version {header.api_version} is not served by a"
                " controller"
            )
        request = decode_request(header, frame, offset)
        self._then(handler, connection, header, request, reply)
        return True

    def closed(self, connection: Connection, *_: object) -> None:
        """A connection is gone; the listener's `closed`."""
        for ticket in [t for t, f in self._fetches.items() if f.connection is connection]:
            self._fetches.pop(ticket).cancel()
            self.node.step(m.Gone(ticket))
        if connection.context is not None:
            broker_id, epoch = connection.context
            if self._workers.get(broker_id) is connection:
                del self._workers[broker_id]
                records = self.brokers.disconnected(self.node.image, broker_id, epoch)
                self._fence(records, f"the connection of broker {broker_id} is gone")

    def close(self) -> None:
        """Fence nobody any more: this controller stops, its workers may go on."""
        self._expiry.cancel()
        self._workers.clear()

    # ---- how a handler's outcome becomes an answer

    def _then(
        self,
        handler: Handler,
        connection: Connection,
        header: RequestHeader,
        request: Any,
        reply: Callable[[Struct], None],
    ) -> None:
        try:
            result = handler(connection, header, request)
        except errors.KafkaError as error:
            reply(_failed(header, error))
            return
        if not isinstance(result, Deferred):
            reply(result)
            return

        def done(deferred: Deferred[Struct]) -> None:
            if isinstance(deferred.error, errors.KafkaError):
                reply(_failed(header, deferred.error))
            else:
                reply(deferred.result())

        result.then(done)

    def _rule(self, rule: Callable[[Any, Any, int], Outcome]) -> Handler:
        def handler(_: Connection, header: RequestHeader, request: Any) -> Reply:
            if not self.node.has_space():
                raise errors.NoSpaceLeft(
                    f"{self.node.home.path} is on a full disk: the cluster's metadata cannot be"
                    " changed until there is space"
                )
            return self._keep(rule(self.node.image, request, header.api_version))

        return handler

    def _keep(self, outcome: Outcome) -> Deferred[Struct]:
        """The outcome's response, once its records are committed."""
        answer: Deferred[Struct] = Deferred()
        self.node.propose(outcome.records).then(lambda _: answer.complete(outcome.response))
        return answer

    def reload(self, line: Line) -> None:
        """Take over the settings that the supervisor has read anew, if it has."""
        texts = line.settings()
        if texts is not None:
            self.config = self.config.reloaded(texts)

    def _dynamic_config(self) -> BrokerConfig:
        overrides = self.node.image.configs.get((BROKER, ""))
        return self.config.with_dynamic(overrides) if overrides else self.config

    def _monotonic_ms(self) -> int:
        return int(self.node.loop.time() * 1000)

    # ---- brokers

    def _register(
        self, connection: Connection, _: RequestHeader, request: BrokerRegistrationRequest
    ) -> Reply:
        outcome = self.brokers.register(
            self.node.image,
            request,
            next_offset=self.node.quorum.log_end_offset,
            now_ms=self._monotonic_ms(),
        )
        self._known(connection, request.broker_id, outcome.response.broker_epoch)
        log.info(
            "broker %d registered with epoch %d", request.broker_id, outcome.response.broker_epoch
        )
        return self._keep(outcome)

    def _heartbeat(
        self, connection: Connection, _: RequestHeader, request: BrokerHeartbeatRequest
    ) -> Reply:
        outcome = self.brokers.heartbeat(
            self.node.image,
            request,
            next_offset=self.node.quorum.log_end_offset,
            now_ms=self._monotonic_ms(),
        )
        self._known(connection, request.broker_id, request.broker_epoch)
        return self._keep(outcome) if outcome.records else outcome.response

    def _known(self, connection: Connection, broker_id: int, epoch: int) -> None:
        connection.context = (broker_id, epoch)
        self._workers[broker_id] = connection

    def _expire(self) -> None:
        self._expiry = self.node.loop.call_later(EXPIRY_INTERVAL_S, self._expire)
        while records := self.brokers.expired(self.node.image, now_ms=self._monotonic_ms()):
            self._fence(records, "a broker has sent no heartbeat for its session's time")

    def _fence(self, records: list[Struct], why: str) -> None:
        if records:
            log.warning("%s: it is fenced, %d partitions change", why, len(records) - 1)
            self.node.propose(records)

    # ---- forwarded requests

    def _envelope(
        self, connection: Connection, _: RequestHeader, request: EnvelopeRequest
    ) -> Reply:
        """A client's request as its broker got it; answered as the client will get it."""
        frame = memoryview(request.request_data)
        header, offset = parse_header(frame)
        handler = self._forwarded.get(header.api_key)
        if handler is None:
            raise errors.InvalidRequest(f"api key {header.api_key} is not forwarded")
        kind = api(header.api_key)
        if not kind.first <= header.api_version <= kind.last:
            raise errors.UnsupportedVersion(f"{kind.name} has no version {header.api_version}")
        inner = decode_request(header, frame, offset)
        answer: Deferred[Struct] = Deferred()

        def done(deferred: Deferred[Struct]) -> None:
            parts = encode_response(deferred.result(), header.api_version, header.correlation_id)
            data = b"".join(parts)[4:]  # type: ignore[arg-type]
            answer.complete(EnvelopeResponse(response_data=data))

        result = handler(connection, header, inner)
        assert isinstance(result, Deferred)
        result.then(done)
        return answer

    # ---- the quorum

    def _fetch(self, connection: Connection, header: RequestHeader, request: FetchRequest) -> Reply:
        cluster_id = self.node.identity.cluster_id
        if request.cluster_id is not None and request.cluster_id != cluster_id:
            raise errors.InconsistentClusterId(f"this is cluster {cluster_id}")
        asked = [(t.topic_id, p) for t in request.topics for p in t.partitions]
        if len(asked) != 1 or asked[0][0] != METADATA_TOPIC_ID or asked[0][1].partition != 0:
            raise errors.InvalidRequest("a controller serves one partition: __cluster_metadata-0")
        partition = asked[0][1]
        replica = request.replica_id
        if request.replica_state is not None:
            replica = request.replica_state.replica_id
        ticket = object()
        pending = self._fetches[ticket] = _PendingFetch(connection, partition.partition_max_bytes)
        fetch = m.Fetch(
            ticket,
            m.ReplicaKey(replica, bytes(partition.replica_directory_id)),
            partition.fetch_offset,
            partition.last_fetched_epoch,
            partition.current_leader_epoch,
            request.max_wait_ms,
        )
        self.node.step(fetch)
        return pending.response

    def _wait_fetch(self, wait: m.Wait) -> None:
        message = m.WaitOver(wait.ticket)
        self._fetches[wait.ticket].timer = self.node.loop.call_later(
            wait.wait_ms / 1000, self.node.step, message
        )

    def _answer_fetch(self, answer: m.Answer) -> None:
        pending = self._fetches.pop(answer.ticket)
        pending.cancel()
        Topic = FetchResponse.FetchableTopicResponse
        Partition = Topic.PartitionData
        quorum, out = self.node.quorum, Partition(records=b"")
        out.high_watermark, out.log_start_offset = quorum.high_watermark, quorum.log_start_offset
        out.current_leader = Partition.LeaderIdAndEpoch(
            leader_id=quorum.state.leader_id, leader_epoch=quorum.state.epoch
        )
        if answer.error is not None:
            out.error_code = answer.error.code
        elif answer.diverging is not None:
            out.diverging_epoch = Partition.EpochEndOffset(
                epoch=answer.diverging.epoch, end_offset=answer.diverging.offset
            )
        elif answer.snapshot is not None:
            out.snapshot_id = Partition.SnapshotId(
                end_offset=answer.snapshot.offset, epoch=answer.snapshot.epoch
            )
        elif answer.start < answer.end:
            piece = self.node.log.read(
                answer.start,
                max_bytes=max(0, min(pending.max_bytes, FETCH_MAX_BYTES)),
                max_offset=answer.end,
                at_least_one=True,
            )
            out.records = self.node.log.copy(piece)
        topic = Topic(topic_id=METADATA_TOPIC_ID, partitions=[out])
        pending.response.complete(FetchResponse(responses=[topic]))

    def _fetch_snapshot(
        self, _: Connection, __: RequestHeader, request: FetchSnapshotRequest
    ) -> Reply:
        if request.cluster_id not in (None, self.node.identity.cluster_id):
            raise errors.InconsistentClusterId(f"this is cluster {self.node.identity.cluster_id}")
        return fetch_snapshot(self.node.snapshots, self.node.quorum.state, request)

    def _describe_quorum(
        self, _: Connection, __: RequestHeader, request: DescribeQuorumRequest
    ) -> Reply:
        return self.node.quorum.describe(request, now_ms())

    # ---- what this is

    def _describe_cluster(
        self, _: Connection, __: RequestHeader, request: DescribeClusterRequest
    ) -> Reply:
        """The cluster's id; controllers have no address that a client could use."""
        return DescribeClusterResponse(
            endpoint_type=request.endpoint_type,
            cluster_id=self.node.identity.cluster_id,
            controller_id=self.node.identity.node_id,
        )

    def _api_versions(self, _: Connection, __: RequestHeader, ___: ApiVersionsRequest) -> Reply:
        Response = ApiVersionsResponse
        kinds = [api(key) for key in sorted(self._handlers)]
        return Response(
            api_keys=[
                Response.ApiVersion(
                    api_key=kind.key, min_version=kind.first, max_version=kind.last_stable
                )
                for kind in kinds
            ],
            supported_features=[
                Response.SupportedFeatureKey(name=name, min_version=low, max_version=high)
                for name, (low, high) in SUPPORTED.items()
            ],
            finalized_features_epoch=self.node.image.offset,
            finalized_features=[
                Response.FinalizedFeatureKey(
                    name=name, max_version_level=level, min_version_level=level
                )
                for name, level in self.node.image.features.items()
            ],
        )


class _PendingFetch:
    """A fetch that the quorum has not answered yet."""

    __slots__ = ("connection", "max_bytes", "response", "timer")

    def __init__(self, connection: Connection, max_bytes: int) -> None:
        self.connection, self.max_bytes = connection, max_bytes
        self.response: Deferred[Struct] = Deferred()
        self.timer: TimerHandle | None = None

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


def _failed(header: RequestHeader, error: errors.KafkaError) -> Struct:
    """The response that carries `error` at its top. Raises CorruptFrame where there is no place."""
    response = api(header.api_key).response()
    if "error_code" not in type(response).FIELDS:
        raise errors.CorruptFrame(f"{api(header.api_key).name}: {error}")
    response.error_code = error.code  # type: ignore[attr-defined]
    if "error_message" in type(response).FIELDS:
        response.error_message = error.message  # type: ignore[attr-defined]
    if not isinstance(error, (errors.NotController, errors.StaleBrokerEpoch)):
        log.info("%s from %s: %s", api(header.api_key).name, header.client_id, error)
    return response
