"""Who waits for an offset, and who for data."""
from __future__ import annotations

from functools import partial

from fastbroker.partition.purgatory import Purgatory


def test_a_commit_is_told_when_its_offset_is_reached() -> None:
    purgatory, told = Purgatory(), list[int]()
    for offset in (3, 5, 5, 8):
        purgatory.await_commit(offset, partial(told.append, offset))
    purgatory.advance(2)
    assert told == []
    purgatory.advance(5)
    assert told == [3, 5, 5]
    purgatory.advance(8)
    assert told == [3, 5, 5, 8]


def test_a_repeated_batch_waits_at_the_place_of_its_old_offset() -> None:
    purgatory, told = Purgatory(), list[str]()
    for offset, name in [(3, "first"), (8, "second"), (3, "first again"), (6, "between")]:
        purgatory.await_commit(offset, partial(told.append, name))
    purgatory.advance(6)
    assert told == ["first", "first again", "between"]
    purgatory.advance(8)
    assert told[-1] == "second"


def test_readers_are_woken_at_every_change_until_they_leave() -> None:
    purgatory, woken = Purgatory(), list[str]()
    one, other = object(), object()
    purgatory.await_data(one, lambda: woken.append("one"))
    purgatory.await_data(other, lambda: woken.append("other"))
    purgatory.advance(1)
    purgatory.leave(one)
    purgatory.leave(one)
    purgatory.wake_readers()
    assert woken == ["one", "other", "other"]


def test_a_reader_may_leave_while_it_is_woken() -> None:
    purgatory, woken = Purgatory(), list[int]()

    def wake() -> None:
        woken.append(1)
        purgatory.leave("me")

    purgatory.await_data("me", wake)
    purgatory.wake_readers()
    purgatory.wake_readers()
    assert woken == [1]
    assert not purgatory.readers


def test_emptied_it_tells_everybody_and_takes_new_ones() -> None:
    purgatory, told = Purgatory(), list[str]()

    def once_more() -> None:
        told.append("commit")
        purgatory.await_commit(9, lambda: told.append("later"))

    purgatory.await_commit(5, once_more)
    purgatory.await_data("reader", lambda: told.append("reader"))
    purgatory.empty()
    assert told == ["commit", "reader"]
    purgatory.advance(9)
    assert told == ["commit", "reader", "later", "reader"]
