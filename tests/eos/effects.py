"""What a pipeline that copies must have done: each input once, in the order of its key.

An output's value is the input's with "@" and the transaction that wrote it.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Record = tuple[int, str, str]  # offset, key, value
TOLD = 5


def differences(
    inputs: Mapping[int, Sequence[Record]], outputs: Mapping[int, Sequence[Record]]
) -> list[str]:
    """What is wrong with `outputs`, each by partition; an empty list when nothing is."""
    wrong: list[str] = []
    wanted = {value: (partition, key) for partition, log in inputs.items() for _, key, value in log}
    found: Counter[str] = Counter()
    for partition, log in outputs.items():
        for offset, key, value in log:
            source = value.rpartition("@")[0]
            if wanted.get(source) != (partition, key):
                wrong.append(f"stray: {value!r} with key {key!r} at {partition}/{offset}")
            found[source] += 1
    wrong += _some("duplicate", sorted(v for v, times in found.items() if times > 1))
    wrong += _some("lost", sorted(wanted.keys() - found.keys()))
    for partition, log in inputs.items():
        order = {value: offset for offset, _, value in log}
        last: dict[str, int] = {}
        for _, key, value in outputs.get(partition, ()):
            at = order.get(value.rpartition("@")[0], -1)
            if at < last.get(key, -1):
                wrong.append(f"out of order: {value!r} of key {key!r} in partition {partition}")
            last[key] = max(at, last.get(key, -1))
    return wrong


def _some(kind: str, values: Sequence[str]) -> list[str]:
    if not values:
        return []
    return [f"{kind}: {len(values)}, as {list(values[:TOLD])}"]
