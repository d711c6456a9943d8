"""What clients in the field rely on, beyond what the protocol says: each a rule that bit somebody.

librdkafka switches whole features on by the presence of exact versions (rdkafka_feature.c); kafkajs
takes the smaller of both maxima and never looks at a minimum; Java goes over to the second
generation of transactions once transaction.version is finalized at 2.
"""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker.handlers.served import SERVED
from fastbroker.metadata.features import bootstrap_records
from fastbroker.protocol.api import KEYS, NAMES, api
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.metadata_records import FeatureLevelRecord
from tests.handlers.bench import Bench

# Versions that librdkafka before 2.11 wants to find inside an announced range, by API.
LIBRDKAFKA = {
    "Produce": (0, 3, 7),
    "Fetch": (4, 10),
    "ListOffsets": (1,),
    "OffsetCommit": (2,),
    "OffsetFetch": (1,),
    "FindCoordinator": (0,),
    "JoinGroup": (0,),
    "Heartbeat": (0,),
    "LeaveGroup": (0,),
    "SyncGroup": (0,),
    "ApiVersions": (0,),
    "InitProducerId": (0,),
}
# The highest version that kafkajs 2.2.4 has; it uses min(this, ours), whatever our minimum is.
KAFKAJS = {
    "Produce": 7, "Fetch": 11, "ListOffsets": 3, "Metadata": 6, "OffsetCommit": 5,
    "OffsetFetch": 4, "FindCoordinator": 2, "JoinGroup": 5, "Heartbeat": 3, "LeaveGroup": 3,
    "SyncGroup": 3, "DescribeGroups": 2, "ListGroups": 2, "ApiVersions": 2, "CreateTopics": 3,
    "DeleteTopics": 1, "DeleteRecords": 1, "InitProducerId": 1, "DescribeConfigs": 2,
    "AlterConfigs": 1, "CreatePartitions": 1,
}  # fmt: skip
# A broker's listener answers none of these on Kafka, too: they are for controllers and brokers.
NEVER_ANNOUNCED = {4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82}


@pytest.fixture
def announced(bench: Bench) -> dict[int, tuple[int, int]]:
    """API key -> (lowest, highest) version, as a client of today is told."""
    return ranges(bench, 4)


def ask(bench: Bench, version: int) -> Any:
    request = ApiVersionsRequest(client_software_name="trap", client_software_version="1")
    return bench.ask(request, version)


def ranges(bench: Bench, version: int) -> dict[int, tuple[int, int]]:
    keys = ask(bench, version).api_keys
    return {one.api_key: (one.min_version, one.max_version) for one in keys}


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_the_question_gets_the_same_ranges(
    bench: Bench, announced: dict[int, tuple[int, int]], version: int
) -> None:
    assert ranges(bench, version) == announced


def test_ranges_are_apache_kafkas(announced: dict[int, tuple[int, int]]) -> None:
    for key, (first, last) in announced.items():
        kind = api(key)
        assert last == kind.last_stable, kind.name
        assert first == (0 if kind.name == "Produce" else kind.first), kind.name
    assert set(announced) == set(SERVED)
    assert not NEVER_ANNOUNCED & set(announced)


@pytest.mark.parametrize("name", LIBRDKAFKA)
def test_librdkafka_finds_the_versions_it_decides_by(
    announced: dict[int, tuple[int, int]], name: str
) -> None:
    first, last = announced[KEYS[name]]
    assert all(first <= version <= last for version in LIBRDKAFKA[name])


@pytest.mark.parametrize("name", KAFKAJS)
def test_kafkajs_lands_on_a_served_version(
    announced: dict[int, tuple[int, int]], name: str
) -> None:
    chosen = min(KAFKAJS[name], announced[KEYS[name]][1])
    assert SERVED[KEYS[name]].first <= chosen <= SERVED[KEYS[name]].last


def test_a_new_cluster_promises_what_clients_decide_by(bench: Bench) -> None:
    """Java's producer raises its epoch at every transaction from transaction.version 2 on, if the
    broker has EndTxn 5; before, and in a cluster that was made before, it does not."""
    assert not ask(bench, 4).finalized_features
    bench.apply(*bootstrap_records())
    finalized = {one.name: one.max_version_level for one in ask(bench, 4).finalized_features}
    assert finalized == {"metadata.version": 30, "transaction.version": 2, "group.version": 1}
    supported = {one.name: one.max_version for one in ask(bench, 4).supported_features}
    assert supported["transaction.version"] == 2
    assert SERVED[KEYS["EndTxn"]].last == 5
    bench.apply(FeatureLevelRecord(name="transaction.version", feature_level=0))
    assert "transaction.version" not in {f.name for f in ask(bench, 4).finalized_features}


@pytest.mark.parametrize("version", [3, 4])
def test_api_versions_has_the_oldest_response_header(bench: Bench, version: int) -> None:
    """Flexible in its body, and yet without tagged fields before it (KIP-511)."""
    request = ApiVersionsRequest(client_software_name="trap", client_software_version="1")
    asked = bench.send(request, version)
    frame = asked.connection.answers[asked.place]
    assert frame is not None
    # size, correlation id, then at once the error code and the number of keys plus one
    assert frame[8:10] == b"\0\0"
    assert frame[10] == len(SERVED) + 1


def test_names_and_keys_are_one_to_one() -> None:
    assert {KEYS[name] for name in (*LIBRDKAFKA, *KAFKAJS)} <= set(NAMES)
