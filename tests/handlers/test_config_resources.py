"""ListConfigResources."""
from __future__ import annotations

from fastbroker import errors
from fastbroker.metadata.image import BROKER, CLIENT_METRICS, GROUP, TOPIC
from fastbroker.protocol.messages.list_config_resources import ListConfigResourcesRequest
from fastbroker.protocol.metadata_records import ConfigRecord
from tests.handlers.bench import ME, Bench


def listed(bench: Bench, *types: int, version: int = 1) -> set[tuple[int, str]]:
    answer = bench.ask(ListConfigResourcesRequest(resource_types=list(types)), version)
    assert answer.error_code == 0
    return {(one.resource_type, one.resource_name) for one in answer.config_resources}


def test_topics_brokers_and_groups_with_values(bench: Bench) -> None:
    bench.create()
    for kind, name in ((GROUP, "g"), (CLIENT_METRICS, "m")):
        bench.apply(ConfigRecord(resource_type=kind, resource_name=name, name="x", value="1"))
    everything = listed(bench)
    assert {(GROUP, "g"), (CLIENT_METRICS, "m"), (TOPIC, "t"), (BROKER, str(ME))} <= everything
    assert listed(bench, GROUP) == {(GROUP, "g")}
    assert listed(bench, TOPIC, TOPIC) == {(TOPIC, "t")}
    assert listed(bench, version=0) == {(CLIENT_METRICS, "m")}


def test_a_type_that_there_is_not(bench: Bench) -> None:
    answer = bench.ask(ListConfigResourcesRequest(resource_types=[GROUP, 99]), 1)
    assert answer.error_code == errors.UnsupportedVersion.code
    assert answer.config_resources == []
