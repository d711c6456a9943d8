"""What scenarios of transactions are told with: producers, and what they ask of the coordinator."""
from __future__ import annotations

from typing import Any, NamedTuple

from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from fastbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from fastbroker.protocol.messages.end_txn import EndTxnRequest
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.recordings.batches import batch
from tests.recordings.scenario import Scene, Step, Steps
from tests.recordings.scenarios import prepare
from tests.recordings.scenarios.prepare import COORDINATOR_IS_COMING
from tests.recordings.scenarios.produce import produce

TRANSACTION = 1  # FindCoordinator's key type
TRANSACTIONAL = 0x10  # a batch's attribute
CONCURRENT_TRANSACTIONS = 51
CENTURIES_MS = 10**13
SETTLED = ("Empty", "CompleteCommit", "CompleteAbort")


class Producer(NamedTuple):
    """A transactional id with a producer id and epoch."""

    id: str
    producer_id: int
    epoch: int

    def older(self, by: int = 1) -> Producer:
        return self._replace(epoch=self.epoch - by)

    def newer(self, by: int = 1) -> Producer:
        return self._replace(epoch=self.epoch + by)


def topic(s: Scene, word: str = "t", *, partitions: int = 1) -> Steps:
    """A topic that does not roll when a marker of today follows records of 2020."""
    configs = {"segment.ms": str(CENTURIES_MS)}
    found = yield from prepare.topic(s, word, partitions=partitions, configs=configs)
    return found


def transaction_coordinator(s: Scene, id_: str) -> Steps:
    """Wait until the coordinator of the transactional id has loaded, and there are producer ids."""
    yield s.ask(
        None, FindCoordinatorRequest, at=2, key=id_, key_type=TRANSACTION,
        until=lambda a: a.error_code == 0,
    )  # fmt: skip
    yield s.ask(
        None, DescribeTransactionsRequest, at=0, transactional_ids=[id_],
        until=lambda a: a.transaction_states[0].error_code not in COORDINATOR_IS_COMING,
    )  # fmt: skip
    yield init(s, None, None, at=1, until=lambda a: a.error_code not in COORDINATOR_IS_COMING)


def init(s: Scene, label: str | None, id_: str | None, **more: Any) -> Step:
    fields: dict[str, Any] = {"transaction_timeout_ms": 60_000}
    return s.ask(label, InitProducerIdRequest, transactional_id=id_, **(fields | more))


def init_again(s: Scene, label: str | None, id_: str, **more: Any) -> Step:
    """Ask until what goes on has ended."""
    return init(s, label, id_, **more)._replace(
        until=lambda a: a.error_code != CONCURRENT_TRANSACTIONS
    )


def producer(s: Scene, word: str = "id", **more: Any) -> Steps:
    """A new transactional producer."""
    id_ = s.name(word)
    yield from transaction_coordinator(s, id_)
    answer = yield init(s, None, id_, at=4, **more)
    assert answer.error_code == 0, f"no producer id for {id_}: {answer.error_code}"
    return Producer(id_, answer.producer_id, answer.producer_epoch)


def by_topic(*partitions: tuple[str, int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, partition in partitions:
        found.setdefault(name, []).append(partition)
    return found


def add(
    s: Scene, label: str | None, who: Producer, *partitions: tuple[str, int],
    verify_only: bool = False, **more: Any,
) -> Step:  # fmt: skip
    """AddPartitionsToTxn in either form: the version says in which."""
    topics = [{"name": n, "partitions": p} for n, p in by_topic(*partitions).items()]
    one = {"transactional_id": who.id, "producer_id": who.producer_id,
           "producer_epoch": who.epoch, "verify_only": verify_only, "topics": topics}  # fmt: skip
    return s.ask(
        label, AddPartitionsToTxnRequest, transactions=[one],
        v3_and_below_transactional_id=who.id, v3_and_below_producer_id=who.producer_id,
        v3_and_below_producer_epoch=who.epoch, v3_and_below_topics=topics, **more,
    )  # fmt: skip


def end(s: Scene, label: str | None, who: Producer, *, commit: bool, **more: Any) -> Step:
    return s.ask(label, EndTxnRequest, transactional_id=who.id, producer_id=who.producer_id,
                 producer_epoch=who.epoch, committed=commit, **more)  # fmt: skip


def state(s: Scene, label: str | None, who: Producer, **more: Any) -> Step:
    return s.ask(label, DescribeTransactionsRequest, at=0, transactional_ids=[who.id], **more)


def settled(s: Scene, label: str | None, who: Producer) -> Step:
    """Its state, once all markers are written."""
    return state(
        s, label, who, until=lambda a: a.transaction_states[0].transaction_state in SETTLED
    )


def data(
    who: Producer, sequence: int, *values: bytes, attributes: int = TRANSACTIONAL, **more: Any
) -> bytes:
    return batch(values or (b"value",), producer_id=who.producer_id, producer_epoch=who.epoch,
                 base_sequence=sequence, attributes=attributes, **more)  # fmt: skip


def put(
    s: Scene, label: str | None, topic_: tuple[str, bytes], who: Producer, sequence: int,
    *values: bytes, attributes: int = TRANSACTIONAL, **more: Any,
) -> Step:  # fmt: skip
    """Produce one batch in the producer's transaction."""
    more.setdefault("transactional_id", who.id)
    records = data(who, sequence, *values, attributes=attributes)
    return produce(s, label, topic_, records, **more)
