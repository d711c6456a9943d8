"""Brokers: registration, heartbeats, sessions, fencing, controlled shutdown.

    registered, fenced --heartbeat has caught up--> active --wants to stop--> in controlled shutdown
        ^------- session over, connection lost, granted shutdown -------------------/

Kafka: ClusterControlManager, BrokerHeartbeatManager; KIP-631.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastbroker import errors
from fastbroker.metadata.controller.elections import broker_comes, broker_leaves, leads_any
from fastbroker.metadata.controller.outcome import Outcome
from fastbroker.metadata.image import BrokerImage, MetadataImage
from fastbroker.model import ZERO_UUID
from fastbroker.protocol.messages.broker_heartbeat import (
    BrokerHeartbeatRequest,
    BrokerHeartbeatResponse,
)
from fastbroker.protocol.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
)
from fastbroker.protocol.metadata_records import (
    BrokerRegistrationChangeRecord,
    RegisterBrokerRecord,
)
from fastbroker.protocol.schema import Struct

SESSION_TIMEOUT_MS = 9000
FENCE, UNFENCE = 1, -1
_RESERVED_DIRECTORIES = 100  # ids of Kafka's that are no directory: 0 unassigned, 1 lost, ...


def check_epoch(image: MetadataImage, broker_id: int, epoch: int) -> BrokerImage:
    """The broker that runs with this epoch. Raises StaleBrokerEpoch."""
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise errors.StaleBrokerEpoch(f"Broker {broker_id} is not registered; register first")
    if broker.epoch != epoch:
        raise errors.StaleBrokerEpoch(
            f"Broker {broker_id} came with epoch {epoch}, but is registered with epoch"
            f" {broker.epoch}: another process has registered with that id since; register again"
        )
    return broker


@dataclass(slots=True)
class _Session:
    contact_ms: int
    seen: bool  # whether it contacted this controller at all
    metadata_offset: int = -1
    shutdown_offset: int = -1


class Brokers:
    """Sessions of brokers, and the rules for their requests.

    Sessions are not in the log: a new active controller gives every unfenced broker a whole one.
    Owned by the active controller.
    """

    def __init__(
        self,
        image: MetadataImage,
        *,
        cluster_id: str,
        now_ms: int,
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
    ) -> None:
        self.cluster_id, self.session_timeout_ms = cluster_id, session_timeout_ms
        self._sessions = {
            broker.id: _Session(now_ms, seen=False)
            for broker in image.brokers.values()
            if not broker.fenced
        }

    def register(
        self,
        image: MetadataImage,
        request: BrokerRegistrationRequest,
        *,
        next_offset: int,
        now_ms: int,
    ) -> Outcome:
        """A broker process starts, or says anew where it listens.

        next_offset: where the first record will stand; it becomes the epoch of a new process.
        Raises InconsistentClusterId, DuplicateBrokerRegistration, InvalidRegistration,
        UnsupportedVersion.
        """
        broker_id = request.broker_id
        if request.cluster_id != self.cluster_id:
            raise errors.InconsistentClusterId(
                f"This is cluster {self.cluster_id}, but broker {broker_id} belongs to cluster"
                f" {request.cluster_id}: its meta.properties or its controller address is wrong"
            )
        old = image.brokers.get(broker_id)
        same_process = old is not None and old.incarnation_id == request.incarnation_id
        if old is not None and not same_process and self._has_valid_session(broker_id, now_ms):
            raise errors.DuplicateBrokerRegistration(
                f"Another process is registered as broker {broker_id} and alive: stop it, or"
                f" try again {self.session_timeout_ms} ms after it stopped"
            )
        self._check_log_dirs(image, request)
        _check_features(image, request)
        record = RegisterBrokerRecord(
            broker_id=broker_id,
            incarnation_id=request.incarnation_id,
            broker_epoch=next_offset,
            end_points=[
                RegisterBrokerRecord.BrokerEndpoint(
                    name=e.name, host=e.host, port=e.port, security_protocol=e.security_protocol
                )
                for e in request.listeners
            ],
            features=[
                RegisterBrokerRecord.BrokerFeature(
                    name=f.name,
                    min_supported_version=f.min_supported_version,
                    max_supported_version=f.max_supported_version,
                )
                for f in request.features
            ],
            rack=request.rack,
            fenced=True,
            log_dirs=list(request.log_dirs),
        )
        records: list[Struct] = [record]
        if old is not None and same_process:
            record.broker_epoch, record.fenced = old.epoch, old.fenced
            record.in_controlled_shutdown = old.in_controlled_shutdown
        elif old is not None and not old.fenced:
            records += broker_leaves(image, broker_id)
        self._sessions[broker_id] = _Session(now_ms, seen=True)
        return Outcome(records, BrokerRegistrationResponse(broker_epoch=record.broker_epoch))

    def heartbeat(
        self,
        image: MetadataImage,
        request: BrokerHeartbeatRequest,
        *,
        next_offset: int,
        now_ms: int,
    ) -> Outcome:
        """A broker is alive, and says what it has read and what it wants. Raises StaleBrokerEpoch.

        A fenced broker becomes active once it has read its own registration.
        """
        broker = check_epoch(image, request.broker_id, request.broker_epoch)
        session = self._sessions.get(broker.id)
        if session is None:
            session = self._sessions[broker.id] = _Session(now_ms, seen=True)
        session.contact_ms, session.seen = now_ms, True
        session.metadata_offset = request.current_metadata_offset
        caught_up = request.current_metadata_offset >= broker.epoch
        records: list[Struct] = []
        fenced, stop = broker.fenced, False
        if broker.fenced:
            stop = request.want_shut_down
            if not request.want_fence and not stop and caught_up:
                fenced = False
                records = [_change(broker, fenced=UNFENCE), *broker_comes(image, broker.id)]
        elif request.want_fence:
            fenced, stop = True, request.want_shut_down
            records = self._fence(image, broker)
        elif request.want_shut_down or broker.in_controlled_shutdown:
            if leads_any(image, broker.id) or not broker.in_controlled_shutdown:
                if not broker.in_controlled_shutdown:
                    records = [_change(broker, in_controlled_shutdown=1)]
                records += broker_leaves(image, broker.id)
                session.shutdown_offset = next_offset + len(records) - 1
            elif session.shutdown_offset <= self._lowest_active_offset(image):
                fenced = stop = True
                records = self._fence(image, broker)
        response = BrokerHeartbeatResponse(
            is_caught_up=caught_up, is_fenced=fenced, should_shut_down=stop
        )
        return Outcome(records, response)

    def disconnected(self, image: MetadataImage, broker_id: int, epoch: int) -> list[Struct]:
        """Records for a broker whose connection is gone, which on one host proves its death."""
        broker = image.brokers.get(broker_id)
        if broker is None or broker.epoch != epoch:
            return []
        self._sessions.pop(broker_id, None)
        return [] if broker.fenced else self._fence(image, broker)

    def expired(self, image: MetadataImage, *, now_ms: int) -> list[Struct]:
        """Records that fence one broker whose session is over, if there is one; ask again then."""
        for broker_id in list(self._sessions):
            if now_ms - self._sessions[broker_id].contact_ms < self.session_timeout_ms:
                continue
            broker = image.brokers.get(broker_id)
            del self._sessions[broker_id]
            if broker is not None and not broker.fenced:
                return self._fence(image, broker)
        return []

    def _fence(self, image: MetadataImage, broker: BrokerImage) -> list[Struct]:
        return [*broker_leaves(image, broker.id), _change(broker, fenced=FENCE)]

    def _has_valid_session(self, broker_id: int, now_ms: int) -> bool:
        session = self._sessions.get(broker_id)
        return (
            session is not None
            and session.seen
            and now_ms - session.contact_ms < self.session_timeout_ms
        )

    def _lowest_active_offset(self, image: MetadataImage) -> int:
        offsets = [
            session.metadata_offset
            for broker_id, session in self._sessions.items()
            if (broker := image.brokers.get(broker_id)) is not None and broker.is_active
        ]
        return min(offsets, default=2**63 - 1)

    def _check_log_dirs(self, image: MetadataImage, request: BrokerRegistrationRequest) -> None:
        mine = request.log_dirs
        if not mine:
            raise errors.InvalidRegistration("No log directories: a broker needs at least one")
        if any(int.from_bytes(d, "big") < _RESERVED_DIRECTORIES for d in mine):
            raise errors.InvalidRegistration(
                f"A log directory has the reserved id {ZERO_UUID.hex()} or one next to it: the"
                " directory.id of its meta.properties is damaged"
            )
        if len(set(mine)) != len(mine):
            raise errors.InvalidRegistration("Two log directories have the same directory.id")
        for other in image.brokers.values():
            if other.id != request.broker_id and not set(mine).isdisjoint(other.log_dirs):
                raise errors.InvalidRegistration(
                    f"Broker {other.id} is registered with one of these log directories: a copied"
                    " meta.properties; give the copy a directory.id of its own"
                )


def _change(broker: BrokerImage, *, fenced: int = 0, in_controlled_shutdown: int = 0) -> Struct:
    return BrokerRegistrationChangeRecord(
        broker_id=broker.id,
        broker_epoch=broker.epoch,
        fenced=fenced,
        in_controlled_shutdown=in_controlled_shutdown,
    )


def _check_features(image: MetadataImage, request: BrokerRegistrationRequest) -> None:
    ranges = {f.name: (f.min_supported_version, f.max_supported_version) for f in request.features}
    for name, level in image.features.items():
        lowest, highest = ranges.get(name, (0, 0))
        if not lowest <= level <= highest:
            raise errors.UnsupportedVersion(
                f"The cluster runs {name} level {level}, but broker {request.broker_id} supports"
                f" {lowest} to {highest}: run the same version everywhere"
            )
