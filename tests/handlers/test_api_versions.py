"""ApiVersions."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.handlers.served import SERVED
from fastbroker.metadata.features import SUPPORTED
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.metadata_records import FeatureLevelRecord
from tests.handlers.bench import Bench

SOFTWARE = {"client_software_name": "apache-kafka-java", "client_software_version": "4.3.1"}


@pytest.mark.parametrize("version", range(5))
def test_what_is_served_and_produce_from_0(bench: Bench, version: int) -> None:
    given = SOFTWARE if version >= 3 else {}
    response = bench.ask(ApiVersionsRequest(**given), version)
    assert response.error_code == 0
    assert {one.api_key: (one.min_version, one.max_version) for one in response.api_keys} == {
        key: (0 if key == 0 else served.first, served.last) for key, served in SERVED.items()
    }


def test_features(bench: Bench) -> None:
    bench.apply(FeatureLevelRecord(name="metadata.version", feature_level=30))
    response = bench.ask(ApiVersionsRequest(**SOFTWARE), 4)
    assert {one.name for one in response.supported_features} == set(SUPPORTED)
    assert [(one.name, one.max_version_level) for one in response.finalized_features] == [
        ("metadata.version", 30)
    ]
    assert response.finalized_features_epoch == bench.image.offset
    older = bench.ask(ApiVersionsRequest(**SOFTWARE), 3)
    assert {one.name for one in older.supported_features} == {
        name for name, (low, _) in SUPPORTED.items() if low > 0
    }, "version 3 cannot say that the lowest level is 0"


def test_the_software_is_remembered_as_long_as_the_connection(bench: Bench) -> None:
    bench.ask(ApiVersionsRequest(**SOFTWARE), 3)
    assert list(bench.broker.clients.values()) == [("apache-kafka-java", "4.3.1")]
    bench.connection.close("gone")
    assert not bench.broker.clients


@pytest.mark.parametrize("text", ["", "-x", "x-", "a b", "x" * 129, "ü"])
def test_software_that_cannot_be(bench: Bench, text: str) -> None:
    for field in SOFTWARE:
        response = bench.ask(ApiVersionsRequest(**SOFTWARE | {field: text}), 4)
        assert response.error_code == errors.InvalidRequest.code
    assert not bench.broker.clients
