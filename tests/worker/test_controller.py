"""The worker's side of registration, heartbeats, forwarding and producer ids; the other side is the
test."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.handlers.context import RequestContext
from fastbroker.model import Deferred
from fastbroker.protocol.header import encode_response
from fastbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsResponse
from fastbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatResponse
from fastbroker.protocol.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
)
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from fastbroker.protocol.messages.envelope import EnvelopeResponse
from fastbroker.worker.controller import (
    PRODUCERS_WAITING_MAX,
    RETRY_MS,
    Forwarding,
    Lifecycle,
    ProducerIds,
)
from tests.group.virtual_timers import VirtualTimers
from tests.handlers.bench import content
from tests.worker.fake_client import FakeClient

INTERVAL_MS = 2000


class Bench:
    def __init__(self) -> None:
        self.timers, self.client = VirtualTimers(), FakeClient()
        self.offset = -1
        self.unfenced = 0
        self.lifecycle = Lifecycle(
            self.client,  # type: ignore[arg-type]
            self.timers,
            BrokerRegistrationRequest(broker_id=3),
            interval_ms=INTERVAL_MS,
            metadata_offset=lambda: self.offset,
            unfenced=self._unfenced,
        )

    def _unfenced(self) -> None:
        self.unfenced += 1

    def register(self, epoch: int = 10, error: int = 0) -> Any:
        """Answer a registration; the request."""
        request, answer = self.client.take("BrokerRegistrationRequest")
        self.previous_epoch = request.previous_broker_epoch
        answer.complete(BrokerRegistrationResponse(error_code=error, broker_epoch=epoch))
        return request

    def beat(self, *, fenced: bool = False, stop: bool = False, error: int = 0) -> Any:
        """Answer a heartbeat; the request."""
        request, answer = self.client.take("BrokerHeartbeatRequest")
        answer.complete(
            BrokerHeartbeatResponse(error_code=error, is_fenced=fenced, should_shut_down=stop)
        )
        return request


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_registers_reads_on_and_is_unfenced(bench: Bench) -> None:
    bench.lifecycle.connected()
    bench.register(epoch=10)
    first = bench.beat(fenced=True)
    assert (first.broker_epoch, first.current_metadata_offset) == (10, -1)
    assert bench.unfenced == 0
    bench.offset = 9
    bench.lifecycle.caught_up()
    assert not bench.client.calls, "its own registration is still to be read"
    bench.offset = 10
    bench.lifecycle.caught_up()
    assert bench.beat().current_metadata_offset == 10
    assert bench.unfenced == 1
    assert not bench.lifecycle.is_fenced


def unfenced(bench: Bench) -> Bench:
    bench.lifecycle.connected()
    bench.register()
    bench.offset = 10
    bench.beat()
    return bench


def test_it_beats_at_its_interval(bench: Bench) -> None:
    unfenced(bench)
    bench.timers.advance(INTERVAL_MS - 1)
    assert not bench.client.calls
    bench.timers.advance(1)
    bench.beat()
    assert bench.unfenced == 1, "told once"
    assert bench.timers.waiting == 1


def test_a_beat_asked_for_while_one_is_under_way_follows_it(bench: Bench) -> None:
    unfenced(bench)
    bench.lifecycle.beat()
    bench.lifecycle.beat()
    assert len(bench.client.calls) == 1
    bench.beat()
    bench.timers.advance(0)
    bench.beat()
    bench.timers.advance(0)
    assert not bench.client.calls


def test_a_refused_registration_is_tried_again(bench: Bench) -> None:
    bench.lifecycle.connected()
    bench.register(error=errors.DuplicateBrokerRegistration.code)
    bench.timers.advance(RETRY_MS * 5)
    bench.register()
    bench.beat()
    assert bench.unfenced == 1


def test_a_registration_without_an_answer_is_tried_again(bench: Bench) -> None:
    bench.lifecycle.connected()
    bench.client.take("BrokerRegistrationRequest")[1].fail(errors.RequestTimedOut("30 s"))
    bench.timers.advance(RETRY_MS * 5)
    bench.register()
    bench.beat()
    assert bench.unfenced == 1


def test_a_connection_lost_while_registering(bench: Bench) -> None:
    bench.lifecycle.connected()
    bench.client.take("BrokerRegistrationRequest")[1].fail(errors.NetworkException("lost"))
    bench.lifecycle.connected()
    bench.timers.advance(RETRY_MS * 5)
    bench.register()
    bench.beat()
    assert not bench.client.calls, "one registration is enough"


def test_one_registration_at_a_time(bench: Bench) -> None:
    bench.lifecycle.connected()
    bench.register(error=errors.DuplicateBrokerRegistration.code)
    bench.lifecycle.connected()  # lost and made anew meanwhile
    bench.timers.advance(RETRY_MS * 5)
    bench.register()
    bench.beat()
    bench.timers.advance(RETRY_MS * 5)
    assert not bench.client.calls


def test_a_new_connection_begins_with_a_heartbeat(bench: Bench) -> None:
    unfenced(bench)
    bench.lifecycle.connected()
    assert bench.beat(fenced=True).broker_epoch == 10
    assert bench.lifecycle.is_fenced, "the lost connection had it fenced"
    bench.lifecycle.caught_up()
    bench.beat()
    assert not bench.lifecycle.is_fenced


def test_a_heartbeat_lost_with_its_connection_is_sent_again_soon(bench: Bench) -> None:
    unfenced(bench)
    bench.timers.advance(INTERVAL_MS)
    bench.client.take("BrokerHeartbeatRequest")[1].fail(errors.NetworkException("lost"))
    bench.timers.advance(RETRY_MS)
    bench.beat()


def test_forgotten_by_the_controller_it_registers_anew(bench: Bench) -> None:
    unfenced(bench)
    bench.timers.advance(INTERVAL_MS)
    bench.beat(error=errors.StaleBrokerEpoch.code)
    bench.register(epoch=20)
    assert bench.previous_epoch == 10
    bench.offset = 20
    assert bench.beat().broker_epoch == 20
    assert bench.unfenced == 1
    bench.timers.advance(INTERVAL_MS)
    bench.beat()
    assert bench.timers.waiting == 1, "one heartbeat at a time"


def test_it_stops_when_the_controller_lets_it(bench: Bench) -> None:
    unfenced(bench)
    stopped = bench.lifecycle.stop()
    assert bench.beat().want_shut_down
    assert not stopped.done
    bench.timers.advance(RETRY_MS)
    bench.beat(fenced=True, stop=True)
    assert stopped.done
    bench.timers.advance(INTERVAL_MS)
    assert not bench.client.calls


def test_stopped_while_a_heartbeat_is_under_way(bench: Bench) -> None:
    unfenced(bench)
    bench.timers.advance(INTERVAL_MS)
    stopped = bench.lifecycle.stop()
    assert not bench.beat().want_shut_down
    bench.timers.advance(RETRY_MS)
    assert bench.beat(stop=True).want_shut_down
    assert stopped.done


def test_asked_to_stop_twice_both_are_told(bench: Bench) -> None:
    unfenced(bench)
    first, second = bench.lifecycle.stop(), bench.lifecycle.stop()
    bench.beat(stop=True)
    assert first.done
    assert second.done


# ---- forwarding

CTX = RequestContext(
    None, DeleteTopicsRequest.KEY, 6, "c", "/10.1.2.3", "PLAINTEXT", ("h", 1), None  # type: ignore[arg-type]
)  # fmt: skip


def forward(client: FakeClient, ctx: RequestContext = CTX) -> Deferred[Any]:
    forwarding = Forwarding(client, 1000)  # type: ignore[arg-type]
    return forwarding(DeleteTopicsRequest(topics=[], timeout_ms=7), ctx)


def test_a_request_travels_in_an_envelope() -> None:
    client = FakeClient()
    answer = forward(client)
    request, envelope = client.take("EnvelopeRequest")
    assert request.client_host_address == bytes([10, 1, 2, 3])
    inner = DeleteTopicsResponse(responses=[], throttle_time_ms=5)
    data = b"".join(map(content, encode_response(inner, 6, 0)))[4:]
    envelope.complete(EnvelopeResponse(response_data=data))
    assert answer.result().throttle_time_ms == 5


@pytest.mark.parametrize(("host", "size"), [("/::1", 16), ("/fe80::1%eth0", 16), ("/1.2.3.4", 4)])
def test_clients_come_from_both_families(host: str, size: int) -> None:
    client = FakeClient()
    forward(client, CTX._replace(client_host=host))
    assert len(client.take("EnvelopeRequest")[0].client_host_address) == size


def test_a_controller_that_is_lost_or_refuses() -> None:
    client = FakeClient()
    answer = forward(client)
    client.take("EnvelopeRequest")[1].fail(errors.NetworkException("lost"))
    assert isinstance(answer.error, errors.RequestTimedOut)
    answer = forward(client)
    refused = EnvelopeResponse(error_code=errors.NotController.code, response_data=None)
    client.take("EnvelopeRequest")[1].complete(refused)
    assert isinstance(answer.error, errors.NotController)


# ---- producer ids


def block(start: int, size: int) -> AllocateProducerIdsResponse:
    return AllocateProducerIdsResponse(producer_id_start=start, producer_id_len=size)


def test_ids_come_from_blocks_and_are_never_given_twice() -> None:
    client = FakeClient()
    ids = ProducerIds(client, 3, lambda: 10)  # type: ignore[arg-type]
    waiting = [ids() for _ in range(5)]
    request, answer = client.take("AllocateProducerIdsRequest")
    assert (request.broker_id, request.broker_epoch) == (3, 10)
    assert not client.calls, "one block is asked for at a time"
    answer.complete(block(100, 3))
    client.take("AllocateProducerIdsRequest")[1].complete(block(500, 3))
    assert [one.result() for one in waiting] == [100, 101, 102, 500, 501]
    assert ids().result() == 502
    assert not client.calls
    ids()
    assert len(client.calls) == 1


def test_a_producer_that_comes_while_ids_are_given_out_gets_one() -> None:
    client = FakeClient()
    ids = ProducerIds(client, 3, lambda: 10)  # type: ignore[arg-type]
    more: list[Deferred[int]] = []
    first, second, third = ids(), ids(), ids()
    first.then(lambda _: more.extend([ids(), ids()]))
    client.take("AllocateProducerIdsRequest")[1].complete(block(0, 2))
    assert not third.done
    client.take("AllocateProducerIdsRequest")[1].complete(block(2, 10))
    given = [one.result() for one in (first, second, third, *more)]
    assert sorted(given) == [0, 1, 2, 3, 4]
    assert not client.calls


@pytest.mark.parametrize("error", [errors.NetworkException("lost"), errors.RequestTimedOut("no")])
def test_without_a_controller_producers_are_told_to_come_again(error: errors.KafkaError) -> None:
    client = FakeClient()
    ids = ProducerIds(client, 3, lambda: 10)  # type: ignore[arg-type]
    waiting = ids()
    client.take("AllocateProducerIdsRequest")[1].fail(error)
    assert isinstance(waiting.error, errors.CoordinatorLoadInProgress)
    waiting = ids()
    stale = AllocateProducerIdsResponse(error_code=errors.StaleBrokerEpoch.code)
    client.take("AllocateProducerIdsRequest")[1].complete(stale)
    assert isinstance(waiting.error, errors.CoordinatorLoadInProgress)


def test_waiting_producers_are_bounded() -> None:
    client = FakeClient()
    ids = ProducerIds(client, 3, lambda: 10)  # type: ignore[arg-type]
    for _ in range(PRODUCERS_WAITING_MAX):
        ids()
    assert isinstance(ids().error, errors.CoordinatorLoadInProgress)
