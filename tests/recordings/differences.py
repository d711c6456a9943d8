"""The differences from Apache Kafka that we accept, each with its reason.

Patterns are fnmatch's (write [[] for an opening bracket). One that no answer shows any more fails
the test, as does a difference without an entry.
"""
from __future__ import annotations

import fnmatch
from typing import NamedTuple

from tests.recordings.recordings import Difference


class Accepted(NamedTuple):
    """Differences of one kind: where, and why."""

    scenario: str
    field: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        return fnmatch.fnmatchcase(difference.scenario, self.scenario) and fnmatch.fnmatchcase(
            difference.field, self.field
        )


ACCEPTED: tuple[Accepted, ...] = ()


def unaccepted(found: list[Difference]) -> list[Difference]:
    """What no entry covers."""
    return [d for d in found if not any(entry.covers(d) for entry in ACCEPTED)]


def obsolete(found: list[Difference]) -> list[Accepted]:
    """Entries that cover nothing any more."""
    return [entry for entry in ACCEPTED if not any(entry.covers(d) for d in found)]
