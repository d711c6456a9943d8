"""A scrape of a host, as numbers."""
from __future__ import annotations

import re
import time
import urllib.request

SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Labels = tuple[str, ...]


def samples(page: str) -> dict[str, dict[Labels, float]]:
    """The numbers of a page by family and values of labels, in its order; none is there twice."""
    found: dict[str, dict[Labels, float]] = {}
    for line in page.splitlines():
        if line.startswith("#"):
            continue
        parts = SAMPLE.fullmatch(line)
        assert parts is not None, line
        name, labels, value = parts.groups()
        family = found.setdefault(name, {})
        key = tuple(one[1] for one in LABEL.findall(labels or ""))
        assert key not in family, f"twice: {line}"
        family[key] = float(value)
    return found


class Scrape:
    """families: see `samples`. begun_s, ended_s: when it was asked for, and when it was there."""

    def __init__(self, url: str) -> None:
        self.begun_s = time.time()
        with urllib.request.urlopen(url, timeout=30) as page:
            text = page.read().decode()
        self.ended_s = time.time()
        self.families = samples(text)

    def of(self, name: str) -> dict[Labels, float]:
        """A family's numbers; none if there are none."""
        return self.families.get(name, {})
