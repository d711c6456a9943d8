"""`fastbroker group reset-offsets`: move what a group committed."""
from __future__ import annotations

import json
import time
from collections.abc import Iterable

import click

from fastbroker import errors
from fastbroker.cli import spans
from fastbroker.cli.client import Client, bootstrap_option, check
from fastbroker.cli.durations import Duration, Moment, moment
from fastbroker.cli.group import reset_page
from fastbroker.cli.group.description import Description
from fastbroker.cli.group.groups import Committed, committed, described, refuse_members
from fastbroker.cli.group.targets import Move, Target, move
from fastbroker.cli.leaders import Leaders
from fastbroker.cli.log_offsets import bounds, offsets_at
from fastbroker.cli.output import Failure, count, json_option, screen_width
from fastbroker.group.backlog import NO_COMMIT, Bounds
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest


@click.command("reset-offsets")
@click.argument("name")
@click.option(
    "--topic", "topics", multiple=True, metavar="T[:PARTITIONS]",
    help="A topic, or some of its partitions as in orders:0-2,5. May be repeated.",
)  # fmt: skip
@click.option("--all-topics", is_flag=True, help="Every partition with a committed offset.")
@click.option("--to-earliest", is_flag=True, help="To the oldest record there is.")
@click.option("--to-latest", is_flag=True, help="To the end: only new records.")
@click.option("--to-offset", type=click.IntRange(0), metavar="N", help="To this offset.")
@click.option(
    "--to-datetime", type=Moment(), metavar="ISO",
    help="To the first record of 2026-01-31T12:00:00 (UTC, or with a zone) or later.",
)  # fmt: skip
@click.option(
    "--by-duration", type=Duration(), metavar="TIME",
    help="To the first record that is younger than TIME, as in 90m or 2d.",
)  # fmt: skip
@click.option(
    "--shift-by", type=int, metavar="N", help="By N records from the committed offset; may be -N."
)
@click.option("--execute", is_flag=True, help="Do it; without this it is only shown.")
@json_option
@bootstrap_option
def reset_offsets(
    name: str,
    topics: tuple[str, ...],
    all_topics: bool,
    to_earliest: bool,
    to_latest: bool,
    to_offset: int | None,
    to_datetime: int | None,
    by_duration: int | None,
    shift_by: int | None,
    execute: bool,
    as_json: bool,
    bootstrap: str,
) -> None:
    """Move the committed offsets of the group NAME.

    Only shows what would happen, unless --execute is given. The group must have no members: stop
    its consumers first.
    """
    if by_duration is not None and to_datetime is None:
        to_datetime, by_duration = round(time.time() * 1000) - by_duration, None
    target = Target(to_earliest, to_latest, to_offset, shift_by, to_datetime)
    wishes = sum((to_earliest, to_latest, *(one is not None for one in target[2:])))
    if wishes + (by_duration is not None) != 1:
        raise click.UsageError(
            "Say where to, once: --to-earliest, --to-latest, --to-offset, --to-datetime, "
            "--by-duration or --shift-by."
        )
    if bool(topics) == all_topics:
        raise click.UsageError("Say of which topics, with --topic T or with --all-topics.")
    wanted = [spans.parse(one) for one in topics]
    with Client(bootstrap) as client:
        (group,) = described(client, [name])
        refuse_members(group, "they would overwrite what is set here")
        ((_, before),) = committed(client, [name])
        leaders = Leaders(client, sorted({one.topic for one in before} | {t for t, _ in wanted}))
        partitions = chosen(leaders, before, wanted)
        known, moves = planned(leaders, target, partitions, before)
        changed = [one for one in moves if one.after != one.before]
        if execute:
            commit(client, group, leaders, changed)
    if as_json:
        click.echo(json.dumps(reset_page.as_json(name, moves, is_done=execute)))
        return
    click.echo(reset_page.page(group, moves, known, width=screen_width()))
    if target.time_ms is not None:
        click.echo(f"the time is {moment(target.time_ms)}", err=True)
    if execute:
        click.echo(f"moved {count(len(changed), 'partition')}")
    else:
        click.echo("nothing was changed; add --execute to do it", err=True)


def chosen(
    leaders: Leaders, before: Committed, wanted: list[tuple[str, list[int] | None]]
) -> list[TopicPartition]:
    """The partitions that are to be moved, all of which exist. Raises Failure."""
    out: set[TopicPartition] = set()
    for topic, indexes in wanted:
        if topic in leaders.refused:
            raise leaders.refused[topic]
        if topic not in leaders.topics:
            raise Failure(f"there is no topic {topic!r}; list them with: fastbroker topic list")
        known = leaders.partitions(topic)
        mine = known if indexes is None else [TopicPartition(topic, one) for one in indexes]
        for one in mine:
            if one not in known:
                raise Failure(f"there is no partition {one}: it has {len(known)}, counted from 0")
        out.update(mine)
    if not wanted:
        out.update(one for one in before if one.topic in leaders.topics)
        if not out:
            raise Failure("the group has committed nothing; name a topic with --topic T")
    return sorted(out)


def planned(
    leaders: Leaders, target: Target, partitions: list[TopicPartition], before: Committed
) -> tuple[dict[TopicPartition, Bounds], list[Move]]:
    """The bounds of the partitions, and the move of each. Raises KafkaError, Failure."""
    found = bounds(leaders, partitions)
    for error in found.failed.values():
        raise error
    at: dict[TopicPartition, int] = {}
    if target.time_ms is not None:
        answered = offsets_at(leaders, partitions, target.time_ms)
        for error in answered.failed.values():
            raise error
        at = answered.values
    try:
        moves = [
            move(
                target, one, committed=before.get(one, NO_COMMIT), bounds=found.values[one],
                at_time=at.get(one),
            )
            for one in partitions
        ]
    except ValueError as error:
        raise Failure(str(error)) from None
    return found.values, moves


def commit(client: Client, group: Description, leaders: Leaders, moves: Iterable[Move]) -> None:
    """Commit the offsets, as a client that is no member. Raises KafkaError, Failure."""
    asked = OffsetCommitRequest.OffsetCommitRequestTopic
    by_topic: dict[str, list[Move]] = {}
    for one in moves:
        by_topic.setdefault(one.partition.topic, []).append(one)
    if not by_topic:
        return
    request = OffsetCommitRequest(
        group_id=group.group,
        topics=[
            asked(
                name=topic,
                topic_id=leaders.topics[topic].topic_id,
                partitions=[
                    asked.OffsetCommitRequestPartition(
                        partition_index=one.partition.partition,
                        committed_offset=one.after,
                        committed_metadata="",
                    )
                    for one in mine
                ],
            )
            for topic, mine in by_topic.items()
        ],
    )

    def change() -> None:
        response = client.call(request, node=client.coordinators([group.group])[group.group])
        for topic in response.topics:
            for one in topic.partitions:
                check(one.error_code, where=f"group {group.group!r}")

    try:
        client.attempt(change)
    except errors.UnknownMemberId:
        raise Failure(
            f"group {group.group!r} got members meanwhile; nothing was changed. Stop them, "
            "then try again"
        ) from None
