"""All that is wrong with a history (the package's guide lists the classes)."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.history.cycles import circular_reads
from tests.history.events import Event, history_of
from tests.history.findings import Finding
from tests.history.groups import group_offsets
from tests.history.orders import end_offsets, polls_in_order, sends_in_order
from tests.history.visibility import Visibility


def check(events: Sequence[Event]) -> list[Finding]:
    """Everything that is found, in a stable order; an empty list for a right history."""
    return list(_findings(events))


def _findings(events: Sequence[Event]) -> Iterator[Finding]:
    history = history_of(events)
    visibility = Visibility(history)
    yield from visibility.findings()
    yield from polls_in_order(history, visibility)
    yield from sends_in_order(history, visibility)
    yield from circular_reads(history)
    yield from end_offsets(history)
    yield from group_offsets(history)
