"""Sends records to the leaders of a topic's partitions: in batches, in order, each once."""
from __future__ import annotations

from collections import Counter, deque

from fastbroker import errors
from fastbroker.cli.client import TIMEOUT_S, Client, Topic, check
from fastbroker.cli.connection import Connection
from fastbroker.cli.output import Failure, size
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.produce import ProduceRequest
from fastbroker.records.builder import RawRecord, build_batch

BATCH_BYTES = 256 * 1024
HELD_MAX_BYTES = 8 * 1024 * 1024
ALL = -1  # acks: every in-sync replica
DONE = {errors.NONE, errors.DuplicateSequenceNumber.code}


class Sender:
    """Holds records until a batch is full, or `flush`. An idempotent producer (KIP-98).

    records, bytes: what the brokers acknowledged, by partition.
    """

    def __init__(self, client: Client, topic: Topic, *, compression: str = "none") -> None:
        self._client, self._topic, self._compression = client, topic, compression
        self._name = topic.name or ""
        self._held: dict[int, list[RawRecord]] = {}
        self._held_bytes: Counter[int] = Counter()
        # Per partition: batches that are on their way, and the sequence number of the first.
        self._sending: dict[int, deque[list[RawRecord]]] = {}
        self._sequences: Counter[int] = Counter()
        self.records: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()
        self._producer_id, self._producer_epoch = client.attempt(self._producer)

    def add(self, partition: int, record: RawRecord) -> None:
        """Take `record`; may send. Raises KafkaError, Failure."""
        self._held.setdefault(partition, []).append(record)
        self._held_bytes[partition] += _bytes_of(record)
        if self._held_bytes[partition] >= BATCH_BYTES:
            self._send([partition])
        elif sum(self._held_bytes.values()) >= HELD_MAX_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held and wait until it is acknowledged. Raises KafkaError, Failure."""
        self._send(list(self._held))

    def _producer(self) -> tuple[int, int]:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        answer = self._client.call(request)
        check(answer.error_code, where="the producer's id")
        return answer.producer_id, answer.producer_epoch

    def _send(self, partitions: list[int]) -> None:
        for partition in partitions:
            self._sending.setdefault(partition, deque()).append(self._held.pop(partition))
            del self._held_bytes[partition]
        while self._sending:
            self._client.attempt(self._round, again=self._look_for_leaders)

    def _look_for_leaders(self) -> None:
        self._topic = self._client.topic(self._name)

    def _round(self) -> None:
        """One batch of every partition that has any. Raises the last passing error."""
        leaders: dict[int, list[int]] = {}
        failed: Exception | None = None
        known = {one.partition_index: one.leader_id for one in self._topic.partitions}
        for partition in self._sending:
            leader = known.get(partition, -1)
            if leader < 0:
                failed = errors.LeaderNotAvailable(f"{self._name}-{partition} has no leader now")
            else:
                leaders.setdefault(leader, []).append(partition)
        asked: dict[int, Connection] = {}
        try:
            for leader, partitions in leaders.items():
                asked[leader] = self._client.connection(leader)
                asked[leader].send(self._request(partitions))
            for connection in asked.values():
                failed = self._answered(connection.receive(TIMEOUT_S + 5)) or failed
        except BaseException:
            for leader, connection in asked.items():
                if connection.is_waiting:
                    self._client.drop(leader)
            raise
        if failed is not None:
            raise failed

    def _request(self, partitions: list[int]) -> ProduceRequest:
        data = ProduceRequest.TopicProduceData
        return ProduceRequest(
            acks=ALL,
            timeout_ms=int(TIMEOUT_S * 1000),
            topic_data=[
                data(
                    name=self._name,
                    topic_id=self._topic.topic_id,
                    partition_data=[
                        data.PartitionProduceData(index=one, records=self._batch(one))
                        for one in partitions
                    ],
                )
            ],
        )

    def _batch(self, partition: int) -> bytearray:
        return build_batch(
            self._sending[partition][0],
            compression=self._compression,
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            base_sequence=self._sequences[partition],
        )

    def _answered(self, response: object) -> Exception | None:
        """Take the outcome of each partition; a passing error is returned, others are raised."""
        failed: Exception | None = None
        (topic,) = response.responses  # type: ignore[attr-defined]
        for one in topic.partition_responses:
            partition, batches = one.index, self._sending[one.index]
            if one.error_code in DONE:
                self._acknowledged(partition, batches.popleft())
                if not batches:
                    del self._sending[partition]
                continue
            if one.error_code == errors.MessageTooLarge.code:
                self._split(partition, batches)
                continue
            try:
                check(one.error_code, one.error_message, where=f"{self._name}-{partition}")
            except errors.KafkaError as error:
                if not error.retriable:
                    raise
                failed = error
        return failed

    def _acknowledged(self, partition: int, records: list[RawRecord]) -> None:
        self._sequences[partition] += len(records)
        self.records[partition] += len(records)
        self.bytes[partition] += sum(map(_bytes_of, records))

    def _split(self, partition: int, batches: deque[list[RawRecord]]) -> None:
        """The topic takes smaller batches than ours: two halves, unless it is one record."""
        records = batches.popleft()
        if len(records) == 1:
            raise Failure(
                f"a record of {size(_bytes_of(records[0]))} is larger than topic {self._name!r} "
                f"takes; raise its limit with: fastbroker topic alter {self._name} "
                "--config max.message.bytes=N"
            )
        half = len(records) // 2
        batches.extendleft((records[half:], records[:half]))


def _bytes_of(record: RawRecord) -> int:
    key, value, headers, _ = record
    return (
        len(key or b"")
        + len(value or b"")
        + sum(len(name) + len(text or b"") for name, text in headers)
    )
