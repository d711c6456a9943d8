"""`fastbroker log`: look into the files of a broker, whether it runs or not."""
from __future__ import annotations

import click

from fastbroker.cli.log.dump import dump
from fastbroker.cli.log.verify import verify


@click.group()
def log() -> None:
    """Look into a broker's files, and verify them; nothing is changed.

    Both work on directories of Apache Kafka, too (the message format of 0.11 or newer).

    Exit status of `verify`: 0 nothing is wrong, or there are only notes; 1 something would be
    repaired by the next start; 2 something is damaged; 3 it could not be checked.
    """


for command in (dump, verify):
    log.add_command(command)
