"""From frames to handlers and back: order, versions, failures."""
from __future__ import annotations

import logging
from typing import Any

import pytest

from fastbroker.errors import CloseConnection, CorruptFrame, UnsupportedVersion
from fastbroker.handlers.registry import HANDLERS
from fastbroker.handlers.served import SERVED
from fastbroker.protocol.api import api
from fastbroker.protocol.header import decode_response
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from tests.handlers.bench import Bench


def header(key: int, version: int, *, client: bytes = b"c") -> bytearray:
    """A request of nothing but a header."""
    fields = [(key, 2), (version, 2), (42, 4), (len(client), 2)]
    tags = b"\0" if version == 99 else b""
    head = b"".join(value.to_bytes(size, "big") for value, size in fields)
    return bytearray(head + client + tags)


def hand_over(bench: Bench, frame: bytearray) -> Any:
    return bench.dispatch(bench.connection, memoryview(frame))  # type: ignore[arg-type]


def test_every_handler_is_collected() -> None:
    assert SERVED == HANDLERS
    for key, served in SERVED.items():
        kind = api(key)
        assert kind.first <= served.first <= served.last <= kind.last
        assert served.handler.__doc__, f"{kind.name}: how it behaves"
    two_stage = [key for key, one in SERVED.items() if one.two_stage]
    assert two_stage == [0, 27], "Produce, WriteTxnMarkers"


def test_an_unknown_version_of_api_versions_is_answered_in_version_0(bench: Bench) -> None:
    assert hand_over(bench, header(18, 99)) is True
    answer = bench.connection.answers[0]
    assert answer is not None
    correlation_id, response = decode_response(ApiVersionsRequest, 0, memoryview(answer)[4:])
    assert correlation_id == 42
    assert response.error_code == UnsupportedVersion.code
    assert [(one.api_key, one.max_version) for one in response.api_keys] == [
        (18, SERVED[18].last)
    ]


@pytest.mark.parametrize(("key", "version", "says"), [
    (3, 99, "Metadata (key 3) v99 was asked for, versions 0 to 13 are served"),
    (0, 2, "Produce (key 0) v2"),
    (31, 0, "it is not served"),
    (9999, 0, "unknown (key 9999)"),
])  # fmt: skip
def test_what_is_not_served_closes_the_connection(
    bench: Bench, key: int, version: int, says: str
) -> None:
    with pytest.raises(CloseConnection) as caught:
        hand_over(bench, header(key, version))
    assert says in str(caught.value)


def test_complaints_are_few_and_name_the_software(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    software = ApiVersionsRequest(client_software_name="old", client_software_version="0.1")
    bench.ask(software, 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            with pytest.raises(CloseConnection, match=r"old 0\.1"):
                hand_over(bench, header(9999, 0))
    assert len(caplog.records) == 5, "1, 2, 4, 8, 16"


def test_a_request_that_cannot_be_read_closes_the_connection(bench: Bench) -> None:
    for frame in (bytearray(), bytearray(b"\0\3"), header(3, 9), header(3, 9)[:-1]):
        with pytest.raises(CorruptFrame):
            hand_over(bench, frame)
    assert not bench.connection.answers


def test_a_request_that_waits_holds_the_connection(slow: Bench) -> None:
    request = CreateTopicsRequest(topics=[], timeout_ms=1000)
    pending = slow.send(request, 7)
    assert pending.held
    slow.decide()
    assert pending.response.topics == []
    assert slow.connection.resumed == 1


def test_an_answer_is_of_the_version_and_id_of_its_request(bench: Bench) -> None:
    for version in (0, 8, 9, 13):
        pending = bench.send(MetadataRequest(topics=[]), version)
        data = bench.connection.answers[pending.place]
        assert data is not None
        assert int.from_bytes(data[:4], "big") == len(data) - 4
        assert decode_response(MetadataRequest, version, memoryview(data)[4:])[0] == 7


def test_a_deferred_that_fails_closes_the_connection(slow: Bench) -> None:
    slow.send(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0), 4)
    (answer,) = slow.producer_ids
    assert not slow.connection.is_closed
    with pytest.raises(ValueError, match="a bug"):
        answer.fail(ValueError("a bug"))
