"""One thing that is wrong, and how many are told."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

TOLD = 20


class Finding(NamedTuple):
    """The class (see the package's guide) and the evidence, for people."""

    kind: str
    what: str


def told(findings: Sequence[Finding]) -> str:
    """How many of which kind, and the first few."""
    if not findings:
        return "nothing is wrong"
    counts = ", ".join(f"{kind} {n}" for kind, n in sorted(Counter(f[0] for f in findings).items()))
    lines = [f"{len(findings)} findings: {counts}"]
    lines += [f"  {finding.kind}: {finding.what}" for finding in findings[:TOLD]]
    return "\n".join(lines)
