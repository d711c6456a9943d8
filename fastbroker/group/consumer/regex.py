"""Subscriptions by regular expression; see coordination/regex.py. Kafka: TopicRegexResolver."""
from __future__ import annotations

from collections.abc import Iterable

from fastbroker.coordination.regex import matcher
from fastbroker.errors import InvalidRegularExpression
from fastbroker.protocol.record_frames import LONGEST_STRING, is_too_long

FIELD = "SubscribedTopicRegex"


def check(regex: str) -> None:
    """Raise InvalidRegularExpression for what is no RE2 expression, or cannot be kept."""
    if is_too_long(regex):
        raise InvalidRegularExpression(
            f"{FIELD} is longer than {LONGEST_STRING} bytes: subscribe to fewer topics"
        )
    matcher(regex, what=FIELD)


def matching(regex: str, names: Iterable[str]) -> frozenset[str]:
    """Those of `names` that match as a whole; none if the expression is not valid."""
    try:
        matches = matcher(regex, what=FIELD)
    except InvalidRegularExpression:
        return frozenset()
    return frozenset(name for name in names if matches(name) is not None)
