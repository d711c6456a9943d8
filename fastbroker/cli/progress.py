"""How far a long command is: one line on a terminal's stderr, which is gone at the end."""
from __future__ import annotations

import sys
import time

import click

QUIET_S = 1.0  # what is done sooner needs no progress
AGAIN_S = 0.2


class Progress:
    """A context manager; nothing is shown when stderr is no terminal."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what, self._total, self._done = what, total, 0
        self._next = time.monotonic() + QUIET_S
        self._shown = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def step(self, number: int = 1) -> None:
        """So many more are done."""
        self._done += number
        now = time.monotonic()
        if now < self._next or not sys.stderr.isatty():
            return
        self._next = now + AGAIN_S
        of = "" if self._total is None else f" of {self._total:,}"
        text = f"{self._what}: {self._done:,}{of}"
        click.echo(f"\r{text.ljust(self._shown)}", err=True, nl=False)
        self._shown = len(text)

    def clear(self) -> None:
        """Take the line away, as before a result is printed."""
        if self._shown:
            click.echo(f"\r{' ' * self._shown}\r", err=True, nl=False)
            self._shown = 0
