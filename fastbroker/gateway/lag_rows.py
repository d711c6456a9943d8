"""Committed offsets and where partitions stand, joined to series of lag: values in, values out.

What the numbers mean is in group/backlog.py; the command line tells the same.
"""
from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import nan
from typing import Any, NamedTuple

from fastbroker._c.exposition import partition_labels
from fastbroker.group.backlog import (
    NO_COMMIT,
    NO_RECORD,
    Bounds,
    Retention,
    behind_ms,
    deleted_by_time,
    deleted_in,
    lag,
    lost,
)
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.labels import labels
from fastbroker.metrics.page import Page
from fastbroker.metrics.samples import MISSING

UNTIMED = (MISSING, -1)  # -1: the record has no timestamp
ROWS_MAX = 50_000  # partitions of groups with series of their own; the others are in sums


class Part(NamedTuple):
    """The partitions of a topic that one broker leads, and what a group has committed there.

    first: row of the broker's answer that is the first one's; item: the topic's place in it.
    """

    broker: int
    first: int
    item: int
    numbers: array[int]
    offsets: array[int]


class GroupTopic(NamedTuple):
    """What a group has committed on a topic."""

    group: str
    topic: str
    parts: list[Part]


class Committed:
    """What all workers say that groups have committed.

    questions: what the leaders are to be asked, by broker. members: by group. untold: groups that
    the workers have left out.
    """

    def __init__(self) -> None:
        self.questions: dict[int, list[tuple[str, bytes, bytes]]] = {}
        self.topics: list[GroupTopic] = []
        self.members: dict[str, int] = {}
        self.untold = 0
        self._rows: dict[int, int] = {}  # of the question to each broker
        self._led: dict[tuple[bytes, bytes], list[Led]] = {}  # many topics are alike

    def add(
        self,
        topics: dict[str, tuple[bytes, bytes]],
        groups: list[tuple[str, int, list[tuple[str, bytes]]]],
        untold: int,
    ) -> None:
        """One worker's answer."""
        self.untold += untold
        for group, members, offsets in groups:
            if group in self.members:
                continue  # its coordinator has just changed
            self.members[group] = members
            for topic, column in offsets:
                columns = topics[topic]
                led = self._led.get(columns)
                if led is None:
                    led = self._led[columns] = by_leader(*columns)
                self._add(group, topic, led, array("q", column))

    def _add(self, group: str, topic: str, led: list[Led], offsets: array[int]) -> None:
        parts = []
        for broker, numbers, indexes in led:
            mine = offsets
            if len(indexes) < len(offsets):
                mine = array("q", [offsets[index] for index in indexes])
            items, first = self.questions.setdefault(broker, []), self._rows.get(broker, 0)
            parts.append(Part(broker, first, len(items), numbers, mine))
            items.append((topic, numbers.tobytes(), mine.tobytes()))
            self._rows[broker] = first + len(mine)
        self.topics.append(GroupTopic(group, topic, parts))


class Led(NamedTuple):
    """The partitions of a topic that one broker leads; indexes: among all of the topic."""

    broker: int
    numbers: array[int]
    indexes: list[int]


def by_leader(numbers: bytes, leaders: bytes) -> list[Led]:
    """The partitions of a topic by who leads them."""
    all_numbers = array("i", numbers)
    found: dict[int, list[int]] = {}
    for index, leader in enumerate(array("i", leaders)):
        found.setdefault(leader, []).append(index)
    return [
        Led(leader, array("i", [all_numbers[index] for index in indexes]), indexes)
        for leader, indexes in found.items()
    ]


class Standing(NamedTuple):
    """Where the partitions stand that one worker leads, see worker/lag.py."""

    starts: array[int]
    ends: array[int]
    firsts: array[int]
    lasts: array[int]
    sizes: array[int]
    retentions: list[Retention]

    @classmethod
    def of(
        cls, starts: bytes, ends: bytes, firsts: bytes, lasts: bytes, sizes: bytes,
        retentions: list[tuple[int, int]],
    ) -> Standing:  # fmt: skip
        """From an answer."""
        return cls(
            array("q", starts), array("q", ends), array("q", firsts), array("q", lasts),
            array("q", sizes), [Retention(*one) for one in retentions],
        )  # fmt: skip


class Rows:
    """The series, in the making. A row is a partition of a group."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._labels: list[bytes] = []
        self._offsets: list[int] = []
        self._lags: list[int] = []
        self._lost: list[int] = []
        self._seconds: list[float] = []
        self._uncertainty: list[float] = []
        self._left: list[float] = []
        self._sum_labels: list[bytes] = []
        self._offset_sums: list[int] = []
        self._lag_sums: list[int] = []
        self._untimed = self._folded = 0

    def add(self, one: GroupTopic, standing: Mapping[int, Standing]) -> None:
        """What a group has committed on a topic."""
        pair = labels(consumergroup=one.group, topic=one.topic)
        first = len(self._lags)
        for part in one.parts:
            self._offsets += part.offsets
            self._labels += partition_labels(pair, part.numbers)
            stand = standing.get(part.broker)
            if stand is None:
                self._add_unknown(part.offsets)
            else:
                self._add_part(part, stand)
        self._sum_labels.append(pair)
        self._offset_sums.append(sum([one for one in self._offsets[first:] if one > 0]))
        self._lag_sums.append(sum([one for one in self._lags[first:] if one > 0]))
        if len(self._lags) > ROWS_MAX:
            self._folded += len(self._lags) - first
            for rows in self._rows:
                del rows[first:]

    @property
    def _rows(self) -> tuple[list[Any], ...]:
        return (
            self._labels, self._offsets, self._lags, self._lost, self._seconds, self._uncertainty,
            self._left,
        )  # fmt: skip

    def _add_unknown(self, offsets: array[int]) -> None:
        """Rows of partitions whose leader does not answer."""
        count = len(offsets)
        self._lags += [NO_COMMIT if offset < 0 else MISSING for offset in offsets]
        self._lost += [MISSING] * count
        for rows in self._seconds, self._uncertainty, self._left:
            rows += [nan] * count

    def _add_part(self, part: Part, stand: Standing) -> None:
        now_ms, retention = self.now_ms, stand.retentions[part.item]
        rows = slice(part.first, part.first + len(part.offsets))
        columns = stand.starts, stand.ends, stand.firsts, stand.lasts, stand.sizes
        for offset, start, end, first, last, size in zip(
            part.offsets, *[one[rows] for one in columns], strict=True
        ):
            seconds = uncertainty = left = nan
            records, gone = NO_COMMIT if offset < 0 else MISSING, MISSING
            if offset >= end != MISSING:
                records, gone, seconds = 0, 0, 0.0
            elif offset >= 0 and end != MISSING:
                records, gone = lag(offset, end), lost(offset, start)
                if first in UNTIMED:
                    self._untimed += 1
                else:
                    seconds = behind_ms(first, now_ms) / 1000
                    if last > first:
                        uncertainty = (last - first) / 1000
                    until: int | None = None
                    if retention.bytes >= 0:
                        until, _ = deleted_in(
                            retention, begin=max(offset, start), bounds=Bounds(start, end, end),
                            oldest_ms=first, now_ms=now_ms, size=None if size == MISSING else size,
                        )  # fmt: skip
                    elif first != NO_RECORD:
                        until = deleted_by_time(retention.ms, first, now_ms)
                    left = nan if until is None else until / 1000
            self._lags.append(records)
            self._lost.append(gone)
            self._seconds.append(seconds)
            self._uncertainty.append(uncertainty)
            self._left.append(left)

    def write(self, page: Page) -> None:
        """All of them."""
        for family, whole in (
            (c.GROUP_OFFSET, self._offsets), (c.LAG, self._lags), (c.LOST_RECORDS, self._lost),
        ):  # fmt: skip
            page.series(family, self._labels, array("q", whole))
        for family, real in (
            (c.LAG_SECONDS, self._seconds), (c.LAG_UNCERTAINTY, self._uncertainty),
            (c.LOST_IN_SECONDS, self._left),
        ):  # fmt: skip
            page.series(family, self._labels, array("d", real))
        for family, sums in (
            (c.GROUP_OFFSET_SUM, self._offset_sums), (c.LAG_SUM, self._lag_sums)
        ):  # fmt: skip
            page.series(family, self._sum_labels, array("q", sums))
        page.value(c.LAG_UNTIMED, self._untimed)
        page.value(c.LAG_FOLDED, self._folded)
