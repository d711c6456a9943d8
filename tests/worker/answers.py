"""What a worker says, as one page."""
from __future__ import annotations

from collections.abc import Callable, Iterator

from fastbroker.metrics.page import Page
from fastbroker.metrics.samples import Samples, decode
from tests.metrics.text import Text


def told(add: Callable[[Samples], Iterator[None] | None]) -> Text:
    """The page of a process called worker-0 that says what `add` adds."""
    samples = Samples()
    for _ in add(samples) or ():
        pass
    page = Page()
    page.add("worker-0", decode(samples.encode()))
    return Text(page.encode().decode())
