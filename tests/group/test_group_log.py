"""Every rebalance has its line with the reason; a flood of them has few."""
from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from fastbroker import errors
from fastbroker.coordination.rated_log import BURST
from fastbroker.group.group_log import GroupLog, listed, shortened
from fastbroker.log_rate import BURST as BURST_OF_A_GROUP
from tests.group.bench import Bench
from tests.group.virtual_timers import VirtualTimers


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """The lines since the last call."""

    def since() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    with caplog.at_level(logging.INFO, "tests.group"):
        yield since


Lines = Callable[[], list[str]]


def rebalances(lines: Lines) -> list[str]:
    """What the lines about rebalances give as a reason."""
    prefix = "group g: rebalance after generation "
    return [line.split(": ", 2)[2] for line in lines() if line.startswith(prefix)]


def pair(bench: Bench) -> tuple[str, str]:
    first, second = bench.stable(2, rebalance=8_000)
    return first.member_id, second.member_id


def test_a_member_joins(lines: Lines) -> None:
    Bench().stable(3)
    assert rebalances(lines) == ["member c-1 joins; client's reason: not given"]


def test_a_member_leaves(lines: Lines) -> None:
    bench = Bench()
    _, second = pair(bench)
    lines()
    bench.leave((second, None))
    assert rebalances(lines) == ["left: c-2 (no reason given)"]


def test_a_session_ends(lines: Lines) -> None:
    bench = Bench()
    first, second = pair(bench)
    lines()
    bench.timers.advance(9_000)
    bench.heartbeat(first, 1)
    bench.timers.advance(1_000)
    assert rebalances(lines) == [f"member {second} was silent for its session"]


def test_a_member_does_not_sync(lines: Lines) -> None:
    bench = Bench()
    waiting = [bench.enter(rebalance=8_000) for _ in range(2)]
    bench.timers.advance(200)
    leader, follower = (one.result().member_id for one in waiting)
    lines()
    bench.sync(leader, 1, {})
    bench.timers.advance(8_000)
    assert rebalances(lines) == [f"members that did not sync were removed: {follower}"]


def test_the_leader_or_a_member_with_news_joins_again(lines: Lines) -> None:
    bench = Bench()
    first, second = pair(bench)
    lines()
    bench.join(first)
    bench.join(second)
    assert rebalances(lines) == [f"leader {first} joins again; client's reason: not given"]
    bench.sync(first, 2, {})
    bench.join(second, protocols=(("range", b"new"),))
    assert rebalances(lines) == [f"member {second} joins again; client's reason: not given"]


def test_a_static_member_comes_back_with_another_protocol(lines: Lines) -> None:
    bench = Bench()
    both = (("range", b"r"), ("sticky", b"s"))
    waiting = [bench.join(instance=i, protocols=both) for i in ("i1", "i2")]
    bench.timers.advance(200)
    bench.assign([one.result() for one in waiting])
    lines()
    bench.join(instance="i2", protocols=(("sticky", b"s"),))
    assert rebalances(lines) == [
        "static member i2 comes back as i2-3; client's reason: not given"
    ]


def test_an_assignment_is_not_stored(lines: Lines) -> None:
    bench = Bench()
    waiting = bench.enter()
    bench.timers.advance(20)
    bench.log.instant = False
    bench.sync(waiting.result().member_id, 1, {})
    lines()
    bench.log.fail(errors.NotEnoughReplicas("too few"))
    assert rebalances(lines) == [
        "its assignment was not stored: NOT_ENOUGH_REPLICAS: too few"
    ]


def test_a_loaded_group_is_too_large(lines: Lines) -> None:
    bench = Bench()
    bench.stable(3)
    lines()
    Bench(log=bench.log, group_max_size=2)
    assert rebalances(lines) == ["it has more than group.max.size=2"]


def test_a_client_that_joins_and_leaves_all_the_time_has_few_lines(lines: Lines) -> None:
    bench = Bench(group_initial_rebalance_delay_ms=0)
    for _ in range(100):
        joined = bench.enter()
        bench.timers.advance(10)
        bench.leave((joined.result().member_id, None))
    found = lines()
    assert BURST_OF_A_GROUP <= len(found) <= BURST_OF_A_GROUP + 3
    bench.timers.advance(1_000)
    bench.enter()
    (line,) = lines()
    assert line.endswith("lines about this group were left out)")


def test_all_groups_together_have_few_lines(lines: Lines) -> None:
    log = GroupLog(logging.getLogger("tests.group"), VirtualTimers())
    for n in range(BURST + 50):
        log.info("group %s: %d", f"g{n}", n)
    assert len(lines()) == BURST


def test_what_was_left_out_of_all_is_told(lines: Lines) -> None:
    timers = VirtualTimers()
    log = GroupLog(logging.getLogger("tests.group"), timers)
    for n in range(BURST + 2):
        log.info("group %s", f"g{n}")
    lines()
    timers.advance(1_000)
    log.warning("group %s", "another")
    assert lines() == ["group another (2 lines about groups were left out)"]


def test_what_clients_say_is_shortened() -> None:
    assert shortened("short") == "short"
    assert shortened("x" * 300) == "x" * 200 + "..."
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(12)), separator="; ") == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9 and 2 more"


def test_a_long_reason_is_shortened(lines: Lines) -> None:
    bench = Bench()
    bench.enter(reason="r" * 5_000)
    (line,) = lines()
    assert len(line) < 400
