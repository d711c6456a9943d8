"""Signals wait while held, once."""
from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from fastbroker.cli.interrupts import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    yield Interrupts()
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts(interrupts: Interrupts, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_a_held_one_comes_with_the_release(interrupts: Interrupts) -> None:
    interrupts.held = True
    signal.raise_signal(signal.SIGINT)
    assert interrupts.asked
    with pytest.raises(KeyboardInterrupt):
        interrupts.release()
    assert not interrupts.held
    interrupts.release()


def test_the_second_one_does_not_wait(interrupts: Interrupts) -> None:
    interrupts.held = True
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert interrupts.held
