"""The worker's connections to the controller: registration, heartbeats, forwarded requests,
producer ids."""
from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from fastbroker._c.codec import encode
from fastbroker.errors import (
    CoordinatorLoadInProgress,
    NetworkException,
    NoSpaceLeft,
    PolicyViolation,
    RequestTimedOut,
    of,
)
from fastbroker.handlers.context import RequestContext
from fastbroker.model import Deferred, Timers
from fastbroker.net.client import BrokerClient
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.allocate_producer_ids import (
    AllocateProducerIdsRequest,
    AllocateProducerIdsResponse,
)
from fastbroker.protocol.messages.broker_heartbeat import (
    BrokerHeartbeatRequest,
    BrokerHeartbeatResponse,
)
from fastbroker.protocol.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
)
from fastbroker.protocol.messages.envelope import EnvelopeRequest, EnvelopeResponse
from fastbroker.protocol.principal import DefaultPrincipalData
from fastbroker.protocol.schema import plan

log = logging.getLogger(__name__)

REGISTRATION_VERSION, HEARTBEAT_VERSION, ENVELOPE_VERSION, PRODUCER_IDS_VERSION = 4, 2, 0, 0
RETRY_MS = 20
HEARTBEAT_TIMEOUT_MS = 4000
PRODUCERS_WAITING_MAX = 10_000
# The controller serves all workers: none of them may keep it from the others for long.
FORWARDED_BYTES_MAX = 2 << 20
_ANONYMOUS = encode(
    plan(DefaultPrincipalData, 0), DefaultPrincipalData(type="User", name="ANONYMOUS"), b"\0\0"
)


class Lifecycle:
    """Keeps this broker registered and unfenced, and takes it out when it stops.

    metadata_offset(): the last offset of the metadata log that is applied here.
    unfenced(): called when the controller says for the first time that clients may come.
    """

    def __init__(
        self,
        client: BrokerClient,
        timers: Timers,
        registration: BrokerRegistrationRequest,
        *,
        interval_ms: int,
        metadata_offset: Callable[[], int],
        unfenced: Callable[[], object],
    ) -> None:
        self.client, self.timers, self.registration = client, timers, registration
        self.interval_ms, self.metadata_offset = interval_ms, metadata_offset
        self._unfenced: Callable[[], object] | None = unfenced
        self.broker_epoch = -1
        self.is_fenced = True
        self._stopping: Deferred[None] | None = None
        self._is_registering = self._is_beating = self._again = False
        self._timer: Any = None

    def connected(self) -> None:
        """A connection to the controller has been made: introduce ourselves at once."""
        if self.broker_epoch < 0:
            self._register()
        else:
            self.beat()

    def caught_up(self) -> None:
        """The metadata log has been applied further."""
        if self.is_fenced and self.metadata_offset() >= self.broker_epoch >= 0:
            self.beat()

    def stop(self) -> Deferred[None]:
        """Ask to be taken out; done when the controller has moved everything away."""
        if self._stopping is None:
            self._stopping = Deferred()
        self.beat()
        return self._stopping

    def _register(self) -> None:
        """One at a time, again and again until it succeeds."""
        if self._is_registering:
            return
        self._is_registering = True
        self.client.call(self.registration, REGISTRATION_VERSION).then(self._registered)

    def _registered(self, answer: Deferred[BrokerRegistrationResponse]) -> None:
        code = answer.result().error_code if answer.error is None else 0
        if code or answer.error is not None:
            why = of(code).name if code else str(answer.error)
            log.warning("the controller does not register this broker yet: %s", why)
            self.timers.after(RETRY_MS * 5, self._register_again)
            return
        self._is_registering = False
        self.broker_epoch = answer.result().broker_epoch
        self.registration.previous_broker_epoch = self.broker_epoch
        self.beat()

    def _register_again(self) -> None:
        self._is_registering = False
        self._register()

    def beat(self) -> None:
        """Send a heartbeat now; one at a time."""
        if self._is_beating:
            self._again = True
            return
        if self.broker_epoch < 0:
            return
        self._is_beating, self._again = True, False
        if self._timer is not None:
            self._timer.cancel()
        request = BrokerHeartbeatRequest(
            broker_id=self.registration.broker_id,
            broker_epoch=self.broker_epoch,
            current_metadata_offset=self.metadata_offset(),
            want_fence=False,
            want_shut_down=self._stopping is not None,
        )
        self.client.call(request, HEARTBEAT_VERSION, timeout_ms=HEARTBEAT_TIMEOUT_MS).then(
            self._beaten
        )

    def _beaten(self, answer: Deferred[BrokerHeartbeatResponse]) -> None:
        self._is_beating = False
        delay_ms: float = self.interval_ms
        if answer.error is not None:
            delay_ms = RETRY_MS
        else:
            said = answer.result()
            if said.error_code:
                log.warning("the controller has forgotten this broker (%s): registering anew",
                            of(said.error_code).name)  # fmt: skip
                self.broker_epoch, self.is_fenced = -1, True
                self._register()
                return
            self.is_fenced = said.is_fenced
            if not said.is_fenced and self._unfenced is not None:
                unfenced, self._unfenced = self._unfenced, None
                unfenced()
            if self._stopping is not None:
                if said.should_shut_down and not self._stopping.done:
                    self._stopping.complete(None)
                    return
                delay_ms = RETRY_MS
        if self._again:
            delay_ms = 0
        self._timer = self.timers.after(delay_ms, self.beat)


class Forwarding:
    """Sends clients' requests on to the controller (Envelope, KIP-590)."""

    def __init__(self, client: BrokerClient, timeout_ms: int) -> None:
        self.client, self.timeout_ms = client, timeout_ms

    def __call__(self, request: Any, ctx: RequestContext) -> Deferred[Any]:
        """The controller's response to `request`, of the same API and version as `ctx` names.

        Fails with RequestTimedOut when the controller does not answer in time, with PolicyViolation
        when the request is too large for it.
        """
        done: Deferred[Any] = Deferred()
        parts = encode_request(request, ctx.api_version, 0, ctx.client_id)
        data = b"".join(parts)[4:]  # type: ignore[arg-type]
        if len(data) > FORWARDED_BYTES_MAX:
            done.fail(
                PolicyViolation(
                    f"a request of {len(data)} bytes for the controller, which takes"
                    f" {FORWARDED_BYTES_MAX}: split it"
                )
            )
            return done

        def answered(answer: Deferred[EnvelopeResponse]) -> None:
            if answer.error is not None:
                error: BaseException = answer.error
                if isinstance(error, NetworkException):
                    error = RequestTimedOut(f"the controller was lost before it answered: {error}")
                done.fail(error)
                return
            said = answer.result()
            if said.error_code == NoSpaceLeft.code:
                done.fail(NoSpaceLeft("the controller's disk is full: free space there"))
                return
            if said.error_code:
                done.fail(of(said.error_code)("the controller refused to take the request"))
                return
            frame = memoryview(said.response_data or b"")
            done.complete(decode_response(type(request), ctx.api_version, frame)[1])

        envelope = EnvelopeRequest(
            request_data=data,
            request_principal=_ANONYMOUS,
            client_host_address=_packed(ctx.client_host.lstrip("/")),
        )
        self.client.call(envelope, ENVELOPE_VERSION, timeout_ms=self.timeout_ms).then(answered)
        return done


def _packed(host: str) -> bytes:
    """An IP address, without its scope, in 4 or 16 bytes."""
    return inet_pton(AF_INET6 if ":" in host else AF_INET, host.partition("%")[0])


class ProducerIds:
    """Hands out producer ids from blocks that the controller gives (KIP-730).

    broker_epoch(): of this broker's registration, which a block is asked for with.
    """

    def __init__(
        self, client: BrokerClient, broker_id: int, broker_epoch: Callable[[], int]
    ) -> None:
        self.client, self.broker_id, self.broker_epoch = client, broker_id, broker_epoch
        self._next = self._end = 0
        self._waiting: deque[Deferred[int]] = deque()
        self._is_asking = False

    def __call__(self) -> Deferred[int]:
        """An id that nobody else has.

        Fails with CoordinatorLoadInProgress when there is none, which producers try again after.
        """
        answer: Deferred[int] = Deferred()
        if len(self._waiting) >= PRODUCERS_WAITING_MAX:
            answer.fail(CoordinatorLoadInProgress("too many producers wait for an id"))
            return answer
        self._waiting.append(answer)
        self._go_on()
        return answer

    def _go_on(self) -> None:
        """Give out what there is, in order; ask for a block when more is wanted."""
        while self._waiting and self._next < self._end:
            taken = self._next
            self._next += 1
            self._waiting.popleft().complete(taken)
        if self._waiting and not self._is_asking:
            self._ask()

    def _ask(self) -> None:
        self._is_asking = True
        request = AllocateProducerIdsRequest(
            broker_id=self.broker_id, broker_epoch=self.broker_epoch()
        )
        self.client.call(request, PRODUCER_IDS_VERSION).then(self._answered)

    def _answered(self, answer: Deferred[AllocateProducerIdsResponse]) -> None:
        self._is_asking = False
        error = answer.error
        if error is None and answer.result().error_code:
            error = of(answer.result().error_code)("the controller refused")
        if error is None:
            self._next = answer.result().producer_id_start
            self._end = self._next + answer.result().producer_id_len
            self._go_on()
            return
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            one.fail(CoordinatorLoadInProgress(f"the controller gave no producer ids: {error}"))
