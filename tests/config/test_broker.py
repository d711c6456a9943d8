"""A properties file and overrides become values, or an error that names the place."""
from __future__ import annotations

import pathlib

import pytest

from fastbroker.config.broker import BrokerConfig, ConfigError
from fastbroker.config.keys import KEYS
from fastbroker.config.topic import TOPIC_KEYS, TopicConfig, validate_override
from fastbroker.config.unserved import UNSERVED
from fastbroker.errors import InvalidConfig


def written(path: pathlib.Path, text: str) -> pathlib.Path:
    file = path / "server.properties"
    file.write_text(text)
    return file


def test_a_file_is_read_and_overrides_win(tmp_path: pathlib.Path) -> None:
    file = written(tmp_path, "# comment\nnum.partitions = 3\nlog.dirs:/data\\\n/x\n\n! more\n")
    config = BrokerConfig.load(file, ["num.partitions=4"])
    assert config["num.partitions"] == 4
    assert config.data_dir == "/data/x"
    assert config["group.max.size"] == 2**31 - 1
    assert set(config.explicit) == {"num.partitions", "log.dirs"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("num.partition=3", r"server.properties:2: unknown key 'num.partition'; .*num.partitions"),
        ("num.partitions=three", "server.properties:2: num.partitions=three: .*whole number"),
        ("num.partitions=1_000", "whole number"),
        ("num.partitions=0", "not within 1"),
        ("auto.create.topics.enable=yes", "neither true nor false"),
        ("log.cleanup.policy=delete,remove", "'remove' is none of compact, delete"),
        ("sasl.enabled.mechanisms=PLAIN", "not supported yet"),
        ("retention.ms=5", "topic's key: the broker's key is log.retention.ms"),
        ("listeners=SSL://:9093", "SSL is not supported yet"),
        ("listeners=localhost:9092", "NAME://HOST:PORT"),
        ("listeners=FOO://:9092", "FOO is not in listener.security.protocol.map"),
        ("advertised.listeners=OTHER://a:1", "listener.security.protocol.map"),
        ("node.id=1000", "not within 1..999"),
        ("log.dirs=/a,/b", "several directories"),
        ("process.roles=broker", "broker and controller"),
        ("log.cleaner.enable=1", "neither true nor false"),
        ("log.cleaner.threads=-1", "not within 0"),
        ("log.cleaner.io.max.bytes.per.second=0", "not within 1"),
        ("log.cleaner.dedupe.buffer.size=1048576", "not within 1048577"),
        ("log.cleaner.io.buffer.load.factor=1.1", "not within 0.01..1"),
        ("log.cleaner.io.buffer.size=-1", "not within 0"),
        ("log.cleaner.backoff.ms=-1", "not within 0"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: pathlib.Path, line: str, says: str
) -> None:
    file = written(tmp_path, f"# one\n{line}\n")
    with pytest.raises(ConfigError, match=says) as caught:
        BrokerConfig.load(file)
    assert "server.properties:2" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.properties: No such file"):
        BrokerConfig.load(tmp_path / "nowhere.properties")


def test_an_override_without_a_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--set num\.partitions: expected key=value"):
        BrokerConfig.load(None, ["num.partitions"])


def test_a_key_without_an_effect_is_noted() -> None:
    config = BrokerConfig({"num.io.threads": "8"})
    assert config.notes == ["num.io.threads has no effect: workers are processes:"
                            " fastbroker.workers"]  # fmt: skip


def test_listeners_of_the_controller_are_not_for_clients() -> None:
    config = BrokerConfig(
        {
            "listeners": "PLAINTEXT://[::1]:9092,CONTROLLER://:9093",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
    )
    assert [(one.name, one.host, one.at(2).port) for one in config.listeners()] == [
        ("PLAINTEXT", "::1", 9094)
    ]


def test_no_key_is_both_served_and_unserved() -> None:
    assert not UNSERVED & KEYS.keys()


def test_a_topics_value_is_its_own_then_the_brokers_then_the_default() -> None:
    broker = BrokerConfig({"log.retention.hours": "1", "log.segment.bytes": "2097152"})
    config = TopicConfig.resolve({"segment.bytes": "1048576"}, broker)
    assert config.segment_bytes == 1048576
    assert config.retention_ms == 3_600_000
    assert config.max_message_bytes == TOPIC_KEYS["max.message.bytes"].default
    assert TopicConfig.resolve({}, broker).segment_bytes == 2097152


def test_the_strongest_of_several_synonyms_wins() -> None:
    broker = BrokerConfig({"log.retention.hours": "1", "log.retention.minutes": "-1"})
    assert TopicConfig.resolve({}, broker).retention_ms == -1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention", "1"),
        ("retention.ms", "soon"),
        ("retention.ms", None),
        ("cleanup.policy", "shred"),
        ("remote.storage.enable", "true"),
    ],
)
def test_a_bad_override_of_a_topic_is_refused(name: str, value: str | None) -> None:
    with pytest.raises(InvalidConfig, match=name):
        validate_override(name, value)


def test_defaults_can_be_formatted_and_read_again() -> None:
    for key in TOPIC_KEYS.values():
        text = key.kind.format(key.default)
        assert text is not None
        assert key.kind.parse(text) == key.default


def test_dynamic_values_lie_on_top() -> None:
    config = BrokerConfig({"num.partitions": "3"}).with_dynamic({"log.retention.ms": "5"})
    assert (dict(config.given), len(config.explicit)) == ({"num.partitions": "3"}, 2)
    assert config["num.partitions"] == 3
    assert TopicConfig.resolve({}, config).retention_ms == 5
