"""Who still answers."""
from __future__ import annotations

from fastbroker.supervisor.watch import Watch


def test_whose_beats_move_is_not_hung() -> None:
    watch = Watch(2.0)
    assert not any(watch.is_hung("one", beats, now_s=float(beats)) for beats in range(1, 10))


def test_whose_beats_stand_is_hung_after_the_limit() -> None:
    watch = Watch(2.0)
    assert not watch.is_hung("one", 7, 10.0)
    assert not watch.is_hung("one", 7, 12.0)
    assert watch.is_hung("one", 7, 12.1)
    assert not watch.is_hung("two", 7, 12.1)
    assert not watch.is_hung("one", 8, 12.2), "it was slow"


def test_before_its_first_beat_it_may_take_as_long_as_it_likes() -> None:
    watch = Watch(2.0)
    assert not watch.is_hung("one", 0, 0.0)
    assert not watch.is_hung("one", 0, 1000.0)
    assert not watch.is_hung("one", 1, 1001.0)


def test_a_new_process_of_the_same_role_begins_anew() -> None:
    watch = Watch(2.0)
    watch.is_hung("one", 3, 0.0)
    watch.forget("one")
    assert not watch.is_hung("one", 3, 100.0)
