"""InitProducerId."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.handlers.bench import Bench


def request(transactional_id: str | None = None, **fields: Any) -> InitProducerIdRequest:
    return InitProducerIdRequest(
        transactional_id=transactional_id, transaction_timeout_ms=1000, **fields
    )


@pytest.mark.parametrize("version", range(6))
def test_a_fresh_id_with_epoch_0(bench: Bench, version: int) -> None:
    found = [bench.ask(request(), version) for _ in range(2)]
    assert [(one.error_code, one.producer_id, one.producer_epoch) for one in found] == [
        (0, 1001, 0), (0, 1002, 0),
    ]  # fmt: skip


def test_a_producer_that_has_one_gets_another(bench: Bench) -> None:
    assert bench.ask(request(producer_id=7, producer_epoch=3), 4).producer_id == 1001


def test_it_waits_for_the_controller(slow: Bench) -> None:
    pending = slow.send(request(), 4)
    assert pending.held
    slow.producer_ids[0].complete(77)
    assert pending.response.producer_id == 77


def test_without_ids_the_producer_is_told_to_come_again(slow: Bench) -> None:
    pending = slow.send(request(), 4)
    slow.producer_ids[0].fail(errors.CoordinatorLoadInProgress("no ids"))
    response = pending.response
    assert response.error_code == errors.CoordinatorLoadInProgress.code
    assert (response.producer_id, response.producer_epoch) == (-1, -1)


@pytest.mark.parametrize(("asked", "error"), [
    (request(producer_id=7), errors.InvalidRequest),
    (request(producer_epoch=7), errors.InvalidRequest),
    (request(""), errors.InvalidRequest),
    (request("tx"), errors.UnsupportedVersion),
])  # fmt: skip
def test_what_is_refused(bench: Bench, asked: InitProducerIdRequest, error: Any) -> None:
    response = bench.ask(asked, 4)
    assert (response.error_code, response.producer_id) == (error.code, -1)
    assert not bench.producer_ids
