"""Arguments of the form KEY=VALUE."""
from __future__ import annotations

from collections.abc import Iterable

import click


def pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    """("k", "v") of each "k=v". Raises click.UsageError."""
    out = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"{text!r} is not of the form KEY=VALUE.")
        out.append((key.strip(), value))
    return out
