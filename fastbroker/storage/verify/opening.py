"""What the next start of a broker does with a partition's files: its own code, on a RehearsalDisk.

This is the only place that knows how logs are opened.
"""
from __future__ import annotations

import contextlib
import logging
import os.path
from collections.abc import Iterator
from typing import NamedTuple

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError
from fastbroker.model import ZERO_UUID, TopicPartition
from fastbroker.storage.checkpoints import read_properties
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import META, STRAY, LogDir, LogDirError
from fastbroker.storage.partition_metadata import topic_id_text
from fastbroker.storage.verify.partition import Circumstances
from fastbroker.storage.verify.rehearsal import RehearsalDisk
from fastbroker.uuids import uuid_bytes, uuid_text

PUT_ASIDE = "keeps the directory as a stray one: the partition begins empty"


class Opened(NamedTuple):
    """failure: what happens instead of opening it; "": it opens. Offsets: of the log then."""

    failure: str
    log_start_offset: int
    log_end_offset: int


def rehearse(
    disk: RehearsalDisk, directory: str, known: Circumstances, config: TopicConfig | None = None
) -> Opened:
    """Open the log in `directory` on `disk`, as the broker that owns it will.

    config: the topic's; it only decides how dense indexes are that are made anew.
    """
    topic, _, number = os.path.basename(directory).rpartition("-")
    partition = TopicPartition(topic or "unknown", int(number) if number.isdigit() else 0)
    home = os.path.dirname(directory)
    try:
        with _silence():
            if _is_of_broker(disk, home):
                before = _strays(disk, home)
                topic_id = _topic_id(disk, directory, known)
                log = _opened_home(disk, home).open_log(
                    partition, topic_id, config or TopicConfig(), 0
                )
                if _strays(disk, home) != before:
                    return Opened(PUT_ASIDE, 0, 0)
            else:
                log = Log.open(
                    directory,
                    disk=disk,
                    partition=partition,
                    config=config or TopicConfig(),
                    now_ms=0,
                    is_clean=known.is_clean,
                    recovery_point=known.recovery_point,
                    log_start_offset=known.log_start,
                )
    except LogDirError as error:
        return Opened(f"the broker does not start: {error}", 0, 0)
    except KafkaError as error:
        return Opened(f"the partition does not open: {error.message}", 0, 0)
    except Exception as error:  # whatever it trips over, it would trip over then
        return Opened(f"the partition does not open: {type(error).__name__}: {error}", 0, 0)
    return Opened("", log.log_start_offset, log.log_end_offset)


def rehearse_directory(disk: Disk, path: str) -> str:
    """Why the broker would not start with the log directory at `path`; "": it would."""
    if os.path.basename(path).startswith("controller-"):
        return ""
    stage = RehearsalDisk(disk)
    try:
        with _silence():
            _opened_home(stage, path)
    except LogDirError as error:
        return str(error)
    except Exception as error:  # whatever it trips over, it would trip over then
        return f"{type(error).__name__}: {error}"
    finally:
        stage.close_all()
    return ""


def _is_of_broker(disk: Disk, home: str) -> bool:
    """Whether a partition's directory lies in a broker's, and not in a controller's."""
    is_controller = os.path.basename(home).startswith("controller-")
    return disk.exists(os.path.join(home, META)) and not is_controller


def _opened_home(disk: RehearsalDisk, path: str) -> LogDir:
    """The log directory at `path`, open. Raises LogDirError, OSError."""
    number = os.path.basename(path).rpartition("-")[2]
    if not number.isdigit():  # Kafka's are called as people like
        number = read_properties(disk, os.path.join(path, META)).get("node.id", "")
    home = LogDir(path, disk=disk, node_id=int(number) if number.isdigit() else 0)
    home.open()
    return home


def _strays(disk: Disk, home: str) -> list[str]:
    return [name for name in disk.list(home) if name.endswith(STRAY)]


def _topic_id(disk: Disk, directory: str, known: Circumstances) -> bytes:
    """The topic's id; by the directory itself when nothing else tells; else one of no topic."""
    if known.topic_id is not None:
        return uuid_bytes(known.topic_id)
    try:
        text = topic_id_text(disk, directory) or ""
        found = uuid_bytes(text)
        return found if uuid_text(found) == text else ZERO_UUID
    except Exception:  # a damaged file is told of elsewhere
        return ZERO_UUID


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What the broker would log is told in findings."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
