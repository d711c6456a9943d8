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
from fastbroker.storage.checkpoints import UnknownVersion, read_properties
from fastbroker.storage.damage import Damaged
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import META, LogDir, LogDirError
from fastbroker.storage.opening import open_log
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


class Rehearsal:
    """The next start of the broker that owns the log directory at `home`, on `stage`.

    The directory is opened once, when that is first needed; then logs, one at a time, each of which
    is forgotten before the next.
    """

    def __init__(self, disk: Disk, home: str) -> None:
        self.home = home
        self.stage = RehearsalDisk(disk)
        self._opened: LogDir | None = None
        self._failure: Exception | None = None

    def failure(self) -> str:
        """Why the broker would not start with the directory; "": it would."""
        if os.path.basename(self.home).startswith("controller-"):
            return ""
        try:
            with _silence():
                self._open_home()
        except LogDirError as error:
            return str(error)
        except Exception as error:  # whatever it trips over, it would trip over then
            return f"{type(error).__name__}: {error}"
        return ""

    def open(
        self, directory: str, known: Circumstances, config: TopicConfig | None = None
    ) -> Opened:
        """Open the log in `directory`, and do what its first use does; `forget` follows.

        config: the topic's; it only decides how dense indexes are that are made anew.
        """
        topic, _, number = os.path.basename(directory).rpartition("-")
        partition = TopicPartition(topic or "unknown", int(number) if number.isdigit() else 0)
        try:
            with _silence():
                log = self._log(partition, directory, known, config or TopicConfig())
                if not self.stage.exists(directory):
                    return Opened(PUT_ASIDE, 0, 0)
                first_use(log)
        except LogDirError as error:
            return Opened(f"the broker does not start: {error}", 0, 0)
        except KafkaError as error:
            return Opened(f"the partition does not open: {error.message}", 0, 0)
        except Exception as error:  # whatever it trips over, it would trip over then
            return Opened(f"the partition does not open: {type(error).__name__}: {error}", 0, 0)
        return Opened("", log.log_start_offset, log.log_end_offset)

    def _log(
        self, partition: TopicPartition, directory: str, known: Circumstances, config: TopicConfig
    ) -> Log:
        if _is_of_broker(self.stage, self.home):
            home = self._open_home()
            self.stage.mark()
            topic_id = _topic_id(self.stage, directory, known)
            return home.open_log(partition, topic_id, config, 0)
        self.stage.mark()
        return open_log(
            directory,
            disk=self.stage,
            partition=partition,
            config=config,
            now_ms=0,
            is_clean=known.is_clean,
            recovery_point=known.recovery_point,
            log_start_offset=known.log_start,
        )

    def _open_home(self) -> LogDir:
        """The log directory, open. Raises LogDirError, OSError, the same each time."""
        if self._failure is not None:
            raise self._failure
        if self._opened is None:
            number = os.path.basename(self.home).rpartition("-")[2]
            if not number.isdigit():  # Kafka's are called as people like
                meta = os.path.join(self.home, META)
                number = read_properties(self.stage, meta).get("node.id", "")
            opened = LogDir(
                self.home, disk=self.stage, node_id=int(number) if number.isdigit() else 0
            )
            try:
                opened.open()
            except Exception as error:
                self._failure = error
                raise
            self._opened = opened
        return self._opened

    def forget(self) -> None:
        """Let go of the log that was opened, and of what became of its files."""
        if self._opened is not None:
            self._opened.logs.clear()
        self.stage.rewind()

    def close(self) -> None:
        """Let go of everything."""
        if self._opened is not None:
            self._opened.logs.clear()
        self.stage.close_all()


def first_use(log: Log) -> None:
    """What a broker does to an open log when that is read, and saved for the first time."""
    for segment in log.segments:
        segment.max_timestamp  # noqa: B018  its indexes are looked through
    log.save_when_due()


def _is_of_broker(disk: Disk, home: str) -> bool:
    """Whether a partition's directory lies in a broker's, and not in a controller's."""
    is_controller = os.path.basename(home).startswith("controller-")
    return disk.exists(os.path.join(home, META)) and not is_controller


def _topic_id(disk: Disk, directory: str, known: Circumstances) -> bytes:
    """The topic's id; by the directory itself when nothing else tells; else one of no topic."""
    if known.topic_id is not None:
        return uuid_bytes(known.topic_id)
    try:
        text = topic_id_text(disk, directory) or ""
        found = uuid_bytes(text)
        return found if uuid_text(found) == text else ZERO_UUID
    except (UnknownVersion, Damaged, ValueError, OSError):  # told of elsewhere
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
