"""A scrape of a host, as numbers."""
from __future__ import annotations

import re
import time
import urllib.request

SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Labels = tuple[str, ...]


class Scrape:
    """families: by name, a number by the values of its labels, in the page's order.

    begun_s, ended_s: when it was asked for, and when it was there.
    """

    def __init__(self, url: str) -> None:
        self.begun_s = time.time()
        with urllib.request.urlopen(url, timeout=30) as page:
            self.text = page.read().decode()
        self.ended_s = time.time()
        self.families: dict[str, dict[Labels, float]] = {}
        for line in self.text.splitlines():
            if line.startswith("#"):
                continue
            found = SAMPLE.fullmatch(line)
            assert found is not None, line
            name, labels, value = found.groups()
            family = self.families.setdefault(name, {})
            key = tuple(one[1] for one in LABEL.findall(labels or ""))
            assert key not in family, f"twice: {line}"
            family[key] = float(value)

    def of(self, name: str) -> dict[Labels, float]:
        """A family's numbers; none if there are none."""
        return self.families.get(name, {})
