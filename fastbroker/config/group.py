"""The groups' keys: what a group may have in place of the broker's own values.

Keys of the consumer protocol are served; those of share and streams groups are known, and may be
left at their defaults. Kafka: GroupConfig.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from fastbroker.config.kinds import BOOLEAN, Kind, integer, string
from fastbroker.errors import InvalidConfig


class GroupKey(NamedTuple):
    """One key of a group. bounded: the broker has group.consumer.min.* and .max.* for it."""

    name: str
    kind: Kind
    default: Any
    doc: str
    bounded: bool = False
    served: bool = False

    @property
    def synonym(self) -> str:
        """The broker's key that stands behind it, where the broker has one."""
        return f"group.{self.name}" if self.served else self.name

    def bound(self, which: str) -> str:
        """The broker's key of the least ("min") or the most ("max") that it may be."""
        protocol, _, rest = self.name.partition(".")
        return f"group.{protocol}.{which}.{rest}"


_ROWS = (
    GroupKey("consumer.session.timeout.ms", integer(1), 45000,
             "a member that is silent for so long is gone", True, True),
    GroupKey("consumer.heartbeat.interval.ms", integer(1), 5000,
             "time between two heartbeats of a member", True, True),
    GroupKey("consumer.assignment.interval.ms", integer(0), 1000,
             "shortest time between two assignments", True, True),
    GroupKey("share.session.timeout.ms", integer(1), 45000, "share groups"),
    GroupKey("share.heartbeat.interval.ms", integer(1), 5000, "share groups"),
    GroupKey("share.record.lock.duration.ms", integer(1000), 30000, "share groups"),
    GroupKey("share.delivery.count.limit", integer(2), 5, "share groups"),
    GroupKey("share.partition.max.record.locks", integer(100), 2000, "share groups"),
    GroupKey("share.auto.offset.reset", string(), "latest", "share groups"),
    GroupKey("share.isolation.level", string(("read_committed", "read_uncommitted")),
             "read_uncommitted", "share groups"),
    GroupKey("share.renew.acknowledge.enable", BOOLEAN, True, "share groups"),
    GroupKey("share.assignment.interval.ms", integer(0), 1000, "share groups"),
    GroupKey("streams.session.timeout.ms", integer(1), 45000, "streams groups"),
    GroupKey("streams.heartbeat.interval.ms", integer(1), 5000, "streams groups"),
    GroupKey("streams.num.standby.replicas", integer(0), 0, "streams groups"),
    GroupKey("streams.initial.rebalance.delay.ms", integer(0), 3000, "streams groups"),
    GroupKey("streams.assignment.interval.ms", integer(0), 1000, "streams groups"),
)  # fmt: skip
GROUP_KEYS: dict[str, GroupKey] = {key.name: key for key in _ROWS}


class BrokerValues(Protocol):
    """What is asked of a BrokerConfig."""

    def __getitem__(self, name: str) -> Any: ...


def validate_override(name: str, value: str, broker: BrokerValues) -> None:
    """Raise InvalidConfig unless `value` may stand for the group key `name`."""
    key = GROUP_KEYS.get(name)
    if key is None:
        raise InvalidConfig(f"Unknown group config name: {name}")
    try:
        parsed = key.kind.parse(value)
    except ValueError as error:
        raise InvalidConfig(f"Invalid value {value} for configuration {name}: {error}") from None
    if not key.served and parsed != key.default:
        raise InvalidConfig(f"{name} is not supported yet: leave it at its default")
    if not key.bounded:
        return
    least, most = key.bound("min"), key.bound("max")
    if parsed < broker[least]:
        raise InvalidConfig(f"{name} must be greater than or equal to {least}={broker[least]}")
    if parsed > broker[most]:
        raise InvalidConfig(f"{name} must be less than or equal to {most}={broker[most]}")


def validate_together(overrides: Mapping[str, str], broker: BrokerValues) -> None:
    """Raise InvalidConfig for values that may be, but not with each other."""

    def value(name: str) -> int:
        key = GROUP_KEYS[name]
        return int(overrides[name] if name in overrides else broker[key.synonym])

    session, heartbeat = "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
    if {session, heartbeat} & overrides.keys() and value(session) <= value(heartbeat):
        raise InvalidConfig(f"{session} must be greater than {heartbeat}")
