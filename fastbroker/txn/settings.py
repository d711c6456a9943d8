"""The broker's settings that transactions are governed by, as typed values."""
from __future__ import annotations

from dataclasses import dataclass

from fastbroker.config.broker import BrokerConfig


@dataclass(frozen=True, kw_only=True)
class TransactionSettings:
    """Limits and waits of the transaction coordinator.

    add_wait_ms, client_wait_ms: how long a broker's and a client's addition to a transaction wait
        for a transition that is on its way.
    """

    partitions: int = 50
    max_timeout_ms: int = 900_000
    id_expiration_ms: int = 604_800_000
    add_wait_ms: int = 100
    client_wait_ms: int = 1_000

    @classmethod
    def of(cls, config: BrokerConfig) -> TransactionSettings:
        """The settings that `config` holds."""
        return cls(
            partitions=config["transaction.state.log.num.partitions"],
            max_timeout_ms=config["transaction.max.timeout.ms"],
            id_expiration_ms=config["transactional.id.expiration.ms"],
            add_wait_ms=config["add.partitions.to.txn.retry.backoff.max.ms"],
        )
