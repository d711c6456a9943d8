"""`fastbroker consume`: the records of a topic, read directly or as a member of a group."""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import click

from fastbroker.cli import formats
from fastbroker.cli.client import Client, bootstrap_option, partitions_of
from fastbroker.cli.fetcher import EARLIEST, LATEST, WAIT_S, Fetcher
from fastbroker.cli.interrupts import Interrupts
from fastbroker.cli.member import Member
from fastbroker.cli.output import Failure

COMMIT_S = 5.0


@click.command()
@click.argument("topic")
@click.option("--group", metavar="G", help="Read as a member of this group, which remembers.")
@click.option("--from-beginning", is_flag=True, help="Not only new records; all there are.")
@click.option("--partition", type=click.IntRange(0), metavar="N", help="Read only this one.")
@click.option(
    "--offset",
    type=int,
    metavar="O",
    help="Begin at this offset; -5 begins at the last five of each partition.",
)
@click.option(
    "--max", "--max-messages", "most", type=click.IntRange(1), metavar="N",
    help="End after N records.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="S",
    help="End after S seconds without a record.",
)  # fmt: skip
@click.option(
    "--format",
    "pattern",
    metavar="PATTERN",
    help="What to print: " + ", ".join(f"%{k} {v}" for k, v in formats.FIELDS.items())
    + r", \t tab. Default: %v",
)  # fmt: skip
@click.option("--headers", is_flag=True, help="Print headers, then a tab, before the rest.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
@bootstrap_option
def consume(
    topic: str,
    group: str | None,
    from_beginning: bool,
    partition: int | None,
    offset: int | None,
    most: int | None,
    timeout: float | None,
    pattern: str | None,
    headers: bool,
    as_json: bool,
    bootstrap: str,
) -> None:
    """Print the records of a topic.

    Those of TOPIC are printed a line each, as they come; Ctrl-C ends.
    With --group the partitions are shared among the group's members, and reading goes on where the
    group left off.
    """
    if group is not None and (partition is not None or offset is not None):
        raise click.UsageError("A group chooses partitions and offsets; leave them or it out.")
    if from_beginning and offset is not None:
        raise click.UsageError("--from-beginning and --offset exclude each other.")
    if as_json and (pattern is not None or headers):
        raise click.UsageError("--json shows everything; leave out --format and --headers.")
    if as_json:
        show = formats.as_json(topic)
    else:
        pattern = "%v" if pattern is None else pattern
        show = formats.by_pattern(r"%h\t" + pattern if headers else pattern, topic)
    interrupts = Interrupts()
    with Client(bootstrap) as client:
        known = client.topic(topic)
        fetcher = Fetcher(client, known)
        source: Direct | Grouped
        if group is None:
            partitions = partitions_of(known, partition)
            source = Direct(fetcher, partitions, from_beginning=from_beginning, offset=offset)
        else:
            source = Grouped(fetcher, Member(client, group, topic), from_beginning=from_beginning)
        try:
            # A buffer of our own: `python -u` would have each record written by itself.
            with open(sys.stdout.fileno(), "wb", closefd=False) as out:
                read(source, Printed(out, show, interrupts), most=most, timeout_s=timeout)
        except BrokenPipeError:  # the reader, as in `| head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            source.end(commit=False)
        except KeyboardInterrupt:
            source.end(commit=not interrupts.held)
        except BaseException:
            source.end(commit=False)
            raise
        else:
            source.end()


class Direct:
    """Partitions from given offsets on, without a group."""

    def __init__(
        self, fetcher: Fetcher, partitions: Sequence[int], *, from_beginning: bool,
        offset: int | None,
    ) -> None:  # fmt: skip
        """Raises Failure for an offset that a partition does not hold."""
        self.fetcher = fetcher
        if offset is None:
            begin = EARLIEST if from_beginning else LATEST
            if begin == LATEST and sys.stderr.isatty():
                click.echo("waiting for new records (older ones: --from-beginning)", err=True)
            fetcher.positions = fetcher.offsets(partitions, begin)
            return
        first, end = fetcher.offsets(partitions, EARLIEST), fetcher.offsets(partitions, LATEST)
        for one in partitions:
            if offset > end[one] or 0 <= offset < first[one]:
                raise Failure(
                    f"partition {one} has no offset {offset}; "
                    f"its first is {first[one]}, its next will be {end[one]}"
                )
            fetcher.positions[one] = max(first[one], end[one] + offset) if offset < 0 else offset

    def turn(self) -> bool:
        return False

    def end(self, *, commit: bool = True) -> None:
        pass


class Grouped:
    """The partitions that a group gives us, from the offsets that it remembers on."""

    def __init__(self, fetcher: Fetcher, member: Member, *, from_beginning: bool) -> None:
        self.fetcher = fetcher
        self._member, self._begin = member, EARLIEST if from_beginning else LATEST
        self._next_commit = 0.0

    def turn(self) -> bool:
        """Keep in touch with the group; whether partitions were just given to us."""
        member, fetcher = self._member, self.fetcher
        if member.is_joined and time.monotonic() >= self._next_commit:
            self._commit()
        if member.is_joined:
            member.heartbeat()
        if member.is_joined:
            return False
        if fetcher.positions:
            self._commit()  # what we give away, the next one goes on from
        fetcher.positions = {}
        partitions = member.join()
        positions = member.committed(partitions)
        fresh = [one for one in partitions if one not in positions]
        fetcher.positions = positions | fetcher.offsets(fresh, self._begin)
        self._next_commit = time.monotonic() + COMMIT_S
        if sys.stderr.isatty():
            held = ", ".join(map(str, partitions)) or "none; others have them all"
            click.echo(f"partitions: {held}", err=True)
        return True

    def end(self, *, commit: bool = True) -> None:
        """Commit what was read, and leave."""
        try:
            if commit:
                self._commit()
        finally:
            self._member.leave()

    def _commit(self) -> None:
        self._member.commit(self.fetcher.positions)
        self._next_commit = time.monotonic() + COMMIT_S


class Printed(NamedTuple):
    """Where records go, in which form, and who may stop it."""

    out: BinaryIO
    show: formats.Show
    interrupts: Interrupts


def read(
    source: Direct | Grouped, to: Printed, *, most: int | None, timeout_s: float | None
) -> None:
    """Print records until there were `most`, or none for `timeout_s`; None: without an end.

    Positions move on with what is printed, and an interrupt waits until all of it is written; a
    second one does not, and leaves `held` set.
    """
    fetcher, interrupts = source.fetcher, to.interrupts
    seen, last = 0, time.monotonic()
    while True:
        if source.turn():
            last = time.monotonic()
        wait_s = WAIT_S
        if timeout_s is not None:
            wait_s = min(WAIT_S, max(0.0, last + timeout_s - time.monotonic()))
        before = seen
        for partition, record in fetcher.poll(wait_s):
            interrupts.held = True
            to.out.write(to.show(partition, record))
            fetcher.positions[partition] = record.offset + 1
            seen += 1
            if seen == most or interrupts.asked:
                break
        to.out.flush()
        interrupts.release()
        if seen == most:
            return
        now = time.monotonic()
        if seen > before:
            last = now
        elif timeout_s is not None and now - last >= timeout_s:
            if not seen:
                click.echo("no records", err=True)
            return
