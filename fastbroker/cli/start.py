"""`fastbroker start`: settings from flags, --set and a file; then the supervisor."""
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from fastbroker.cli.output import Failure

if TYPE_CHECKING:
    from fastbroker.config.broker import BrokerConfig

DATA_DIR = "fastbroker-data"


@click.command()
@click.option(
    "--data-dir", metavar="DIR", help=f"Where data lies (log.dirs). Default: ./{DATA_DIR}"
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="P",
    help="Port of the first worker; the next one has P+1, and so on. Default: 9092",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    metavar="N",
    help="Worker processes (fastbroker.workers). Default: one for each core",
)
@click.option("--config", metavar="FILE", help="A properties file, as Kafka's server.properties.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="One setting by Kafka's name, as in num.partitions=3. May be repeated.",
)
@click.option("--check", is_flag=True, help="Only say whether these settings can be used.")
def start(
    data_dir: str | None,
    port: int | None,
    workers: int | None,
    config: str | None,
    settings: tuple[str, ...],
    check: bool,
) -> None:
    """Run a broker.

    It stays in the foreground; Ctrl-C stops it cleanly, and SIGHUP has it read FILE again.
    It prints `ready bootstrap=HOST:PORT ...` once it accepts clients. Settings are Kafka's: --set
    wins over the file, and the flags of their own win over both.
    """
    from fastbroker.config.broker import ConfigError

    read = partial(
        load, config=config, settings=settings, data_dir=data_dir, port=port, workers=workers
    )
    try:
        chosen = read()
    except ConfigError as error:
        raise Failure(str(error), status=2) from None
    if check:
        click.echo(f"{config or 'the settings'}: nothing is wrong")
        return
    try:
        os.makedirs(chosen.data_dir, exist_ok=True)
    except OSError as error:
        raise Failure(
            f"cannot use {chosen.data_dir} for data: {(error.strerror or str(error)).lower()}; "
            "name another with --data-dir",
            status=2,
        ) from None
    import gc

    gc.disable()  # imports make no garbage; the supervisor enables it again
    from fastbroker.supervisor.supervisor import run

    sys.exit(run(chosen, read if config is not None else None))


def load(
    *,
    config: str | None = None,
    settings: Sequence[str] = (),
    data_dir: str | None = None,
    port: int | None = None,
    workers: int | None = None,
) -> BrokerConfig:
    """The broker's configuration: flags over `settings` (key=value) over the file `config`.

    Raises ConfigError.
    """
    from fastbroker.config.broker import BrokerConfig

    given = BrokerConfig.load(config, settings)
    flags = []
    if data_dir is not None:
        flags.append(f"log.dirs={os.path.abspath(data_dir)}")
    elif not {"log.dirs", "log.dir"} & set(given.explicit):
        flags.append(f"log.dirs={os.path.abspath(DATA_DIR)}")
    if port is not None:
        flags.append(f"listeners={','.join(_with_port(given, port))}")
    if workers is not None:
        flags.append(f"fastbroker.workers={workers}")
    return BrokerConfig.load(config, [*settings, *flags]) if flags else given


def _with_port(given: BrokerConfig, port: int) -> list[str]:
    """The texts of `listeners`, with `port` in the first one that is for clients."""
    first = given.listeners()[0].name
    out = []
    for text in given["listeners"]:
        if text.strip().partition("://")[0] == first:
            text = f"{text.rpartition(':')[0]}:{port}"
        out.append(text)
    return out
