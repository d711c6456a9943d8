"""Subscriptions by regular expression, in RE2's syntax: matching takes linear time.

An expression has to match a topic's whole name. Kafka: TopicRegexResolver (with RE2/J).
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from fastbroker.errors import InvalidRegularExpression
from fastbroker.protocol.record_frames import LONGEST_STRING, is_too_long

COMPILED_MAX = 1_000  # expressions that are kept compiled


@lru_cache(COMPILED_MAX)
def _compiled(regex: str) -> Any:
    import re2  # only whoever subscribes so waits for it

    options = re2.Options()
    options.log_errors = False
    return re2.compile(regex, options)


def check(regex: str) -> None:
    """Raise InvalidRegularExpression for what is no RE2 expression, or cannot be kept."""
    if is_too_long(regex):
        raise InvalidRegularExpression(
            f"SubscribedTopicRegex is longer than {LONGEST_STRING} bytes: subscribe to fewer topics"
        )
    try:
        _compiled(regex)
    except Exception as error:  # re2's own class; it has no common base with re's
        why = error.args[0] if error.args else error
        said = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise InvalidRegularExpression(
            f"SubscribedTopicRegex {regex!r} is not valid in RE2's syntax: {said}"
        ) from None


def matching(regex: str, names: Iterable[str]) -> frozenset[str]:
    """Those of `names` that match as a whole; none if the expression is not valid."""
    try:
        matches = _compiled(regex).fullmatch
    except Exception:
        return frozenset()
    return frozenset(name for name in names if matches(name) is not None)
