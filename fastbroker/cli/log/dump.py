"""`fastbroker log dump`: what is in a broker's files."""
from __future__ import annotations

import json
import os.path
from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from fastbroker.cli.log import batches, entries
from fastbroker.cli.log.page import VIEWS, record_lines, wrong_lines
from fastbroker.cli.log.sheet import Sheet
from fastbroker.cli.output import Failure, count, json_option, screen_width, size
from fastbroker.storage.disk import Disk
from fastbroker.storage.segment_files import INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX
from fastbroker.storage.verify.journal_file import FILES as JOURNAL
from fastbroker.storage.verify.layout import Kind, kind_of, log_dirs, partitions

Fact = dict[str, Any]
BUFFER_BYTES = 1 << 16
LEFTOVERS = (".deleted", ".cleaned", ".swap", ".tmp")
TEXTS = (
    "meta.properties", ".kafka_cleanshutdown", "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint", "replication-offset-checkpoint", "cleaner-offset-checkpoint",
    "partition.metadata", "leader-epoch-checkpoint", "quorum-state",
)  # fmt: skip
_ORDER = (LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT, ".checkpoint")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--records", "with_records", is_flag=True, help="The records of batches, too.")
@click.option(
    "--offset", type=click.IntRange(0), default=0, metavar="N",
    help="Begin with the batch that holds offset N, or the next one.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(1), metavar="N",
    help="End after N batches, records (with --records), or entries.",
)  # fmt: skip
@json_option
def dump(
    paths: tuple[str, ...], with_records: bool, offset: int, limit: int | None, as_json: bool
) -> None:
    """Print what is in a broker's files, whether the broker runs or not.

    PATH is a file (.log, .index, .timeindex, .txnindex, .snapshot, a checkpoint, meta.properties,
    ...), the directory of a partition, a log directory (broker-N), or a data directory, of which
    what is empty is left out. Records of internal topics are decoded. Damaged files are shown as
    far as they can be read; whether all is well is told by: fastbroker log verify

    With --json each batch, record and entry is an object on a line of its own.
    """
    disk = Disk()
    reel = _Reel(with_records, offset, limit, as_json)
    try:
        for path in paths:
            for file in files(disk, path):
                if reel.is_over:
                    break
                reel.file(disk, file)
        reel.close()
    except KeyboardInterrupt:
        click.get_current_context().exit(130)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise Failure(f"{error.filename}: {error.strerror}") from None


def files(disk: Disk, path: str) -> Iterator[str]:
    """The files at `path`, in the order in which they are read best. Raises Failure, OSError."""
    kind = kind_of(disk, path)
    if kind is Kind.NOTHING:
        what = "there is no log in" if disk.exists(path) else "there is no"
        raise Failure(f"{what} {path}; name a file or a directory of a broker, as in --data-dir")
    if kind is Kind.FILE:
        yield path
    elif kind is Kind.DATA:
        for one in log_dirs(disk, path):
            yield from files(disk, one)
    elif kind is Kind.LOG_DIR:
        yield from _texts(disk, path)
        journal = (os.path.join(path, name) for name in JOURNAL)
        yield from (one for one in journal if disk.exists(one))
        for name in partitions(disk, path):
            directory = os.path.join(path, name)
            if not is_empty(disk, directory):
                yield from _of_partition(disk, directory)
    else:
        yield from _of_partition(disk, path)


def is_empty(disk: Disk, directory: str) -> bool:
    """Whether a partition's log has no bytes."""
    logs = [os.path.join(directory, name) for name in disk.list(directory) if name.endswith(LOG)]
    return not any(disk.size(one) for one in logs)


def _texts(disk: Disk, path: str) -> Iterator[str]:
    there = disk.list(path)
    yield from (os.path.join(path, name) for name in TEXTS if name in there)


def _of_partition(disk: Disk, path: str) -> Iterator[str]:
    yield from _texts(disk, path)
    found = []
    for name in disk.list(path):
        stem, dot, suffix = name.partition(".")
        if dot + suffix in _ORDER:
            found.append((stem, _ORDER.index(dot + suffix), name))
    yield from (os.path.join(path, name) for _, _, name in sorted(found))


class _Reel:
    """What is printed of one file after the other."""

    def __init__(
        self, with_records: bool, offset: int, limit: int | None, as_json: bool
    ) -> None:
        self._with_records, self._offset = with_records, offset
        self._left: int | None = limit
        self._as_json = as_json
        self._width = screen_width()
        self._empty = 0

    @property
    def is_over(self) -> bool:
        return self._left is not None and self._left <= 0

    def file(self, disk: Disk, path: str) -> None:
        """Print a file. Raises OSError."""
        if disk.size(path) == 0:
            self._empty += 1
            return
        facts = self._facts(disk, path)
        if self._as_json:
            self._print_json(path, facts)
        else:
            self._print_text(disk, path, facts)

    def close(self) -> None:
        """Say what was left out."""
        if self._empty and not self._as_json:
            what = f"{count(self._empty, 'file')} without content"
            click.echo(f"{what} left out", err=True)

    def _facts(self, disk: Disk, path: str) -> Iterator[Fact]:
        facts = reader(path, self._offset, self._with_records)(disk, path)
        for fact in facts:
            if self.is_over:
                return
            if not self._is_chosen(fact):
                continue
            passed = ("line", "batch") if self._with_records else ("line",)
            if self._left is not None and fact["type"] not in passed:
                self._left -= 1
            yield fact

    def _is_chosen(self, fact: Fact) -> bool:
        if fact["type"] in ("offset", "time"):
            return int(fact["offset"]) >= self._offset
        return fact["type"] != "aborted" or int(fact["last_offset"]) >= self._offset

    def _print_json(self, path: str, facts: Iterator[Fact]) -> None:
        for fact in facts:
            fact.pop("raw", None)
            click.echo(json.dumps({"file": path, **fact}, ensure_ascii=False))

    def _print_text(self, disk: Disk, path: str, facts: Iterator[Fact]) -> None:
        sheet: Sheet | None = None
        title = f"{path} ({size(disk.size(path))})"
        click.echo(title)
        for fact in facts:
            view = VIEWS.get(fact["type"])
            if fact["type"] == "record" and sheet is not None:
                sheet.line(record_lines(fact, self._width))
            elif view is not None:
                if sheet is None:
                    right = [name.startswith(">") for name in view.header]
                    names = [name.removeprefix(">") for name in view.header]
                    sheet = Sheet(names, right, self._width)
                sheet.row(view.row(fact))
                if fact.get("wrong"):
                    sheet.line(wrong_lines(fact, self._width))
            elif fact["type"] == "line":
                click.echo(fact["text"])
            else:
                click.echo(f"WRONG: {fact.get('wrong')}")
        if sheet is not None:
            sheet.close()
        elif path.endswith((INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT, *JOURNAL)):
            click.echo("no entries")
        click.echo()


def reader(path: str, offset: int, with_records: bool) -> Any:
    """The function (disk, path) -> facts that understands a file. Raises Failure."""
    name = os.path.basename(path)
    for leftover in LEFTOVERS:
        name = name.removesuffix(leftover)
    if name.endswith((LOG, ".checkpoint")):
        return partial(batches.facts, offset=offset, with_records=with_records)
    kinds = {
        INDEX: entries.offset_index, TIME_INDEX: entries.time_index, TXN_INDEX: entries.aborted,
        SNAPSHOT: entries.producers,
    }  # fmt: skip
    for suffix, function in kinds.items():
        if name.endswith(suffix):
            return function
    if name in JOURNAL:
        return entries.journal
    if name in TEXTS:
        return entries.text
    known = ", ".join([*(f"*{suffix}" for suffix in _ORDER), *JOURNAL, *TEXTS])
    raise Failure(f"{path}: not known as a broker's file; there are {known}")
