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
from time import monotonic
from typing import NamedTuple

from fastbroker.group.backlog import UNLIMITED
from fastbroker.group.committed import committed as committed_offsets
from fastbroker.handlers.context import Broker
from fastbroker.metrics.samples import MISSING
from fastbroker.model import Deferred, TopicPartition
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

ROWS_A_STEP = 8
# What one answer may read: the rest is told from the time index, or not at all.
SEARCHES_MAX, HEADERS_MAX, DECODED_BYTES, READ_S = 2_000, 20_000, 8 << 20, 0.02

Search = TimeSearch | ClosedTimeSearch
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
                    there = sorted(found.partitions.items())
                    numbers[topic] = [number for number, _ in there]
                    leaders = array("i", [partition.leader for _, partition in there])
                    topics[topic] = array("i", numbers[topic]).tobytes(), leaders.tobytes()
                get = offsets.get
                told = array("q", [get(number, -1) for number in numbers[topic]])
                rows.append((topic, told.tobytes()))
            groups.append((one.group_id, one.members, rows))
    return marshal.dumps((topics, groups, untold))


def _topic_id(broker: Broker, name: str) -> bytes | None:
    topic = broker.image.topics.get(name)
    return None if topic is None else topic.id


class Known(NamedTuple):
    """Times that were found in one partition.

    version: of its segments, see LogDir.version_of. starts: where its log begins, which is closed.
    times: by offset, and where nothing is at or after it by offset and end.
    """

    version: int
    starts: list[int]
    times: dict[int | tuple[int, int], TimeRange]


class Positions:
    """Where partitions stand that this broker leads. Owned by the worker's loop; files are read on
    a thread of its executor.

    What was found for an answer is remembered until the next, so that nothing is read again where
    nothing has moved.
    """

    def __init__(self, loop: AbstractEventLoop, broker: Broker) -> None:
        self.loop, self.broker = loop, broker
        self._known: dict[Partition, Known] = {}

    def answer(self, question: bytes) -> Steps:
        """See above."""
        answer = _Answer(self.broker, self._known)
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
        self._known = answer.fresh
        return answer.encode()


class _Answer:
    """One answer in the making. fresh: what is known after it; searches: run between the two."""

    def __init__(self, broker: Broker, known: dict[Partition, Known]) -> None:
        self.broker, self._known = broker, known
        self.fresh: dict[Partition, Known] = {}
        self.searches: list[Search | None] = []
        self._found: list[TimeRange | None] = []
        # Rows without a time: their number, whose, offset, end, number of the search.
        self._open: list[tuple[int, Partition, int, int, int]] = []
        self._numbers: dict[tuple[Partition, int], int] = {}  # of the searches
        self._starts, self._ends = array("q"), array("q")
        self._firsts, self._lasts = array("q"), array("q")
        self._sizes = array("q")
        self._retentions: list[tuple[int, int]] = []

    # ---- on the loop

    def look(self, question: list[tuple[str, bytes, bytes]]) -> Iterator[None]:
        """What is known without reading."""
        count = 0
        for topic, numbers, offsets in question:
            config = self.broker.topic_config(topic)
            retention = UNLIMITED, UNLIMITED
            if "delete" in config.cleanup_policy:
                retention = config.retention_ms, config.retention_bytes
            self._retentions.append(retention)
            for number, offset in zip(array("i", numbers), array("q", offsets), strict=True):
                self._look_at(TopicPartition(topic, number), offset, has_size=retention[1] >= 0)
                count += 1
                if count % ROWS_A_STEP == 0:
                    yield

    def _look_at(self, name: TopicPartition, offset: int, *, has_size: bool) -> None:
        partition, log_dir = self.broker.partitions.get(name), self.broker.log_dir
        start = end = size = MISSING
        first, last = NOTHING
        try:
            if partition is not None and partition.is_leader and partition.failure is None:
                log = partition.opened
                if log is not None:
                    start, end = log.log_start_offset, partition.high_watermark
                else:
                    found = log_dir.end_of(name)
                    end = MISSING if found is None else found
                if 0 <= offset < end:
                    known, before = self._known_of(partition)
                    if log is None:
                        if not known.starts:
                            known.starts.append(log_dir.start_of(name))
                        start = known.starts[0]
                    if has_size:
                        size = log_dir.size_of(name)
                    begin = max(offset, start)
                    if begin < end:
                        first, last = self._time(partition, before, begin, end)
        except OSError as error:
            log_dir.fault(error)
            start = end = MISSING
        self._starts.append(start)
        self._ends.append(end)
        self._firsts.append(first)
        self._lasts.append(last)
        self._sizes.append(size)

    def _known_of(self, partition: Partition) -> tuple[Known, Known]:
        """What is remembered of a partition from here on, and what was remembered so far."""
        version = self.broker.log_dir.version_of(partition.name)
        before = self._known.get(partition)
        if before is None or before.version != version:
            before = Known(version, [], {})
        known = self.fresh.get(partition)
        if known is None:
            known = self.fresh[partition] = Known(version, before.starts, {})
        return known, before

    def _time(self, partition: Partition, before: Known, begin: int, end: int) -> TimeRange:
        """MISSING for now where it has to be looked for."""
        for key in (begin, (begin, end)):
            found = before.times.get(key)
            if found is not None:
                self.fresh[partition].times[key] = found
                return found
        number = self._numbers.get((partition, begin))
        if number is None:
            number = self._numbers[partition, begin] = len(self.searches)
            is_within = number < SEARCHES_MAX
            self.searches.append(self._search(partition, begin, end) if is_within else None)
        self._open.append((len(self._starts), partition, begin, end, number))
        return TimeRange(MISSING, MISSING)

    def _search(self, partition: Partition, begin: int, end: int) -> Search:
        log, log_dir = partition.opened, self.broker.log_dir
        if log is not None:
            return TimeSearch(log.segments, begin, end)
        directory = log_dir.directory_of(partition.name)
        return ClosedTimeSearch(log_dir.disk, directory, begin, end)

    def settle(self) -> Iterator[None]:
        """Take what was read, and estimate what was not."""
        for count, (index, partition, begin, end, number) in enumerate(self._open, 1):
            found = self._found[number] if number < len(self._found) else None
            if found is not None:
                key = (begin, end) if found == NOTHING else begin
                self.fresh[partition].times[key] = found
            else:
                found = self._estimate(partition, begin)
            if found is not None:
                self._firsts[index], self._lasts[index] = found
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
        columns = self._starts, self._ends, self._firsts, self._lasts, self._sizes
        return marshal.dumps((*[one.tobytes() for one in columns], self._retentions))

    # ---- on a thread

    def read(self) -> OSError | None:
        """Run the searches, in their order, for as long as the budget lasts."""
        budget, until = Budget(headers=HEADERS_MAX, bytes=DECODED_BYTES), monotonic() + READ_S
        for search in self.searches:
            if search is None or monotonic() > until or budget.headers <= 0:
                break
            try:
                self._found.append(search.run(budget))
            except OSError as error:
                return error
        return None
