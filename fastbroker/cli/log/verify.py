"""`fastbroker log verify`: what is wrong with a broker's files."""
from __future__ import annotations

import json
import os.path
import time

import click

from fastbroker.cli.output import Failure, count, json_option, screen_width, size, wrapped
from fastbroker.cli.progress import Progress
from fastbroker.storage.disk import Disk
from fastbroker.storage.verify.finding import Finding, Severity
from fastbroker.storage.verify.layout import Kind, kind_of
from fastbroker.storage.verify.partition import Tally
from fastbroker.storage.verify.tree import bytes_in, running_in
from fastbroker.storage.verify.tree import verify as verified

UNREADABLE = 3
_NAMES = {Severity.NOTE: "note", Severity.REPAIR: "repair", Severity.DAMAGE: "damage"}
_INDENT = " " * 8
_MIB = 1 << 20


@click.command()
@click.argument("directory")
@json_option
def verify(directory: str, as_json: bool) -> None:
    """Find all that is wrong with a broker's files.

    DIRECTORY is a data directory, a log directory (broker-N), or the directory of a partition.
    Every batch, record, index entry, producer and checkpoint is looked at; nothing is changed. What
    the next start of the broker would do is found out by starting, on a disk that only remembers
    what is written to it.

    \b
    damage   it stays as it is, or whole records are lost
    repair   the next start mends it
    note     it does no harm

    Exit status: 0 nothing, or only notes; 1 something would be repaired; 2 something is damaged;
    3 it could not be checked.
    """
    disk = Disk()
    try:
        _require(disk, directory)
        for one in running_in(disk, directory):
            click.echo(
                f"a broker runs on {_near(one)}: its files may change while they are read, and what"
                " is said of the end of a log may be over by now",
                err=True,
            )
        status = _run(disk, directory, as_json)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise Failure(f"it cannot be read: {what}", status=UNREADABLE) from None
    click.get_current_context().exit(status)


def _require(disk: Disk, directory: str) -> None:
    kind = kind_of(disk, directory)
    if kind is Kind.FILE:
        raise Failure(
            f"{directory} is a file; name its directory, or look into it with: fastbroker log dump",
            status=UNREADABLE,
        )
    if kind is Kind.NOTHING:
        raise Failure(
            f"there is no log in {directory}; name a data directory (--data-dir), a broker-N in it,"
            " or the directory of a partition",
            status=UNREADABLE,
        )


def _run(disk: Disk, directory: str, as_json: bool) -> int:
    begun = time.monotonic()
    tally, number = Tally(), dict.fromkeys(Severity, 0)
    read = 0
    with Progress("MiB checked", bytes_in(disk, directory) // _MIB) as progress:

        def step(more: int) -> None:
            nonlocal read
            progress.step((read + more) // _MIB - read // _MIB)
            read += more

        for _, verdict in verified(disk, directory, step):
            tally += verdict.tally
            for finding in verdict.findings:
                number[finding.severity] += 1
                progress.clear()
                click.echo(_as_json(finding) if as_json else _as_text(finding))
    seconds = time.monotonic() - begun
    worst = max((one for one in Severity if number[one]), default=Severity.NOTE)
    if as_json:
        click.echo(json.dumps(_summary(tally, number, seconds)))
    else:
        click.echo(_looked_at(tally, seconds))
        click.echo(_verdict(number))
    return int(worst)


def _as_text(one: Finding) -> str:
    width = screen_width()
    fault = one.fault
    where = f"{_near(fault.path)}, {fault.place}" if fault.place else _near(fault.path)
    lines = [
        wrapped(f"{_NAMES[one.severity].ljust(6)}  {where}", width, indent=_INDENT),
        wrapped(f"{_INDENT}{fault.what}", width, indent=_INDENT),
        wrapped(f"{_INDENT}next start: {one.remedy}", width, indent=_INDENT),
    ]
    return "\n".join(lines)


def _as_json(one: Finding) -> str:
    return json.dumps(
        {
            "severity": _NAMES[one.severity],
            "file": one.fault.path,
            "place": one.fault.place or None,
            "what": one.fault.what,
            "next_start": one.remedy,
        }
    )


def _summary(tally: Tally, number: dict[Severity, int], seconds: float) -> dict[str, object]:
    return {
        **{name: number[one] for one, name in _NAMES.items()},
        "partitions": tally.partitions,
        "segments": tally.segments,
        "batches": tally.batches,
        "records": tally.records,
        "bytes": tally.size,
        "seconds": round(seconds, 3),
    }


def _looked_at(tally: Tally, seconds: float) -> str:
    parts = (
        count(tally.partitions, "partition"), count(tally.segments, "segment"),
        f"{tally.batches:,} {'batch' if tally.batches == 1 else 'batches'}",
        count(tally.records, "record"), size(tally.size),
    )  # fmt: skip
    speed = tally.size / max(seconds, 1e-9) / 1e6
    said = f"{speed / 1e3:.2f} GB/s" if speed >= 100 else f"{speed:.1f} MB/s"
    return f"{', '.join(parts)} in {seconds:.1f} s ({said})"


def _verdict(number: dict[Severity, int]) -> str:
    words = {
        Severity.DAMAGE: "damaged", Severity.REPAIR: "would be repaired", Severity.NOTE: "noted",
    }  # fmt: skip
    said = [f"{number[one]:,} {word}" for one, word in words.items() if number[one]]
    return ", ".join(said) if said else "nothing is wrong"


def _near(path: str) -> str:
    """The path from here when that is shorter."""
    near = os.path.relpath(path)
    return near if len(near) < len(path) else path
