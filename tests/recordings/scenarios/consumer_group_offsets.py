"""What the APIs of classic groups make of consumer groups (KIP-848), and its description."""
from __future__ import annotations

from fastbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from fastbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from fastbroker.protocol.messages.offset_commit import OffsetCommitRequest
from fastbroker.protocol.messages.offset_delete import OffsetDeleteRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest
from fastbroker.protocol.messages.txn_offset_commit import TxnOffsetCommitRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios import group_offsets
from tests.recordings.scenarios.consumer_groups import beat, join, leave, prompt_group, seen
from tests.recordings.scenarios.group_deletion import offsets
from tests.recordings.scenarios.group_offsets import commit
from tests.recordings.scenarios.groups import beat as classic_beat
from tests.recordings.scenarios.groups import join as classic_join
from tests.recordings.scenarios.groups import leave as classic_leave
from tests.recordings.scenarios.groups import only_member
from tests.recordings.scenarios.groups import sync as classic_sync
from tests.recordings.scenarios.prepare import topic
from tests.recordings.scenarios.transactional_offsets import commit_in, ended, stable
from tests.recordings.scenarios.transactions import producer

A, B = "member-a", "member-b"


def settled_member(s: Scene, group: str, t: tuple[str, bytes], partitions: int) -> Steps:
    """A consumer group of one, who has all; its epoch."""
    answer = yield join(s, None, group, A, t[0], at=1)
    yield beat(s, None, group, A, answer.member_epoch, {t[1]: [*range(partitions)]}, at=1)
    return answer.member_epoch


@scenario(ConsumerGroupDescribeRequest, versions=(0, 1))
def consumer_groups(s: Scene) -> Steps:
    def look(label: str, *groups: str, **more: bool) -> Step:
        return s.ask(label, ConsumerGroupDescribeRequest, group_ids=list(groups), **more)

    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    classic = s.name("classic")
    yield from only_member(s, classic)
    yield join(s, None, group, A, t[0], at=1, instance_id="instance-a", rack_id="rack-a",
               client_id="client-a")  # fmt: skip
    yield look("one", group)
    yield look("what may be done", group, include_authorized_operations=True)
    joined = yield join(s, None, group, B, t[0], s.name("unknown"), at=1,
                        server_assignor="range", client_id=None)  # fmt: skip
    yield look("two members", group)
    yield look("an unknown one", s.name("unknown"))
    yield look("an empty id", "")
    yield look("a classic one", classic)
    yield look("one twice", group, group)
    yield look("one known of two", group, s.name("unknown"))
    yield look("none")
    yield leave(s, None, group, A, at=1, instance_id="instance-a")
    yield beat(s, None, group, B, joined.member_epoch, at=1, client_id=None)
    yield leave(s, None, group, B, at=1)
    yield look("an empty one", group)


@scenario(OffsetCommitRequest, versions=(2, 8, 9, 10))
def commits_of_consumers(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=4)
    yield from seen(s, t)
    epoch = yield from settled_member(s, group, t, 4)
    of_member = {"member": A, "generation": epoch}
    yield commit(s, "good", group, (t, {0: 1}), **of_member)
    yield commit(s, "an older epoch", group, (t, {0: 2}), member=A, generation=epoch - 1)
    yield commit(s, "a newer epoch", group, (t, {0: 2}), member=A, generation=epoch + 1)
    yield commit(s, "no epoch", group, (t, {0: 2}), member=A)
    yield commit(s, "an unknown member", group, (t, {0: 2}), member="nobody", generation=epoch)
    yield commit(s, "no member", group, (t, {0: 2}))
    yield commit(s, "no member, an epoch", group, (t, {0: 2}), generation=epoch)
    if s.version >= 7:
        yield commit(s, "an unknown instance", group, (t, {0: 2}), group_instance_id="nobody",
                     **of_member)  # fmt: skip
    joined = yield join(s, None, group, B, t[0], at=1)
    yield commit(s, "another has joined", group, (t, {0: 3}), **of_member)
    told = yield beat(s, None, group, A, epoch, at=1)
    kept = list(told.assignment.topic_partitions[0].partitions)
    given = next(p for p in range(4) if p not in kept)
    yield commit(s, "what it has to give", group, (t, {given: 3}), **of_member)
    yield beat(s, None, group, A, epoch, {t[1]: kept}, at=1)
    yield commit(s, "what it keeps, with the old epoch", group, (t, {kept[0]: 4}), **of_member)
    yield commit(s, "what it has given, with the old epoch", group, (t, {given: 4}), **of_member)
    yield commit(s, "both, with the old epoch", group, (t, {kept[0]: 5, given: 5}), **of_member)
    yield commit(s, "what it has given, with the new epoch", group, (t, {given: 6}), member=A,
                 generation=joined.member_epoch)  # fmt: skip
    yield commit(s, "two epochs ago", group, (t, {kept[0]: 6}), member=A, generation=epoch - 1)
    yield beat(s, None, group, B, joined.member_epoch, {}, at=1)
    yield commit(s, "the other's, with the epoch of its join", group, (t, {given: 7}), member=B,
                 generation=joined.member_epoch)  # fmt: skip
    yield commit(s, "the other's, with an epoch before", group, (t, {given: 8}), member=B,
                 generation=joined.member_epoch - 1)  # fmt: skip
    yield leave(s, None, group, A, at=1)
    yield commit(s, "it has left", group, (t, {0: 9}), **of_member)
    yield leave(s, None, group, B, at=1)
    yield commit(s, "without a member, the group is empty", group, (t, {0: 10}))
    yield commit(s, "a member of the empty group", group, (t, {0: 11}), **of_member)
    yield offsets(s, "what is committed", group)


@scenario(OffsetFetchRequest, versions=(5, 8, 9, 10))
def fetches_of_consumers(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    epoch = yield from settled_member(s, group, t, 2)
    yield commit(s, None, group, (t, {0: 1}), member=A, generation=epoch, at=9)

    def fetch(label: str, **more: object) -> Step:
        return group_offsets.fetch(s, label, group, (t, [0, 1]), **more)

    yield fetch("as nobody")
    yield group_offsets.fetch(s, "everything, as nobody", group, everything=True)
    if s.version >= 9:
        yield fetch("as the member", member_id=A, member_epoch=epoch)
        yield fetch("an older epoch", member_id=A, member_epoch=epoch - 1)
        yield fetch("a newer epoch", member_id=A, member_epoch=epoch + 1)
        yield fetch("no epoch", member_id=A)
        yield fetch("an unknown member", member_id="nobody", member_epoch=epoch)
        yield fetch("an epoch, no member", member_epoch=epoch)
        yield group_offsets.fetch(s, "everything, an older epoch", group, everything=True,
                                  member_id=A, member_epoch=epoch - 1)  # fmt: skip
    yield leave(s, None, group, A, at=1)
    yield fetch("of the empty group")
    if s.version >= 9:
        yield fetch("as the member that left", member_id=A, member_epoch=epoch)


@scenario(TxnOffsetCommitRequest, versions=(2, 4, 5))
def commits_of_consumers_in_transactions(s: Scene) -> Steps:
    from tests.recordings.scenarios.transactional_offsets import began

    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    epoch = yield from settled_member(s, group, t, 2)
    who = yield from producer(s)
    yield from began(s, who, group)
    of_member = {"member": A, "generation": epoch}
    yield commit_in(s, "good", who, group, (t, {0: 1}), **of_member)
    yield commit_in(s, "an older epoch", who, group, (t, {0: 2}), member=A, generation=epoch - 1)
    yield commit_in(s, "a newer epoch", who, group, (t, {0: 2}), member=A, generation=epoch + 1)
    yield commit_in(s, "an unknown member", who, group, (t, {0: 2}), member="nobody",
                    generation=epoch)  # fmt: skip
    yield commit_in(s, "an epoch only", who, group, (t, {0: 2}), generation=epoch)
    yield commit_in(s, "no member", who, group, (t, {1: 3}))
    yield from stable(s, "pending", group, t, 0, 1)
    yield from ended(s, "commit", who, commit=True)
    yield from stable(s, "committed", group, t, 0, 1)


@scenario(ListGroupsRequest, versions=(3, 4, 5))
def lists_consumers(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    empty = yield from prompt_group(s, "empty")
    reconciling = yield from prompt_group(s, "reconciling")
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    yield from only_member(s, s.name("classic"))
    yield from settled_member(s, group, t, 2)
    yield join(s, None, empty, A, t[0], at=1)
    yield leave(s, None, empty, A, at=1)
    yield join(s, None, reconciling, A, t[0], at=1)
    yield join(s, None, reconciling, B, t[0], at=1)
    mine = {"only": s.prefix}
    yield s.ask("all", ListGroupsRequest, **mine)
    if s.version >= 4:
        for states in (["Stable"], ["Empty"], ["Reconciling"], ["reconciling"], ["Assigning"]):
            yield s.ask(f"in states {states}", ListGroupsRequest, states_filter=states, **mine)
    if s.version >= 5:
        for types in (["consumer"], ["Consumer"], ["classic"], ["classic", "consumer"], ["share"]):
            yield s.ask(f"of types {types}", ListGroupsRequest, types_filter=types, **mine)
        yield s.ask("of both", ListGroupsRequest, types_filter=["consumer"],
                    states_filter=["Empty"], **mine)  # fmt: skip


@scenario(DescribeGroupsRequest, versions=(0, 5, 6))
def describes_consumers(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    yield from settled_member(s, group, t, 2)
    yield s.ask("a consumer group", DescribeGroupsRequest, groups=[group])
    yield leave(s, None, group, A, at=1)
    yield s.ask("an empty one", DescribeGroupsRequest, groups=[group])


@scenario(DeleteGroupsRequest, versions=(0, 2))
def deletes_consumers(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    epoch = yield from settled_member(s, group, t, 2)
    yield commit(s, None, group, (t, {0: 1}), member=A, generation=epoch, at=9)
    yield s.ask("it has a member", DeleteGroupsRequest, groups_names=[group])
    yield leave(s, None, group, A, at=1)
    yield s.ask("it is empty", DeleteGroupsRequest, groups_names=[group])
    yield offsets(s, "its offsets", group)
    yield s.ask("it is gone", ConsumerGroupDescribeRequest, at=0, group_ids=[group])
    yield join(s, "it is made anew", group, A, t[0], at=1)


@scenario(OffsetDeleteRequest)
def deletes_offsets_of_consumers(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    u = yield from topic(s, "u")
    yield from seen(s, t)
    epoch = yield from settled_member(s, group, t, 2)
    yield commit(s, None, group, (t, {0: 1, 1: 2}), (u, {0: 3}), member=A, generation=epoch, at=9)

    def gone(label: str, *topics: str) -> Step:
        rows = [{"name": name, "partitions": [{"partition_index": 0}]} for name in topics]
        return s.ask(label, OffsetDeleteRequest, group_id=group, topics=rows)

    yield gone("what is read, and what is not", t[0], u[0])
    yield leave(s, None, group, A, at=1)
    yield gone("nothing is read", t[0])
    yield offsets(s, "what is left", group)


@scenario(ConsumerGroupDescribeRequest, versions=(1,), group="consumer_group_heartbeat")
def classic_requests(s: Scene) -> Steps:
    """JoinGroup and the rest on a consumer group: a member that speaks another protocol."""
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    epoch = yield from settled_member(s, group, t, 2)
    yield classic_beat(s, "heartbeat", group, epoch, A, at=4)
    yield classic_sync(s, "sync", group, epoch, A, at=5)
    yield classic_leave(s, "an unknown member leaves", group, "nobody", at=5)
    yield classic_join(s, "join with metadata that is none", group, at=5)
    yield classic_join(s, "join as another type", group, at=5, protocol_type="connect")
    yield classic_leave(s, "leave", group, A, at=5)
