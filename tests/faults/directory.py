"""A broker's directory with one partition of several segments, to be damaged and opened again."""
from __future__ import annotations

import pathlib
from collections.abc import Callable

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from tests.storage.logs import NOW, append, contents

NODE, CLUSTER, TOPIC_ID = 1, "c" * 22, bytes(15) + b"\x07"
TP = TopicPartition("t", 0)
CONFIG = TopicConfig(segment_bytes=900, index_interval_bytes=150)
EPOCHS = [(2, 0), (3, 10), (5, 31)]
RECORDS = [(offset, f"value-{offset}") for offset in range(40)]
Damage = Callable[[pathlib.Path], object]


class Directory:
    """The directory at `path` (data), of a broker that has ended. partition: its partition's."""

    def __init__(self, path: pathlib.Path, *, is_clean: bool) -> None:
        self.path = path
        self.partition = path / str(TP)
        log_dir, log = self._open()
        for offset, value in RECORDS:
            epoch = max(epoch for epoch, start in EPOCHS if start <= offset)
            sequence = {"producer_id": 9, "producer_epoch": 0, "base_sequence": offset}
            append(log, value, epoch=epoch, now=NOW + offset, **sequence)
        log.flush()
        if is_clean:
            log_dir.close(broker_epoch=3)
        else:
            log.epochs.write()  # as from time to time
            self._abandon(log_dir)

    def _open(self) -> tuple[LogDir, Log]:
        log_dir = LogDir(str(self.path), disk=Disk(), node_id=NODE)
        try:
            log_dir.open()
            log_dir.join_cluster(CLUSTER)
            return log_dir, log_dir.open_log(TP, TOPIC_ID, CONFIG, NOW)
        except BaseException:
            self._abandon(log_dir)
            raise

    def _abandon(self, log_dir: LogDir) -> None:
        """As if its process had been killed."""
        if log_dir._lock >= 0:
            log_dir.disk.close(log_dir._lock)
            log_dir._lock = -1

    def start(self) -> None:
        """Open it, use everything in it, and stop. Raises what refuses it."""
        log_dir, log = self._open()
        try:
            assert contents(log) == RECORDS
            for offset, value in RECORDS:
                assert contents(log, offset)[0] == (offset, value)
                found = log.offset_for_timestamp(NOW + offset)
                assert found is not None
                assert (found.offset, found.timestamp) == (offset, NOW + offset)
            assert log.epochs.entries == EPOCHS
            last = log.producers.producers[9].batches[-1]
            assert (last.last_sequence, last.last_offset) == (39, 39)
        finally:
            self._abandon(log_dir)

    def content(self) -> dict[str, bytes]:
        """Every file by its path, but for the lock, and what an opening takes away first."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and path.name not in (".lock", ".kafka_cleanshutdown")
        }

    def segments(self, suffix: str = ".log") -> list[pathlib.Path]:
        return sorted(self.partition.glob(f"*{suffix}"))
