"""Compaction of this worker's logs: one at a time, the dirtiest first, on a thread of its own."""
from __future__ import annotations

import asyncio
import logging
import os
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from fastbroker.config.kinds import LONG_MAX
from fastbroker.errors import KafkaError
from fastbroker.handlers.context import Broker
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.storage.compaction.candidates import Candidate, candidate
from fastbroker.storage.damage import Damaged
from fastbroker.storage.log import SegmentsChanged
from fastbroker.storage.space import OUT_OF_FILES, is_fault
from fastbroker.storage.swap import discard
from fastbroker.worker.throttle import Stopped, Throttle

if TYPE_CHECKING:
    from fastbroker.storage.compaction.cleaning import Means, Plan
    from fastbroker.storage.compaction.rewriting import NewSegment

log = logging.getLogger(__name__)

T = TypeVar("T")
LOOKED_AT = 50  # logs in one turn of the loop
CHUNK_MIN = 4096
SYNC_AGAIN_MS = 1000  # when there was no file to be had


class Compaction:
    """Owned by the worker's loop.

    remove(delay_ms, path): removes a renamed file later. failed(error): the directory cannot be
    written any more.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        broker: Broker,
        remove: Callable[[int, str], object],
        failed: Callable[[OSError], object],
    ) -> None:
        self.loop, self.broker = loop, broker
        self.remove, self.failed = remove, failed
        self.throttle = Throttle(
            lambda: float(broker.config["log.cleaner.io.max.bytes.per.second"])
        )
        # Name and topic id of logs with a damaged batch: they are left alone until the next start.
        self.uncleanable: set[tuple[TopicPartition, bytes]] = set()
        # With no lower priority: it would be taken off the processor with the interpreter's lock.
        self._thread = ThreadPoolExecutor(1, "cleaner")
        self._task: Task[None] | None = None

    def start(self) -> None:
        if is_enabled(self.broker):
            self._task = self.loop.create_task(self._run())
            self._task.add_done_callback(_ended)

    def close(self) -> None:
        """End the thread; what it was about to write is removed. The loop runs once more."""
        self.throttle.stop()
        self._thread.shutdown()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self.broker.log_dir.failure is None:
            found = await self._dirtiest()
            if found is None or not await self.clean(*found):
                await self._pause(self.broker.config["log.cleaner.backoff.ms"])

    async def _pause(self, delay_ms: int) -> None:
        over = asyncio.Event()
        self.broker.timers.after(delay_ms, over.set)
        await over.wait()

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await self.loop.run_in_executor(self._thread, work, *args)

    # ---- which

    async def _dirtiest(self) -> tuple[Partition, Candidate] | None:
        """Of the logs that are due, the one with the largest dirty ratio."""
        best: tuple[Partition, Candidate] | None = None
        names = list(self.broker.log_dir.logs)
        self.uncleanable = {one for one in self.uncleanable if one[0] in self.broker.partitions}
        for number, name in enumerate(names):
            if number % LOOKED_AT == LOOKED_AT - 1:
                await asyncio.sleep(0)
            partition = self.broker.partitions.get(name)
            if partition is None or name not in self.broker.log_dir.logs:
                continue
            try:
                found = self.candidate(partition)
            except (OSError, KafkaError) as error:
                self._put_off(partition, error)
                continue
            if found is not None and (best is None or found.dirty_ratio > best[1].dirty_ratio):
                best = partition, found
        return best

    def candidate(self, partition: Partition) -> Candidate | None:
        """What of a partition's log is to be cleaned now; None: it is not due."""
        one = partition.log
        if not one.config.is_compacted or len(one.segments) < 2 or partition.failure is not None:
            return None
        if (partition.name, partition.topic_id) in self.uncleanable:
            return None
        found = dirty_part(self.broker, partition, self.broker.timers.now_ms())
        return found if found.is_due(one.config) else None

    # ---- how

    async def clean(self, partition: Partition, found: Candidate) -> bool:
        """Clean the log of `partition`; whether that was done, or should be tried later."""
        held = self.broker.log_dir.held
        held.add(partition.name)
        try:
            return await self._clean(partition, found)
        finally:
            held.discard(partition.name)

    async def _clean(self, partition: Partition, found: Candidate) -> bool:
        from fastbroker.storage.compaction import cleaning  # a start has no use for it

        try:
            begun = cleaning.plan(partition.log, found, self.broker.timers.now_ms())
        except (OSError, KafkaError) as error:
            self._put_off(partition, error)
            return False
        work = cleaning.Cleaning(begun, self._means())
        try:
            end = await self._in_thread(work.map_keys)
            for group in await self._in_thread(work.groups):
                new = await self._in_thread(work.rewrite, group)
                if not new.is_same:
                    await self._replace(partition, begun, new)
            await self._note(partition, end)
        except (Damaged, MemoryError) as why:
            self._give_up(partition, why)
            return False
        except (SegmentsChanged, Stopped):
            return False
        except FileNotFoundError as error:
            if not cleaning.is_there(partition.log, begun):
                return False  # retention, or the deletion of the topic, was here
            self._give_up(partition, error)
            return False
        except OSError as error:
            self._put_off(partition, error)
            return False
        log.info(
            "%s was compacted: offsets %d to %d, %d of %d records are left, %d%% of the map used",
            partition.name, begun.first_dirty, end, work.records_kept, work.records_read,
            work.utilization,
        )  # fmt: skip
        return True

    def _put_off(self, partition: Partition, error: OSError | KafkaError) -> None:
        """Something failed; unless the disk has, it is tried again later."""
        if is_fault(error):
            log.error("compacting %s failed: %s", partition.name, error)
            # Of a log's own errors the directory has been told.
            if isinstance(error, OSError):
                self.failed(error)
        else:
            log.warning("%s is compacted later: %s", partition.name, error)

    def _give_up(self, partition: Partition, why: BaseException) -> None:
        self.uncleanable.add((partition.name, partition.topic_id))
        said = str(why) or type(why).__name__
        log.error("%s is not compacted until the next start: %s", partition.name, said)

    def _means(self) -> Means:
        from fastbroker.storage.compaction.cleaning import Means
        from fastbroker.storage.compaction.offset_map import MapSize

        config = self.broker.config
        return Means(
            disk=self.broker.log_dir.disk,
            pace=self.throttle,
            map_size=MapSize(
                config["log.cleaner.dedupe.buffer.size"],
                config["log.cleaner.io.buffer.load.factor"],
            ),
            chunk_bytes=max(config["log.cleaner.io.buffer.size"] // 2, CHUNK_MIN),
            seed=os.urandom(16),
        )

    async def _replace(self, partition: Partition, begun: Plan, new: NewSegment) -> None:
        """Put one new segment in its place. Raises SegmentsChanged, Stopped, OSError."""
        one = partition.log
        # Whatever is replayed after a crash, it is not into these offsets.
        await self._in_thread(self.broker.log_dir.write_recovery_points)
        self._check_online()
        bases = {source.base_offset for source in new.old}
        for segment in one.segments if not one.is_gone else ():
            if segment.base_offset in bases:
                _ = segment.file  # a lack of files shows while it is easy
        try:
            await self._swap(partition, begun, new)
        except FileNotFoundError:
            raise
        except OSError as error:
            # What the log has is not what lies there: only a start brings them together again.
            self.failed(error)
            raise
        except SegmentsChanged:
            if not one.is_gone:
                await self._sync(one.directory)
                await self._in_thread(
                    discard, self.broker.log_dir.disk, one.directory, new.base_offset
                )
            raise

    async def _swap(self, partition: Partition, begun: Plan, new: NewSegment) -> None:
        from fastbroker.storage.compaction import cleaning

        one = partition.log
        cleaning.commit_group(one, begun, new)
        await self._sync(one.directory)
        segment, retired = cleaning.swap_in(one, begun, new)
        for path in retired:
            self.remove(one.config.file_delete_delay_ms, path)
        partition.purgatory.wake_readers()  # who waits has looked at what was there before
        await self._sync(one.directory)
        cleaning.settle_group(one, segment)
        await self._sync(one.directory)

    async def _sync(self, directory: str) -> None:
        """Names in `directory` are on the medium; what takes a file to open waits for one."""
        disk = self.broker.log_dir.disk
        while True:
            try:
                await self._in_thread(disk.sync_directory, directory)
            except OSError as error:
                if error.errno not in OUT_OF_FILES:
                    raise
                await self._pause(SYNC_AGAIN_MS)
                self._check_online()
            else:
                self._check_online()
                return

    def _check_online(self) -> None:
        """Raise Stopped when nothing is to be written any more."""
        if self.broker.log_dir.failure is not None:
            raise Stopped

    async def _note(self, partition: Partition, end: int) -> None:
        """Everything below `end` is clean."""
        self._check_online()
        log_dir = self.broker.log_dir
        if log_dir.logs.get(partition.name) is partition.log:
            log_dir.cleaned[partition.name] = end
            await self._in_thread(log_dir.write_cleaned)


def is_enabled(broker: Broker) -> bool:
    return bool(broker.config["log.cleaner.enable"] and broker.config["log.cleaner.threads"] > 0)


def dirty_part(broker: Broker, partition: Partition, now_ms: int) -> Candidate:
    """What of a partition's open log can be cleaned."""
    one = partition.log
    return candidate(
        one.segments,
        cleaned=broker.log_dir.cleaned.get(partition.name, one.log_start_offset),
        log_start_offset=one.log_start_offset,
        log_end_offset=one.log_end_offset,
        limit=min(partition.last_stable_offset, one.recovery_point),
        config=one.config,
        now_ms=now_ms,
    )


def will_be_due(broker: Broker, partition: Partition) -> bool:
    """Whether a partition's open log is to be cleaned now, or later though nothing is written."""
    one = partition.log
    if not (is_enabled(broker) and one.config.is_compacted):
        return False
    return dirty_part(broker, partition, LONG_MAX).is_due(one.config)


def _ended(task: Task[None]) -> None:
    """A bug ends the process, as anywhere on the loop."""
    if not task.cancelled():
        task.result()
