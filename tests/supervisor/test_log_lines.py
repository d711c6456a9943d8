"""Lines for the journal, and how many."""
from __future__ import annotations

import logging
import os
import pathlib
import socket
import sys
from collections.abc import Iterator

import pytest

from fastbroker.model import TopicPartition
from fastbroker.supervisor.log_lines import JournalHandler, Rated, field, is_journal

Log = tuple[logging.Logger, socket.socket]


@pytest.fixture
def journal(tmp_path: pathlib.Path) -> Iterator[Log]:
    """A logger and the journal that it writes to."""
    path = str(tmp_path / "journal")
    log = logging.Logger("fastbroker.test")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(5)
        handler = JournalHandler(path)
        log.addHandler(handler)
        yield log, sock
        handler.close()


def fields(entry: bytes) -> dict[str, str]:
    out = {}
    while entry:
        head, _, rest = entry.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        out[name.decode()] = value.decode()
        entry = rest
    return out


def test_an_entry_has_its_fields(journal: Log) -> None:
    log, sock = journal
    orders = TopicPartition("orders", 3)
    log.warning("%s is full", orders, extra={"process_name": "worker-0"})
    found = fields(sock.recv(65536))
    assert found["MESSAGE"] == f"{orders} is full"
    assert found["PRIORITY"] == "4"
    assert found["FASTBROKER_PROCESS"] == "worker-0"
    assert found["FASTBROKER_TOPIC"] == "orders"
    assert found["FASTBROKER_PARTITION"] == "3"
    assert found["FASTBROKER_LOGGER"] == "fastbroker.test"
    assert found["CODE_FUNC"] == "test_an_entry_has_its_fields"


def test_an_event_with_a_traceback_is_one_entry(journal: Log) -> None:
    log, sock = journal
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        log.critical("it has failed", exc_info=True)
    found = fields(sock.recv(65536))
    assert found["PRIORITY"] == "2"
    assert found["MESSAGE"].startswith("it has failed\nTraceback")
    assert found["MESSAGE"].endswith("lines")


def test_what_looks_like_a_field_is_text() -> None:
    assert field("MESSAGE", "a\nPRIORITY=0") == b"MESSAGE\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n"


def test_without_a_journal_lines_go_to_standard_error(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.Logger("fastbroker.test")
    handler = JournalHandler(str(tmp_path / "nobody"))
    log.addHandler(handler)
    log.error("one\ntwo")
    handler.close()
    assert capsys.readouterr().err == "<3>one two\n"


def test_the_journal_is_behind_standard_error_when_systemd_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    with open(tmp_path / "file", "w") as file:
        stat = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        assert is_journal(file.fileno())
        assert not is_journal(sys.__stdin__.fileno() if sys.__stdin__ else 0)
    monkeypatch.delenv("JOURNAL_STREAM")
    assert not is_journal(2)


def test_what_repeats_is_held_back_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    rated = Rated(burst=2, line_every_s=1e9)

    def line(number: int, place: int) -> logging.LogRecord:
        return logging.LogRecord("a", logging.INFO, "file.py", place, "line %d", (number,), None)

    assert [rated.filter(line(n, 1)) for n in range(5)] == [True, True, False, False, False]
    assert rated.filter(line(0, 2)), "another place"
    rated._rate._line_every_s = 1e-9
    again = line(5, 1)
    assert rated.filter(again)
    assert again.getMessage() == "line 5 (3 more lines like this were held back)"
