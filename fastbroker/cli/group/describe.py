"""`fastbroker group describe`."""
from __future__ import annotations

import json

import click

from fastbroker.cli.client import Client, bootstrap_option
from fastbroker.cli.group.description import DEAD
from fastbroker.cli.group.groups import described, listed, missing
from fastbroker.cli.group.page import as_json as json_of
from fastbroker.cli.group.page import page
from fastbroker.cli.output import json_option, screen_width


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@json_option
@bootstrap_option
def describe(names: tuple[str, ...], as_json: bool, bootstrap: str) -> None:
    """Show members, and what a rebalance waits for.

    Of every NAME: the state, the coordinator, members with their partitions. A broker of ours also
    says what the group waits for, since when, and what ends next; others say less.
    """
    with Client(bootstrap) as client:
        found = {one.group: one for one in described(client, names, explain=True)}
        for one in found.values():
            if one.state == DEAD:
                raise missing(one.group, listed(client))
        chosen = [found[name] for name in dict.fromkeys(names)]
        addresses = {one.coordinator: client.address(one.coordinator) for one in chosen}
    if as_json:
        click.echo(json.dumps([json_of(one, addresses[one.coordinator]) for one in chosen]))
        return
    width = screen_width()
    click.echo("\n\n".join(page(one, addresses[one.coordinator], width=width) for one in chosen))
