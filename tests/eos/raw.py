"""Kafka's protocol spoken directly: a read_committed reader of our own, and what no client tells.

A question is asked again, of the leader as it is by then, while the broker is away or says that it
is not ready.
"""
from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.protocol.messages.list_transactions import ListTransactionsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.records.control import ABORT, control_kind
from fastbroker.records.reader import iter_batches
from tests.interop.batches import Connection

METADATA, FETCH, LIST_OFFSETS, LIST_TRANSACTIONS, COORDINATOR, OFFSET_FETCH = 4, 11, 5, 0, 2, 5
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
LATEST, MAX_BYTES, DEADLINE_S = -1, 1 << 20, 60.0
Logs = dict[int, "Log"]

# Their types ask for the fields of all versions; these are for one each.
_METADATA: Any = MetadataRequest
_FETCH: Any = FetchRequest
_OFFSETS: Any = ListOffsetsRequest
_TRANSACTIONS: Any = ListTransactionsRequest
_COORDINATOR: Any = FindCoordinatorRequest
_STORED: Any = OffsetFetchRequest


class Log(NamedTuple):
    """A partition at read_committed: its records, and the last stable offset up to which."""

    records: list[tuple[int, str, str]]  # offset, key, value
    end: int


class NotReady(Exception):
    """An answer with an error that passes."""


class Raw:
    """A client of one cluster; a connection for each question."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def end_offsets(self, topic: str, isolation: int) -> dict[int, int]:
        """The high watermark of each partition, or its last stable offset."""
        return {
            p: self._insist(lambda p=p: self._end_offset(topic, p, isolation))  # type: ignore[misc]
            for p in self._insist(lambda: self._leaders(topic))
        }

    def read_committed(self, topic: str) -> Logs:
        """All that is visible in `topic`, from the beginning to the last stable offsets of now."""
        out = {}
        for partition, end in self.end_offsets(topic, READ_COMMITTED).items():
            records: list[tuple[int, str, str]] = []
            at = 0
            while at < end:
                more, at = self._insist(
                    lambda p=partition, at=at: self._fetch(topic, p, at)  # type: ignore[misc]
                )
                records += more
            out[partition] = Log([r for r in records if r[0] < end], end)
        return out

    def stored(self, group: str, topic: str, partitions: int) -> list[int]:
        """The offsets that `group` has stored, -1 for none."""
        found: list[int] = self._insist(lambda: self._stored(group, topic, partitions))
        return found

    def ongoing(self) -> dict[str, str]:
        """The transactions that have not ended, by id, with their states."""
        found: dict[str, str] = self._insist(self._ongoing)
        return found

    def _insist(self, call: Callable[[], Any]) -> Any:
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                return call()
            except (OSError, struct.error, NotReady, KeyError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"no answer in {DEADLINE_S} s: {error!r}") from error
                time.sleep(0.05)

    def _metadata(self, topics: list[str] | None) -> Any:
        host, _, port = self.bootstrap.split(",")[0].rpartition(":")
        asked = [_METADATA.MetadataRequestTopic(name=name) for name in topics or []]
        with Connection(host, int(port)) as connection:
            return connection.ask(
                _METADATA(topics=asked, allow_auto_topic_creation=False), METADATA
            )

    def _leaders(self, topic: str) -> dict[int, tuple[str, int]]:
        """Host and port of each partition's leader."""
        told = self._metadata([topic])
        brokers = {broker.node_id: (broker.host, broker.port) for broker in told.brokers}
        (one,) = told.topics
        _check(one.error_code)
        return {p.partition_index: brokers[p.leader_id] for p in one.partitions}

    def _ask_leader(self, topic: str, partition: int, request: Any, version: int) -> Any:
        host, port = self._leaders(topic)[partition]
        with Connection(host, port) as connection:
            return connection.ask(request, version)

    def _end_offset(self, topic: str, partition: int, isolation: int) -> int:
        wanted = _OFFSETS.ListOffsetsTopic.ListOffsetsPartition(
            partition_index=partition, timestamp=LATEST
        )
        topics = [_OFFSETS.ListOffsetsTopic(name=topic, partitions=[wanted])]
        request = _OFFSETS(replica_id=-1, isolation_level=isolation, topics=topics)
        answer = self._ask_leader(topic, partition, request, LIST_OFFSETS)
        found = answer.topics[0].partitions[0]
        _check(found.error_code)
        return int(found.offset)

    def _fetch(
        self, topic: str, partition: int, start: int
    ) -> tuple[list[tuple[int, str, str]], int]:
        """Committed records from `start` on, and where to go on."""
        wanted = _FETCH.FetchTopic.FetchPartition(
            partition=partition, fetch_offset=start, partition_max_bytes=MAX_BYTES
        )
        topics = [_FETCH.FetchTopic(topic=topic, partitions=[wanted])]
        request = _FETCH(
            max_wait_ms=100, min_bytes=1, max_bytes=MAX_BYTES, isolation_level=READ_COMMITTED,
            topics=topics,
        )  # fmt: skip
        answer = self._ask_leader(topic, partition, request, FETCH)
        _check(answer.error_code)
        told = answer.responses[0].partitions[0]
        _check(told.error_code)
        aborted = [(t.first_offset, t.producer_id) for t in told.aborted_transactions or []]
        return visible(told.records or b"", aborted, start)

    def _stored(self, group: str, topic: str, partitions: int) -> list[int]:
        host, _, port = self.bootstrap.split(",")[0].rpartition(":")
        with Connection(host, int(port)) as connection:
            where = connection.ask(_COORDINATOR(key=group, key_type=0), COORDINATOR)
        _check(where.error_code)
        asked = _STORED.OffsetFetchRequestTopic(
            name=topic, partition_indexes=list(range(partitions))
        )
        with Connection(where.host, where.port) as connection:
            answer = connection.ask(_STORED(group_id=group, topics=[asked]), OFFSET_FETCH)
        _check(answer.error_code)
        out = [-1] * partitions
        for one in answer.topics[0].partitions:
            _check(one.error_code)
            out[one.partition_index] = one.committed_offset
        return out

    def _ongoing(self) -> dict[str, str]:
        out = {}
        for broker in self._metadata([]).brokers:
            with Connection(broker.host, broker.port) as connection:
                answer = connection.ask(
                    _TRANSACTIONS(state_filters=[], producer_id_filters=[]), LIST_TRANSACTIONS
                )
            _check(answer.error_code)
            for one in answer.transaction_states:
                if one.transaction_state in ("Ongoing", "PrepareCommit", "PrepareAbort"):
                    out[one.transactional_id] = one.transaction_state
        return out


def visible(
    data: Any, aborted: list[tuple[int, int]], start: int
) -> tuple[list[tuple[int, str, str]], int]:
    """What of the batches in `data` belongs to no aborted transaction, and the offset behind them.

    aborted: first offset and producer id, as a fetch at read_committed tells them.
    """
    waiting = sorted(aborted)
    inside: set[int] = set()
    records = []
    for batch in iter_batches(data):
        header = batch.header
        start = header.last_offset + 1
        while waiting and waiting[0][0] <= header.last_offset:
            inside.add(waiting.pop(0)[1])
        if header.is_control:
            mark = batch.records()[0].key
            if mark is not None and control_kind(bytes(mark)) == ABORT:
                inside.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in inside):
            for record in batch.records():
                key, value = bytes(record.key or b"").decode(), bytes(record.value or b"").decode()
                records.append((record.offset, key, value))
    return records, start


def _check(error_code: int) -> None:
    if error_code:
        raise NotReady(f"error {error_code}")
