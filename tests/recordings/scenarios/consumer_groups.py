"""ConsumerGroupHeartbeat: joining, reconciling, leaving, fencing (KIP-848).

Groups are told to compute every assignment at once, but in `assignments_are_batched`.
"""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from fastbroker.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from fastbroker.protocol.messages.create_partitions import CreatePartitionsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from tests.recordings.scenario import Scene, Step, Steps, scenario
from tests.recordings.scenarios.prepare import coordinator, topic

GROUP = 32  # the type of a config resource
INTERVAL = "consumer.assignment.interval.ms"
BOTH = (0, 1)
Owned = dict[bytes, list[int]]


def beat(
    s: Scene, label: str | None, group: str, member: str, epoch: int,
    owned: Owned | None = None, **more: Any,
) -> Step:  # fmt: skip
    """A heartbeat that tells nothing but what the arguments are."""
    more.setdefault("at", s.version)
    if owned is not None:
        rows = [{"topic_id": id_, "partitions": p} for id_, p in owned.items()]
        more.setdefault("topic_partitions", rows)
    return s.ask(label, ConsumerGroupHeartbeatRequest, group_id=group, member_id=member,
                 member_epoch=epoch, **more)  # fmt: skip


def join(s: Scene, label: str | None, group: str, member: str, *topics: str, **more: Any) -> Step:
    fields: dict[str, Any] = {"rebalance_timeout_ms": 60_000, "subscribed_topic_names": [*topics]}
    return beat(s, label, group, member, 0, {}, **(fields | more))


def leave(s: Scene, label: str | None, group: str, member: str, **more: Any) -> Step:
    return beat(s, label, group, member, -1, **more)


def describe(s: Scene, label: str, *groups: str, **more: Any) -> Step:
    return s.ask(label, ConsumerGroupDescribeRequest, at=1, group_ids=list(groups), **more)


def prompt_group(s: Scene, word: str = "g", *, interval_ms: int = 0) -> Steps:
    """A group, not there yet, whose assignments wait so long for each other; its name."""
    group = s.name(word)
    change = {"name": INTERVAL, "config_operation": 0, "value": str(interval_ms)}
    resource = {"resource_type": GROUP, "resource_name": group}
    yield s.ask(None, IncrementalAlterConfigsRequest, at=1,
                resources=[{**resource, "configs": [change]}])  # fmt: skip
    yield from coordinator(s, group)
    yield s.ask(None, DescribeConfigsRequest, at=4,
                resources=[{**resource, "configuration_keys": [INTERVAL]}])  # fmt: skip
    return group


def seen(s: Scene, *topics: tuple[str, bytes]) -> Steps:
    """Wait until the coordinator knows the topics; the recording learns their ids, too."""
    rows = [{"name": name} for name, _ in topics]
    yield s.ask("the topics", MetadataRequest, at=12, topics=rows, keep=("topics",))
    names = [name for name, _ in topics]
    probe = s.name(f"probe-{names[-1].rpartition('-')[2]}")

    def has_all(answer: Any) -> bool:
        rows = answer.assignment.topic_partitions if answer.assignment is not None else []
        return answer.error_code != 0 or len(rows) == len(topics)

    yield join(s, None, probe, "probe", *names, at=1, until=has_all)
    yield leave(s, None, probe, "probe", at=1)


def has_assignment(answer: Any) -> bool:
    """Whether it names partitions, or is an error."""
    return bool(answer.error_code or (answer.assignment and answer.assignment.topic_partitions))


def reached(epoch: int) -> dict[str, Any]:
    """Ask until the member has the epoch, or an error."""
    return {"until": lambda a: a.error_code or a.member_epoch >= epoch}


@scenario(ConsumerGroupHeartbeatRequest, versions=BOTH)
def one_member(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=3)
    yield from seen(s, t)
    owned = {t[1]: [0, 1, 2]}
    answer = yield join(s, "join", group, "member-a", t[0])
    epoch = answer.member_epoch
    yield describe(s, "the group then", group)
    yield beat(s, "it says nothing", group, "member-a", epoch)
    yield beat(s, "it has all", group, "member-a", epoch, owned)
    yield describe(s, "the group that has all", group)
    yield beat(s, "it has all still", group, "member-a", epoch, owned)
    yield beat(s, "it has nothing", group, "member-a", epoch, {})
    yield beat(s, "it has a part", group, "member-a", epoch, {t[1]: [1]})
    yield beat(s, "it has what it should not", group, "member-a", epoch, {t[1]: [1, 7]})
    yield beat(s, "it has an unknown topic", group, "member-a", epoch, {bytes(range(16)): [1]})
    yield beat(s, "it tells everything", group, "member-a", epoch, owned,
               rebalance_timeout_ms=60_000, subscribed_topic_names=[t[0]])  # fmt: skip
    yield beat(s, "its rebalance timeout only", group, "member-a", epoch,
               rebalance_timeout_ms=70_000)  # fmt: skip
    yield join(s, "join again", group, "member-a", t[0])
    yield beat(s, "a newer epoch", group, "member-a", epoch + 1)
    yield beat(s, "an older epoch", group, "member-a", epoch - 1)
    yield beat(s, "an older epoch, with all", group, "member-a", epoch - 1, owned)
    yield beat(s, "a much newer epoch", group, "member-a", 900)
    yield beat(s, "an unknown member", group, "member-x", epoch)
    yield beat(s, "an unknown group", s.name("unknown"), "member-a", epoch)
    yield beat(s, "with an instance", group, "member-a", epoch, instance_id="instance-a")
    yield leave(s, "an unknown member leaves", group, "member-x")
    yield leave(s, "leave", group, "member-a")
    yield describe(s, "the empty group", group)
    yield leave(s, "leave again", group, "member-a")
    yield beat(s, "beat after that", group, "member-a", epoch)
    yield join(s, "join anew", group, "member-a", t[0])
    yield leave(s, "leave at last", group, "member-a")


@scenario(ConsumerGroupHeartbeatRequest, versions=BOTH)
def ids_of_members(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s)
    yield from seen(s, t)
    answer = yield join(s, "without an id", group, "", t[0])
    if s.version == 0:
        yield beat(s, "with the given one", group, answer.member_id, answer.member_epoch)
        yield leave(s, "leave", group, answer.member_id)
    yield join(s, "a word", group, "word", t[0])
    yield leave(s, "the word leaves", group, "word")
    yield join(s, "a space", group, " ", t[0])


@scenario(ConsumerGroupHeartbeatRequest, versions=BOTH)
def refused_heartbeats(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s)
    yield from seen(s, t)
    who = "member-a"

    def whole(label: str, **more: Any) -> Step:
        return join(s, label, group, who, t[0], **more)

    yield join(s, "an empty group id", "", who, t[0])
    yield beat(s, "no member id", group, "", 1)
    yield beat(s, "epoch -3", group, who, -3)
    yield beat(s, "epoch -2 without an instance", group, who, -2)
    yield whole("no rebalance timeout", rebalance_timeout_ms=-1)
    yield whole("rebalance timeout 0", rebalance_timeout_ms=0)
    yield whole("rebalance timeout -5", rebalance_timeout_ms=-5)
    yield whole("no subscription", subscribed_topic_names=None)
    yield whole("an empty subscription", subscribed_topic_names=[])
    yield leave(s, None, group, who)
    yield whole("partitions that are not told", topic_partitions=None)
    yield whole("partitions of its own", topic_partitions=[{"topic_id": t[1], "partitions": [0]}])
    yield whole("an empty instance", instance_id="")
    yield whole("an empty rack", rack_id="")
    yield whole("an unknown assignor", server_assignor="nonsense")
    yield whole("an empty assignor", server_assignor="")
    yield whole("a client's assignor", server_assignor="cooperative-sticky")
    yield describe(s, "there is no group", group)
    answer = yield whole("a topic twice", subscribed_topic_names=[t[0], t[0]])
    epoch = answer.member_epoch
    yield beat(s, "an empty subscription then", group, who, epoch, subscribed_topic_names=[])
    yield beat(s, "it has given all", group, who, epoch, {})
    yield beat(s, "an unknown assignor then", group, who, epoch + 1, server_assignor="nonsense")
    yield beat(s, "an empty rack then", group, who, epoch + 1, rack_id="")
    yield beat(s, "rebalance timeout 0 then", group, who, epoch + 1, rebalance_timeout_ms=0)
    yield beat(s, "a bad topic name", group, who, epoch + 1,
               subscribed_topic_names=["bad name!", ""])  # fmt: skip
    yield describe(s, "what has become of it", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=BOTH)
def static_members(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    who = {"instance_id": "instance-1"}
    everything = {t[1]: [0, 1]}
    answer = yield join(s, "join", group, "member-a", t[0], **who)
    epoch = answer.member_epoch
    yield beat(s, "it has all", group, "member-a", epoch, everything, **who)
    yield beat(s, "without the instance", group, "member-a", epoch)
    yield beat(s, "another instance", group, "member-a", epoch, instance_id="instance-2")
    yield join(s, "its instance is in use", group, "member-b", t[0], **who)
    yield beat(s, "another's instance", group, "member-b", epoch, **who)
    yield beat(s, "it leaves for a while, wrong id", group, "member-b", -2, **who)
    yield beat(s, "it leaves for a while, unknown instance", group, "member-a", -2,
               instance_id="instance-2")  # fmt: skip
    yield beat(s, "it leaves for a while", group, "member-a", -2, **who)
    yield describe(s, "the group meanwhile", group)
    yield beat(s, "a beat meanwhile", group, "member-a", epoch, **who)
    yield beat(s, "it leaves for a while again", group, "member-a", -2, **who)
    yield join(s, "it comes back with another id", group, "member-c", t[0], **who)
    yield describe(s, "the group when it is back", group)
    yield beat(s, "the old id", group, "member-a", epoch, **who)
    yield beat(s, "the new id", group, "member-c", epoch, everything, **who)
    yield beat(s, "it leaves for a while once more", group, "member-c", -2, **who)
    yield join(s, "it comes back with the same id", group, "member-c", t[0], **who)
    yield beat(s, None, group, "member-c", -2, **who)
    yield join(s, "it comes back with another subscription", group, "member-d", t[0],
               s.name("unknown"), **who)  # fmt: skip
    answer = yield join(s, "another instance joins", group, "member-e", t[0],
                        instance_id="instance-2")  # fmt: skip
    yield describe(s, "two of them", group)
    yield leave(s, "the wrong id leaves for good", group, "member-c", **who)
    yield leave(s, "it leaves for good", group, "member-d", **who)
    yield beat(s, "the other gets all", group, "member-e", answer.member_epoch)
    yield describe(s, "one of them", group)
    yield leave(s, "the other leaves, its instance untold", group, "member-e")
    yield describe(s, "none of them", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=BOTH)
def two_members(s: Scene) -> Steps:
    """One has all; a second comes; the first gives a half; the second gets it; the first goes."""
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=4)
    yield from seen(s, t)
    a, b = "member-a", "member-b"

    def look(label: str) -> Step:
        return describe(s, f"the group: {label}", group)

    first = yield join(s, "a joins", group, a, t[0])
    yield beat(s, "a has all", group, a, first.member_epoch, {t[1]: [0, 1, 2, 3]})
    second = yield join(s, "b joins", group, b, t[0])
    yield look("b has joined")
    yield beat(s, "b waits", group, b, second.member_epoch, {})
    told = yield beat(s, "a is told", group, a, first.member_epoch)
    kept = told.assignment.topic_partitions[0].partitions if told.assignment else []
    given = [p for p in range(4) if p not in kept]
    yield look("a is told")
    yield beat(s, "a has all still", group, a, told.member_epoch, {t[1]: [0, 1, 2, 3]})
    yield beat(s, "a gives one", group, a, told.member_epoch, {t[1]: sorted([*kept, given[0]])})
    yield beat(s, "b waits still", group, b, second.member_epoch, {})
    done = yield beat(s, "a has given all it must", group, a, told.member_epoch, {t[1]: kept})
    yield look("a has given")
    yield beat(s, "b gets them", group, b, second.member_epoch, {})
    yield look("b gets them")
    yield beat(s, "b has them", group, b, second.member_epoch, {t[1]: given})
    yield look("both have theirs")
    yield beat(s, "a's epoch of before, with its part", group, a, first.member_epoch, {t[1]: kept})
    yield beat(s, "a's epoch of before, with less", group, a, first.member_epoch, {t[1]: kept[:1]})
    yield beat(s, "a's epoch of before, with all", group, a, first.member_epoch,
               {t[1]: [0, 1, 2, 3]})  # fmt: skip
    yield beat(s, "a's epoch of before, untold", group, a, first.member_epoch)
    yield beat(s, "a's epoch of two before", group, a, done.member_epoch - 2, {t[1]: kept})
    yield leave(s, "a leaves", group, a)
    yield beat(s, "b gets the rest", group, b, second.member_epoch)
    yield beat(s, "b has all", group, b, second.member_epoch + 1, {t[1]: [0, 1, 2, 3]})
    yield look("b has all")


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,))
def three_members(s: Scene) -> Steps:
    """They come one after the other and go in the same order; each beat is followed."""
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=6)
    yield from seen(s, t)
    epochs: dict[str, int] = {}
    owned: dict[str, Owned] = {}

    def follow(label: str, member: str) -> Steps:
        answer = yield beat(s, f"{label}: {member}", group, member, epochs[member], owned[member])
        if answer.error_code == 0:
            epochs[member] = answer.member_epoch
            if answer.assignment is not None:
                rows = answer.assignment.topic_partitions
                owned[member] = {bytes(one.topic_id): list(one.partitions) for one in rows}

    for member in ("member-a", "member-b", "member-c"):
        answer = yield join(s, f"{member} joins", group, member, t[0])
        epochs[member] = answer.member_epoch
        rows = answer.assignment.topic_partitions if answer.assignment else []
        owned[member] = {bytes(one.topic_id): list(one.partitions) for one in rows}
        for turn in range(3):
            for other in epochs:
                yield from follow(f"{member} has joined, turn {turn}", other)
        yield describe(s, f"the group with {member}", group)
    for member in ("member-a", "member-b"):
        yield leave(s, f"{member} leaves", group, member)
        del epochs[member]
        for turn in range(3):
            for other in epochs:
                yield from follow(f"{member} has left, turn {turn}", other)
        yield describe(s, f"the group without {member}", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=BOTH)
def subscriptions(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    u = yield from topic(s, "u")
    yield from seen(s, t, u)
    who = "member-a"
    answer = yield join(s, "join", group, who, t[0])
    epoch = answer.member_epoch
    yield beat(s, "another topic, too", group, who, epoch, subscribed_topic_names=[t[0], u[0]])
    yield beat(s, "it has all", group, who, epoch + 1, {t[1]: [0, 1], u[1]: [0]})
    yield beat(s, "the same, turned round", group, who, epoch + 1,
               subscribed_topic_names=[u[0], t[0]])  # fmt: skip
    yield beat(s, "the other topic only", group, who, epoch + 1, subscribed_topic_names=[u[0]])
    yield beat(s, "it has given the first", group, who, epoch + 1, {u[1]: [0]})
    later = s.name("later")
    yield beat(s, "a topic that is not there", group, who, epoch + 2,
               subscribed_topic_names=[u[0], later])  # fmt: skip
    yield describe(s, "the group waits for it", group)
    made = yield from topic(s, "later", partitions=2)
    yield s.ask("the new topic", MetadataRequest, at=12, topics=[{"name": later}],
                keep=("topics",))  # fmt: skip
    answer = yield beat(s, "the topic is there", group, who, epoch + 3, **reached(epoch + 4))
    yield beat(s, "it has its partitions", group, who, answer.member_epoch,
               {u[1]: [0], made[1]: [0, 1]})  # fmt: skip
    yield s.ask(None, CreatePartitionsRequest, at=2, timeout_ms=5000,
                topics=[{"name": u[0], "count": 3, "assignments": None}])  # fmt: skip
    answer = yield beat(s, "there are more", group, who, answer.member_epoch,
                        **reached(answer.member_epoch + 1))  # fmt: skip
    yield s.ask(None, DeleteTopicsRequest, at=5, topic_names=[u[0]], timeout_ms=5000)
    answer = yield beat(s, "one is deleted", group, who, answer.member_epoch,
                        until=lambda a: a.error_code or a.assignment is not None)  # fmt: skip
    yield beat(s, "it has the rest", group, who, answer.member_epoch, {made[1]: [0, 1]})
    yield describe(s, "the group at last", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,))
def regular_expressions(s: Scene) -> Steps:
    group = yield from prompt_group(s)
    t = yield from topic(s, "a", partitions=2)
    u = yield from topic(s, "b")
    yield from seen(s, t, u)
    who = "member-a"
    regex = {"subscribed_topic_names": None}
    yield join(s, "a bad one", group, who, subscribed_topic_regex="([", **regex)
    yield join(s, "one that RE2 lacks", group, who, subscribed_topic_regex="(?=x)y", **regex)
    yield join(s, "an empty one", group, who, subscribed_topic_regex="", **regex)
    answer = yield join(s, "join until it is resolved", group, who, until=has_assignment,
                        subscribed_topic_regex=f"{s.prefix}-[ab]", **regex)  # fmt: skip
    epoch = answer.member_epoch
    yield describe(s, "the group", group)
    yield beat(s, "it has all", group, who, epoch, {t[1]: [0, 1], u[1]: [0]})
    yield beat(s, "a bad one then", group, who, epoch, subscribed_topic_regex="([")
    yield beat(s, "the same again", group, who, epoch, subscribed_topic_regex=f"{s.prefix}-[ab]")
    yield beat(s, "names instead", group, who, epoch, subscribed_topic_regex="",
               subscribed_topic_names=[t[0]])  # fmt: skip
    yield describe(s, "the group by name", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,))
def regular_expressions_and_names(s: Scene) -> Steps:
    """Two members subscribe to one thing in two ways."""
    group = yield from prompt_group(s)
    t = yield from topic(s, "a", partitions=2)
    yield from seen(s, t)
    yield join(s, "the first, until it is resolved", group, "member-a", until=has_assignment,
               subscribed_topic_names=[], subscribed_topic_regex=f"{s.prefix}-a")  # fmt: skip
    yield join(s, "the second", group, "member-b", t[0])
    yield describe(s, "the subscriptions", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,))
def assignors(s: Scene) -> Steps:
    """What most members ask for; there is nothing for the last ones."""
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    answer = yield join(s, "a wants range", group, "member-a", t[0], server_assignor="range")
    yield beat(s, "a has all", group, "member-a", answer.member_epoch, {t[1]: [0, 1]})
    yield describe(s, "the group of one", group)
    yield join(s, "b wants range, too", group, "member-b", t[0], server_assignor="range")
    yield describe(s, "the target by range", group)
    yield join(s, "c wants uniform", group, "member-c", t[0], server_assignor="uniform")
    yield join(s, "d wants uniform, too", group, "member-d", t[0], server_assignor="uniform")
    answer = yield join(s, "e wants nothing", group, "member-e", t[0])
    yield beat(s, "e wants uniform now", group, "member-e", answer.member_epoch,
               server_assignor="uniform")  # fmt: skip
    yield describe(s, "uniform wins", group)
    yield beat(s, "e wants range now", group, "member-e", answer.member_epoch,
               server_assignor="range")  # fmt: skip
    yield describe(s, "range wins", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,))
def ranges_over_topics(s: Scene) -> Steps:
    """Each topic on its own; who reads less gets less."""
    group = yield from prompt_group(s)
    t = yield from topic(s, partitions=3)
    u = yield from topic(s, "u", partitions=3)
    yield from seen(s, t, u)
    by_range = {"server_assignor": "range"}
    yield join(s, "a joins", group, "member-a", t[0], u[0], **by_range)
    yield join(s, "b joins", group, "member-b", t[0], u[0], **by_range)
    yield describe(s, "both read both", group)
    yield join(s, "c joins", group, "member-c", u[0], **by_range)
    yield describe(s, "the third reads one", group)


@scenario(ConsumerGroupHeartbeatRequest, versions=(1,))
def assignments_are_batched(s: Scene) -> Steps:
    """The first assignment is made at once, the next ones a second apart."""
    group = yield from prompt_group(s, interval_ms=1000)
    t = yield from topic(s, partitions=2)
    yield from seen(s, t)
    answer = yield join(s, "the first joins", group, "member-a", t[0])
    yield join(s, "the second joins", group, "member-b", t[0])
    yield describe(s, "its assignment is still to be made", group)
    yield beat(s, "the first is told a second later", group, "member-a", answer.member_epoch,
               until=lambda a: a.error_code or a.assignment is not None)  # fmt: skip
    yield describe(s, "it is made", group)
