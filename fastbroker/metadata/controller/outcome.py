"""What a rule returns, and how a rule's errors become answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastbroker.protocol.schema import Struct

RECORDS_MAX = 10_000  # of one request; Kafka: MAX_RECORDS_PER_USER_OP


class Outcome(NamedTuple):
    """records: to append as one batch, in this order; response: the answer once they are kept."""

    records: list[Struct]
    response: Any
