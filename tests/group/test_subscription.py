"""What a classic group of consumers reads, from what its members say."""
from __future__ import annotations

import struct

import pytest

from fastbroker.group.classic.subscription import subscribed_topics
from fastbroker.group.consumer import embedded
from fastbroker.protocol.header import REQUEST_ITEMS_MAX


def metadata(topics: list[str], *, version: int = 0) -> bytes:
    names = b"".join(struct.pack(">h", len(one)) + one.encode() for one in topics)
    return struct.pack(">hi", version, len(topics)) + names + struct.pack(">i", -1)


def test_it_is_what_all_of_them_read() -> None:
    assert subscribed_topics([metadata(["a", "b"]), metadata(["b", "c"])]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "bad", [b"", metadata(["a"])[:-7], metadata([""] * (REQUEST_ITEMS_MAX + 1))],
    ids=["nothing", "cut", "more topics than a request may have items"],
)  # fmt: skip
def test_what_cannot_be_read_is_not_known(bad: bytes) -> None:
    assert subscribed_topics([metadata(["a"]), bad]) is None
    assert embedded.subscription(bad) is None
