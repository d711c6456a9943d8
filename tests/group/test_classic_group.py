"""The state machine of a classic group by itself: one life from the first join to the last."""
from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from fastbroker import errors
from fastbroker.group.classic.group import ClassicGroup
from fastbroker.group.classic.join import join
from fastbroker.group.classic.membership import heartbeat, leave
from fastbroker.group.classic.record import Record
from fastbroker.group.classic.state import State
from fastbroker.group.classic.sync import sync
from fastbroker.group.settings import GroupSettings
from fastbroker.model import Deferred
from fastbroker.protocol.group_records import GroupMetadataValue
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest
from fastbroker.protocol.messages.sync_group import SyncGroupRequest
from fastbroker.protocol.record_frames import decode_value
from tests.group.virtual_timers import VirtualTimers


@dataclass
class Client:
    api_version: int = 9
    client_id: str = "client"
    client_host: str = "/127.0.0.1"


class OneGroup:
    """A group whose writes the test completes."""

    def __init__(self) -> None:
        self.timers = VirtualTimers()
        self.writes: list[tuple[list[Record], Deferred[None]]] = []
        self.ids = iter(range(1000))
        self.group = ClassicGroup(
            "g",
            settings=GroupSettings(),
            timers=self.timers,
            store=self.store,
            log=logging.getLogger("test"),
        )

    def store(self, records: list[Record]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.writes.append((records, done))
        return done

    def join(self, member_id: str = "", version: int = 3) -> object:
        request = JoinGroupRequest(
            group_id="g",
            member_id=member_id,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=30_000,
            protocol_type="consumer",
            protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"m")],
        )
        caller = Client(version)
        return join(self.group, caller, request, lambda text: f"{text}-{next(self.ids)}")

    def sync(self, member_id: str, **assignments: bytes) -> object:
        request = SyncGroupRequest(
            group_id="g",
            generation_id=self.group.generation_id,
            member_id=member_id,
            assignments=[
                SyncGroupRequest.SyncGroupRequestAssignment(
                    member_id=name.replace("_", "-"), assignment=part
                )
                for name, part in assignments.items()
            ],
        )
        return sync(self.group, request)


def test_a_life() -> None:
    one = OneGroup()
    first, second = one.join(), one.join()
    assert isinstance(first, Deferred)
    assert isinstance(second, Deferred)
    one.timers.advance(19)
    assert not first.done, "first joins are gathered"
    one.timers.advance(1)
    led, followed = first.result(), second.result()
    assert (led.generation_id, led.leader, led.member_id) == (1, "client-0", "client-0")
    assert [m.member_id for m in led.members] == ["client-0", "client-1"]
    assert followed.members == []
    assert followed.leader == "client-0"

    other = one.sync("client-1")
    mine = one.sync("client-0", client_0=b"a", client_1=b"b")
    assert not mine.done, "the record comes before the answer"
    ((_, value),), done = one.writes[-1]
    kept = decode_value(value, GroupMetadataValue)
    assert kept.generation == 1
    assert [bytes(m.assignment) for m in kept.members] == [b"a", b"b"]
    done.complete(None)
    assert mine.result().assignment == b"a"
    assert other.result().assignment == b"b"
    assert one.group.state is State.STABLE

    heartbeat(one.group, HeartbeatRequest(generation_id=1, member_id="client-1"))
    leave(one.group, LeaveGroupRequest(member_id="client-1"), 0)
    with pytest.raises(errors.RebalanceInProgress):
        heartbeat(one.group, HeartbeatRequest(generation_id=1, member_id="client-0"))
    again = one.join("client-0")
    assert again.result().generation_id == 2, "nobody is missing: the rebalance ends at once"
    leave(one.group, LeaveGroupRequest(member_id="client-0"), 0)
    assert one.group.state is State.EMPTY
    assert one.group.generation_id == 3
    assert decode_value(one.writes[-1][0][0][1], GroupMetadataValue).members == []
    assert one.timers.waiting == 0


def test_a_silent_member_is_removed_and_one_that_waits_is_not() -> None:
    one = OneGroup()
    first = one.join()
    one.timers.advance(20)
    assert first.done
    second = one.join()  # the first member does not come back to join
    one.timers.advance(10_000)
    assert second.result().generation_id == 2
    assert list(one.group.roster.members) == ["client-1"]


def test_a_restored_group_has_sessions() -> None:
    one = OneGroup()
    one.join()
    one.timers.advance(20)
    one.sync("client-0", client_0=b"a")
    (_, value), = one.writes[-1][0]
    two = OneGroup()
    two.group.restore(decode_value(value, GroupMetadataValue))
    two.group.begin()
    assert two.sync("client-0").assignment == b"a"
    two.timers.advance(10_000)
    assert two.group.state is State.EMPTY
