"""Names, labels and words of what is served."""
from __future__ import annotations

import pathlib
import re

import pytest

from fastbroker._c.meter import latency_bounds
from fastbroker.metrics import catalogue
from fastbroker.metrics.catalogue import FAMILIES
from fastbroker.metrics.document import document
from fastbroker.metrics.family import COUNTER, GAUGE, HISTOGRAM, UNTYPED, Family

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda one: one.name)
def test_a_family_keeps_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"(kafka|fastbroker|process)_[a-z0-9_]+", family.name)
    assert family.kind in (COUNTER, GAUGE, HISTOGRAM, UNTYPED)
    assert (family.kind == COUNTER) == family.name.endswith("_total")
    assert (family.kind == HISTOGRAM) == bool(family.buckets)
    assert list(family.buckets) == sorted(set(family.buckets))
    assert family.help, "a family says what it is"
    assert not family.help.endswith(".")
    assert not re.search(r"_(ms|milliseconds|percent|kb|mb)(_|$)", family.name), "base units"
    assert all(re.fullmatch(r"[a-z]+", label) for label in family.labels)


def test_no_two_families_have_one_name() -> None:
    found = [one for one in vars(catalogue).values() if isinstance(one, Family)]
    assert len({one.name for one in found}) == len(found) == len(FAMILIES)


def test_the_bounds_of_latencies_are_those_that_are_counted_by() -> None:
    assert latency_bounds() == catalogue.LATENCY_NS


def test_no_family_is_made_elsewhere() -> None:
    for path in (ROOT / "fastbroker").glob("**/*.py"):
        if path.name not in ("catalogue.py", "family.py"):
            assert not re.search(r"\bFamily\(", path.read_text()), path


def test_the_document_is_made_from_the_catalogue() -> None:
    written = (ROOT / "deploy/prometheus/metrics.md").read_text()
    remedy = "python -m fastbroker.metrics.document > deploy/prometheus/metrics.md"
    assert written == document(), f"make it anew: {remedy}"
