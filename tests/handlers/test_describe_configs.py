"""Which values DescribeConfigs shows, and what it says stands behind them."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastbroker.config.broker import BrokerConfig
from fastbroker.config.topic import TopicConfig
from fastbroker.handlers.configs import describe_configs
from fastbroker.metadata.image import BROKER, GROUP, TOPIC, MetadataImage
from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest

OF_TOPIC, DYNAMIC_BROKER, STATIC, DEFAULT = 1, 2, 4, 5


def described(
    kind: int, name: str, *, given: dict[str, str] | None = None,
    configs: dict[tuple[int, str], dict[str, str]] | None = None,
) -> dict[str, tuple[str | None, int, list[tuple[str, str | None, int]]]]:
    """Every key's (value, source, synonyms) at broker 1."""
    image = MetadataImage.empty()._replace(configs=configs or {})
    config = BrokerConfig(given).with_dynamic((configs or {}).get((BROKER, "1"), {}))
    broker = SimpleNamespace(
        broker_id=1,
        config=config,
        image=image,
        topic=lambda name: None,
        topic_config=lambda name: TopicConfig.resolve(image.topic_configs(name), config),
    )
    ctx: Any = SimpleNamespace(broker=broker, api_version=4)
    asked = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=None
    )
    request = DescribeConfigsRequest(resources=[asked], include_synonyms=True)
    (result,) = describe_configs(ctx, request).results
    assert not result.error_code
    return {
        c.name: (c.value, c.config_source, [(s.name, s.value, s.source) for s in c.synonyms])
        for c in result.configs
    }


def test_a_broker_s_key_without_a_default_is_no_synonym() -> None:
    keys = described(TOPIC, "t", configs={(TOPIC, "t"): {"retention.ms": "5"}})
    assert keys["retention.ms"] == ("5", OF_TOPIC, [("retention.ms", "5", OF_TOPIC)])
    assert keys["segment.ms"] == ("604800000", DEFAULT, [])
    assert keys["leader.replication.throttled.replicas"] == ("", DEFAULT, [])
    assert keys["cleanup.policy"] == (
        "delete", DEFAULT, [("log.cleanup.policy", "delete", DEFAULT)],
    )  # fmt: skip


def test_a_broker_s_key_without_a_default_is_null_until_it_is_set() -> None:
    assert described(BROKER, "1")["log.retention.ms"] == (None, DEFAULT, [])
    given = {"log.retention.ms": "5"}
    five, hours = ("log.retention.ms", "5", STATIC), ("log.retention.hours", "168", DEFAULT)
    assert described(BROKER, "1", given=given)["log.retention.ms"] == ("5", STATIC, [five, hours])
    changed = {(BROKER, "1"): {"log.retention.ms": "6"}}
    assert described(BROKER, "1", given=given, configs=changed)["log.retention.ms"] == (
        "6", DYNAMIC_BROKER, [("log.retention.ms", "6", DYNAMIC_BROKER), five, hours],
    )  # fmt: skip
    assert described(BROKER, "1")["num.partitions"][0] == "1"


def test_older_keys_stand_behind_the_topic_s() -> None:
    keys = described(TOPIC, "t", given={"log.retention.hours": "1"})
    hours = [("log.retention.hours", "1", STATIC), ("log.retention.hours", "168", DEFAULT)]
    assert keys["retention.ms"] == ("3600000", STATIC, hours)
    config = BrokerConfig({"log.flush.scheduler.interval.ms": "50"})
    assert TopicConfig.resolve({}, config).flush_ms == 50


def test_how_a_topic_is_flushed_is_what_is_in_force() -> None:
    """Before every acknowledgement, unless the topic or the broker says otherwise."""
    name, most = "log.flush.interval.messages", str(2**63 - 1)
    keys = described(TOPIC, "t")
    assert keys["flush.messages"] == ("1", DEFAULT, [(name, "1", DEFAULT)])
    assert keys["flush.ms"][:2] == (most, DEFAULT)
    keys = described(TOPIC, "t", given={name: most})
    assert keys["flush.messages"][:2] == (most, STATIC)
    keys = described(
        TOPIC, "t", given={name: most},
        configs={(TOPIC, "t"): {"flush.messages": "5", "flush.ms": "100"}},
    )  # fmt: skip
    assert keys["flush.messages"][:2] == ("5", OF_TOPIC)
    assert keys["flush.messages"][2][0] == ("flush.messages", "5", OF_TOPIC)
    assert keys["flush.ms"][:2] == ("100", OF_TOPIC)


def test_a_group_s_values_stand_before_the_broker_s() -> None:
    session = "consumer.session.timeout.ms"
    own = {(GROUP, "g"): {session: "50000"}}
    found = described(GROUP, "g", configs=own, given={f"group.{session}": "46000"})
    assert found[session] == (
        "50000",
        8,
        [(session, "50000", 8), (f"group.{session}", "46000", 4), (f"group.{session}", "45000", 5)],
    )
    assert found["share.isolation.level"] == (
        "read_uncommitted", 5, [("share.isolation.level", "read_uncommitted", 5)],
    )  # fmt: skip
    assert len(found) == 17
