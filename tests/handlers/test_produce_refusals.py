"""What Produce refuses as a whole, and what a refusal tells."""
from __future__ import annotations

import gc
import pathlib
from types import SimpleNamespace
from typing import Any

import pytest

from fastbroker.config.broker import BrokerConfig
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import CloseConnection
from fastbroker.handlers.produce import produce
from fastbroker.model import Deferred, TopicPartition
from fastbroker.partition.partition import Leadership, Partition
from fastbroker.protocol.messages.produce import ProduceRequest, ProduceResponse
from fastbroker.storage.space import Space
from tests.group.virtual_timers import VirtualTimers
from tests.storage.logs import TP, batch, open_log

TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE = 2, 87, 10
LOG_START = 2


class OnePartition:
    """A broker with one partition, whose log starts at LOG_START; nothing is ever flushed."""

    def __init__(self, folder: pathlib.Path) -> None:
        log = open_log(folder, TopicConfig(max_message_bytes=200))
        self.partition_ = Partition(
            TP, bytes(16), lambda: log, broker_id=1, request_flush=lambda p: None
        )
        self.partition_.lead(Leadership(1, 0, 0, (1,), (1,)))
        for value in "abc":
            self.partition_.append_internal(bytearray(batch(value)), now_ms=0)
        log.flush()
        self.partition_._advance()
        self.partition_.delete_records(LOG_START)
        self.timers = VirtualTimers()
        self.config = BrokerConfig({})
        self.log_dir = SimpleNamespace(space=Space(str(folder)))

    def partition(self, topic: str, number: int) -> Partition:
        assert TopicPartition(topic, number) == TP
        return self.partition_

    def produce(self, *records: Any, **fields: Any) -> Any:
        data = ProduceRequest.TopicProduceData
        parts = [data.PartitionProduceData(index=0, records=memoryview(one)) for one in records]
        topic = data(name=TP.topic, partition_data=parts)
        fields = {"acks": -1, "timeout_ms": 0, **fields}
        ctx: Any = SimpleNamespace(broker=self, api_version=9, client_id="c")
        return produce(ctx, ProduceRequest(topic_data=[topic], **fields))


@pytest.fixture
def broker(tmp_path: pathlib.Path) -> OnePartition:
    return OnePartition(tmp_path)


def codes(answer: ProduceResponse) -> list[int]:
    return [part.error_code for part in answer.responses[0].partition_responses]


TRANSACTIONAL = batch("t", is_transactional=True, producer_id=7, producer_epoch=0, base_sequence=0)


def test_a_transactional_batch_without_a_transactional_id_refuses_the_request(
    broker: OnePartition,
) -> None:
    end = broker.partition_.log.log_end_offset
    answer = broker.produce(batch("plain"), TRANSACTIONAL)
    assert codes(answer) == [TRANSACTIONAL_ID_AUTHORIZATION_FAILED] * 2
    assert answer.responses[0].partition_responses[0].error_message
    assert broker.partition_.log.log_end_offset == end
    with pytest.raises(CloseConnection):
        broker.produce(TRANSACTIONAL, acks=0)


def test_a_transactional_id_alone_refuses_nothing(broker: OnePartition) -> None:
    assert isinstance(broker.produce(batch("plain"), transactional_id="id"), Deferred)


@pytest.mark.parametrize(
    ("data", "code", "log_start"),
    [
        (batch("x", base_offset=5), INVALID_RECORD, LOG_START),
        (bytes(batch("x"))[:-1], INVALID_RECORD, -1),
        (bytes(batch("x"))[:-1] + b"?", CORRUPT_MESSAGE, -1),
        (batch("x" * 500), MESSAGE_TOO_LARGE, -1),
    ],
)
def test_errors_about_records_tell_where_the_log_starts(
    broker: OnePartition, data: Any, code: int, log_start: int
) -> None:
    (part,) = broker.produce(data).responses[0].partition_responses
    assert (part.error_code, part.log_start_offset) == (code, log_start)


@pytest.mark.parametrize("acks", [-1, 0])
def test_refused_records_are_let_go_of_at_once(broker: OnePartition, acks: int) -> None:
    """Not when the garbage collector comes: what requests hold is limited."""
    large = bytearray(batch("x" * 300))
    gc.disable()
    try:
        if acks:
            assert codes(broker.produce(large, acks=acks)) == [MESSAGE_TOO_LARGE]
        else:
            with pytest.raises(CloseConnection) as refused:
                broker.produce(large, acks=acks)
            del refused
        large.append(0)  # a BufferError, if anybody has a view of it
    finally:
        gc.enable()
