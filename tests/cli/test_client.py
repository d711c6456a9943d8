"""Addresses, and what is tried again."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.cli.client import Client, addresses, check
from fastbroker.cli.connection import ConnectionLost
from fastbroker.cli.output import Failure


def test_addresses_may_be_several_and_leave_out_the_port() -> None:
    assert addresses("a:1, b ,[::1]:3,[::1]") == [
        ("a", 1), ("b", 9092), ("::1", 3), ("::1", 9092),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", ",", "a:", "a:0", "a:70000", "a:b", ":1"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Failure, match="HOST:PORT"):
        addresses(text)


def test_passing_errors_are_tried_again_and_others_are_not() -> None:
    client = Client("a:1")
    seen: list[str] = []

    def once_without_leader() -> str:
        seen.append("tried")
        if len(seen) == 1:
            raise errors.LeaderNotAvailable()
        return "done"

    assert client.attempt(once_without_leader, again=lambda: seen.append("again")) == "done"
    assert seen == ["tried", "again", "tried"]

    def never() -> None:
        seen.append("never")
        raise errors.InvalidConfig("no")

    with pytest.raises(errors.InvalidConfig):
        client.attempt(never)
    assert seen.count("never") == 1


def test_a_passing_error_that_stays_is_raised_in_the_end() -> None:
    def fail() -> None:
        raise errors.LeaderNotAvailable("still none")

    with pytest.raises(errors.LeaderNotAvailable, match="still none"):
        Client("a:1").attempt(fail, timeout_s=0.05)


def test_a_broker_that_never_answered_is_not_waited_for() -> None:
    with pytest.raises(ConnectionLost, match="cannot reach"), Client("127.0.0.1:1") as client:
        client.topic("any")


def test_an_error_code_says_where_it_happened() -> None:
    check(0, where="t-0")
    with pytest.raises(errors.NotLeaderOrFollower, match="t-0: Broker is not leader"):
        check(6, where="t-0")
    with pytest.raises(errors.InvalidConfig, match="t: from the broker"):
        check(40, "from the broker", where="t")
