"""`fastbroker txn describe`."""
from __future__ import annotations

import json
import time

import click

from fastbroker.cli.client import Client, bootstrap_option
from fastbroker.cli.connection import NotServed
from fastbroker.cli.leaders import Leaders
from fastbroker.cli.log_offsets import bounds
from fastbroker.cli.output import json_option, screen_width
from fastbroker.cli.txn.page import as_json as json_of
from fastbroker.cli.txn.page import page
from fastbroker.cli.txn.transaction import Held, Producer, Transaction, held
from fastbroker.cli.txn.transactions import known, producers
from fastbroker.model import TopicPartition


@click.command()
@click.argument("transactional_id", metavar="ID")
@json_option
@bootstrap_option
def describe(transactional_id: str, as_json: bool, bootstrap: str) -> None:
    """Show the state of the transactional id ID, what comes next, and what it holds back.

    Readers of committed records get nothing from the last stable offset on, until the oldest open
    transaction of the partition ends.
    """
    with Client(bootstrap) as client:
        one = known(client, transactional_id)
        parts = held_by(client, one)
        address = client.address(one.coordinator)
    if as_json:
        click.echo(json.dumps(json_of(one, parts, address=address)))
        return
    now_ms = round(time.time() * 1000)
    click.echo(page(one, parts, address=address, now_ms=now_ms, width=screen_width()))


def held_by(client: Client, one: Transaction) -> list[Held]:
    """What is held back in the partitions of a transaction. Raises KafkaError, Failure."""
    leaders = Leaders(client, sorted({each.topic for each in one.partitions}))
    there = [each for each in one.partitions if each.topic in leaders.topics]
    active: dict[TopicPartition, list[Producer]] = {}
    try:
        active = producers(leaders, there).values
    except NotServed:
        click.echo("note: the broker does not tell which producers are active", err=True)
    return held(one, bounds(leaders, there).values, active)
