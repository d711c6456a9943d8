"""Label pairs as they stand between the braces of a sample: `topic="orders",partition="3"`."""
from __future__ import annotations

OTHER = "(other)"  # stands for all beyond a cap


def label(name: str, value: str) -> bytes:
    """One pair; backslash, quote and line feed are escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{escaped}"'.encode("utf-8", "replace")


def labels(**pairs: str | int) -> bytes:
    """Several, in the order given."""
    return b",".join([label(name, str(value)) for name, value in pairs.items()])
