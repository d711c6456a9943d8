"""Requests of every version through the handlers, as bytes on both sides."""
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fastbroker._c.codec import decode, encode
from fastbroker.handlers import groups
from fastbroker.handlers.registry import HANDLERS
from fastbroker.model import Deferred
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.heartbeat import HeartbeatRequest
from fastbroker.protocol.messages.join_group import JoinGroupRequest
from fastbroker.protocol.messages.leave_group import LeaveGroupRequest
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.messages.sync_group import SyncGroupRequest
from fastbroker.protocol.messages.txn_offset_commit import TxnOffsetCommitRequest
from fastbroker.protocol.schema import Struct, plan
from tests.group.bench import TOPICS, Bench

VERSIONS = [
    (kind, version)
    for kind in [
        JoinGroupRequest, SyncGroupRequest, HeartbeatRequest, LeaveGroupRequest,
        OffsetCommitRequest, OffsetFetchRequest, OffsetDeleteRequest, ListGroupsRequest,
        DescribeGroupsRequest, DeleteGroupsRequest, TxnOffsetCommitRequest,
    ]
    for version in range(kind.VERSIONS[0], kind.VERSIONS[1] + 1)
]  # fmt: skip
Commit = OffsetCommitRequest.OffsetCommitRequestTopic
Fetch = OffsetFetchRequest.OffsetFetchRequestTopic
FetchGroup = OffsetFetchRequest.OffsetFetchRequestGroup
InTransaction = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
Delete = OffsetDeleteRequest.OffsetDeleteRequestTopic


def ask(bench: Bench, request: Struct, version: int) -> Any:
    """The answer to a request, both through their bytes."""
    served = HANDLERS[request.KEY]
    assert served.first <= version <= served.last
    sent, _ = decode(plan(type(request), version), encode(plan(type(request), version), request))
    ctx = SimpleNamespace(
        broker=SimpleNamespace(groups=bench.coordinator),
        api_version=version,
        client_id=None,
        client_host="/127.0.0.1",
    )
    answer = served.handler(ctx, sent)
    if isinstance(answer, Deferred):
        bench.timers.advance(200)
        answer = answer.result()
    kind = type(answer)
    back, _ = decode(plan(kind, version), encode(plan(kind, version), answer))
    return back


def request_of(kind: type[Struct], member_id: str, generation: int, group_id: str) -> Struct:
    """A request of a member that every version of its API can carry."""
    match kind.__name__:
        case "JoinGroupRequest":
            protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"m")
            return JoinGroupRequest(
                group_id=group_id,
                session_timeout_ms=10_000,
                member_id=member_id,
                protocol_type="consumer",
                protocols=[protocol],
            )
        case "SyncGroupRequest":
            return SyncGroupRequest(
                group_id=group_id,
                member_id=member_id,
                generation_id=generation,
                protocol_type="consumer",
                protocol_name="range",
            )
        case "HeartbeatRequest":
            return HeartbeatRequest(
                group_id=group_id, member_id=member_id, generation_id=generation
            )
        case "LeaveGroupRequest":
            return LeaveGroupRequest(
                group_id=group_id,
                member_id=member_id,
                members=[LeaveGroupRequest.MemberIdentity(member_id=member_id)],
            )
        case "OffsetCommitRequest":
            partition = Commit.OffsetCommitRequestPartition(partition_index=0, committed_offset=7)
            topic = Commit(name="orders", topic_id=TOPICS["orders"], partitions=[partition])
            return OffsetCommitRequest(
                group_id=group_id,
                member_id=member_id,
                generation_id_or_member_epoch=generation,
                topics=[topic],
            )
        case "TxnOffsetCommitRequest":
            spot = InTransaction.TxnOffsetCommitRequestPartition(committed_offset=7)
            return TxnOffsetCommitRequest(
                transactional_id="t",
                group_id=group_id,
                producer_id=7,
                member_id=member_id,
                generation_id=generation,
                topics=[InTransaction(name="orders", partitions=[spot])],
            )
        case "OffsetFetchRequest":
            asked = FetchGroup.OffsetFetchRequestTopics(
                name="orders", topic_id=TOPICS["orders"], partition_indexes=[0]
            )
            return OffsetFetchRequest(
                group_id=group_id,
                topics=[Fetch(name="orders", partition_indexes=[0])],
                groups=[FetchGroup(group_id=group_id, topics=[asked])],
            )
        case "OffsetDeleteRequest":
            part = Delete.OffsetDeleteRequestPartition(partition_index=0)
            return OffsetDeleteRequest(
                group_id=group_id, topics=[Delete(name="orders", partitions=[part])]
            )
        case "DescribeGroupsRequest":
            return DescribeGroupsRequest(groups=[group_id], include_authorized_operations=True)
        case "DeleteGroupsRequest":
            return DeleteGroupsRequest(groups_names=[group_id])
    return ListGroupsRequest()


@pytest.mark.parametrize(("kind", "version"), VERSIONS, ids=lambda v: getattr(v, "__name__", v))
def test_every_version_is_answered_to_members_strangers_and_elsewhere(
    kind: type[Struct], version: int
) -> None:
    bench = Bench()
    (only,) = bench.stable()
    answers = [
        ask(bench, request_of(kind, only.member_id, 1, "g"), version),
        ask(bench, request_of(kind, "stranger", 1, "none"), version),
        ask(Bench(elect=False), request_of(kind, only.member_id, 1, "g"), version),
    ]
    mine, _, elsewhere = (getattr(answer, "error_code", None) for answer in answers)
    if kind.KEY not in (OffsetDeleteRequest.KEY, ListGroupsRequest.KEY):
        assert mine in (None, 0)
        assert elsewhere in (None, 0, 16)


def test_describing_tells_what_may_be_done() -> None:
    bench = Bench()
    bench.stable()
    request = DescribeGroupsRequest(groups=["g", "none"], include_authorized_operations=True)
    one, none = ask(bench, request, 6).groups
    assert one.authorized_operations == groups.GROUP_OPERATIONS == 3400
    assert none.authorized_operations == -(1 << 31)
