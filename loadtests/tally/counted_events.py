"""Locust's `request` events that stand for many requests at once.

An event costs about as much as ten records do: with one for each record, locust's statistics would
be what the load test measures. So an event may say `count=n`. Locust's own listener counts one of
them; the listener here adds the n - 1 others to the same statistics.
"""
from __future__ import annotations

import time
from typing import Any

from locust.env import Environment
from locust.stats import StatsEntry, StatsError, bucket_response_time

from loadtests.tally.distribution import middle_us
from loadtests.tally.series import Cell


def fire(environment: Environment, operation: str, cell: Cell) -> None:
    """Tell locust what `cell` holds: an event for each bucket of latencies, one for each error."""
    kind, _, name = operation.partition(" ")
    length = round(cell.bytes / cell.count) if cell.count else 0
    said = {"request_type": kind, "name": name, "context": {}}
    for number, n in cell.latencies.counts.items():
        took_ms = middle_us(number) / 1000
        environment.events.request.fire(
            **said, response_time=took_ms, response_length=length, exception=None, count=n
        )
    untimed = cell.count - cell.latencies.count()
    if untimed > 0:
        environment.events.request.fire(
            **said, response_time=None, response_length=length, exception=None, count=untimed
        )
    for error, n in cell.errors.items():
        environment.events.request.fire(
            **said, response_time=None, response_length=0, exception=error, count=n
        )


def count_the_others(environment: Environment) -> None:
    """Let locust's statistics count events for what they stand for."""

    def on_request(
        request_type: str, name: str, response_time: float | None, response_length: int,
        exception: Any = None, count: int = 1, **_: Any,
    ) -> None:  # fmt: skip
        if count <= 1:
            return
        stats = environment.stats
        for entry in (stats.total, stats.get(name, request_type)):
            _add(entry, count - 1, response_time, response_length, failed=bool(exception))
        if exception:
            key = StatsError.create_key(request_type, name, exception)
            stats.errors[key].occurrences += count - 1

    environment.events.request.add_listener(on_request)


def _add(
    entry: StatsEntry, n: int, response_time: float | None, length: int, *, failed: bool
) -> None:
    """What StatsEntry.log and log_error do once, n times."""
    second = int(time.time())
    entry.num_requests += n
    entry.num_reqs_per_sec[second] += n
    entry.total_content_length += n * length
    if response_time is None:
        entry.num_none_requests += n
    else:
        entry.total_response_time += n * response_time
        entry.response_times[bucket_response_time(response_time)] += n
    if failed:
        entry.num_failures += n
        entry.num_fail_per_sec[second] += n
