"""`fastbroker txn hanging`: transactions that no coordinator is going to end."""
from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

from fastbroker.cli import spans
from fastbroker.cli.client import Client, bootstrap_option, chunks
from fastbroker.cli.durations import duration
from fastbroker.cli.leaders import Leaders
from fastbroker.cli.output import Failure, json_option, screen_width, table
from fastbroker.cli.progress import Progress
from fastbroker.cli.txn.transaction import Producer, Transaction
from fastbroker.cli.txn.transactions import described, listed, producers
from fastbroker.model import TopicPartition

HEADER = ("topic", "partition", "start offset", "producer", "epoch", "last write")
TOPICS_MAX = 200  # whose producers are held together
PRODUCERS_MAX = 1000  # named in one request


class Open(NamedTuple):
    """An open transaction, as the leader of a partition knows it."""

    partition: TopicPartition
    producer: Producer

    @property
    def identity(self) -> tuple[TopicPartition, int, int]:
        """Where, whose, and from which offset on: no two transactions share it."""
        return self.partition, self.producer.producer_id, self.producer.start_offset


@click.command()
@click.option(
    "--topic", "topics", multiple=True, metavar="T[:PARTITIONS]",
    help="Only there, as in orders:0-2,5. May be repeated. Default: everywhere",
)  # fmt: skip
@json_option
@bootstrap_option
def hanging(topics: tuple[str, ...], as_json: bool, bootstrap: str) -> None:
    """List transactions that are open in a partition and that no coordinator knows.

    Nobody ends them, and they hold back every reader of committed records, until they are aborted
    with: fastbroker txn abort --topic T --partition P --start-offset N
    """
    wanted = dict(spans.parse(one) for one in topics)
    found: list[Open] = []
    with Client(bootstrap) as client:
        names = list(wanted) or [one.name or "" for one in client.attempt(client.topics)]
        with Progress("topics", len(names)) as progress:
            for chunk in chunks(names, TOPICS_MAX):
                leaders = Leaders(client, chunk)
                for name in wanted:
                    if name in chunk and name not in leaders.topics:
                        raise Failure(
                            f"there is no topic {name!r}; list them with: fastbroker topic list"
                        )
                there = [
                    one
                    for name in leaders.topics
                    for one in leaders.partitions(name)
                    if wanted.get(name) is None or one.partition in (wanted[name] or ())
                ]
                found += hanging_in(leaders, there)
                progress.step(len(chunk))
    found.sort()
    if as_json:
        click.echo(json.dumps([_json(one) for one in found]))
    elif found:
        now_ms = round(time.time() * 1000)
        click.echo(table(HEADER, [row(one, now_ms) for one in found], width=screen_width()))
    else:
        click.echo("no transaction hangs", err=True)


def hanging_in(leaders: Leaders, partitions: Iterable[TopicPartition]) -> list[Open]:
    """The hanging transactions of these partitions. Raises KafkaError, Failure.

    All coordinators have to answer: one that does not might know a transaction. What was ended
    while they were asked is told by asking the leaders once more.
    """
    first = open_in(leaders, partitions)
    living = owners(leaders.client, {one.producer.producer_id for one in first})
    candidates = [one for one in first if not is_living(one, living)]
    still = {one.identity for one in open_in(leaders, {one.partition for one in candidates})}
    return [one for one in candidates if one.identity in still]


def open_in(leaders: Leaders, partitions: Iterable[TopicPartition]) -> list[Open]:
    """The open transactions of these partitions. Raises the error of one that cannot be asked."""
    found = producers(leaders, partitions)
    for error in found.failed.values():
        raise error
    return [
        Open(partition, one)
        for partition, all_of_it in found.values.items()
        for one in all_of_it
        if one.start_offset >= 0
    ]


def owners(client: Client, producer_ids: Iterable[int]) -> dict[int, Transaction]:
    """By producer id, the transaction that a coordinator has open. Raises KafkaError, Failure."""
    out: dict[int, Transaction] = {}
    for chunk in chunks(producer_ids, PRODUCERS_MAX):
        wanted = set(chunk)
        ids = [
            one.transactional_id
            for one in listed(client, producer_ids=chunk)
            if one.producer_id in wanted
        ]
        for _, one in described(client, ids):
            if one is not None and one.is_open:
                out[one.producer_id] = one
    return out


def is_living(one: Open, known: dict[int, Transaction]) -> bool:
    """Whether a coordinator will end it here."""
    found = known.get(one.producer.producer_id)
    return found is not None and one.partition in found.partitions


def row(one: Open, now_ms: int) -> Sequence[object]:
    """A line of a table under HEADER."""
    last = one.producer.last_time_ms
    ago = f"{duration(now_ms - last)} ago" if last >= 0 else "unknown"
    return (
        one.partition.topic,
        one.partition.partition,
        one.producer.start_offset,
        one.producer.producer_id,
        one.producer.producer_epoch,
        ago,
    )


def _json(one: Open) -> dict[str, object]:
    return {
        "topic": one.partition.topic,
        "partition": one.partition.partition,
        "start_offset": one.producer.start_offset,
        "producer_id": one.producer.producer_id,
        "producer_epoch": one.producer.producer_epoch,
        "coordinator_epoch": one.producer.coordinator_epoch,
        "last_write_ms": one.producer.last_time_ms,
    }
