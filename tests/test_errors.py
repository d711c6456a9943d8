"""Kafka's error table."""
from __future__ import annotations

from fastbroker import errors


def test_a_message_keeps_its_two_ends() -> None:
    error = errors.InvalidConfig("unknown: " + "x" * 40_000 + "; remove it")
    assert len(error.message.encode()) < 32_767
    assert error.message.startswith("unknown: xxx")
    assert error.message.endswith("xxx; remove it")
    assert errors.InvalidConfig("unknown").message == "unknown"
