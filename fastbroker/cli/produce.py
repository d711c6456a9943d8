"""`fastbroker produce`: a record for each line."""
from __future__ import annotations

import sys
import time
from typing import BinaryIO

import click

from fastbroker.cli.client import Client, bootstrap_option, partitions_of
from fastbroker.cli.lines import lines
from fastbroker.cli.output import Failure, count, size
from fastbroker.cli.pairs import pairs
from fastbroker.cli.partitioner import Sticky, of_key
from fastbroker.cli.sender import BATCH_BYTES, Sender
from fastbroker.records.compression import NAMES

SHOWN_PARTITIONS = 8


@click.command()
@click.argument("topic")
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--key-separator",
    metavar="SEP",
    help="What stands between key and value in a line, as in --key-separator :",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="KEY=VALUE",
    help="A header of every record. May be repeated.",
)
@click.option("--partition", type=click.IntRange(0), metavar="N", help="Send all records here.")
@click.option("--compression", type=click.Choice(NAMES), default="none", show_default=True)
@bootstrap_option
def produce(
    topic: str,
    file: BinaryIO,
    key_separator: str | None,
    headers: tuple[str, ...],
    partition: int | None,
    compression: str,
    bootstrap: str,
) -> None:
    """Send lines to a topic.

    Each line of FILE, or of standard input, becomes a record of TOPIC.
    Records with the same key go to the same partition, the one that Kafka's Java client chooses.
    It returns when all in-sync replicas have every record.
    """
    if key_separator == "":
        raise click.UsageError("--key-separator is empty.")
    separator = key_separator.encode() if key_separator else None
    extra = [(key, value.encode()) for key, value in pairs(headers)]
    with Client(bootstrap) as client:
        known = client.topic(topic, create=True)
        chosen = partitions_of(known, partition)
        alive = [one.partition_index for one in known.partitions if one.leader_id >= 0]
        sticky = Sticky([one for one in chosen if one in alive] or chosen, BATCH_BYTES)
        sender = Sender(client, known, compression=compression)
        if file.isatty():
            click.echo(f"one record a line goes to {topic!r}; Ctrl-D ends", err=True)
        number = 0
        try:
            for line in lines(file.fileno()):
                if line is None:  # what is here goes out before we wait for more
                    sender.flush()
                    continue
                number += 1
                key, value = split(line, separator, number)
                if partition is None and key is not None:
                    to = of_key(key, len(known.partitions))
                else:
                    to = sticky.next(len(value))
                sender.add(to, (key, value, extra, time.time_ns() // 1_000_000))
            sender.flush()
        except KeyboardInterrupt:
            sender.flush()
            click.echo(summary(sender, topic), err=True)
            sys.exit(130)
        except BaseException:
            if sender.records:
                click.echo(f"before it failed: {summary(sender, topic)}", err=True)
            raise
    click.echo(summary(sender, topic), err=True)


def split(line: bytes, separator: bytes | None, number: int) -> tuple[bytes | None, bytes]:
    """Key and value of a line. Raises Failure when it has no separator."""
    if separator is None:
        return None, line
    key, found, value = line.partition(separator)
    if not found:
        raise Failure(f"line {number} has no {separator.decode()!r} between a key and a value")
    return key, value


def summary(sender: Sender, topic: str) -> str:
    """What the brokers acknowledged, in one line."""
    records, sent = sender.records, sum(sender.bytes.values())
    total = count(sum(records.values()), "record")
    if not records:
        return f"sent no records to {topic!r}"
    if len(records) == 1:
        where = f"partition {next(iter(records))}"
    elif len(records) <= SHOWN_PARTITIONS:
        where = "partitions " + ", ".join(f"{one}: {records[one]:,}" for one in sorted(records))
    else:
        where = f"{len(records)} partitions"
    return f"sent {total}, {size(sent)}, to {topic!r} ({where})"
