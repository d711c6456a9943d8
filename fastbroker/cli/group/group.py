"""`fastbroker group`: look at groups of readers, and change what they committed."""
from __future__ import annotations

import click

from fastbroker.cli.group.delete import delete
from fastbroker.cli.group.describe import describe
from fastbroker.cli.group.lag import lag
from fastbroker.cli.group.listing import list_
from fastbroker.cli.group.reset import reset_offsets


@click.group()
def group() -> None:
    """List, describe and delete groups, see how far they are behind, move their offsets."""


for command in (list_, describe, lag, reset_offsets, delete):
    group.add_command(command)
