"""A log directory whose logs are flushed into the commit journal, by hand."""
from __future__ import annotations

import os
import pathlib
import select

from fastbroker._c.sync_thread import SyncThread
from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import FILES, Journal
from fastbroker.storage.journal_replay import JournalReplay
from fastbroker.storage.log import Log
from fastbroker.storage.opening import open_log
from tests.storage.logs import NOW


class Journaled:
    """Made anew, it finds what is in `path`, as after a crash: nothing has been replayed yet."""

    def __init__(self, path: pathlib.Path, *, half_bytes: int = 1 << 20) -> None:
        self.path = path
        self.disk = Disk()
        self.journal = Journal(self.disk, str(path), half_bytes=half_bytes)

    def log(self, name: str = "t-0", topic_id: bytes = b"i" * 16, **how: object) -> Log:
        """Opened, or made."""
        topic, _, number = name.rpartition("-")
        config = TopicConfig(segment_bytes=4096)
        log = open_log(
            str(self.path / name), disk=self.disk, partition=TopicPartition(topic, int(number)),
            config=config, now_ms=NOW, topic_id=topic_id, **how,  # type: ignore[arg-type]
        )  # fmt: skip
        log.flush()
        return log

    def flush(self, *logs: Log) -> None:
        """One round, into the journal."""
        jobs = [(log, log.begin_flush()) for log in logs]
        begun = [job for _, job in jobs if job is not None]
        write = self.journal.prepare(begun)
        assert write is not None
        names = [one for job in begun for one in job.open_names()]
        thread = SyncThread()
        thread.begin(names, write.fd, write.frames)
        waiting = select.poll()  # there may be many descriptors
        waiting.register(thread.done_fd, select.POLLIN)
        assert waiting.poll(10_000)
        assert not any(thread.close())
        for fd, _ in names:
            os.close(fd)
        self.journal.written(write)
        for log, job in jobs:
            if job is not None:
                log.end_flush(job, is_journaled=True)

    def half(self, number: int = 0) -> pathlib.Path:
        return self.path / FILES[number]

    def replay(self, points: dict[TopicPartition, int] | None = None) -> JournalReplay:
        replay = JournalReplay(self.disk, str(self.path), points or {})
        replay.run()
        return replay


def lose(log: Log, size: int = 0) -> bytes:
    """What only the page cache had of the last segment is gone; what it was."""
    path = pathlib.Path(log.segments[-1].path)
    data = path.read_bytes()
    os.truncate(path, size)
    return data
