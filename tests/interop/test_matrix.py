"""Every client consumes, as a member of a group, what every client produced with every codec.

A produce run and a consume run a client: topics are one a producer and codec, with partitions on
all workers; a consumer subscribes to all of them at once.
"""
from __future__ import annotations

import pathlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.interop.batches import codecs_of
from tests.interop.broker import Broker
from tests.interop.clients import CLIENTS, Client
from tests.interop.records import (
    PARTITIONS,
    Logs,
    Record,
    by_partition,
    differences,
    records_of,
)

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]


@dataclass
class Matrix:
    """What was produced, by client; `failures` holds why one could not produce."""

    broker: Broker
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    produced: dict[str, list[Record]] = field(default_factory=dict)
    failures: dict[str, BaseException] = field(default_factory=dict)

    def topics(self, client: Client) -> dict[str, str]:
        """The names of the topics that `client` produces to, with their codecs."""
        return {f"interop-{self.run}-{client.name}-{codec}": codec for codec in client.codecs}


@pytest.fixture(scope="module")
def matrix(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """All clients have produced; a client without its runtime, or one that failed, is noted."""
    out = Matrix(broker)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    names = [topic for client in CLIENTS for topic in out.topics(client)]
    for made in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in names]).values():
        made.result(60)
    folder = tmp_path_factory.mktemp("produced")
    for client in CLIENTS:
        try:
            out.produced[client.name] = _produce(client, out, folder)
        except (AssertionError, pytest.skip.Exception, pytest.fail.Exception) as error:
            out.failures[client.name] = error
    yield out
    for gone in admin.delete_topics(names).values():
        gone.result(60)


def _produce(client: Client, matrix: Matrix, folder: pathlib.Path) -> list[Record]:
    topics = matrix.topics(client)
    records = [r for t in topics for r in records_of(t, without=client.cannot_send)]
    file = folder / client.name
    file.write_text("".join(record.to_json() + "\n" for record in records))
    client.produce(matrix.broker.bootstrap, file, topics)
    return records


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    return chosen


def test_the_partitions_are_led_by_all_brokers(matrix: Matrix) -> None:
    told = AdminClient({"bootstrap.servers": matrix.broker.bootstrap}).list_topics(timeout=30)
    ours = [told.topics[topic] for client in CLIENTS for topic in matrix.topics(client)]
    leaders = {partition.leader for topic in ours for partition in topic.partitions.values()}
    assert leaders == set(told.brokers)


def test_produces_with_its_codecs(
    matrix: Matrix, client: Client, record_property: Callable[[str, object], None]
) -> None:
    if client.name in matrix.failures:
        raise matrix.failures[client.name]
    topics = matrix.topics(client)
    used = codecs_of(matrix.broker.bootstrap, list(topics))
    for topic, codec in topics.items():
        # A batch that does not get smaller may be sent as it is.
        assert codec in used[topic] <= {codec, "none"}, f"{topic}: batches are {used[topic]}"
    record_property(f"interop-codecs:{client.name}", " ".join(client.codecs))


def test_consumes_in_a_group_what_all_produced(
    matrix: Matrix, client: Client, record_property: Callable[[str, object], None]
) -> None:
    client.install()  # skips when the runtime is missing
    sent = [record for records in matrix.produced.values() for record in records]
    topics = list(dict.fromkeys(record.topic for record in sent))
    assert topics, "nobody produced"
    group = f"interop-{matrix.run}-by-{client.name}"
    got, failure = client.consume(matrix.broker.bootstrap, group, len(sent), topics)
    arrived, faults = by_partition(got), []
    for producer, records in matrix.produced.items():
        names = {record.topic for record in records}
        share = {place: log for place, log in arrived.items() if place[0] in names}
        expected = by_partition(map(client.sees, records))
        wrong = differences(expected, share)
        faults += wrong
        cell = f"{_intact(expected, share)}/{len(records)} {'BAD' if wrong else 'OK'}"
        record_property(f"interop-cell:{producer}>{client.name}", cell)
    known = {record.topic for record in sent}
    faults += [f"{topic}: nobody's" for topic in {r.topic for r in got} - known]
    assert not faults, "\n".join([*faults, failure])
    assert not failure, failure


def _intact(expected: Logs, got: Logs) -> int:
    """How many records stand where they should."""
    pairs = (zip(log, got.get(place, ()), strict=False) for place, log in expected.items())
    return sum(want == have for pair in pairs for want, have in pair)
