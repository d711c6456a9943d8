"""Regular expressions that clients bring, in RE2's syntax: matching takes linear time.

An expression has to match the whole of a text. Kafka uses RE2/J.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastbroker.errors import InvalidRegularExpression

COMPILED_MAX = 256  # expressions that are kept compiled
COMPILED_BYTES_MAX = 1 << 20  # of each; what needs more is refused

Matches = Callable[[str], object]  # true: the whole text is such


def matcher(regex: str, *, what: str) -> Matches:
    """Whether a text is of `regex`. what: names it to whoever sent it.

    Raises InvalidRegularExpression for what is no RE2 expression, or too large a one.
    """
    try:
        return _compiled(regex).fullmatch  # type: ignore[no-any-return]
    except Exception as error:  # RE2's own class; it has no common base with re's
        why = error.args[0] if error.args else error
        said = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise InvalidRegularExpression(
            f"{what} {regex!r} is not valid in RE2's syntax: {said}"
        ) from None


@lru_cache(COMPILED_MAX)
def _compiled(regex: str) -> Any:
    import re2  # only whoever brings an expression waits for it

    options = re2.Options()
    options.log_errors = False  # who asked is told
    options.max_mem = COMPILED_BYTES_MAX
    return re2.compile(regex, options)
