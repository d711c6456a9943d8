"""Prometheus' text format 0.0.4, read strictly, for tests."""
from __future__ import annotations

import re
from typing import NamedTuple

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
PAIR = re.compile(rf'({NAME})="((?:[^"\\]|\\["\\n])*)"(?:,|$)')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
Labels = dict[str, str]


class Family(NamedTuple):
    kind: str
    help: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]


class Text:
    """A page: every family once, with HELP and TYPE before its samples, and no sample twice."""

    def __init__(self, page: str) -> None:
        *whole, rest = page.split("\n")
        assert rest == "", "the last line ends"
        self.families: dict[str, Family] = {}
        current = help_text = ""
        for line in whole:
            if line.startswith("# HELP "):
                current, help_text = line[7:].split(" ", 1)
                assert current not in self.families, f"{current} comes twice"
            elif line.startswith("# TYPE "):
                name, kind = line[7:].split(" ")
                assert name == current
                self.families[name] = Family(kind, help_text, {})
            else:
                self._add(current, line)

    def _add(self, current: str, line: str) -> None:
        found = SAMPLE.fullmatch(line)
        assert found, f"no sample: {line!r}"
        name, pairs, number = found.groups()
        family = self.families[current]
        assert name in [current + end for end in SUFFIXES.get(family.kind, ("",))], line
        labels = labels_of(pairs or "")
        key = (name, frozenset(labels.items()))
        assert key not in family.samples, f"twice: {line}"
        family.samples[key] = float(number)

    def value(self, name: str, **labels: str) -> float:
        """One sample, by all of its labels."""
        return self.all(name)[frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """All samples that have these labels, together; 0 when there are none."""
        wanted = set(labels.items())
        return sum(value for key, value in self.all(name).items() if wanted <= key)

    def all(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """The samples of one name, by their labels."""
        family = self.families.get(name) or self.families.get(re.sub(r"_[a-z]+$", "", name))
        samples = family.samples if family is not None else {}
        return {key: value for (own, key), value in samples.items() if own == name}


def labels_of(pairs: str) -> Labels:
    """What stands between the braces."""
    found, at = {}, 0
    while at < len(pairs):
        pair = PAIR.match(pairs, at)
        assert pair, f"no labels: {pairs!r}"
        assert pair[1] not in found
        found[pair[1]] = re.sub(r'\\["\\n]', lambda m: ESCAPES[m[0]], pair[2])
        at = pair.end()
    return found
