"""`fastbroker txn list`."""
from __future__ import annotations

import json
import time

import click

from fastbroker.cli.client import Client, bootstrap_option
from fastbroker.cli.durations import Duration, duration
from fastbroker.cli.output import ABSENT, json_option, screen_width, table
from fastbroker.cli.progress import Progress
from fastbroker.cli.txn.transaction import STATES
from fastbroker.cli.txn.transactions import described, listed

HEADER = ("transactional id", "coordinator", "producer", "state", "age")


@click.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES, case_sensitive=False),
    help="Only transactions in this state. May be repeated.",
)  # fmt: skip
@click.option(
    "--older-than", type=Duration(), metavar="TIME",
    help="Only transactions that have been open for longer, as 1m or 2h.",
)  # fmt: skip
@json_option
@bootstrap_option
def list_(states: tuple[str, ...], older_than: int | None, as_json: bool, bootstrap: str) -> None:
    """List the transactional ids, of all coordinators, and how long a transaction has been open."""
    with Client(bootstrap) as client:
        known = listed(client, states=states)
        is_chosen = [one for one in known if not states or one.state in states]
        found = []
        with Progress("transactions", len(is_chosen)) as progress:
            for _, one in described(client, [one.transactional_id for one in is_chosen]):
                progress.step()
                if one is None or (states and one.state not in states):
                    continue  # it went on, or away, since it was listed
                age = one.age_ms(round(time.time() * 1000))
                if older_than is None or (age is not None and age > older_than):
                    found.append((one._replace(partitions=()), age))
    found.sort(key=lambda pair: pair[0].transactional_id)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "transactional_id": one.transactional_id,
                        "state": one.state,
                        "coordinator": one.coordinator,
                        "producer_id": one.producer_id,
                        "producer_epoch": one.producer_epoch,
                        "timeout_ms": one.timeout_ms,
                        "age_ms": age,
                    }
                    for one, age in found
                ]
            )
        )
    elif found:
        rows = [
            (
                one.transactional_id, one.coordinator, one.producer_id, one.state,
                ABSENT if age is None else duration(age),
            )
            for one, age in found
        ]  # fmt: skip
        click.echo(table(HEADER, rows, width=screen_width()))
    elif states or older_than is not None:
        click.echo("no transaction is like that", err=True)
    else:
        click.echo("no producer has used a transactional id yet", err=True)
