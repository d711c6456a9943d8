"""How a group is shown."""
from __future__ import annotations

import json

from fastbroker.cli.group.description import Description, Member, Wait
from fastbroker.cli.group.page import as_json, page
from fastbroker.protocol.explanation import AwaitedMember, Deadline, Explanation, UnstableOffset

CLASSIC = Description(
    "g", "classic", "Stable", "consumer", "range", 1,
    [
        Member("c-2-5b7", "c-2", "10.0.0.2", None, {"orders": [2, 3]}),
        Member("c-1-9a8", "c-1", "10.0.0.1", None, {"orders": [0, 1], "clicks": [5]}),
    ],
)  # fmt: skip
CONSUMER = Description(
    "g", "consumer", "Reconciling", "consumer", "uniform", 1,
    [Member("m1", "c-1", "10.0.0.1", "i-1", {}, epoch=3, target={"t": [0]})],
    epoch=4, assignment_epoch=3, waits=[Wait("m2", "c-2", "has to give up t:0")],
)  # fmt: skip


def test_a_classic_group() -> None:
    assert page(CLASSIC, "h:1", width=None).splitlines() == [
        "g  (classic group)",
        "  state        Stable, each member has its partitions",
        "  coordinator  1 at h:1",
        "  protocol     consumer, range",
        "  members      2",
        "  client  host      member   partitions",
        "  c-1     10.0.0.1  c-1-9a8  clicks:5 orders:0-1",
        "  c-2     10.0.0.2  c-2-5b7  orders:2-3",
    ]


def test_a_consumer_group_in_a_rebalance() -> None:
    assert page(CONSUMER, "h:1", width=None).splitlines()[3:] == [
        "  protocol     consumer (KIP-848), assignor uniform",
        "  epoch        4, partitions dealt in 3",
        "  members      1",
        "  waits for    c-2 (m2): it has to give up t:0",
        "  client  host      instance  epoch  member  partitions",
        "  c-1     10.0.0.1  i-1           3  m1      none",
    ]


EXPLANATION = Explanation(
    now_ms=100_000, since_ms=88_000, summary="1 member has yet to join", reason="c-3 joined",
    awaited=[AwaitedMember(member_id="c-1-9a8", client_id="c-1", what="join", since_ms=88_000)],
    deadlines=[
        Deadline(what="rebalance", at_ms=148_000, consequence="c-1-9a8 is removed"),
        Deadline(what="session", member_id="c-1-9a8", at_ms=99_000, consequence="it is removed"),
        Deadline(what="session", member_id="c-2-5b7", at_ms=200_000, consequence="it is removed"),
        Deadline(what="offsets", at_ms=3_700_000),
    ],
    unstable_offsets=[UnstableOffset(topic="t", partition=n, producer_id=5) for n in (0, 1)],
)  # fmt: skip


def test_what_our_broker_explains() -> None:
    group = CLASSIC._replace(state="PreparingRebalance", explanation=EXPLANATION, members=[])
    assert page(group, "h:1", width=None).splitlines()[4:] == [
        "  members      none",
        "  now          1 member has yet to join",
        "  since        1970-01-01 00:01:28Z, 12s ago",
        "  because      c-3 joined",
        "  waits for    c-1 (c-1-9a8): it has to join, for 12s; "
        "its session ends now: it is removed",
        "  next         the rebalance ends in 48s: c-1-9a8 is removed",
        "  next         the offsets expire in 1h",
        "  pending      t:0-1: offsets wait for the end of a transaction "
        "(see: fastbroker txn list)",
    ]


def test_no_line_is_wider_than_the_terminal() -> None:
    long = "reader-" + "7" * 50
    group = CONSUMER._replace(
        members=[Member(long, long, "10.0.0.1", long, {"topic-" + "t" * 20: range(0, 60, 2)})],
        explanation=EXPLANATION,
    )
    for width in (80, 120):
        assert max(map(len, page(group, "h:1", width=width).splitlines())) <= width


def test_json_holds_everything() -> None:
    shown = json.loads(json.dumps(as_json(CLASSIC._replace(explanation=EXPLANATION), "h:1")))
    assert shown["members"][1]["partitions"] == {"orders": [0, 1], "clicks": [5]}
    assert shown["coordinator"] == {"id": 1, "address": "h:1"}
    assert shown["explanation"]["awaited"][0]["what"] == "join"
    assert len(shown["explanation"]["deadlines"]) == 4
    assert json.loads(json.dumps(as_json(CONSUMER, "h:1")))["waits_for"] == [
        {"member_id": "m2", "client_id": "c-2", "what": "has to give up t:0"}
    ]
