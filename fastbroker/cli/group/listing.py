"""`fastbroker group list`."""
from __future__ import annotations

import json

import click

from fastbroker.cli.client import Client, bootstrap_option
from fastbroker.cli.group.description import CLASSIC, CONSUMER
from fastbroker.cli.group.groups import STATES, TYPES, Listed, described, listed
from fastbroker.cli.output import ABSENT, json_option, screen_width, table
from fastbroker.cli.progress import Progress


@click.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES, case_sensitive=False),
    help="Only groups in this state. May be repeated.",
)  # fmt: skip
@click.option(
    "--type", "types", multiple=True, type=click.Choice(TYPES, case_sensitive=False),
    help="Only groups of this type. May be repeated.",
)  # fmt: skip
@json_option
@bootstrap_option
def list_(states: tuple[str, ...], types: tuple[str, ...], as_json: bool, bootstrap: str) -> None:
    """List the groups, of all coordinators."""
    with Client(bootstrap) as client:
        known = listed(client)
        found = [
            one
            for one in known
            if (not states or one.state in states) and (not types or one.type in types)
        ]
        counts = members(client, found)
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "group": one.group,
                        "type": one.type,
                        "state": one.state,
                        "protocol_type": one.protocol_type,
                        "members": counts.get(one.group),
                    }
                    for one in found
                ]
            )
        )
    elif found:
        rows = [(one.group, one.type, one.state, counts.get(one.group, ABSENT)) for one in found]
        click.echo(table(("group", "type", "state", "members"), rows, width=screen_width()))
    elif known:
        click.echo(f"no group is like that; without a filter there are {len(known)}", err=True)
    else:
        click.echo(
            "no groups yet; read as one with: fastbroker consume TOPIC --group NAME", err=True
        )


def members(client: Client, groups: list[Listed]) -> dict[str, int]:
    """How many members each group has; of other types than classic and consumer it is not asked."""
    types = {one.group: one.type for one in groups if one.type in (CLASSIC, CONSUMER)}
    out: dict[str, int] = {}
    with Progress("groups", len(types)) as progress:
        for one in described(client, types, types):
            out[one.group] = len(one.members)
            progress.step()
    return out
