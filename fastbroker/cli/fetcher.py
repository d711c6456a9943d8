"""Reads partitions of one topic from their leaders, several leaders at once."""
from __future__ import annotations

import select
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from fastbroker import errors
from fastbroker.cli.client import TIMEOUT_S, Client, Topic, check
from fastbroker.cli.connection import Connection, ConnectionLost
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.messages.list_offsets import ListOffsetsRequest
from fastbroker.records.reader import Record, iter_batches

LATEST, EARLIEST = -1, -2  # ListOffsets' special timestamps
CONSUMER = -1
FETCH_MAX_BYTES, PARTITION_MAX_BYTES = 8 * 1024 * 1024, 1024 * 1024
WAIT_S = 0.5
PAUSE_S = 0.1
# A connection of their own: other requests must not wait behind a fetch that waits for records.
PURPOSE = "fetch"


class Fetcher:
    """positions: by partition, the offset to read next; who reads the records moves them on."""

    def __init__(self, client: Client, topic: Topic) -> None:
        self.positions: dict[int, int] = {}
        self._client, self._topic, self._name = client, topic, topic.name or ""
        # By leader: what was asked of it and not answered yet, {partition: offset}.
        self._asked: dict[int, dict[int, int]] = {}
        self._last_answer = time.monotonic()

    def offsets(self, partitions: Iterable[int], timestamp: int) -> dict[int, int]:
        """The EARLIEST or LATEST offset of each of `partitions`."""
        wanted, out = set(partitions), dict[int, int]()

        def look() -> None:
            for leader, indexes in self._leaders(wanted - set(out)).items():
                out.update(self._list_offsets(leader, indexes, timestamp))

        self._client.attempt(look, again=self._look_for_leaders)
        return out

    def poll(self, wait_s: float) -> Iterator[tuple[int, Record]]:
        """(partition, record) of what arrives within `wait_s`, in order within a partition.

        The caller sets positions[partition] to the record's offset + 1 once it is dealt with.
        Raises KafkaError, Failure for what does not pass within TIMEOUT_S.
        """
        try:
            connections = self._ask(wait_s)
            if not connections:
                time.sleep(wait_s)
                self._last_answer = time.monotonic()
                return
            ready, _, _ = select.select(connections, (), (), wait_s + PAUSE_S)
            for connection in ready:
                leader = connections[connection]
                try:
                    response = connection.receive(TIMEOUT_S)
                except BaseException:
                    self._forget(leader)
                    raise
                asked = self._asked.pop(leader)
                self._last_answer = time.monotonic()
                yield from self._records(response, asked)
        except (ConnectionLost, errors.KafkaError) as error:
            passing = not isinstance(error, errors.KafkaError) or error.retriable
            if not passing or time.monotonic() - self._last_answer > TIMEOUT_S:
                raise
            time.sleep(PAUSE_S)
            self._client.attempt(self._look_for_leaders)

    def _leaders(self, partitions: Iterable[int]) -> dict[int, list[int]]:
        known = {one.partition_index: one.leader_id for one in self._topic.partitions}
        out: dict[int, list[int]] = {}
        for partition in sorted(partitions):
            leader = known.get(partition, -1)
            if leader < 0:
                raise errors.LeaderNotAvailable(f"{self._name}-{partition} has no leader now")
            out.setdefault(leader, []).append(partition)
        return out

    def _look_for_leaders(self) -> None:
        self._topic = self._client.topic(self._name)

    def _forget(self, leader: int) -> None:
        self._asked.pop(leader, None)
        self._client.drop(leader, PURPOSE)

    def _ask(self, wait_s: float) -> dict[Connection, int]:
        """A fetch to every leader that has none; the connections with one, and their leaders."""
        out: dict[Connection, int] = {}
        for leader, partitions in self._leaders(self.positions).items():
            connection = self._client.connection(leader, PURPOSE)
            out[connection] = leader
            if leader not in self._asked:
                asked = {one: self.positions[one] for one in partitions}
                try:
                    connection.send(self._request(asked, wait_s))
                except BaseException:
                    self._forget(leader)
                    raise
                self._asked[leader] = asked
        return out

    def _request(self, asked: dict[int, int], wait_s: float) -> FetchRequest:
        topic = FetchRequest.FetchTopic
        return FetchRequest(
            replica_id=CONSUMER,
            max_wait_ms=int(wait_s * 1000),
            min_bytes=1,
            max_bytes=FETCH_MAX_BYTES,
            topics=[
                topic(
                    topic=self._name,
                    topic_id=self._topic.topic_id,
                    partitions=[
                        topic.FetchPartition(
                            partition=partition,
                            fetch_offset=offset,
                            partition_max_bytes=PARTITION_MAX_BYTES,
                        )
                        for partition, offset in asked.items()
                    ],
                )
            ],
        )

    def _records(self, response: Any, asked: dict[int, int]) -> Iterator[tuple[int, Record]]:
        check(response.error_code, where=f"topic {self._name!r}")
        failed: errors.KafkaError | None = None
        for topic in response.responses:
            for one in topic.partitions:
                partition = one.partition_index
                if self.positions.get(partition) != asked.get(partition):
                    continue  # it was taken from us, or set anew, since we asked
                try:
                    check(one.error_code, where=f"{self._name}-{partition}")
                except errors.OffsetOutOfRange:
                    self._begin_anew(partition)
                except errors.KafkaError as error:
                    failed = error
                else:
                    yield from self._of_partition(partition, one.records)
        if failed is not None:
            raise failed

    def _of_partition(self, partition: int, data: Any) -> Iterator[tuple[int, Record]]:
        for batch in iter_batches(data or b""):
            header = batch.header
            if not header.is_control:
                for record in batch.records():
                    if record.offset >= self.positions[partition]:
                        yield partition, record
            after = header.base_offset + header.last_offset_delta + 1
            self.positions[partition] = max(self.positions[partition], after)

    def _begin_anew(self, partition: int) -> None:
        """What we wanted next was deleted, by retention most likely."""
        wanted = self.positions[partition]
        self.positions.update(self.offsets([partition], EARLIEST))
        click.echo(
            f"note: {self._name}-{partition} no longer holds offset {wanted}; "
            f"going on at {self.positions[partition]}",
            err=True,
        )

    def _list_offsets(self, leader: int, partitions: list[int], timestamp: int) -> dict[int, int]:
        topic = ListOffsetsRequest.ListOffsetsTopic
        request = ListOffsetsRequest(
            replica_id=CONSUMER,
            topics=[
                topic(
                    name=self._name,
                    partitions=[
                        topic.ListOffsetsPartition(partition_index=one, timestamp=timestamp)
                        for one in partitions
                    ],
                )
            ],
            timeout_ms=int(TIMEOUT_S * 1000),
        )
        (answer,) = self._client.call(request, node=leader).topics
        for one in answer.partitions:
            check(one.error_code, where=f"{self._name}-{one.partition_index}")
        return {one.partition_index: one.offset for one in answer.partitions}
