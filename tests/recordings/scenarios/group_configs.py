"""Configs of groups, ListConfigResources, UpdateFeatures."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from fastbroker.protocol.messages.list_config_resources import ListConfigResourcesRequest
from fastbroker.protocol.messages.update_features import UpdateFeaturesRequest
from tests.recordings.scenario import Scene, Step, Steps, has, scenario
from tests.recordings.scenarios.consumer_groups import GROUP, join
from tests.recordings.scenarios.prepare import coordinator, topic

SET, DELETE, APPEND, SUBTRACT = range(4)
UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE = 1, 2, 3
SESSION, BEAT = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
BATCH = "consumer.assignment.interval.ms"


def alter(
    s: Scene, label: str | None, group: str, *changes: tuple[str, int, str | None], **more: Any
) -> Step:
    rows = [{"name": n, "config_operation": op, "value": v} for n, op, v in changes]
    resource = {"resource_type": GROUP, "resource_name": group, "configs": rows}
    return s.ask(label, IncrementalAlterConfigsRequest, resources=[resource], **more)


def describe(
    s: Scene, label: str, group: str, *keys: str, shows: str | None = None, **more: Any
) -> Step:
    """Until the first key has the value `shows`: a change is seen a little later."""
    if shows is not None:
        more["until"] = lambda a: any(
            c.name == keys[0] and c.value == shows for r in a.results for c in r.configs
        )
    resource = {"resource_type": GROUP, "resource_name": group, "configuration_keys": [*keys]}
    return s.ask(label, DescribeConfigsRequest, resources=[resource], include_synonyms=True,
                 at=4, **more)  # fmt: skip


@scenario(IncrementalAlterConfigsRequest, versions=(0, 1))
def configs_of_groups(s: Scene) -> Steps:
    group = s.name("g")
    yield describe(s, "nothing is set", group, SESSION, BEAT, BATCH)
    yield alter(s, "one", group, (SESSION, SET, "50000"))
    yield describe(s, "one is set", group, SESSION, BEAT, shows="50000")
    yield alter(s, "two", group, (BEAT, SET, "7000"), (BATCH, SET, "0"))
    yield describe(s, "three are set", group, BATCH, SESSION, BEAT, shows="0")
    yield alter(s, "validated only", group, (BEAT, SET, "8000"), validate_only=True)
    yield alter(s, "below the bound", group, (SESSION, SET, "44999"))
    yield alter(s, "above the bound", group, (SESSION, SET, "60001"))
    yield alter(s, "a beat above the bound", group, (BEAT, SET, "15001"))
    yield alter(s, "an interval above the bound", group, (BATCH, SET, "15001"))
    yield alter(s, "a beat as long as the session", group, (BEAT, SET, "50000"))
    yield alter(s, "not a number", group, (SESSION, SET, "soon"))
    yield alter(s, "zero", group, (SESSION, SET, "0"))
    yield alter(s, "no value", group, (SESSION, SET, None))
    yield alter(s, "an unknown key", group, ("nonsense", SET, "1"))
    yield alter(s, "a topic's key", group, ("retention.ms", SET, "1"))
    yield alter(s, "append", group, (SESSION, APPEND, "1"))
    yield alter(s, "an empty name", "", (SESSION, SET, "50000"))
    yield describe(s, "an empty name is described", "", SESSION)
    yield alter(s, "a key twice", group, (SESSION, SET, "46000"), (SESSION, SET, "47000"))
    yield describe(s, "they are as they were", group, SESSION, BEAT, BATCH)
    yield from coordinator(s, group)
    yield coordinator_told(s, group)
    yield alter(s, "deleted", group, (SESSION, DELETE, None), (BATCH, DELETE, None))
    yield alter(s, "deleted again", group, (SESSION, DELETE, None))
    yield describe(s, "one is left", group, SESSION, BEAT, BATCH, shows="45000")
    yield alter(s, "the last is deleted", group, (BEAT, DELETE, None))


def coordinator_told(s: Scene, group: str) -> Step:
    """A member is told the group's interval of heartbeats."""
    return join(s, "a member is told the interval", group, "member-a", s.name("unknown"), at=1)


@scenario(ListConfigResourcesRequest, versions=(0, 1))
def resources(s: Scene) -> Steps:
    first, second = s.name("first"), s.name("second")
    yield from topic(s)
    yield from coordinator(s, s.name("g"))
    for group in (first, second):
        yield alter(s, None, group, (SESSION, SET, "50000"), at=1)
    yield alter(s, None, second, (SESSION, DELETE, None), at=1)
    mine = {"only": s.prefix}
    yield s.ask("all", ListConfigResourcesRequest, **mine)
    if has(ListConfigResourcesRequest, "resource_types", s.version):
        for types in ([GROUP], [2], [16], [2, GROUP], [8], [4], [1], [99], [0], [-1]):
            yield s.ask(f"of types {types}", ListConfigResourcesRequest, resource_types=types,
                        **mine)  # fmt: skip


@scenario(UpdateFeaturesRequest, versions=(0, 1, 2))
def features(s: Scene) -> Steps:
    """What changes nothing: the cluster is used by other scenarios, too."""

    def ask(label: str, *updates: tuple[str, int, int], only_validate: bool = True) -> Step:
        rows = [
            {"feature": f, "max_version_level": level, "upgrade_type": kind,
             "allow_downgrade": kind != UPGRADE}
            for f, level, kind in updates
        ]  # fmt: skip
        return s.ask(label, UpdateFeaturesRequest, timeout_ms=5000, feature_updates=rows,
                     validate_only=only_validate)  # fmt: skip

    yield ask("an unknown feature", ("nonsense", 1, UPGRADE), only_validate=False)
    yield ask("an empty name", ("", 1, UPGRADE), only_validate=False)
    yield ask("a level too high", ("transaction.version", 3, UPGRADE), only_validate=False)
    yield ask("a negative level", ("transaction.version", -1, UPGRADE), only_validate=False)
    yield ask("lower, called an upgrade", ("transaction.version", 1, UPGRADE), only_validate=False)
    yield ask("the level it has", ("transaction.version", 2, UPGRADE), only_validate=False)
    yield ask("nothing", only_validate=False)
    yield ask("one twice", ("group.version", 1, UPGRADE), ("group.version", 1, UPGRADE),
              only_validate=False)  # fmt: skip
    yield ask("good and unknown", ("group.version", 1, UPGRADE), ("nonsense", 1, UPGRADE),
              only_validate=False)  # fmt: skip
    if s.version >= 1:
        yield ask("lower, safe", ("transaction.version", 1, SAFE_DOWNGRADE))
        yield ask("lower, unsafe", ("transaction.version", 0, UNSAFE_DOWNGRADE))
        yield ask("higher, called a downgrade", ("transaction.version", 2, SAFE_DOWNGRADE))
        yield ask("an unknown type", ("transaction.version", 1, 7))
        yield ask("type 0", ("transaction.version", 1, 0))

