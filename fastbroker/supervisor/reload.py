"""SIGHUP: the configuration is read again, and what can change while the broker runs does."""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from fastbroker.config.broker import BrokerConfig, ConfigError
from fastbroker.config.keys import RELOADABLE
from fastbroker.supervisor import systemd

log = logging.getLogger(__name__)


def reload(
    config: BrokerConfig, load: Callable[[], BrokerConfig], *, is_ready: bool
) -> BrokerConfig:
    """The configuration from now on: `config` itself when what `load` reads is not valid.

    is_ready: systemd has been told that the broker serves; it is told of the reload, too.
    """
    if is_ready:
        systemd.notify(systemd.reloading())
    said, reloaded = _reload(config, load)
    if is_ready:
        systemd.notify("READY=1", f"STATUS={said}")
    return reloaded


def _reload(config: BrokerConfig, load: Callable[[], BrokerConfig]) -> tuple[str, BrokerConfig]:
    try:
        read = load()
        reloaded = config.reloaded(read.given)
    except ConfigError as error:
        log.error("the configuration is as it was: %s", error)
        return f"not reloaded: {error}", config
    changed = changes(config.given, read.given)
    taken = [name for name in changed if name in RELOADABLE]
    left = [name for name in changed if name not in RELOADABLE]
    if taken:
        told = ", ".join(f"{name}={_said(read, name)}" for name in taken)
        log.info("the configuration was reloaded: %s", told)
    else:
        log.info("the configuration was reloaded: nothing that can change at run time has changed")
    if left:
        log.warning("these changes need a restart: %s", ", ".join(left))
    return "the configuration was reloaded", reloaded


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Keys of which the texts differ."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _said(config: BrokerConfig, name: str) -> str:
    return config.given.get(name, "(default)")
