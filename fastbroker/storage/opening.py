"""From what is on disk to a log: begun anew, or as the run before has left it, clean or not."""
from __future__ import annotations

from collections.abc import Callable

from fastbroker.config.kinds import LONG_MAX
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaStorageError
from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import UnknownVersion
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.recovery import find_epochs, find_segments, recover, set_aside
from fastbroker.storage.segment import Segment
from fastbroker.storage.segments import Segments
from fastbroker.storage.space import refusal


def open_log(
    directory: str,
    *,
    disk: Disk,
    partition: TopicPartition,
    config: TopicConfig,
    now_ms: int,
    is_clean: bool = False,
    recovery_point: int = 0,
    compacted_to: int = 0,
    log_start_offset: int = 0,
    topic_id: bytes | None = None,
    fault: Callable[[OSError], object] = lambda _: None,
) -> Log:
    """The log in `directory`, which is made when the first batch is written.

    is_clean: it was closed; otherwise everything from `recovery_point` on is checked and cut at
    the first bad batch. compacted_to: see recovery.py. What was there is on the medium: after a
    crash, its file system was synced. Raises NoSpaceLeft, KafkaStorageError.
    """
    log = Log(
        directory, disk=disk, partition=partition, config=config, topic_id=topic_id, fault=fault
    )
    log.log_start_offset = log_start_offset
    try:
        names = _names(disk, directory)
        _load(log, names, now_ms, LONG_MAX if is_clean else recovery_point, compacted_to)
    except OSError as error:
        fault(error)
        raise refusal(directory, "opening", error) from error
    except (UnknownVersion, Damaged) as error:
        raise KafkaStorageError(f"{partition} cannot be opened: {error}") from error
    return log


def _names(disk: Disk, directory: str) -> list[str]:
    try:
        return disk.list(directory)
    except FileNotFoundError:
        return []


def _load(
    log: Log, names: list[str], now_ms: int, recovery_point: int, compacted_to: int
) -> None:
    found = find_segments(log.disk, log.directory, names)
    log.log_start_offset = max(log.log_start_offset, found[0].base_offset if found else 0)
    end = -1
    if found:
        if not log.epochs.load():
            find_epochs(found, log.epochs, recovery_point)
        end = _recover(log, found, names, recovery_point, compacted_to)
    if end < log.log_start_offset:
        # Nothing is there, or all that was left lies below the start: begin anew there.
        for segment in log.segments:
            segment.remove()
        end = log.log_start_offset
        log.segments = Segments([log.new_segment(end, now_ms)])
        log.producers = ProducerState()
    log.is_made = bool(found) and log.segments[0] is found[0]
    log.log_end_offset = end
    log.unflushed.opened(end)
    log.epochs.cut_from(end)
    log.epochs.cut_before(log.log_start_offset)  # a crash may have lost that it moved
    log.last_abort = log.segments.last_abort
    log.drop_snapshots(names)


def _recover(
    log: Log, found: list[Segment], names: list[str], recovery_point: int, compacted_to: int
) -> int:
    """Trust what may be trusted of what is there and check the rest; the offset behind it."""
    left = recover(
        found,
        log.epochs,
        recovery_point=recovery_point,
        compacted_to=compacted_to,
        index_interval_bytes=log.config.index_interval_bytes,
        snapshots=log.snapshots,
        names=names,
    )
    for segment in left.cut_off:
        set_aside(segment, left.end)
    if left.cut_off:
        # One that came back after a power cut would follow what is written from here on.
        log.disk.sync_directory(log.directory)
    # All of it is believed from here on: what tells of it is on the medium, too.
    for path in left.unsynced:
        log.disk.sync_file(path)
    log.segments, log.producers = Segments(left.segments), left.producers
    return left.end
