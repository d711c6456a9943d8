"""Transactions that read from each other in a circle (Adya's G1c with write-read edges only)."""
from __future__ import annotations

from collections.abc import Iterator

from tests.history.events import History
from tests.history.findings import Finding


def circular_reads(history: History) -> Iterator[Finding]:
    """One finding for each circle: a strongly connected part of "was read by", of two or more.

    A transaction that reads its own writes is told as a precommitted read.
    """
    writer = {n: w.txn for n, w in history.writes.items() if w.txn is not None}
    readers: dict[str, set[str]] = {}
    for name, transaction in history.transactions.items():
        for value in transaction.read:
            source = writer.get(value)
            if source is not None and source != name:
                readers.setdefault(source, set()).add(name)
    for part in _strongly_connected(readers):
        if len(part) > 1:
            yield Finding("circular-reads", " and ".join(sorted(part)))


def _strongly_connected(edges: dict[str, set[str]]) -> Iterator[list[str]]:
    """Tarjan's algorithm, without recursion: a history has long chains."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in sorted(edges):
        if root in number:
            continue
        work = [(root, iter(sorted(edges.get(root, ()))))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(sorted(edges.get(target, ())))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], number[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    part = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        part.append(member)
                        if member == node:
                            break
                    yield part
