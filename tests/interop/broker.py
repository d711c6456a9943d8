"""The broker under test, as tests know it."""
from __future__ import annotations

import pathlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Broker:
    """What a test needs to know of the broker under test."""

    bootstrap: str
    data_dir: pathlib.Path | None  # None: a broker elsewhere, whose files cannot be read
