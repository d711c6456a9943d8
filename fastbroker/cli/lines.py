"""Lines of a file descriptor as they come, with a sign when the next one lets wait."""
from __future__ import annotations

import os
import select
from collections.abc import Iterator

from fastbroker.cli.output import Failure, size

READ_BYTES = 256 * 1024
LINE_MAX_BYTES = 32 * 1024 * 1024


def lines(fd: int) -> Iterator[bytes | None]:
    """Each line without its end, which is a newline, or a carriage return and a newline.

    None stands where nothing can be read without waiting. Raises Failure for a line of more than
    LINE_MAX_BYTES.
    """
    rest: list[bytes] = []
    held = number = 0
    while True:
        if not select.select([fd], [], [], 0)[0]:
            yield None
        chunk = os.read(fd, READ_BYTES)
        if not chunk:
            break
        first, *others = chunk.split(b"\n")
        rest.append(first)
        held += len(first)
        if held > LINE_MAX_BYTES:
            raise Failure(
                f"line {number + 1} is longer than {size(LINE_MAX_BYTES)}; "
                "a record is a line, so split it"
            )
        if others:
            yield b"".join(rest).removesuffix(b"\r")
            for line in others[:-1]:
                yield line.removesuffix(b"\r")
            number += len(others)
            rest, held = [others[-1]], len(others[-1])
    if held:
        yield b"".join(rest)
