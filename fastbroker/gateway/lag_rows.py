"""Committed offsets and where partitions stand, joined to series of lag: values in, values out.

What the numbers mean is in group/backlog.py; the command line tells the same.
"""
from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import nan
from typing import NamedTuple

from fastbroker._c.exposition import partition_labels
from fastbroker.group.backlog import NO_COMMIT, Bounds, Retention, unread
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.family import Family
from fastbroker.metrics.labels import labels
from fastbroker.metrics.page import Page
from fastbroker.metrics.samples import MISSING
from fastbroker.model import TopicPartition

ROWS_MAX = 50_000  # partitions of groups with series of their own; the others are in sums
NOBODY = -1


class Place(NamedTuple):
    """Where the answer about one partition is: whose, which row of it, and which topic of it."""

    broker: int
    row: int
    item: int


class GroupTopic(NamedTuple):
    """What a group has committed on a topic; places: of each partition's answer."""

    group: str
    topic: str
    numbers: array[int]
    offsets: array[int]
    places: list[Place]


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
        self._rows: dict[int, int] = {}

    def add(
        self,
        topics: dict[str, tuple[bytes, bytes]],
        groups: list[tuple[str, int, list[tuple[str, bytes]]]],
        untold: int,
    ) -> None:
        """One worker's answer."""
        self.untold += untold
        there = {name: _Led(*columns) for name, columns in topics.items()}
        for group, members, offsets in groups:
            if group in self.members:
                continue  # its coordinator has just changed
            self.members[group] = members
            for topic, column in offsets:
                self._add(group, topic, there[topic], array("q", column))

    def _add(self, group: str, topic: str, led: _Led, offsets: array[int]) -> None:
        places: list[Place] = [Place(NOBODY, 0, 0)] * len(offsets)
        for broker, numbers, indexes in led.parts:
            items = self.questions.setdefault(broker, [])
            first = self._rows.get(broker, 0)
            column = array("q", [offsets[index] for index in indexes])
            for row, index in enumerate(indexes, first):
                places[index] = Place(broker, row, len(items))
            items.append((topic, numbers, column.tobytes()))
            self._rows[broker] = first + len(indexes)
        self.topics.append(GroupTopic(group, topic, led.numbers, offsets, places))


class _Led:
    """The partitions of a topic by who leads them. parts: (broker, numbers, their indexes)."""

    __slots__ = ("numbers", "parts")

    def __init__(self, numbers: bytes, leaders: bytes) -> None:
        self.numbers = array("i", numbers)
        by_leader: dict[int, list[int]] = {}
        for index, leader in enumerate(array("i", leaders)):
            by_leader.setdefault(leader, []).append(index)
        self.parts = [
            (leader, array("i", [self.numbers[index] for index in indexes]).tobytes(), indexes)
            for leader, indexes in by_leader.items()
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
        self._whole: dict[Family, array[int]] = {
            family: array("q") for family in (c.GROUP_OFFSET, c.LAG, c.LOST_RECORDS)
        }
        self._real: dict[Family, array[float]] = {
            family: array("d") for family in (c.LAG_SECONDS, c.LAG_UNCERTAINTY, c.LOST_IN_SECONDS)
        }
        self._sum_labels: list[bytes] = []
        self._sums: dict[Family, array[int]] = {
            family: array("q") for family in (c.GROUP_OFFSET_SUM, c.LAG_SUM)
        }
        self._untimed = self._folded = 0

    def add(self, one: GroupTopic, standing: Mapping[int, Standing]) -> None:
        """What a group has committed on a topic."""
        pair = labels(consumergroup=one.group, topic=one.topic)
        offset_sum = lag_sum = 0
        is_folded = len(self._labels) + len(one.numbers) > ROWS_MAX
        if is_folded:
            self._folded += len(one.numbers)
        else:
            self._labels += partition_labels(pair, one.numbers)
        for number, offset, place in zip(one.numbers, one.offsets, one.places, strict=True):
            row = self._row(TopicPartition(one.topic, number), offset, place, standing)
            offset_sum += max(offset, 0)
            lag_sum += max(row[0], 0)
            if not is_folded:
                self._append(offset, *row)
        self._sum_labels.append(pair)
        self._sums[c.GROUP_OFFSET_SUM].append(offset_sum)
        self._sums[c.LAG_SUM].append(lag_sum)

    def _append(
        self, offset: int, lag: int, lost: int, seconds: float, uncertainty: float, left: float
    ) -> None:
        self._whole[c.GROUP_OFFSET].append(offset)
        self._whole[c.LAG].append(lag)
        self._whole[c.LOST_RECORDS].append(lost)
        self._real[c.LAG_SECONDS].append(seconds)
        self._real[c.LAG_UNCERTAINTY].append(uncertainty)
        self._real[c.LOST_IN_SECONDS].append(left)

    def _row(
        self, name: TopicPartition, offset: int, place: Place, standing: Mapping[int, Standing]
    ) -> tuple[int, int, float, float, float]:
        """(lag, lost records, lag in seconds, by how much that may be too large, seconds left)."""
        if offset < 0:
            return NO_COMMIT, MISSING, nan, nan, nan
        broker, row, item = place
        stand = standing.get(broker)
        if stand is None or stand.ends[row] == MISSING:
            return MISSING, MISSING, nan, nan, nan
        end = stand.ends[row]
        if offset >= end:
            return 0, 0, 0.0, nan, nan
        first, last, size = stand.firsts[row], stand.lasts[row], stand.sizes[row]
        is_known = first not in (MISSING, -1)
        if not is_known:
            self._untimed += 1
        one = unread(
            name, offset, Bounds(stand.starts[row], end, end),
            oldest_ms=first if is_known else None, now_ms=self.now_ms,
            retention=stand.retentions[item], size=None if size == MISSING else size,
        )  # fmt: skip
        assert one.records is not None
        return (
            one.records,
            one.lost,
            nan if one.behind_ms is None else one.behind_ms / 1000,
            (last - first) / 1000 if is_known and last > first else nan,
            nan if one.deleted_in_ms is None else one.deleted_in_ms / 1000,
        )

    def write(self, page: Page) -> None:
        """All of them."""
        for family, whole in self._whole.items():
            page.series(family, self._labels, whole)
        for family, real in self._real.items():
            page.series(family, self._labels, real)
        for family, sums in self._sums.items():
            page.series(family, self._sum_labels, sums)
        page.value(c.LAG_UNTIMED, self._untimed)
        page.value(c.LAG_FOLDED, self._folded)
