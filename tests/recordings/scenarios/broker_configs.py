"""A broker's configs changed at run time, and what DescribeConfigs says of them then.

They are taken back in the end: other scenarios see the defaults.
"""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.configs import BROKER, DELETE, SET, TOPIC, describe
from tests.recordings.scenarios.prepare import topic

KEY = "log.cleaner.delete.retention.ms"  # behind delete.retention.ms
OLDER = "log.roll.ms"  # behind segment.ms, without a default


def change(s: Scene, label: str | None, broker: str, *changes: tuple[str, int, str | None],
           **more: Any) -> Step:  # fmt: skip
    rows = [{"name": k, "config_operation": op, "value": v} for k, op, v in changes]
    resource = {"resource_type": BROKER, "resource_name": broker, "configs": rows}
    return s.ask(label, IncrementalAlterConfigsRequest, at=1, resources=[resource], **more)


def value_is(key: str, value: str | None) -> Any:
    return lambda a: any(c.name == key and c.value == value for c in a.results[0].configs)


@scenario(DescribeConfigsRequest)
def changed_brokers(s: Scene) -> Steps:
    name, _ = yield from topic(s)
    keys = (KEY, OLDER)
    topic_keys = ("delete.retention.ms", "segment.ms", "flush.ms", "retention.bytes")
    yield describe(s, "a topic of defaults, synonyms", (TOPIC, name, topic_keys),
                   include_synonyms=True)  # fmt: skip
    yield change(s, "for this broker", "1", (KEY, SET, "1111"), (OLDER, SET, "2222"))
    yield describe(s, "broker 1, synonyms", (BROKER, "1", keys), include_synonyms=True,
                   until=value_is(OLDER, "2222"))  # fmt: skip
    yield change(s, "for all brokers", "", (KEY, SET, "3333"))
    yield describe(s, "the defaults of all", (BROKER, "", keys), include_synonyms=True,
                   until=value_is(KEY, "3333"))  # fmt: skip
    yield describe(s, "broker 1 and all, synonyms", (BROKER, "1", keys), include_synonyms=True)
    yield describe(s, "a topic, synonyms", (TOPIC, name, topic_keys), include_synonyms=True,
                   until=value_is("segment.ms", "2222"))  # fmt: skip
    yield change(s, "back for this broker", "1", (KEY, DELETE, None), (OLDER, DELETE, None))
    yield describe(s, "all brokers' is left", (BROKER, "1", keys), include_synonyms=True,
                   until=value_is(KEY, "3333"))  # fmt: skip
    yield change(s, "back for all", "", (KEY, DELETE, None))
    yield describe(s, "the default again", (BROKER, "1", keys), include_synonyms=True,
                   until=value_is(KEY, "86400000"))  # fmt: skip


@scenario(IncrementalAlterConfigsRequest)
def refused_for_brokers(s: Scene) -> Steps:
    for label, broker, key, value in (
        ("an unknown key", "1", "no.such.key", "1"),
        ("a key that cannot change", "1", "num.partitions", "3"),
        ("an id", "1", "node.id", "9"),
        ("not a number", "1", KEY, "soon"),
        ("below its minimum", "1", KEY, "-1"),
        ("null", "1", KEY, None),
        ("not a number, for all", "", KEY, "soon"),
        ("a key that cannot change, for all", "", "num.partitions", "3"),
        ("a broker's own key, for all", "", "listeners", "PLAINTEXT://:9092"),
        ("a topic's key", "1", "retention.ms", "5"),
        ("a negative broker", "-1", KEY, "5"),
        ("a broker that is no number", "x", KEY, "5"),
    ):
        yield change(s, label, broker, (key, SET, value))
    yield change(s, "only checked", "1", (KEY, SET, "5"), validate_only=True)
    yield describe(s, "it is the default", (BROKER, "1", (KEY,)), at=4)
