"""`fastbroker group lag`: how far groups are behind."""
from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator

import click

from fastbroker.cli.client import Client, bootstrap_option
from fastbroker.cli.durations import duration, parse
from fastbroker.cli.group import lag_page
from fastbroker.cli.group.backlog import Limit, Total, total
from fastbroker.cli.group.description import CLASSIC, CONSUMER, DEAD
from fastbroker.cli.group.groups import Committed, committed, described, listed, missing
from fastbroker.cli.leaders import Leaders
from fastbroker.cli.log_offsets import bounds, times
from fastbroker.cli.output import Failure, count, json_option, screen_width
from fastbroker.cli.progress import Progress
from fastbroker.cli.retention import retentions, sizes
from fastbroker.errors import KafkaError
from fastbroker.group.backlog import NO_COMMIT, Unread, unread
from fastbroker.model import TopicPartition

GROUPS_MAX = 50  # looked at together; their partitions are held until they are shown
TOO_FAR = 3


class LimitType(click.ParamType[Limit]):
    """A number of records, or a duration."""

    name = "limit"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Limit:
        if isinstance(value, Limit):
            return value
        text = str(value)
        if text.isdecimal():
            return Limit(records=int(text), ms=None)
        try:
            return Limit(records=None, ms=parse(text))
        except ValueError:
            self.fail(f"{text!r} is neither a number of records nor a time as 5m", param, ctx)


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--fail-above", "limit", type=LimitType(), metavar="N|TIME",
    help="Exit with status 3 when a group lags by more than N records or is behind for longer than "
    "TIME, as in 5m, or lost records.",
)  # fmt: skip
@json_option
@bootstrap_option
def lag(names: tuple[str, ...], limit: Limit | None, as_json: bool, bootstrap: str) -> None:
    """Show how far groups are behind.

    The partitions of each NAME, or a line for every group. `behind` is the age of the first
    unread record; `deleted in` is the time until the topic's retention may delete it (~: estimated
    from bytes). The lag counts what open transactions hold back and what was deleted unread, too.
    """
    totals: list[tuple[str, Total]] = []
    with Client(bootstrap) as client:
        chosen = _chosen(client, names)
        with Progress("groups", len(chosen)) as progress:
            first = True
            for group, parts in lags(client, chosen):
                progress.step()
                totals.append((group, total(parts)))
                if as_json:
                    progress.clear()
                    click.echo("[" if first else ", ", nl=False)
                    click.echo(json.dumps(lag_page.as_json(group, parts)), nl=False)
                elif names:
                    progress.clear()
                    page = lag_page.page(group, parts, width=screen_width())
                    click.echo(page if first else f"\n{page}")
                first = False
    if as_json:
        click.echo("[]" if first else "]")
    elif not names and totals:
        click.echo(lag_page.summary(totals, width=screen_width()))
    elif not totals:
        click.echo("no group has committed anything yet", err=True)
    if limit is not None:
        _judge(totals, limit)


def _chosen(client: Client, names: Iterable[str]) -> list[str]:
    """The groups asked for, all of which exist, or all that there are."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return [one.group for one in listed(client) if one.type in (CLASSIC, CONSUMER)]
    for one in described(client, wanted):
        if one.state == DEAD:
            raise missing(one.group, listed(client))
    return wanted


def _judge(totals: list[tuple[str, Total]], limit: Limit) -> None:
    """Raise Failure when a group is too far behind, or nobody knows whether it is."""
    passed = [(group, sum_) for group, sum_ in totals if limit.is_passed(sum_)]
    if passed:
        group, sum_ = max(passed, key=lambda one: (one[1].lost, one[1].records))
        what = [count(sum_.records, "record"), f"{duration(sum_.behind_ms or 0)} behind"]
        what += [f"{count(sum_.lost, 'record')} lost"] if sum_.lost else []
        more = f"; {len(passed) - 1} more are too far behind, too" if len(passed) > 1 else ""
        raise Failure(f"group {group!r} lags: {', '.join(what)}{more}", status=TOO_FAR)
    unknown = [group for group, sum_ in totals if limit.is_unclear(sum_)]
    if unknown:
        raise Failure(
            f"the lag of group {unknown[0]!r} is not known for every partition; "
            f"see: fastbroker group lag {unknown[0]}"
        )


def lags(client: Client, names: Iterable[str]) -> Iterator[tuple[str, list[Unread]]]:
    """(group, its partitions in order) of each; groups without commits have none.

    Of a topic with a committed offset all partitions are told. Raises KafkaError, Failure.
    """
    batch: dict[str, Committed] = {}
    failed: dict[TopicPartition, KafkaError] = {}
    for group, offsets in committed(client, names):
        batch[group] = offsets
        if len(batch) == GROUPS_MAX:
            yield from _of_batch(client, batch, failed)
            batch = {}
    if batch:
        yield from _of_batch(client, batch, failed)


def _of_batch(
    client: Client, groups: dict[str, Committed], failed: dict[TopicPartition, KafkaError]
) -> Iterator[tuple[str, list[Unread]]]:
    """failed: partitions that were waited for in vain; they are not waited for again."""
    names = sorted({one.topic for offsets in groups.values() for one in offsets})
    leaders = Leaders(client, names)
    there = [one for name in leaders.topics for one in leaders.partitions(name)]
    found = bounds(leaders, [one for one in there if one not in failed])
    failed.update(found.failed)
    kept = retentions(client, leaders.topics)
    bytes_of = sizes(leaders, [name for name, one in kept.items() if one.bytes >= 0])
    for group, offsets in groups.items():
        behind = {
            one: range(max(offset, found.values[one].start), found.values[one].end)
            for one, offset in offsets.items()
            if one in found.values
        }
        oldest = times(leaders, {one: span for one, span in behind.items() if span})
        now_ms = round(time.time() * 1000)
        parts = []
        for one in _partitions(leaders, offsets):
            at = offsets.get(one, NO_COMMIT)
            if one in found.values:
                parts.append(
                    unread(
                        one, at, found.values[one], oldest_ms=oldest.get(one), now_ms=now_ms,
                        retention=kept.get(one.topic), size=bytes_of.get(one),
                    )
                )
            elif one.topic in leaders.refused:
                parts.append(Unread(one, at, problem=leaders.refused[one.topic].message))
            elif one.topic not in leaders.topics:
                gone = "the topic does not exist any more"
                parts.append(Unread(one, at, records=0, behind_ms=0, problem=gone))
            else:
                error = failed.get(one)
                why = error.message if error is not None else "the topic has no such partition"
                parts.append(Unread(one, at, problem=why))
        yield group, parts


def _partitions(leaders: Leaders, offsets: Committed) -> list[TopicPartition]:
    known = {one.topic for one in offsets if one.topic in leaders.topics}
    return sorted({*offsets, *(one for name in known for one in leaders.partitions(name))})

