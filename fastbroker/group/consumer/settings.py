"""The settings that consumer groups are governed by: the broker's, and those of one group.

A group may have its own (GROUP configs), within the broker's bounds: a value that is outside of
them, because the bounds changed after it was set, counts as the nearest bound.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastbroker.config.broker import BrokerConfig

INT_MAX = 2_147_483_647


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A time in ms and the bounds of what groups may set it to. default_ms: None: adaptive."""

    default_ms: int | None
    least_ms: int
    most_ms: int

    def of(self, text: str | None) -> int | None:
        """What counts, given a group's own value."""
        if text is None:
            return self.default_ms
        return max(self.least_ms, min(self.most_ms, int(text)))


@dataclass(frozen=True, kw_only=True)
class ConsumerSettings:
    """Limits and waits of consumer groups.

    heartbeat, assignment: adaptive unless given; see pace.py.
    """

    session: Interval = Interval(default_ms=45_000, least_ms=45_000, most_ms=60_000)
    heartbeat: Interval = Interval(default_ms=None, least_ms=5_000, most_ms=15_000)
    assignment: Interval = Interval(default_ms=None, least_ms=0, most_ms=15_000)
    max_size: int = INT_MAX
    assignors: tuple[str, ...] = ("uniform", "range")
    may_upgrade: bool = True
    may_downgrade: bool = True
    regex_refresh_ms: int = 600_000
    classic_max_size: int = INT_MAX

    @classmethod
    def of(cls, config: BrokerConfig) -> ConsumerSettings:
        """The settings that `config` holds."""

        def interval(name: str, *, adaptive: bool) -> Interval:
            key = f"group.consumer.{name}"
            given = not adaptive or key in config.explicit
            return Interval(
                default_ms=config[key] if given else None,
                least_ms=config[f"group.consumer.min.{name}"],
                most_ms=config[f"group.consumer.max.{name}"],
            )

        policy = config["group.consumer.migration.policy"]
        return cls(
            session=interval("session.timeout.ms", adaptive=False),
            heartbeat=interval("heartbeat.interval.ms", adaptive=True),
            assignment=interval("assignment.interval.ms", adaptive=True),
            max_size=config["group.consumer.max.size"],
            assignors=tuple(config["group.consumer.assignors"]),
            may_upgrade=policy in ("bidirectional", "upgrade"),
            may_downgrade=policy in ("bidirectional", "downgrade"),
            regex_refresh_ms=config["group.consumer.regex.refresh.interval.ms"],
            classic_max_size=config["group.max.size"],
        )


Overrides = Mapping[str, str]  # a group's own values by key, as text
NO_OVERRIDES: Overrides = {}
