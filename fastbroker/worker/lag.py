"""What consumer lag is made of: what groups have committed, and where partitions stand.

The gateway asks every worker for what the groups that it coordinates have committed, then the
leaders of those partitions where these stand, and joins both. In marshal's format:

    committed: answer   := ({topic: (numbers, leaders)}, [(group, members, [(topic, offsets)*])*],
                            groups that are not told)
    positions: question := [(topic, numbers, offsets)*]
               answer   := (starts, ends, firsts, lasts, sizes, [(retention_ms, retention_bytes)*])

numbers and leaders are int32*, of each partition of a topic; offsets int64*, -1: none. Of an answer
to positions, int64* each, the values are in the order of the question. MISSING: not known here.
firsts, lasts: see TimeRange, of the first record at or after the offset; sizes: where
retention.bytes is set. Retention has one for each topic of the question, -1: none.
"""
from __future__ import annotations

import marshal
from array import array
from asyncio import AbstractEventLoop, Future
from collections.abc import Iterator
from itertools import repeat
from time import monotonic
from typing import NamedTuple

from fastbroker.group.backlog import UNLIMITED
from fastbroker.group.committed import committed as committed_offsets
from fastbroker.handlers.context import Broker
from fastbroker.metrics.samples import MISSING
from fastbroker.model import Deferred
from fastbroker.net.answering import Steps
from fastbroker.partition.partition import Partition
from fastbroker.storage.record_time import (
    NOTHING,
    Budget,
    ClosedTimeSearch,
    TimeRange,
    TimeSearch,
    estimate,
)

ROWS_A_STEP = 16
# What one answer may read: the rest is told from the time index, or not at all.
SEARCHES_MAX, HEADERS_MAX, DECODED_BYTES, READ_S = 1_000, 10_000, 4 << 20, 0.01

NO_TIME, _ = NOTHING
UNKNOWN = (MISSING, MISSING, MISSING, MISSING, MISSING)  # a row

Search = TimeSearch | ClosedTimeSearch
Times = dict[int | tuple[int, int], TimeRange]
Topics = dict[str, tuple[bytes, bytes]]


def committed(broker: Broker, _: bytes) -> Steps:
    """What the groups that this broker coordinates have committed."""
    topics: Topics = {}
    numbers: dict[str, list[int]] = {}
    groups: list[tuple[str, int, list[tuple[str, bytes]]]] = []
    untold = 0
    if broker.has_groups:
        most = broker.config["fastbroker.metrics.groups.max"]
        for one in committed_offsets(broker.groups.shards, lambda name: _topic_id(broker, name)):
            yield None
            if one is None:
                continue
            if len(groups) >= most:
                untold += 1
                continue
            rows = []
            for topic, offsets in one.offsets.items():
                if topic not in topics:
                    found = broker.image.topics.get(topic)
                    if found is None:
                        continue
                    there = found.partitions
                    numbers[topic] = list(there)
                    leaders = array("i", [partition.leader for partition in there.values()])
                    topics[topic] = array("i", there).tobytes(), leaders.tobytes()
                told = array("q", map(offsets.get, numbers[topic], repeat(-1)))
                rows.append((topic, told.tobytes()))
            groups.append((one.group_id, one.members, rows))
    return marshal.dumps((topics, groups, untold))


def _topic_id(broker: Broker, name: str) -> bytes | None:
    topic = broker.image.topics.get(name)
    return None if topic is None else topic.id


class Row(NamedTuple):
    """One whose time is looked for: its number in the answer, that of its search, and of what."""

    number: int
    partition: Partition
    known: Known
    begin: int
    end: int
    search: int


class Known:
    """Times that were found in one partition.

    version: of its segments, see LogDir.version_of. start: of its log, which is closed; -1: not
    known. times: by offset, and where nothing is at or after it by offset and end; those that the
    answer of number `answer` has asked for, and in `before` those that were there before it.
    """

    __slots__ = ("answer", "before", "start", "times", "version")

    def __init__(self) -> None:
        self.version = self.answer = self.start = -1
        self.times: Times = {}
        self.before: Times = {}


class Positions:
    """Where partitions stand that this broker leads. Owned by the worker's loop; files are read on
    a thread of its executor.

    What was found for an answer is remembered until the next, so that nothing is read again where
    nothing has moved.
    """

    def __init__(self, loop: AbstractEventLoop, broker: Broker) -> None:
        self.loop, self.broker = loop, broker
        self._known: dict[Partition, Known] = {}
        self._answers = 0

    def answer(self, question: bytes) -> Steps:
        """See above."""
        self._answers += 1
        answer = Answer(self.broker, self._known, self._answers)
        yield from answer.look(marshal.loads(question))
        if answer.searches:
            done: Deferred[OSError | None] = Deferred()

            def read(future: Future[OSError | None]) -> None:
                done.complete(future.result())

            self.loop.run_in_executor(None, answer.read).add_done_callback(read)
            yield done
            if done.value is not None:
                self.broker.log_dir.fault(done.value)
            yield from answer.settle()
        if answer.touched < len(self._known):
            self._known = {
                one: known for one, known in self._known.items() if known.answer >= answer.number
            }
        return answer.encode()


class Answer:
    """One answer in the making.

    searches: to be run between `look` and `settle`. touched: partitions of which something is known
    that were asked for.
    """

    def __init__(self, broker: Broker, known: dict[Partition, Known], number: int) -> None:
        self.broker, self.number, self._known = broker, number, known
        self.searches: list[Search] = []
        self.touched = 0
        self._found: list[TimeRange | None] = []
        self._open: list[Row] = []
        self._numbers: dict[tuple[Partition, int], int] = {}  # of the searches
        # In arrays, not as objects: thousands of them would set the garbage collector to work.
        self._columns = [array("q") for _ in UNKNOWN]
        self._retentions: list[tuple[int, int]] = []

    # ---- on the loop

    def look(self, question: list[tuple[str, bytes, bytes]]) -> Iterator[None]:
        """What is known without reading."""
        partitions, me = self.broker.partitions, self.broker.broker_id
        add_start, add_end, add_first, add_last, add_size = [one.append for one in self._columns]
        count = 0
        for topic, numbers, offsets in question:
            config = self.broker.topic_config(topic)
            retention = UNLIMITED, UNLIMITED
            if "delete" in config.cleanup_policy:
                retention = config.retention_ms, config.retention_bytes
            self._retentions.append(retention)
            for number, offset in zip(array("i", numbers), array("q", offsets), strict=True):
                partition = partitions.get((topic, number))  # type: ignore[call-overload]
                row = UNKNOWN
                if partition is not None and partition.leadership.leader == me:
                    try:
                        row = self._look_at(partition, offset, has_size=retention[1] >= 0)
                    except OSError as error:
                        self.broker.log_dir.fault(error)
                start, end, first, last, size = row
                add_start(start)
                add_end(end)
                add_first(first)
                add_last(last)
                add_size(size)
                count += 1
                if count % ROWS_A_STEP == 0:
                    yield

    def _look_at(
        self, partition: Partition, offset: int, *, has_size: bool
    ) -> tuple[int, int, int, int, int]:
        """One row. Raises OSError."""
        name, log_dir = partition.name, self.broker.log_dir
        log = log_dir.logs.get(name)
        if partition.failure is not None:
            return UNKNOWN
        if log is not None:
            start, end = log.log_start_offset, partition.high_watermark
            if not 0 <= offset < end:
                return start, end, NO_TIME, NO_TIME, MISSING
            version = log.segments.version
        else:
            closed_end = log_dir.end_of(name)
            if closed_end is None:
                return UNKNOWN
            if not 0 <= offset < closed_end:
                return MISSING, closed_end, NO_TIME, NO_TIME, MISSING
            end, version = closed_end, log_dir.version_of(name)
        known = self._known.get(partition)
        if known is None:
            known = self._known[partition] = Known()
        if known.answer != self.number:
            self.touched += 1
            known.answer, known.before, known.times = self.number, known.times, {}
            if known.version != version:
                known.version, known.before, known.start = version, {}, -1
        if log is None:
            if known.start < 0:
                known.start = log_dir.start_of(name)
            start = known.start
        size = log_dir.size_of(name) if has_size else MISSING
        begin = max(offset, start)
        if begin >= end:
            return start, end, NO_TIME, NO_TIME, size
        found = known.before.get(begin)
        if found is not None:
            known.times[begin] = found
        else:
            found = self._time(known, partition, begin, end)
        return start, end, found[0], found[1], size

    def _time(self, known: Known, partition: Partition, begin: int, end: int) -> TimeRange:
        """MISSING for now where it has to be looked for."""
        found = known.before.get((begin, end))
        if found is not None:
            known.times[begin, end] = found
            return found
        number = self._numbers.get((partition, begin))
        if number is None:
            number = len(self.searches)
            if number == SEARCHES_MAX:
                return self._estimate(partition, begin) or TimeRange(MISSING, MISSING)
            self._numbers[partition, begin] = number
            self.searches.append(self._search(partition, begin, end))
        self._open.append(Row(len(self._columns[0]), partition, known, begin, end, number))
        return TimeRange(MISSING, MISSING)

    def _search(self, partition: Partition, begin: int, end: int) -> Search:
        log, log_dir = partition.opened, self.broker.log_dir
        if log is not None:
            return TimeSearch(log.segments, begin, end)
        directory = log_dir.directory_of(partition.name)
        return ClosedTimeSearch(log_dir.disk, directory, begin, end)

    def settle(self) -> Iterator[None]:
        """Take what was read, and estimate what was not."""
        _, _, firsts, lasts, _ = self._columns
        for count, (index, partition, known, begin, end, number) in enumerate(self._open, 1):
            found = self._found[number] if number < len(self._found) else None
            if found is not None:
                known.times[(begin, end) if found == NOTHING else begin] = found
            else:
                found = self._estimate(partition, begin)
            if found is not None:
                firsts[index], lasts[index] = found
            if count % ROWS_A_STEP == 0:
                yield

    def _estimate(self, partition: Partition, begin: int) -> TimeRange | None:
        log = partition.opened
        if log is None or partition.failure is not None:
            return None
        try:
            return estimate(log.segments, begin)
        except OSError as error:
            self.broker.log_dir.fault(error)
            return None

    def encode(self) -> bytes:
        """The answer."""
        return marshal.dumps((*[one.tobytes() for one in self._columns], self._retentions))

    # ---- on a thread

    def read(self) -> OSError | None:
        """Run the searches, in their order, for as long as the budget lasts."""
        budget, until = Budget(headers=HEADERS_MAX, bytes=DECODED_BYTES), monotonic() + READ_S
        for search in self.searches:
            if monotonic() > until or budget.headers <= 0:
                break
            try:
                self._found.append(search.run(budget))
            except OSError as error:
                return error
        return None
