"""The entry point: commands by name, and how errors are shown."""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from fastbroker import __version__
from fastbroker.cli.output import Failure
from fastbroker.errors import KafkaError

# Where each command lives; imported when it runs, or when help is asked for.
COMMANDS = {
    "start": "fastbroker.cli.start:start",
    "topic": "fastbroker.cli.topic:topic",
    "produce": "fastbroker.cli.produce:produce",
    "consume": "fastbroker.cli.consume:consume",
    "group": "fastbroker.cli.group.group:group",
    "txn": "fastbroker.cli.txn.txn:txn",
    "log": "fastbroker.cli.log.log:log",
}


class Commands(click.Group):
    """A group whose commands are imported at first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        assert isinstance(found, click.Command)
        return found


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with `fastbroker start`; in another terminal, "
    "`echo hello | fastbroker produce NAME` and `fastbroker consume NAME --from-beginning`.",
)
@click.version_option(__version__, prog_name="fastbroker", message="%(prog)s %(version)s")
def cli() -> None:
    """A Kafka broker, and the tools to try it.

    Every Kafka client works with it; the commands below work with every Kafka broker.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 it did not work, 2 wrong arguments."""
    try:
        status = cli.main(args, prog_name="fastbroker", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        status = 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "fastbroker"
        status = _fail(f"{_sentence(error.format_message())} See '{where} --help'", 2)
    except click.ClickException as error:
        status = _fail(error.format_message(), 2)
    except click.Abort:
        status = _fail("stopped", 130)
    except Failure as error:
        status = _fail(str(error), error.status)
    except KafkaError as error:
        status = _fail(f"{error.message} ({error.name})", 1)
    except BrokenPipeError:
        # The reader, as in `| head`, has enough; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return status


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."
