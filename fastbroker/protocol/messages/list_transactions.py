"""ListTransactions (66): list transactions known to this coordinator."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, i64, string


class ListTransactionsRequest(Struct, key=66, versions="0-2", flexible="0+"):
    state_filters: list[str] = array(string())
    producer_id_filters: list[int] = array(i64())
    duration_filter: int = i64("1+", default=-1)
    transactional_id_pattern: str | None = string("2+", default=None, nullable="2+")


class ListTransactionsResponse(Struct, key=66, versions="0-2", flexible="0+"):
    class TransactionState(Struct):
        transactional_id: str = string()
        producer_id: int = i64()
        transaction_state: str = string()

    throttle_time_ms: int = i32()
    error_code: int = i16()
    unknown_state_filters: list[str] = array(string())
    transaction_states: list[TransactionState] = array(TransactionState)
