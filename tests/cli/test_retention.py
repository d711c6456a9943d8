"""What topics keep."""
from __future__ import annotations

from fastbroker.cli.retention import retention
from fastbroker.group.backlog import UNLIMITED, Retention


def test_of_a_topics_settings() -> None:
    settings: dict[str, str | None] = {
        "cleanup.policy": "delete", "retention.ms": "60000", "retention.bytes": "-1",
    }  # fmt: skip
    assert retention(settings) == Retention(60_000, UNLIMITED)
    assert retention({**settings, "cleanup.policy": "compact"}) == Retention(UNLIMITED, UNLIMITED)
    both = {**settings, "cleanup.policy": "compact,delete", "retention.bytes": "5"}
    assert retention(both) == Retention(60_000, 5)
