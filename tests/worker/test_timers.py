"""The timer wheel, on a loop whose clock stands still."""
from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest

from fastbroker.worker.timers import LONG_TICKS, TICK_MS, TimerWheel


class Handle:
    def __init__(self, at_s: float, call: Callable[[], object]) -> None:
        self.at_s, self.call, self.cancelled = at_s, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """`time` and `call_at` under the test's control; longest: the latest time asked for."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, call: Callable[[], object]) -> Handle:
        assert at_s - self.now_s <= 2 * 86_400
        self.handles.append(Handle(at_s, call))
        return self.handles[-1]

    def advance(self, ms: float) -> None:
        end = self.now_s + ms / 1000
        while True:
            due = [one for one in self.handles if one.at_s <= end and not one.cancelled]
            if not due:
                break
            first = min(due, key=lambda one: one.at_s)
            self.handles.remove(first)
            self.now_s = max(self.now_s, first.at_s)
            first.call()
        self.now_s = end


class Bench:
    def __init__(self) -> None:
        self.loop = Loop()
        self.wheel = TimerWheel(self.loop)  # type: ignore[arg-type]
        self.ran: list[Any] = []

    def after(self, ms: float, name: Any = "x") -> Any:
        return self.wheel.after(ms, self.ran.append, name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("delay", [0, 1, TICK_MS, 17, 999])
def test_never_early_and_at_most_a_tick_late(bench: Bench, delay: int) -> None:
    bench.after(delay)
    bench.loop.advance(delay - 0.01)
    assert bench.ran == []
    bench.loop.advance(TICK_MS + 0.02)
    assert bench.ran == ["x"]


def test_a_long_wait_is_coarser(bench: Bench) -> None:
    bench.after(5000)
    bench.loop.advance(4999)
    assert bench.ran == []
    bench.loop.advance(1 + TICK_MS * (LONG_TICKS + 1))
    assert bench.ran == ["x"]


def test_they_run_in_the_order_of_their_times(bench: Bench) -> None:
    for ms in (300, 20, 100, 40):
        bench.after(ms, ms)
    bench.loop.advance(500)
    assert bench.ran == [20, 40, 100, 300]


def test_a_cancelled_one_does_not_run(bench: Bench) -> None:
    timer = bench.after(10)
    bench.after(10, "other")
    timer.cancel()
    bench.loop.advance(100)
    timer.cancel()
    assert bench.ran == ["other"]


def test_a_callback_may_cancel_its_neighbours_and_itself(bench: Bench) -> None:
    timers: list[Any] = []

    def cancel_all() -> None:
        bench.ran.append("one")
        for timer in timers:
            timer.cancel()

    timers += [bench.wheel.after(10, cancel_all) for _ in range(5)]
    bench.loop.advance(100)
    assert bench.ran == ["one"]


def test_a_callback_may_ask_for_more(bench: Bench) -> None:
    def again(count: int) -> None:
        bench.ran.append(count)
        if count:
            bench.wheel.after(0, again, count - 1)

    bench.wheel.after(10, again, 3)
    bench.loop.advance(100)
    assert bench.ran == [3, 2, 1, 0]


def test_an_earlier_one_is_not_held_up_by_a_later_one(bench: Bench) -> None:
    bench.after(500, "late")
    bench.after(10, "early")
    bench.loop.advance(50)
    assert bench.ran == ["early"]
    assert sum(not one.cancelled for one in bench.loop.handles) == 1, "one timer of the loop"


def test_forever_is_no_trouble(bench: Bench) -> None:
    bench.after(2**63 - 1)
    bench.loop.advance(3 * 86_400_000)
    assert bench.ran == []
    bench.after(10, "soon")
    bench.loop.advance(50)
    assert bench.ran == ["soon"]


def test_an_error_leaves_the_other_ticks_alone(bench: Bench) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    bench.wheel.after(10, fail)
    bench.after(100)
    with pytest.raises(ValueError, match="a bug"):
        bench.loop.advance(50)
    bench.loop.advance(100)
    assert bench.ran == ["x"]


def test_closed_nothing_runs(bench: Bench) -> None:
    bench.after(10)
    bench.wheel.close()
    bench.loop.advance(100)
    assert bench.ran == []


def test_a_cancelled_timer_holds_nothing(bench: Bench) -> None:
    class Waiting:
        def call(self) -> None: ...

    waiting = Waiting()
    timer, gone = bench.wheel.after(1000, waiting.call), weakref.ref(waiting)
    timer.cancel()
    del waiting
    assert gone() is None
