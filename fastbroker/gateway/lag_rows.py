"""Committed offsets and where partitions stand, joined to series of lag: values in, values out.

What the numbers mean is in group/backlog.py; the command line tells the same.
"""
from __future__ import annotations

from array import array
from math import nan
from typing import NamedTuple

from fastbroker._c.exposition import partition_labels
from fastbroker.group.backlog import (
    NO_COMMIT,
    UNLIMITED,
    Bounds,
    Retention,
    behind_ms,
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


class Asked:
    """What one broker is asked for: the partitions that it leads, with what groups have committed.

    items: the question. labels, offsets: of each partition in it. spans: which sum the partitions
    of an item are part of, and how many they are.
    """

    def __init__(self) -> None:
        self.items: list[tuple[str, bytes, bytes]] = []
        self.labels: list[bytes] = []
        self.offsets = array("q")
        self.spans: list[tuple[int, int]] = []


class Committed:
    """What all workers say that groups have committed.

    asked: by broker. sums: labels of each group and topic. members: by group. untold: groups that
    the workers have left out.
    """

    def __init__(self) -> None:
        self.asked: dict[int, Asked] = {}
        self.sums: list[bytes] = []
        self.members: dict[str, int] = {}
        self.untold = 0
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
        pair = labels(consumergroup=group, topic=topic)
        for broker, numbers, indexes in led:
            mine = offsets
            if len(indexes) < len(offsets):
                mine = array("q", [offsets[index] for index in indexes])
            asked = self.asked.get(broker)
            if asked is None:
                asked = self.asked[broker] = Asked()
            asked.items.append((topic, numbers.tobytes(), mine.tobytes()))
            asked.labels += partition_labels(pair, numbers)
            asked.offsets += mine
            asked.spans.append((len(self.sums), len(mine)))
        self.sums.append(pair)


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
    def unknown(cls, asked: Asked) -> Standing:
        """Without an answer."""
        row = array("q", [MISSING]) * len(asked.offsets)
        never = Retention(UNLIMITED, UNLIMITED)
        return cls(row, row, row, row, row, [never] * len(asked.items))

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

    def __init__(self, sums: int, now_ms: int) -> None:
        """sums: how many groups and topics there are."""
        self.now_ms = now_ms
        self._labels: list[bytes] = []
        self._offsets: list[int] = []
        self._lags: list[int] = []
        self._lost: list[int] = []
        self._seconds: list[float] = []
        self._uncertainty: list[float] = []
        self._left: list[float] = []
        self._offset_sums, self._lag_sums = array("q", [0] * sums), array("q", [0] * sums)
        self._untimed = 0

    def add(self, asked: Asked, stand: Standing | None) -> None:
        """What one broker was asked for, and its answer, if there is one."""
        offsets, now_ms = asked.offsets, self.now_ms
        stand = stand or Standing.unknown(asked)
        starts, ends, firsts, lasts, _, _ = stand
        lags = [
            NO_COMMIT if offset < 0 else MISSING if end == MISSING else lag(offset, end)
            for offset, end in zip(offsets, ends, strict=True)
        ]
        self._lost += [
            MISSING if offset < 0 or end == MISSING else lost(offset, start)
            for offset, start, end in zip(offsets, starts, ends, strict=True)
        ]
        self._seconds += [
            nan if offset < 0 or first in UNTIMED else behind_ms(first, now_ms) / 1000
            for offset, first in zip(offsets, firsts, strict=True)
        ]
        self._uncertainty += [
            (last - first) / 1000 if last > first >= 0 else nan
            for first, last in zip(firsts, lasts, strict=True)
        ]
        self._left += self._seconds_left(asked, stand)
        self._untimed += sum(
            [first in UNTIMED and records > 0 for first, records in zip(firsts, lags, strict=True)]
        )
        self._labels += asked.labels
        self._offsets += offsets
        self._lags += lags
        self._add_sums(asked, lags)

    def _seconds_left(self, asked: Asked, stand: Standing) -> list[float]:
        """Until retention may delete the first record of each row."""
        left, now_ms, at = [], self.now_ms, 0
        for (_, count), retention in zip(asked.spans, stand.retentions, strict=True):
            rows = range(at, at + count)
            at += count
            if retention.bytes >= 0:
                for row in rows:
                    found = self._deleted_in(asked.offsets[row], row, stand, retention)
                    left.append(nan if found is None else found / 1000)
            elif retention.ms >= 0:
                ms = retention.ms
                left += [
                    (first + ms - now_ms) / 1000 if first >= 0 else nan
                    for first in stand.firsts[rows.start : rows.stop]
                ]
            else:
                left += [nan] * count
        return left

    def _deleted_in(
        self, offset: int, row: int, stand: Standing, retention: Retention
    ) -> int | None:
        start, end, first = stand.starts[row], stand.ends[row], stand.firsts[row]
        if first < 0:
            return None
        size = stand.sizes[row]
        left, _ = deleted_in(
            retention, begin=max(offset, start), bounds=Bounds(start, end, end), oldest_ms=first,
            now_ms=self.now_ms, size=None if size == MISSING else size,
        )  # fmt: skip
        return left

    def _add_sums(self, asked: Asked, lags: list[int]) -> None:
        at = 0
        for number, count in asked.spans:
            rows = slice(at, at + count)
            at += count
            self._offset_sums[number] += sum([one for one in asked.offsets[rows] if one > 0])
            self._lag_sums[number] += sum([one for one in lags[rows] if one > 0])

    def write(self, page: Page, sums: list[bytes]) -> None:
        """All of them."""
        told = self._labels[:ROWS_MAX]
        for family, whole in (
            (c.GROUP_OFFSET, self._offsets), (c.LAG, self._lags), (c.LOST_RECORDS, self._lost),
        ):  # fmt: skip
            page.series(family, told, array("q", whole[:ROWS_MAX]))
        for family, real in (
            (c.LAG_SECONDS, self._seconds), (c.LAG_UNCERTAINTY, self._uncertainty),
            (c.LOST_IN_SECONDS, self._left),
        ):  # fmt: skip
            page.series(family, told, array("d", real[:ROWS_MAX]))
        page.series(c.GROUP_OFFSET_SUM, sums, self._offset_sums)
        page.series(c.LAG_SUM, sums, self._lag_sums)
        page.value(c.LAG_UNTIMED, self._untimed)
        page.value(c.LAG_FOLDED, len(self._labels) - len(told))
