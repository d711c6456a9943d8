"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.config.keys import KEYS
from fastbroker.config.topic import TOPIC_KEYS
from fastbroker.handlers.configs import (
    CHANGE_ARRIVAL_MS,
    DEFAULT,
    DYNAMIC_BROKER,
    DYNAMIC_DEFAULT_BROKER,
    OF_TOPIC,
    STATIC_BROKER,
)
from fastbroker.metadata.image import BROKER, TOPIC
from fastbroker.protocol.messages.alter_configs import AlterConfigsRequest
from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from fastbroker.protocol.metadata_records import ConfigRecord
from tests.handlers.bench import ELSEWHERE, ME, Bench

Resource = DescribeConfigsRequest.DescribeConfigsResource


def describe(
    bench: Bench, kind: int, name: str, keys: list[str] | None = None, *, version: int = 4,
    **fields: Any,
) -> Any:  # fmt: skip
    resource = Resource(resource_type=kind, resource_name=name, configuration_keys=keys)
    request = DescribeConfigsRequest(resources=[resource], **fields)
    (result,) = bench.ask(request, version).results
    return result


def values(result: Any) -> dict[str, tuple[str, int]]:
    return {one.name: (one.value, one.config_source) for one in result.configs}


def set_config(bench: Bench, kind: int, resource: str, name: str, value: str) -> None:
    bench.apply(
        ConfigRecord(resource_type=kind, resource_name=resource, name=name, value=value)
    )


def test_an_error_that_names_a_long_name_fits_into_every_version(bench: Bench) -> None:
    refused = describe(bench, BROKER, "x" * 32_767, version=1)
    assert refused.error_code == errors.InvalidRequest.code
    assert "ask that one" in refused.error_message


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_topic_s_values_and_where_they_come_from(bench: Bench, version: int) -> None:
    bench.create(segment_bytes=2_000_000)
    found = values(describe(bench, TOPIC, "t", version=version))
    assert set(found) == set(TOPIC_KEYS)
    assert found["segment.bytes"] == ("2000000", OF_TOPIC)
    assert found["retention.ms"] == ("604800000", DEFAULT)
    assert found["cleanup.policy"] == ("delete", DEFAULT)


def test_what_stands_behind_a_value(tmp_path: Any) -> None:
    bench = Bench(tmp_path, {"log.segment.bytes": "3000000"})
    bench.create(segment_bytes=2_000_000)

    def chain() -> list[tuple[str, str, int]]:
        result = describe(bench, TOPIC, "t", ["segment.bytes"], include_synonyms=True)
        (entry,) = result.configs
        return [(one.name, one.value, one.source) for one in entry.synonyms]

    own, default = ("segment.bytes", "2000000", OF_TOPIC), "log.segment.bytes"
    expected = [own, (default, "3000000", STATIC_BROKER), (default, "1073741824", DEFAULT)]
    assert chain() == expected
    set_config(bench, BROKER, "", default, "4000000")
    expected.insert(1, (default, "4000000", DYNAMIC_DEFAULT_BROKER))
    assert chain() == expected
    set_config(bench, BROKER, str(ME), default, "5000000")
    expected.insert(1, (default, "5000000", DYNAMIC_BROKER))
    assert chain() == expected


def test_only_what_was_asked_for(bench: Bench) -> None:
    bench.create()
    result = describe(bench, TOPIC, "t", ["segment.bytes", "nope"])
    assert set(values(result)) == {"segment.bytes"}
    assert set(values(describe(bench, TOPIC, "t", []))) == set(TOPIC_KEYS)
    (entry,) = result.configs
    assert (entry.synonyms, entry.documentation) == ([], None)
    said = describe(bench, TOPIC, "t", ["segment.bytes"], include_documentation=True)
    assert said.configs[0].documentation == TOPIC_KEYS["segment.bytes"].doc


def test_this_broker_s_values(bench: Bench) -> None:
    found = describe(bench, BROKER, str(ME))
    assert set(values(found)) == set(KEYS)
    assert values(found)["node.id"] == (str(ME), STATIC_BROKER)
    assert values(found)["num.partitions"] == ("1", DEFAULT)
    assert {one.name for one in found.configs if not one.read_only} >= {"log.segment.bytes"}
    assert values(describe(bench, BROKER, "")) == {}
    set_config(bench, BROKER, "", "log.segment.bytes", "4000000")
    found = describe(bench, BROKER, "")
    assert values(found) == {"log.segment.bytes": ("4000000", DYNAMIC_DEFAULT_BROKER)}


@pytest.mark.parametrize(("kind", "name", "error"), [
    (TOPIC, "nope", errors.UnknownTopicOrPartition),
    (TOPIC, "no no", errors.InvalidTopicException),
    (BROKER, str(ELSEWHERE), errors.InvalidRequest),
    (BROKER, "x", errors.InvalidRequest),
    (77, "x", errors.InvalidRequest),
])  # fmt: skip
def test_what_cannot_be_described(bench: Bench, kind: int, name: str, error: Any) -> None:
    result = describe(bench, kind, name)
    assert (result.error_code, result.configs) == (error.code, [])
    assert result.error_message


def incremental(name: str, value: str, topic: str = "t", **fields: Any) -> Any:
    Altered = IncrementalAlterConfigsRequest.AlterConfigsResource
    entry = Altered.AlterableConfig(name=name, config_operation=0, value=value)
    resource = Altered(resource_type=TOPIC, resource_name=topic, configs=[entry])
    return IncrementalAlterConfigsRequest(resources=[resource], **fields)


@pytest.mark.parametrize("version", [0, 1])
def test_a_change_is_in_force_when_it_is_answered(bench: Bench, version: int) -> None:
    bench.create()
    (result,) = bench.ask(incremental("segment.bytes", "2000000"), version).responses
    assert result.error_code == 0
    assert bench.partition().log.config.segment_bytes == 2_000_000


@pytest.mark.parametrize("version", [0, 1, 2])
def test_all_overrides_are_replaced(bench: Bench, version: int) -> None:
    bench.create(segment_bytes=2_000_000)
    Altered = AlterConfigsRequest.AlterConfigsResource
    entry = Altered.AlterableConfig(name="retention.ms", value="5")
    resource = Altered(resource_type=TOPIC, resource_name="t", configs=[entry])
    (result,) = bench.ask(AlterConfigsRequest(resources=[resource]), version).responses
    assert result.error_code == 0
    assert bench.image.topic_configs("t") == {"retention.ms": "5"}


def test_the_answer_waits_for_the_change_a_moment(slow: Bench) -> None:
    slow.create()
    pending = slow.send(incremental("segment.bytes", "2000000"), 1)
    said = slow.forwarded[0][2]
    slow.decide(image_first=False)
    assert pending.done
    assert slow.timers.waiting == 0
    pending = slow.send(incremental("segment.bytes", "2000000"), 1)
    slow.forwarded.pop()[2].complete(said.result())  # and no record follows
    assert not pending.done
    slow.timers.advance(CHANGE_ARRIVAL_MS)
    assert pending.done


def test_what_changes_nothing_here_is_waited_for_no_longer(slow: Bench) -> None:
    slow.create()
    refused = slow.send(incremental("nope", "1"), 1)
    slow.decide()
    (result,) = refused.response.responses
    assert result.error_code == errors.InvalidConfig.code
    validated = slow.send(incremental("segment.bytes", "2000000", validate_only=True), 1)
    slow.decide()
    assert validated.done
    assert slow.timers.waiting == 0


def test_a_lost_controller_is_each_resource_s_error(slow: Bench) -> None:
    pending = slow.send(incremental("segment.bytes", "2000000"), 1)
    slow.forwarded.pop()[2].fail(errors.RequestTimedOut("the controller was lost"))
    (result,) = pending.response.responses
    assert (result.error_code, result.resource_name) == (errors.RequestTimedOut.code, "t")
