"""CreateTopics, DeleteTopics, CreatePartitions."""
from __future__ import annotations

from typing import Any

from fastbroker.protocol.messages.create_partitions import CreatePartitionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.metadata import MetadataRequest
from tests.recordings.scenario import Scene, Step, Steps, has, scenario
from tests.recordings.scenarios.prepare import NO_TOPIC, topic

SOME_CONFIGS = ("cleanup.policy", "retention.ms", "segment.bytes")


def create(s: Scene, label: str | None, *topics: dict[str, Any] | str, **more: Any) -> Step:
    """Topics by name, or by their fields; one partition and one replica unless said."""
    full = [
        {"num_partitions": 1, "replication_factor": 1} | ({"name": t} if isinstance(t, str) else t)
        for t in topics
    ]
    return s.ask(label, CreateTopicsRequest, topics=full, **({"timeout_ms": 5000} | more))


def configured(name: str, **configs: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "configs": [{"name": k.replace("_", "."), "value": v} for k, v in configs.items()],
    }


def look(s: Scene, label: str, *names: str) -> Step:
    return s.ask(label, MetadataRequest, at=7, topics=[{"name": n} for n in names],
                 allow_auto_topic_creation=False)  # fmt: skip


@scenario(CreateTopicsRequest)
def create_good(s: Scene) -> Steps:
    yield create(s, "one", s.name("one"))
    yield create(s, "it exists", s.name("one"))
    yield create(s, "two at once", s.name("two"), {"name": s.name("three"), "num_partitions": 3})
    yield create(s, "defaults", {"name": s.name("defaults"), "num_partitions": -1,
                                 "replication_factor": -1})  # fmt: skip
    yield create(s, "with configs",
                 configured(s.name("configs"), retention_ms="1000", cleanup_policy="compact"))
    assigned = {"name": s.name("assigned"), "num_partitions": -1, "replication_factor": -1}
    both = [{"partition_index": i, "broker_ids": [1]} for i in range(2)]
    yield create(s, "assigned by hand", assigned | {"assignments": both})
    yield create(s, "only checked", s.name("checked"), validate_only=True)
    yield create(s, "it exists, only checked", s.name("one"), validate_only=True)
    yield create(s, "some exist", s.name("one"), s.name("four"))
    yield create(s, "nothing")
    yield create(s, "no time", s.name("quick"), timeout_ms=0)
    yield look(s, "all of them", s.name("one"), s.name("three"), s.name("assigned"),
               s.name("checked"))  # fmt: skip


@scenario(CreateTopicsRequest)
def create_bad_names(s: Scene) -> Steps:
    for label, name in (
        ("empty", ""), ("a dot", "."), ("two dots", ".."), ("a space", "a b"), ("a slash", "a/b"),
        ("not ASCII", "тема"), ("250 characters", "x" * 250),
    ):  # fmt: skip
        yield create(s, label, name)
    long = s.name("x") + "y" * 249
    yield create(s, "249 characters", long[:249])
    yield create(s, "with a dot", s.name("a.b"))
    yield create(s, "that collides with it", s.name("a_b"))
    yield create(s, "a name twice", s.name("twice"), s.name("twice"))
    yield create(s, "a name twice among others", s.name("t2"), s.name("t3"), s.name("t2"))
    yield create(s, "the metadata log", "__cluster_metadata")


@scenario(CreateTopicsRequest)
def create_bad_numbers(s: Scene) -> Steps:
    for label, fields in {
        "no partition": {"num_partitions": 0},
        "-2 partitions": {"num_partitions": -2},
        "no replica": {"replication_factor": 0},
        "-2 replicas": {"replication_factor": -2},
        "more replicas than brokers": {"replication_factor": 2},
        "10001 partitions": {"num_partitions": 10001},
        "both wrong": {"num_partitions": 0, "replication_factor": 3},
    }.items():
        yield create(s, label, {"name": s.name("bad"), **fields})
        yield create(s, f"{label}, only checked", {"name": s.name("bad"), **fields},
                     validate_only=True)  # fmt: skip
    by_hand = {"num_partitions": -1, "replication_factor": -1}
    for label, rows, fields in (
        ("an unknown broker", [[9]], by_hand),
        ("a broker twice", [[1, 1]], by_hand),
        ("no broker", [[]], by_hand),
        ("a negative broker", [[-1]], by_hand),
        ("assignments and counts", [[1]], {"num_partitions": 1, "replication_factor": 1}),
        ("assignments and a partition count", [[1]], by_hand | {"num_partitions": 1}),
        ("unequal replicas", [[1], [1, 9]], by_hand),
    ):
        assignments = [{"partition_index": i, "broker_ids": r} for i, r in enumerate(rows)]
        yield create(s, label, {"name": s.name("bad"), "assignments": assignments, **fields})
    for label, numbers in (("a gap", (0, 2)), ("not from 0", (1,)), ("a partition twice", (0, 0))):
        assignments = [{"partition_index": i, "broker_ids": [1]} for i in numbers]
        yield create(s, label, {"name": s.name("bad"), "assignments": assignments, **by_hand})


@scenario(CreateTopicsRequest)
def create_bad_configs(s: Scene) -> Steps:
    for label, configs in {
        "an unknown config": {"no_such_config": "1"},
        "not a number": {"retention_ms": "soon"},
        "below its minimum": {"retention_ms": "-2"},
        "an unknown policy": {"cleanup_policy": "burn"},
        "an empty policy": {"cleanup_policy": ""},
        "a null value": {"retention_ms": None},
        "an unknown codec": {"compression_type": "zip"},
        "no replicas wanted": {"min_insync_replicas": "0"},
        "a ratio above 1": {"min_cleanable_dirty_ratio": "1.5"},
        "neither true nor false": {"preallocate": "perhaps"},
        "a segment too small": {"segment_bytes": "13"},
        "an empty name": {"": "x"},
        "a broker's config": {"num_partitions": "3"},
        "an unknown timestamp type": {"message_timestamp_type": "Noon"},
        "remote storage, that is off": {"remote_storage_enable": "true"},
    }.items():
        yield create(s, label, configured(s.name("bad"), **configs))
    twice = [{"name": "retention.ms", "value": v} for v in ("1000", "2000")]
    yield create(s, "a config twice", {"name": s.name("twice"), "configs": twice})


@scenario(DeleteTopicsRequest)
def delete(s: Scene) -> Steps:
    def gone(label: str | None, *states: dict[str, Any], **more: Any) -> Step:
        fields: dict[str, Any] = {"timeout_ms": 5000} | more
        if has(DeleteTopicsRequest, "topics", s.version):
            fields["topics"] = list(states)
        else:
            fields["topic_names"] = [state["name"] for state in states]
        return s.ask(label, DeleteTopicsRequest, **fields)

    def named(*names: str) -> list[dict[str, Any]]:
        return [{"name": name, "topic_id": bytes(16)} for name in names]

    by_id = has(DeleteTopicsRequest, "topics", s.version)
    names, ids = [], []
    for i in range(6):
        name, id_ = yield from topic(s, f"t{i}")
        names.append(name)
        ids.append(id_)
    yield gone("one", *named(names[0]))
    yield gone("it is gone", *named(names[0]))
    yield look(s, "it is unknown", names[0])._replace(
        until=lambda a: a.topics[0].error_code == 3
    )
    yield gone("one of two", *named(names[1], s.name("unknown")))
    yield gone("a name twice", *named(names[2], names[2]))
    yield gone("an empty name", *named(""))
    yield gone("a bad name", *named("no such name!"))
    yield gone("nothing")
    yield gone("another one", *named(names[3]))
    if by_id:
        yield gone("by id", {"topic_id": ids[4]})
        yield gone("an id that is gone", {"topic_id": ids[4]})
        yield gone("an unknown id", {"topic_id": NO_TOPIC})
        yield gone("neither name nor id", {})
        yield gone("name and id", {"name": names[5], "topic_id": ids[5]})
        yield gone("by name and by id", *named(names[5]), {"topic_id": ids[5]})
        yield gone("an id twice", {"topic_id": ids[5]}, {"topic_id": ids[5]})
    else:
        yield gone("two at once", *named(names[4], names[5]))


@scenario(CreatePartitionsRequest)
def partitions(s: Scene) -> Steps:
    def grow(label: str, *topics: tuple[str, int, list[list[int]] | None], **more: Any) -> Step:
        full = [
            {
                "name": name,
                "count": count,
                "assignments": rows and [{"broker_ids": row} for row in rows],
            }
            for name, count, rows in topics
        ]
        fields = {"timeout_ms": 5000} | more
        return s.ask(label, CreatePartitionsRequest, topics=full, **fields)

    name, _ = yield from topic(s)
    other, _ = yield from topic(s, "other")
    yield grow("to 3", (name, 3, None))
    yield look(s, "they are there", name)._replace(
        until=lambda a: len(a.topics[0].partitions) == 3
    )
    yield grow("to 3 again", (name, 3, None))
    yield grow("to 2", (name, 2, None))
    yield grow("to 0", (name, 0, None))
    yield grow("to -1", (name, -1, None))
    yield grow("an unknown topic", (s.name("unknown"), 3, None))
    yield grow("a bad name", ("bad name!", 3, None))
    yield grow("a topic twice", (name, 4, None), (name, 5, None))
    yield grow("one of two", (other, 2, None), (s.name("unknown"), 2, None))
    yield grow("by hand", (name, 4, [[1]]))
    yield grow("too many assignments", (name, 5, [[1], [1]]))
    yield grow("too few assignments", (name, 7, [[1]]))
    yield grow("an unknown broker", (name, 5, [[9]]))
    yield grow("no broker", (name, 5, [[]]))
    yield grow("two replicas", (name, 5, [[1, 1]]))
    yield grow("only checked", (name, 6, None), validate_only=True)
    yield grow("only checked, wrong", (name, 1, None), validate_only=True)
    yield grow("nothing")
    yield look(s, "as they are now", name)
