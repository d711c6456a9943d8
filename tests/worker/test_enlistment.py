"""What a partition's leader asks of the coordinators of transactions."""
from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.coordination.hashing import partition_of
from fastbroker.handlers.context import TRANSACTIONS_TOPIC
from fastbroker.model import Deferred, TopicPartition
from fastbroker.protocol.header import REQUEST_ITEMS_MAX
from fastbroker.protocol.messages.add_partitions_to_txn import AddPartitionsToTxnResponse
from fastbroker.protocol.schema import Struct
from fastbroker.txn.addition import Asked, asked, response
from fastbroker.worker import enlistment
from fastbroker.worker.enlistment import Enlistment
from tests.handlers.bench import ELSEWHERE, ME, Bench

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)


class Enlisting:
    """An Enlistment whose turns and coordinators are the test's."""

    def __init__(self, bench: Bench) -> None:
        self.turns: list[Callable[[], None]] = []
        self.calls: list[tuple[int, list[Asked], Deferred[Any]]] = []
        self.enlist = Enlistment(bench.broker, call=self.call, soon=self.turns.append)

    def call(self, broker: int, request: Struct, version: int) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.calls.append((broker, asked(request, version), answer))  # type: ignore[arg-type]
        return answer

    def turn(self) -> None:
        turns, self.turns[:] = list(self.turns), []
        for one in turns:
            one()

    def ask(self, name: str, *partitions: TopicPartition, add: bool = True, epoch: int = 0) -> Any:
        return self.enlist(
            transactional_id=name,
            producer_id=7,
            producer_epoch=epoch,
            partitions=list(partitions),
            add=add,
        )

    def answer(self, codes: dict[TopicPartition, int], at: int = 0) -> None:
        _, entries, answer = self.calls.pop(at)
        results = [(one, {p: codes.get(p, 0) for p in one.partitions}) for one in entries]
        answer.complete(response(results, 5))


@pytest.fixture
def enlisting(tmp_path: pathlib.Path) -> Enlisting:
    bench = Bench(tmp_path)
    bench.create(TRANSACTIONS_TOPIC, partitions=2)
    bench.elect(ELSEWHERE, TRANSACTIONS_TOPIC, 1)
    return Enlisting(bench)


def name_at(partition: int, skip: int = 0) -> str:
    names = [f"t{n}" for n in range(50) if partition_of(f"t{n}", 2) == partition]
    return names[skip]


def test_calls_of_one_turn_go_together(enlisting: Enlisting) -> None:
    here, other, there = name_at(0), name_at(0, 1), name_at(1)
    answers = [
        enlisting.ask(here, A0),
        enlisting.ask(here, A1, A0),
        enlisting.ask(other, B0, add=False),
        enlisting.ask(there, B0),
    ]
    enlisting.turn()
    assert [(broker, entries) for broker, entries, _ in enlisting.calls] == [
        (ME, [Asked(here, 7, 0, (A0, A1), False), Asked(other, 7, 0, (B0,), True)]),
        (ELSEWHERE, [Asked(there, 7, 0, (B0,), False)]),
    ]
    enlisting.answer({A1: 51})
    enlisting.answer({})
    assert [one.result() for one in answers] == [{A0: 0}, {A1: 51, A0: 0}, {B0: 0}, {B0: 0}]


def test_calls_of_one_id_that_differ_are_requests_of_their_own(enlisting: Enlisting) -> None:
    name = name_at(0)
    enlisting.ask(name, A0)
    enlisting.ask(name, A1, epoch=1)
    enlisting.ask(name, B0, add=False)
    enlisting.turn()
    assert [len(entries) for _, entries, _ in enlisting.calls] == [1, 1, 1]


def test_a_later_turn_is_another_request(enlisting: Enlisting) -> None:
    enlisting.ask(name_at(0), A0)
    enlisting.turn()
    enlisting.ask(name_at(0), A1)
    enlisting.turn()
    assert len(enlisting.calls) == 2


def test_how_partitions_say_what_coordinators_say(enlisting: Enlisting) -> None:
    answer = enlisting.ask(name_at(0), A0, A1)
    enlisting.turn()
    enlisting.answer({A0: errors.ProducerFenced.code, A1: errors.TransactionAbortable.code})
    assert answer.result() == {
        A0: errors.InvalidProducerEpoch.code,
        A1: errors.TransactionAbortable.code,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NetworkException("lost"), errors.NetworkException),
        (errors.RequestTimedOut("late"), errors.RequestTimedOut),
        (errors.InvalidRequest("odd"), errors.NetworkException),
        (OSError("odd"), errors.NetworkException),
    ],
)
def test_a_coordinator_that_does_not_answer(
    enlisting: Enlisting, error: BaseException, code: type[errors.KafkaError]
) -> None:
    answer = enlisting.ask(name_at(0), A0)
    enlisting.turn()
    enlisting.calls.pop()[2].fail(error)
    assert answer.result() == {A0: code.code}


def test_an_answer_for_all(enlisting: Enlisting) -> None:
    answer = enlisting.ask(name_at(0), A0)
    enlisting.turn()
    refused = AddPartitionsToTxnResponse(error_code=errors.ClusterAuthorizationFailed.code)
    enlisting.calls.pop()[2].complete(refused)
    assert answer.result() == {A0: errors.ClusterAuthorizationFailed.code}


def test_without_a_coordinator(tmp_path: pathlib.Path) -> None:
    bench = Bench(tmp_path)
    enlisting = Enlisting(bench)
    answers = [enlisting.ask("t", A0)]
    enlisting.turn()
    bench.create(TRANSACTIONS_TOPIC)
    bench.elect(-1, TRANSACTIONS_TOPIC)
    answers.append(enlisting.ask("t", A0))
    enlisting.turn()
    unavailable = {A0: errors.CoordinatorNotAvailable.code}
    assert [one.result() for one in answers] == [unavailable, unavailable]


def test_only_so_many_in_one_turn(
    enlisting: Enlisting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enlistment, "WAITING_MAX", 2)
    later = errors.CoordinatorNotAvailable.code
    enlisting.ask(name_at(0), A0)
    assert enlisting.ask(name_at(0), A1, B0).result() == {A1: later, B0: later}
    assert not enlisting.ask(name_at(0), A1).done
    enlisting.turn()
    assert not enlisting.ask(name_at(0), A0, A1, B0).done, "alone it may be as many as it likes"
    assert enlisting.ask(name_at(0), A1).result() == {A1: later}


def test_all_that_wait_are_a_request_that_a_broker_reads(enlisting: Enlisting) -> None:
    """However many transactions they are of: one that it refuses would cost the connection, and
    with it what others have asked."""
    for n in range(enlistment.WAITING_MAX):
        assert not enlisting.ask(f"t{n}", A0).done
    assert enlisting.ask("one more", A0).done
    enlisting.turn()
    for _, entries, _ in enlisting.calls:
        items = sum(1 + len({topic for topic, _ in one.partitions}) + len(one.partitions)
                    for one in entries)  # fmt: skip
        assert items <= REQUEST_ITEMS_MAX
