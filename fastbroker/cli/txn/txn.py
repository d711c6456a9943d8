"""`fastbroker txn`: look at transactions, and end one that nobody ends."""
from __future__ import annotations

import click

from fastbroker.cli.txn.abort import abort
from fastbroker.cli.txn.describe import describe
from fastbroker.cli.txn.hanging import hanging
from fastbroker.cli.txn.listing import list_


@click.group()
def txn() -> None:
    """List, describe and abort transactions."""


for command in (list_, describe, abort, hanging):
    txn.add_command(command)
