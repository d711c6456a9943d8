"""One broker with a clock of its own: real logs, real upkeep, restarts, on files in a directory.

Retention, checkpoints, expiry, compaction and removals are the worker's own, driven by virtual
timers; threads of the executor run at once. Nothing is synced: what is simulated is time, not power
cuts.
"""
from __future__ import annotations

import gc
import os
import pathlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from fastbroker.metadata.image import TOPIC
from fastbroker.model import TopicPartition
from fastbroker.partition.partition import Partition
from fastbroker.protocol.metadata_records import (
    ConfigRecord,
    PartitionRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from fastbroker.protocol.schema import Struct
from fastbroker.storage.disk import Buffer, Disk
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.swap import CLEANED
from fastbroker.worker.compaction import Compaction
from fastbroker.worker.removal import Removal
from fastbroker.worker.rounds import Rounds
from fastbroker.worker.saving import Saving
from fastbroker.worker.upkeep import Upkeep
from tests.handlers.bench import ME, Bench
from tests.worker.loops import InstantLoop, SteppedLoop

MINUTE, HOUR = 60_000, 3_600_000
RETENTION_CHECK_MS = 5 * MINUTE
EXPIRY_CHECK_MS = 10 * MINUTE
PRODUCERS_EXPIRE_MS = 2 * HOUR
SETTINGS = {
    "log.retention.check.interval.ms": str(RETENTION_CHECK_MS),
    "producer.id.expiration.check.interval.ms": str(EXPIRY_CHECK_MS),
    "producer.id.expiration.ms": str(PRODUCERS_EXPIRE_MS),
    "replica.high.watermark.checkpoint.interval.ms": str(MINUTE),
    # It is over in the middle between two turns, which are a minute apart.
    "log.cleaner.backoff.ms": str(MINUTE // 2),
}


class Killed(BaseException):
    """The process ends here, between two calls to the disk."""


class TimedDisk(Disk):
    """Files are as old as the virtual clock says.

    kill_in: so many renames and new files of compaction later it is over: is_dead.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.kill_in: int | None = None
        self.is_dead = False

    def _step(self) -> None:
        if self.kill_in == 0:
            self.is_dead = True
        if self.is_dead:  # nor does what tidies up after an exception come to anything
            raise Killed
        if self.kill_in is not None:
            self.kill_in -= 1

    def open(self, path: str, *, create: bool = False, write: bool = True) -> int:
        is_new = create and not os.path.exists(path)
        if path.endswith(CLEANED):
            self._step()
        fd = super().open(path, create=create, write=write)
        if is_new:
            self._touch(fd)
        return fd

    def pwrite(self, fd: int, data: Buffer, offset: int) -> None:
        super().pwrite(fd, data, offset)
        self._touch(fd)

    def _touch(self, fd: int) -> None:
        at = self.now_ms() * 1_000_000
        os.utime(fd, ns=(at, at))

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: str) -> None:
        pass

    def sync_file_system(self, path: str) -> None:
        pass

    def replace_file(self, path: str, data: bytes) -> None:
        self.write_file(path, data)

    def rename(self, source: str, target: str) -> None:
        self._step()
        super().rename(source, target)

    def remove(self, path: str) -> None:
        if self.is_dead:
            raise Killed
        super().remove(path)


class World:
    """The broker as it is now, and what lives longer than it: the clock and the metadata.

    after_start(world): called at each start, once all logs are open.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.topics: dict[str, tuple[bytes, int, Mapping[str, str]]] = {}
        self.epoch = 0
        self.stepped_ms = 0
        self._at_ms = 0.0
        self.bench: Bench
        self.disk: TimedDisk
        self.compaction: Compaction
        self.loop = SteppedLoop()

    def close(self) -> None:
        """Nothing is to happen any more."""
        self.compaction.close()
        self.loop.settle()
        self.loop.close()

    @property
    def directory(self) -> pathlib.Path:
        return self.path / "broker-1"

    def now_ms(self) -> int:
        return self.bench.timers.now_ms()

    def advance(self, ms: float) -> None:
        """Time goes by."""
        self.bench.timers.advance(ms)

    def turn(self) -> None:
        """Compaction does what is to be done now."""
        self.loop.settle()

    def step_clock(self, ms: int) -> None:
        """The wall clock is put forward or, below 0, back; timers do not notice."""
        self.stepped_ms += ms
        self._set_clock()

    def _set_clock(self) -> None:
        self.bench.timers.EPOCH_MS = type(self.bench.timers).EPOCH_MS + self.stepped_ms

    # ---- starts and ends

    def start(self) -> None:
        self.epoch += 1
        bench = self.bench = Bench(self.path, SETTINGS)
        bench.timers.at_ms = self._at_ms
        self._set_clock()
        self.disk = TimedDisk(bench.timers.now_ms)
        bench.log_dir.disk = bench.log_dir.checkpoints.disk = self.disk
        loop: Any = InstantLoop()
        remove = Removal(loop, bench.timers, self.disk)
        bench.replicas.remove = remove
        for name in self.topics:
            self._tell(name)
        assert not bench.log_dir.unknown_directories(bench.broker.partitions)
        saving = Saving(loop, bench.broker, print)
        Upkeep(loop, bench.broker, bench._request_flush, saving.begin).start()
        Rounds(bench.broker, remove, bench._request_flush).start()
        self.compaction = Compaction(
            self.loop, bench.broker, remove, bench.log_dir.take_offline
        )
        self.compaction.start()

    def _tell(self, name: str) -> None:
        topic_id, partitions, configs = self.topics[name]
        records: list[Struct] = [TopicRecord(name=name, topic_id=topic_id)]
        records += [
            PartitionRecord(
                partition_id=n, topic_id=topic_id, replicas=[ME], isr=[ME], leader=ME,
                leader_epoch=self.epoch, directories=[bytes(16)],
            )
            for n in range(partitions)
        ]  # fmt: skip
        records += [
            ConfigRecord(resource_type=TOPIC, resource_name=name, name=key, value=value)
            for key, value in configs.items()
        ]
        self.bench.apply(*records)

    def stop(self) -> None:
        """A clean end."""
        self.compaction.close()
        self.loop.settle()
        self.bench.log_dir.close(self.epoch)
        self._forget(self.bench.timers.at_ms)

    def kill(self, until_ms: float) -> None:
        """An unclean one; what was written is in the page cache. until_ms: of the next start."""
        self.compaction.close()
        self.loop.settle()
        self.bench.log_dir.disk.close(self.bench.log_dir._lock)
        self._forget(until_ms)

    def _forget(self, at_ms: float) -> None:
        self._at_ms = at_ms
        del self.bench, self.disk, self.compaction
        gc.collect()

    # ---- topics

    def create(self, name: str, partitions: int, configs: Mapping[str, str]) -> None:
        self.topics[name] = uuid.uuid4().bytes, partitions, configs
        self._tell(name)

    def configure(self, name: str, **changed: str) -> None:
        """AlterConfigs; names with _ for dots."""
        topic_id, partitions, configs = self.topics[name]
        fresh = {key.replace("_", "."): value for key, value in changed.items()}
        self.topics[name] = topic_id, partitions, {**configs, **fresh}
        self.bench.apply(
            *(
                ConfigRecord(resource_type=TOPIC, resource_name=name, name=key, value=value)
                for key, value in fresh.items()
            )
        )

    def delete(self, name: str) -> None:
        topic_id, _, _ = self.topics.pop(name)
        self.bench.apply(RemoveTopicRecord(topic_id=topic_id))

    def partition(self, name: TopicPartition) -> Partition:
        return self.bench.broker.partitions[name]

    def producers_known(self, name: TopicPartition) -> set[int]:
        """Those that the log, or a snapshot of it, tells of."""
        opened = self.partition(name).opened
        found = set(opened.producers.producers if opened is not None else ())
        for path in (self.directory / str(name)).glob("*.snapshot"):
            state = ProducerState.from_snapshot(path.read_bytes())
            found |= state.producers.keys() if state is not None else set()
        return found

    # ---- what the process holds

    def open_files(self) -> list[str]:
        """What descriptors of this process are of files in the directory."""
        found = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{fd}")
            except FileNotFoundError:
                continue
            if target.startswith(str(self.directory)):
                found.append(target)
        return found

    def mapped_files(self) -> list[str]:
        """The same for memory maps."""
        with open("/proc/self/maps") as file:
            lines = [line.split(maxsplit=5) for line in file]
        return [
            parts[5].rstrip("\n")
            for parts in lines
            if len(parts) == 6 and parts[5].startswith(str(self.directory))
        ]
