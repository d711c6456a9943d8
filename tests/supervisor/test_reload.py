"""SIGHUP: what changes, what does not, and what is said."""
from __future__ import annotations

import logging
import os
import pathlib
import select
import signal

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from fastbroker.config.broker import BrokerConfig
from fastbroker.supervisor.reload import reload
from tests.broker_process import BrokerProcess, wait_until

DEADLINE_S = 15.0


def test_what_can_change_changes_and_the_rest_is_named(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "server.properties"
    file.write_text("log.retention.ms=1000\nlog.segment.bytes=1048576\nnum.partitions=2\n")
    config = BrokerConfig.load(file, ["node.id=7"])
    file.write_text("log.retention.ms=2000\nnum.partitions=3\nlog.roll.hours=5\n")
    with caplog.at_level(logging.INFO):
        now = reload(config, lambda: BrokerConfig.load(file, ["node.id=7"]), is_ready=False)
    assert now["log.retention.ms"] == 2000
    assert now["log.roll.hours"] == 5
    assert now["log.segment.bytes"] == 1 << 30, "what is not given any more has its default"
    assert now["num.partitions"] == 2
    assert now.node_id == 7
    assert caplog.messages == [
        "the configuration was reloaded: log.retention.ms=2000, log.roll.hours=5,"
        " log.segment.bytes=(default)",
        "these changes need a restart: num.partitions",
    ]


@pytest.mark.parametrize("text", ["log.retention.ms=soon\n", "no.such.key=1\n", "nonsense"])
def test_a_wrong_file_changes_nothing(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    file = tmp_path / "server.properties"
    file.write_text("log.retention.ms=1000\n")
    config = BrokerConfig.load(file)
    file.write_text("log.retention.ms=2000\n" + text)
    assert reload(config, lambda: BrokerConfig.load(file), is_ready=False) is config
    (line,) = caplog.messages
    assert line.startswith(f"the configuration is as it was: {file}:2: ")


def test_every_process_has_what_was_reloaded(tmp_path: pathlib.Path) -> None:
    """Workers that run, and one that is started later."""
    file = tmp_path / "server.properties"
    file.write_text("log.retention.ms=1000000\n")
    broker = FileBroker(tmp_path / "data", workers=2)
    broker.file = file
    asked = [ConfigResource(ResourceType.BROKER, name) for name in ("1", "1001")]

    def values() -> set[str]:
        client = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        answers = [client.describe_configs([one])[one].result(10) for one in asked]
        return {answer["log.retention.ms"].value for answer in answers}

    with broker:
        assert values() == {"1000000"}
        file.write_text("log.retention.ms=2000000\n")
        os.kill(broker.pid, signal.SIGHUP)
        wait_until(lambda: values() == {"2000000"}, DEADLINE_S, "the new value")
        ready = sum("registered with" in line for line in broker.lines)
        broker.kill("fb-worker-1")
        wait_until(
            lambda: sum("registered with" in line for line in broker.lines) > ready,
            DEADLINE_S, "the new worker",
        )  # fmt: skip
        wait_until(lambda: set(broker.roles()) >= {"fb-worker-1"}, DEADLINE_S, "its process")
        assert values() == {"2000000"}


class FileBroker(BrokerProcess):
    """With a properties file."""

    file: pathlib.Path

    def arguments(self) -> list[str]:
        return ["--config", str(self.file)]


def test_without_a_file_sighup_ends_the_broker(tmp_path: pathlib.Path) -> None:
    broker = BrokerProcess(tmp_path, workers=1)
    broker.start()
    process = os.pidfd_open(broker.pid)
    os.kill(broker.pid, signal.SIGHUP)
    assert select.select([process], [], [], DEADLINE_S)[0], "it goes on"
    os.close(process)
    assert broker.stop() == 0
