"""Which topics a classic group of consumers reads, from what its members told their leader."""
from __future__ import annotations

from collections.abc import Iterable

from fastbroker._c.codec import Malformed, decode
from fastbroker.protocol.consumer_protocol import ConsumerProtocolSubscription
from fastbroker.protocol.header import REQUEST_ITEMS_MAX
from fastbroker.protocol.schema import plan

CONSUMER = "consumer"  # the protocol type whose metadata the coordinator can read
_VERSION_BYTES = 2


def subscribed_topics(metadata: Iterable[bytes]) -> set[str] | None:
    """The topics in the members' metadata; None when one of them cannot be read.

    Every version begins with the fields of version 0, which has the topics.
    """
    topics: set[str] = set()
    for one in metadata:
        try:
            found, _ = decode(
                plan(ConsumerProtocolSubscription, 0), one, _VERSION_BYTES, REQUEST_ITEMS_MAX
            )
        except Malformed:
            return None
        topics.update(found.topics)
    return topics
