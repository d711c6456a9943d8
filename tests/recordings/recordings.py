"""Recordings as files: data/<api>.json, {scenario: [[label, answer], ...]}, a step a line."""
from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.recordings.play import Played
from tests.recordings.scenario import Scenario

KEYS = ("name", "topic", "topic_id", "group_id", "resource_name", "key", "api_key")
KEYS += ("partition_index", "partition", "index", "member_id", "transactional_id", "producer_id")
DATA = pathlib.Path(__file__).with_name("data")


class Difference(NamedTuple):
    """One value in which two answers differ; `field` is the path to it."""

    scenario: str  # group/name
    step: str
    field: str
    kafka: Any
    ours: Any


def load() -> dict[str, Played]:
    """group/name -> what Kafka answered."""
    out: dict[str, Played] = {}
    for file in sorted(DATA.glob("*.json")):
        for name, steps in json.loads(file.read_text()).items():
            out[f"{file.stem}/{name}"] = [(label, answer) for label, answer in steps]
    return out


def save(played: dict[Scenario, Played]) -> None:
    """Replace the recordings of these scenarios, and forget those that exist no more."""
    kept = load()
    files: dict[str, dict[str, Played]] = {}
    for one, steps in played.items():
        new = steps if steps else kept.get(f"{one.group}/{one.name}", [])
        files.setdefault(one.group, {})[one.name] = new
    for group, found in files.items():
        lines = []
        for name, steps in found.items():
            rows = ",\n".join(
                json.dumps(step, ensure_ascii=False, separators=(",", ":")) for step in steps
            )
            lines.append(f"{json.dumps(name)}:[\n{rows}\n]")
        (DATA / f"{group}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def differences(scenario: str, kafka: Played, ours: Played) -> list[Difference]:
    """Every value in which our answers differ from the recorded ones."""
    out = []
    for (step, theirs), (our_step, our_answer) in zip(kafka, ours, strict=False):
        if step != our_step:
            return [*out, Difference(scenario, step, "step", step, f"{our_step}: {our_answer}")]
        out += [Difference(scenario, step, *found) for found in _walk("", theirs, our_answer)]
    if len(kafka) != len(ours):
        longer = (kafka if len(kafka) > len(ours) else ours)[min(len(kafka), len(ours))]
        sides = (longer, None) if len(kafka) > len(ours) else (None, longer)
        out.append(Difference(scenario, longer[0], "step", *sides))
    return out


def _walk(path: str, kafka: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(kafka, dict) and isinstance(ours, dict):
        for name in kafka.keys() | ours.keys():
            yield from _walk(f"{path}.{name}".lstrip("."), kafka.get(name), ours.get(name))
    elif isinstance(kafka, list) and isinstance(ours, list):
        mine, theirs = _by_name(ours), _by_name(kafka)
        if mine is not None and theirs is not None:  # their order says nothing
            if missing := sorted(theirs.keys() - mine.keys()):
                yield f"{path}[]", f"has {missing}", "lacks them"
            if more := sorted(mine.keys() - theirs.keys()):
                yield f"{path}[]", "lacks them", f"has {more}"
            for name in sorted(theirs.keys() & mine.keys()):
                yield from _walk(f"{path}[{name}]", theirs[name], mine[name])
        elif len(kafka) != len(ours):
            yield f"{path}[]", kafka, ours
        else:
            for i, (their_item, our_item) in enumerate(zip(kafka, ours, strict=True)):
                yield from _walk(f"{path}[{i}]", their_item, our_item)
    elif kafka != ours:
        yield path, kafka, ours


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """Items by their names or partition numbers, when each has one of its own."""
    for key in KEYS:
        found = {
            str(item[key]): item
            for item in items
            if isinstance(item, dict) and item.get(key) not in (None, "")
        }
        if len(found) == len(items):
            return found
    return None
