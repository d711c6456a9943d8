"""The catalogue as a page of Markdown: `python -m fastbroker.metrics.document`."""
from __future__ import annotations

from fastbroker.metrics.catalogue import FAMILIES
from fastbroker.metrics.family import Family

HEAD = """\
# What /metrics tells

Made from fastbroker/metrics/catalogue.py by `python -m fastbroker.metrics.document`.

A `process` is `controller`, `worker-0`, `worker-1`, ..., `gateway` or `supervisor`: one scrape has
what all processes of the host say. A counter begins at 0 when its process does. Beyond the caps
`fastbroker.metrics.topics.max` and `fastbroker.metrics.partitions.max`, topics and partitions are
summed under the label `(other)`, which no topic can be called.
"""


def document() -> str:
    """The page: a table of all families."""
    rows = ["| name | type | labels | |", "| --- | --- | --- | --- |"]
    rows += [_row(family) for family in FAMILIES.values()]
    return HEAD + "\n" + "\n".join(rows) + "\n"


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    text = family.help.replace("|", "\\|")
    return f"| `{family.name}` | {family.kind} | {labels} | {text} |"


if __name__ == "__main__":
    print(document(), end="")
