"""Where log lines go: to a terminal or file with the time, to the journal with fields.

In the journal an event is one entry, whatever its text holds, with these fields to search by:
PRIORITY, FASTBROKER_PROCESS (supervisor, controller, worker-0, ...), FASTBROKER_LOGGER, CODE_FILE,
CODE_LINE, CODE_FUNC, and FASTBROKER_TOPIC, FASTBROKER_PARTITION where a line names a partition.

    entry := field*, one datagram to the journal's socket
    field := name '=' value '\\n' | name '\\n' uint64le length value '\\n'

systemd: Native Journal Protocol.
"""
from __future__ import annotations

import logging
import os
import socket
import sys
import time

from fastbroker.log_rate import LogRate
from fastbroker.model import TopicPartition

LOG_FORMAT = "%(asctime)s %(levelname)s [%(process_name)s] %(name)s: %(message)s"
JOURNAL = "/run/systemd/journal/socket"
MESSAGE_MAX = 100_000  # bytes; the journal itself cuts at its own limit
# Lines that one place in the code may write at once, and then one after so long.
BURST, LINE_EVERY_S = 100, 0.5
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def log_to_stderr() -> None:
    """Send everything from INFO up to standard error, or to the journal behind it."""
    handler: logging.Handler
    if is_journal(sys.stderr.fileno()):
        handler = JournalHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))  # the rest is fields
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
    handler.addFilter(ProcessName())
    handler.addFilter(Rated())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def is_journal(fd: int) -> bool:
    """Whether systemd has connected `fd` to the journal."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        stat = os.fstat(fd)
    except OSError:
        return False
    return (str(stat.st_dev), str(stat.st_ino)) == (device, inode)


class ProcessName(logging.Filter):
    """Gives every record the name of the process that it comes from."""

    def filter(self, record: logging.LogRecord) -> bool:
        with open("/proc/self/comm") as comm:
            record.process_name = comm.read().strip().removeprefix("fb-")
        return True


class Rated(logging.Filter):
    """Holds back what one place in the code writes over and over; the next line says how much."""

    def __init__(self, *, burst: int = BURST, line_every_s: float = LINE_EVERY_S) -> None:
        super().__init__()
        self._rate = LogRate(burst=burst, line_every_s=line_every_s)

    def filter(self, record: logging.LogRecord) -> bool:
        place = f"{record.pathname}:{record.lineno}"
        if not self._rate.allows(place, time.monotonic()):
            return False
        unsaid = self._rate.held_back(place)
        if unsaid:
            record.msg = f"{record.getMessage()} ({unsaid} more lines like this were held back)"
            record.args = None
        return True


class JournalHandler(logging.Handler):
    """One entry a record; while the journal takes none, lines go to standard error, which systemd
    reads, with their priority in front."""

    def __init__(self, path: str = JOURNAL) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)  # no loop waits for the journal

    def emit(self, record: logging.LogRecord) -> None:
        try:
            entry = self.entry(record)
            try:
                self._socket.sendto(entry, self._path)
            except OSError:
                text = " ".join(self.format(record).splitlines())
                sys.stderr.write(f"<{priority(record.levelno)}>{text}\n")
                sys.stderr.flush()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def entry(self, record: logging.LogRecord) -> bytes:
        """The datagram."""
        fields = {
            "MESSAGE": self.format(record),
            "PRIORITY": str(priority(record.levelno)),
            "SYSLOG_IDENTIFIER": "fastbroker",
            "FASTBROKER_PROCESS": getattr(record, "process_name", ""),
            "FASTBROKER_LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }
        partition = _partition(record)
        if partition is not None:
            fields["FASTBROKER_TOPIC"] = partition.topic
            fields["FASTBROKER_PARTITION"] = str(partition.partition)
        return b"".join(field(name, text) for name, text in fields.items())


def _partition(record: logging.LogRecord) -> TopicPartition | None:
    """The partition that a line is about, if it names one."""
    args = record.args if isinstance(record.args, tuple) else ()
    return next((one for one in args if isinstance(one, TopicPartition)), None)


def field(name: str, text: str) -> bytes:
    """One field of an entry."""
    value = text.encode(errors="replace")[:MESSAGE_MAX]
    if b"\n" not in value:
        return b"%s=%s\n" % (name.encode(), value)
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def priority(level: int) -> int:
    """syslog's number of a level."""
    return next((number for least, number in PRIORITIES if level >= least), 7)
