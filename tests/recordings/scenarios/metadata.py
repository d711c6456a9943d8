"""Metadata and DescribeTopicPartitions: which topics, in which words, and auto-creation."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from tests.recordings.scenario import Scene, Step, Steps, has, scenario
from tests.recordings.scenarios.prepare import NO_TOPIC, topic

ALL = (0, 1, 4, 6, 7, 8, 10, 11, 12, 13)


def ask(s: Scene, label: str, topics: list[dict[str, Any]] | None, **more: Any) -> Step:
    more = {"allow_auto_topic_creation": False} | more
    return s.ask(label, MetadataRequest, topics=topics, **more)


def named(*names: str | None) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


@scenario(MetadataRequest, versions=ALL)
def by_name(s: Scene) -> Steps:
    name, _ = yield from topic(s, partitions=3)
    other, _ = yield from topic(s, "other")
    yield ask(s, "one", named(name))
    yield ask(s, "two", named(name, other))
    yield ask(s, "a topic twice", named(name, name))
    yield ask(s, "an empty list", [], only=s.prefix)
    if s.version >= 4:  # before, asking creates it
        yield ask(s, "an unknown one", named(s.name("unknown")))
        yield ask(s, "one of two", named(s.name("unknown"), name))
    yield ask(s, "an empty name", named(""))
    yield ask(s, "a bad name", named("bad name!"))
    yield ask(s, "a name too long", named("x" * 250))
    if s.version >= 1:
        yield ask(s, "all", None, only=s.prefix)
    yield ask(s, "what may be done", named(name), include_topic_authorized_operations=True,
              include_cluster_authorized_operations=True)  # fmt: skip


@scenario(MetadataRequest, versions=(10, 12, 13))
def by_id(s: Scene) -> Steps:
    name, id_ = yield from topic(s)
    yield ask(s, "one", [{"topic_id": id_, "name": None}])
    yield ask(s, "an unknown id", [{"topic_id": NO_TOPIC, "name": None}])
    yield ask(s, "name and id", [{"topic_id": id_, "name": name}])
    yield ask(s, "neither", [{"name": None}])
    yield ask(s, "an id and a name", [{"topic_id": id_, "name": None}, {"name": name}])
    yield ask(s, "an id twice", [{"topic_id": id_, "name": None}] * 2)
    yield ask(s, "one of two ids", [{"topic_id": i, "name": None} for i in (NO_TOPIC, id_)])


@scenario(MetadataRequest)
def null_list(s: Scene) -> Steps:
    yield from topic(s)
    if s.version == 0:
        yield ask(s, "an empty list is all", [], only=s.prefix)
    else:
        yield ask(s, "null is all", None, only=s.prefix)


@scenario(MetadataRequest, versions=(0, 3, 4, 9, 13))
def creates(s: Scene) -> Steps:
    name = s.name("created")
    settled = {"until": lambda a: a.topics[0].error_code == 0 and bool(a.topics[0].partitions)}
    yield ask(s, "at first", named(name), allow_auto_topic_creation=True)
    yield ask(s, "soon after", named(name), allow_auto_topic_creation=True, **settled)
    yield ask(s, "a bad name", named("bad name!"), allow_auto_topic_creation=True)
    yield ask(s, "an empty name", named(""), allow_auto_topic_creation=True)


@scenario(DescribeTopicPartitionsRequest)
def describe_partitions(s: Scene) -> Steps:
    names = []
    for word, count in (("a", 3), ("b", 2), ("c", 1)):
        name, _ = yield from topic(s, word, partitions=count)
        names.append(name)
    request = DescribeTopicPartitionsRequest

    def look(label: str, *topics: str, **more: Any) -> Step:
        return s.ask(label, request, topics=[{"name": n} for n in topics], **more)

    assert has(request, "cursor", s.version)
    yield look("one", names[0])
    yield look("in another order", names[2], names[0], names[1])
    yield look("all", only=s.prefix)
    yield look("an unknown one", s.name("unknown"))
    yield look("a bad name", "bad name!")
    yield look("an empty name", "")
    yield look("one of two", s.name("unknown"), names[0])
    yield look("a topic twice", names[0], names[0])
    yield look("two partitions at most", *names, response_partition_limit=2)
    yield look("four partitions at most", *names, response_partition_limit=4)
    yield look("no partition", names[0], response_partition_limit=0)
    yield look("a negative limit", names[0], response_partition_limit=-1)
    yield look("from a cursor", *names, cursor={"topic_name": names[0], "partition_index": 2})
    yield look("a cursor behind", *names, cursor={"topic_name": names[1], "partition_index": 0},
               response_partition_limit=1)  # fmt: skip
    yield look("a cursor on no topic of the list", names[0], names[2],
               cursor={"topic_name": names[1], "partition_index": 0})  # fmt: skip
    yield look("a cursor beyond the partitions", names[0],
               cursor={"topic_name": names[0], "partition_index": 7})  # fmt: skip
    yield look("a negative cursor", names[0],
               cursor={"topic_name": names[0], "partition_index": -1})  # fmt: skip
    yield look("a cursor, no list", cursor={"topic_name": names[0], "partition_index": 2},
               only=s.prefix)  # fmt: skip
