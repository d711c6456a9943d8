"""One question to one process of the host; see net/answering.py."""
from __future__ import annotations

import asyncio

from fastbroker.net.address import connect_unix

ANSWER_MAX_BYTES = 256 << 20


class NoAnswer(Exception):
    """A process is down, does not answer in time, or says what nobody understands."""


async def ask(path: str, question: bytes, *, within_s: float) -> bytes:
    """The answer of the process that listens at `path`. Raises NoAnswer."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(sock=connect_unix(path))
            try:
                writer.write(len(question).to_bytes(4, "big") + question)
                size = int.from_bytes(await reader.readexactly(4), "big")
                if size > ANSWER_MAX_BYTES:
                    raise NoAnswer(f"{path}: an answer of {size} bytes")
                return await reader.readexactly(size)
            finally:
                writer.transport.abort()
    except (OSError, EOFError, TimeoutError) as error:
        raise NoAnswer(f"{path}: {error or type(error).__name__}") from error
