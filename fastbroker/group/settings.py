"""The broker's settings that groups are governed by, as typed values."""
from __future__ import annotations

from dataclasses import dataclass

from fastbroker.config.broker import BrokerConfig

MINUTE_MS = 60_000


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    """Limits and waits of the group coordinator.

    initial_rebalance_delay_ms: how long first joins are gathered; None: the adaptive window, which
    ends `window_quiet_ms` after the last join and `window_limit_ms` after the first.
    """

    partitions: int = 50
    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    max_size: int = 2_147_483_647
    initial_rebalance_delay_ms: int | None = None
    window_quiet_ms: int = 20
    window_limit_ms: int = 200
    new_member_timeout_ms: int = 5 * MINUTE_MS  # a join that never completes is given up
    max_pending_members: int = 1_000  # ids handed out in one group and not used yet
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_ms: int = 10_080 * MINUTE_MS

    @classmethod
    def of(cls, config: BrokerConfig) -> GroupSettings:
        """The settings that `config` holds."""
        delay = "group.initial.rebalance.delay.ms"
        return cls(
            partitions=config["offsets.topic.num.partitions"],
            min_session_timeout_ms=config["group.min.session.timeout.ms"],
            max_session_timeout_ms=config["group.max.session.timeout.ms"],
            max_size=config["group.max.size"],
            initial_rebalance_delay_ms=config[delay] if delay in config.explicit else None,
            offset_metadata_max_bytes=config["offset.metadata.max.bytes"],
            offsets_retention_ms=config["offsets.retention.minutes"] * MINUTE_MS,
        )
