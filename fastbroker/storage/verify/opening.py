"""What the next start of a broker does with a partition's files: its own code, on a RehearsalDisk.

This is the only place that knows how logs are opened.
"""
from __future__ import annotations

import contextlib
import logging
import os.path
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError
from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log, topic_id_text
from fastbroker.storage.log_dir import LogDir, LogDirError
from fastbroker.storage.verify.partition import Circumstances
from fastbroker.storage.verify.rehearsal import RehearsalDisk


class Opened(NamedTuple):
    """failure: why it cannot be opened, "": it can. Offsets are those of the log after it."""

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
    try:
        with _silence():
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
    except KafkaError as error:
        return Opened(error.message, 0, 0)
    except Exception as error:  # whatever it trips over, it would trip over then
        return Opened(f"{type(error).__name__}: {error}", 0, 0)
    return Opened("", log.log_start_offset, log.log_end_offset)


def rehearse_directory(disk: Disk, path: str, identity: Mapping[str, str]) -> str:
    """Why the broker would not start with the log directory at `path`; "": it would."""
    name = os.path.basename(path)
    if name.startswith("controller-"):
        return ""
    number = name.rpartition("-")[2]
    if not number.isdigit():  # Kafka's are called as people like
        number = identity.get("node.id", "")
    stage = RehearsalDisk(disk)
    try:
        with _silence():
            LogDir(path, disk=stage, node_id=int(number) if number.isdigit() else 0).open()
    except LogDirError as error:
        return str(error)
    except Exception as error:  # whatever it trips over, it would trip over then
        return f"{type(error).__name__}: {error}"
    finally:
        stage.close_all()
    return ""


def adoption(disk: Disk, directory: str, wanted: str | None) -> str:
    """What a start makes of the topic id in a directory whose partition.metadata is not right."""
    found = topic_id_text(disk, directory)
    if found is None:
        return "takes the directory for the topic's, and writes nothing"
    if wanted is None:
        return "if that is not the topic's id, the directory is kept as a stray one"
    if found == wanted:
        return "takes the directory for the topic's"
    return "keeps the directory as a stray one: the partition begins empty"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What the broker would log is told in findings."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
