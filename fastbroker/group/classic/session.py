"""Sessions of members: whoever is silent for longer than its timeout is gone.

A sign of life only moves the deadline; the alarm, when it rings too early, is set again. So a
heartbeat costs no timer.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from fastbroker.model import Timer, Timers


class Mortal(Protocol):
    """A member as far as its session goes.

    deadline_ms, alarm_ms: when the session ends; when `session` will look.
    is_new: its first JoinGroup is not answered yet. waits: for an answer of ours.
    """

    session: Timer | None
    deadline_ms: int
    alarm_ms: int
    is_new: bool

    @property
    def waits(self) -> bool: ...


M = TypeVar("M", bound=Mortal)


class Sessions(Generic[M]):
    """The sessions of one group. `silent(member)` is called when one is over."""

    def __init__(self, timers: Timers, silent: Callable[[M], object]) -> None:
        self._timers, self._silent = timers, silent

    def touch(self, member: M, timeout_ms: int) -> None:
        """The member is alive, and has `timeout_ms` from now to say so again."""
        member.deadline_ms = self._timers.monotonic_ms() + timeout_ms
        if member.session is not None:
            if member.alarm_ms <= member.deadline_ms:
                return
            member.session.cancel()
        self._set_alarm(member, timeout_ms)

    def _set_alarm(self, member: M, delay_ms: int) -> None:
        member.alarm_ms = self._timers.monotonic_ms() + delay_ms
        member.session = self._timers.after(delay_ms, self._ring, member)

    def _ring(self, member: M) -> None:
        member.session = None
        left_ms = member.deadline_ms - self._timers.monotonic_ms()
        if left_ms > 0:
            self._set_alarm(member, left_ms)
        elif member.is_new or not member.waits:  # who waits for us is alive until we answered
            self._silent(member)
