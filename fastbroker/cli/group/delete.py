"""`fastbroker group delete`."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import click

from fastbroker import errors
from fastbroker.cli.client import GROUP, Client, bootstrap_option
from fastbroker.cli.coordinators import answers
from fastbroker.cli.group.description import DEAD
from fastbroker.cli.group.groups import described, listed, missing, refuse_members
from fastbroker.cli.output import Failure, count
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@bootstrap_option
def delete(names: tuple[str, ...], yes: bool, bootstrap: str) -> None:
    """Delete groups without members, and what they committed. Asks first on a terminal."""
    wanted = list(dict.fromkeys(names))
    with Client(bootstrap) as client:
        for one in described(client, wanted):
            if one.state == DEAD:
                raise missing(one.group, listed(client))
            refuse_members(one, "a group in use cannot be deleted")
        if not yes and sys.stdin.isatty():
            what = f"group {wanted[0]!r}" if len(wanted) == 1 else count(len(wanted), "group")
            if not click.confirm(f"delete {what} and all that was committed?", err=True):
                raise Failure("nothing was deleted")
        failed: Failure | None = None
        for answer in answers(client, GROUP, wanted, partial(_delete, client)):
            if not answer.code:
                click.echo(f"deleted group {answer.name!r}")
            elif answer.code == errors.NonEmptyGroup.code:
                failed = Failure(f"group {answer.name!r} got members meanwhile, and stays")
            else:
                failed = Failure(
                    f"group {answer.name!r}: {answer.error.message} ({answer.error.name})"
                )
        if failed is not None:
            raise failed


def _delete(
    client: Client, node: int, names: list[str]
) -> Iterator[tuple[str, int, str | None, None]]:
    for one in client.call(DeleteGroupsRequest(groups_names=names), node=node).results:
        yield one.group_id, one.error_code, None, None
