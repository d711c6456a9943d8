"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.alter_configs import AlterConfigsRequest
from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import topic

UNKNOWN, TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 0, 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
KEYS = ("cleanup.policy", "retention.ms", "max.message.bytes")
KEYS += ("leader.replication.throttled.replicas",)
BROKER_KEYS = ("num.partitions", "message.max.bytes", "log.retention.ms")
BROKER_KEYS += ("auto.create.topics.enable",)


def describe(
    s: Scene, label: str | None, *resources: tuple[int, str, tuple[str, ...] | None], **more: Any
) -> Step:
    full = [
        {"resource_type": t, "resource_name": n, "configuration_keys": k if k is None else list(k)}
        for t, n, k in resources
    ]
    return s.ask(label, DescribeConfigsRequest, resources=full, **more)


@scenario(DescribeConfigsRequest)
def describe_topics(s: Scene) -> Steps:
    name, _ = yield from topic(s, configs={"max.message.bytes": "5000"})
    yield describe(s, "every key", (TOPIC, name, None))
    yield describe(s, "some keys", (TOPIC, name, KEYS))
    yield describe(s, "with synonyms", (TOPIC, name, KEYS), include_synonyms=True)
    yield describe(s, "documented", (TOPIC, name, KEYS[:1]), include_documentation=True)
    yield describe(s, "an unknown key", (TOPIC, name, ("no.such.key", "retention.ms")))
    yield describe(s, "no keys", (TOPIC, name, ()))
    yield describe(s, "an unknown topic", (TOPIC, s.name("unknown"), KEYS))
    yield describe(s, "a bad name", (TOPIC, "bad name!", KEYS))
    yield describe(s, "an empty name", (TOPIC, "", KEYS))
    yield describe(s, "one of two", (TOPIC, s.name("unknown"), KEYS[:1]), (TOPIC, name, KEYS[:1]))
    yield describe(s, "a topic twice", (TOPIC, name, KEYS[:1]), (TOPIC, name, KEYS[1:2]))
    yield describe(s, "nothing")


@scenario(DescribeConfigsRequest)
def describe_others(s: Scene) -> Steps:
    yield describe(s, "the broker", (BROKER, "1", BROKER_KEYS))
    yield describe(s, "the broker, synonyms", (BROKER, "1", BROKER_KEYS), include_synonyms=True)
    yield describe(s, "all brokers", (BROKER, "", BROKER_KEYS))
    yield describe(s, "another broker", (BROKER, "7", BROKER_KEYS))
    yield describe(s, "no number", (BROKER, "one", BROKER_KEYS))
    yield describe(s, "a group", (GROUP, s.name("g"), None))
    yield describe(s, "a group without a name", (GROUP, "", None))
    yield describe(s, "client metrics", (CLIENT_METRICS, s.name("m"), None))
    yield describe(s, "client metrics without a name", (CLIENT_METRICS, "", None))
    yield describe(s, "unknown type 0", (UNKNOWN, "x", None))
    yield describe(s, "unknown type 3", (3, "x", None))
    yield describe(s, "loggers of another broker", (BROKER_LOGGER, "7", ()))


@scenario(AlterConfigsRequest)
def alter(s: Scene) -> Steps:
    def change(label: str, *resources: tuple[int, str, dict[str, str | None]], **more: Any) -> Step:
        full = [
            {
                "resource_type": t,
                "resource_name": n,
                "configs": [{"name": k, "value": v} for k, v in configs.items()],
            }
            for t, n, configs in resources
        ]
        return s.ask(label, AlterConfigsRequest, resources=full, **more)

    name, _ = yield from topic(s)
    yield change("set two", (TOPIC, name, {"retention.ms": "1000", "max.message.bytes": "99999"}))
    yield shown(s, "two are set", name, "retention.ms", "1000")
    yield change("one alone", (TOPIC, name, {"max.message.bytes": "88888"}))
    yield shown(s, "the other is the default", name, "max.message.bytes", "88888")
    yield change("only checked", (TOPIC, name, {"retention.ms": "5"}), validate_only=True)
    yield change("only checked, wrong", (TOPIC, name, {"retention.ms": "x"}), validate_only=True)
    for label, configs in BAD.items():
        yield change(label, (TOPIC, name, configs))
    yield change("an unknown topic", (TOPIC, s.name("unknown"), {"retention.ms": "5"}))
    yield change("a bad name", (TOPIC, "bad name!", {"retention.ms": "5"}))
    yield change("an empty name", (TOPIC, "", {"retention.ms": "5"}))
    yield change("a topic twice", (TOPIC, name, {"retention.ms": "5"}),
                 (TOPIC, name, {"retention.ms": "6"}), patience_s=1.5)  # fmt: skip
    yield change("an unknown type", (3, name, {"retention.ms": "5"}))
    yield change("no type", (0, name, {"retention.ms": "5"}))
    yield change("another broker", (BROKER, "7", {"log.retention.ms": "5"}))
    yield change("no number", (BROKER, "one", {"log.retention.ms": "5"}))
    yield change("nothing", (TOPIC, name, {}))
    yield shown(s, "all is default", name, "max.message.bytes", "1048588")
    yield change("no resource")


BAD: dict[str, dict[str, str | None]] = {
    "an unknown key": {"no.such.key": "1"},
    "not a number": {"retention.ms": "soon"},
    "below its minimum": {"retention.ms": "-2"},
    "an unknown policy": {"cleanup.policy": "burn"},
    "a null value": {"retention.ms": None},
    "an empty value": {"retention.ms": ""},
    "an empty key": {"": "1"},
    "one wrong of two": {"max.message.bytes": "77777", "retention.ms": "x"},
}


def shown(s: Scene, label: str, name: str, key: str, value: str) -> Step:
    """The topic's configs, once `key` has `value`."""
    keys = ("cleanup.policy", "max.message.bytes", "retention.ms", "segment.bytes")
    return describe(
        s, label, (TOPIC, name, keys), at=4,
        until=lambda a: any(c.name == key and c.value == value for c in a.results[0].configs),
    )  # fmt: skip


@scenario(IncrementalAlterConfigsRequest)
def alter_incrementally(s: Scene) -> Steps:
    Change = tuple[str, int, str | None]

    def change(label: str, *resources: tuple[int, str, list[Change]], **more: Any) -> Step:
        full = [
            {
                "resource_type": t,
                "resource_name": n,
                "configs": [
                    {"name": k, "config_operation": op, "value": v} for k, op, v in changes
                ],
            }
            for t, n, changes in resources
        ]
        return s.ask(label, IncrementalAlterConfigsRequest, resources=full, **more)

    name, _ = yield from topic(s)
    yield change("set two", (TOPIC, name, [("retention.ms", SET, "1000"),
                                           ("max.message.bytes", SET, "99999")]))  # fmt: skip
    yield shown(s, "two are set", name, "retention.ms", "1000")
    yield change("delete one", (TOPIC, name, [("retention.ms", DELETE, None)]))
    yield shown(s, "one is left", name, "retention.ms", "604800000")
    yield change("delete what is not set", (TOPIC, name, [("segment.bytes", DELETE, None)]))
    yield change("append", (TOPIC, name, [("cleanup.policy", APPEND, "compact")]))
    yield shown(s, "both policies", name, "cleanup.policy", "delete,compact")
    yield change("append again", (TOPIC, name, [("cleanup.policy", APPEND, "compact")]))
    yield change("subtract", (TOPIC, name, [("cleanup.policy", SUBTRACT, "delete")]))
    yield shown(s, "one policy", name, "cleanup.policy", "compact")
    yield change("subtract what is not there", (TOPIC, name, [("cleanup.policy", SUBTRACT, "x")]))
    yield change("subtract the last", (TOPIC, name, [("cleanup.policy", SUBTRACT, "compact")]))
    yield change("append to a number", (TOPIC, name, [("retention.ms", APPEND, "5")]))
    yield change("an unknown operation", (TOPIC, name, [("retention.ms", 9, "5")]))
    yield change("a key twice", (TOPIC, name, [("retention.ms", SET, "5"),
                                               ("retention.ms", SET, "6")]))  # fmt: skip
    yield change("only checked", (TOPIC, name, [("retention.ms", SET, "5")]), validate_only=True)
    yield change("only checked, wrong", (TOPIC, name, [("retention.ms", SET, "x")]),
                 validate_only=True)  # fmt: skip
    for label, configs in BAD.items():
        yield change(label, (TOPIC, name, [(k, SET, v) for k, v in configs.items()]))
    yield change("a null append", (TOPIC, name, [("cleanup.policy", APPEND, None)]))
    yield change("an unknown topic", (TOPIC, s.name("unknown"), [("retention.ms", SET, "5")]))
    yield change("a bad name", (TOPIC, "bad name!", [("retention.ms", SET, "5")]))
    yield change("a topic twice", (TOPIC, name, [("retention.ms", SET, "5")]),
                 (TOPIC, name, [("segment.ms", SET, "600000")]))  # fmt: skip
    yield change("an unknown type", (3, name, [("retention.ms", SET, "5")]))
    yield change("another broker", (BROKER, "7", [("log.retention.ms", SET, "5")]))
    yield change("a group's", (GROUP, s.name("g"), [("consumer.session.timeout.ms", SET, "50000")]))
    yield describe(s, "it has it", (GROUP, s.name("g"), ("consumer.session.timeout.ms",)), at=4)
    yield change("a group's, wrong", (GROUP, s.name("g"),
                                      [("consumer.session.timeout.ms", SET, "x")]))  # fmt: skip
    yield change("no change", (TOPIC, name, []))
    yield change("no resource")
