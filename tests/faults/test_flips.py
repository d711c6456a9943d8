"""Torn and flipped bytes: cut exactly where the damage is, told with file and position, and kept
aside when more than a torn tail is cut."""
from __future__ import annotations

import logging
import pathlib
import re

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.errors import CorruptMessage
from tests.broker_process import BrokerProcess, wait_until
from tests.faults.directory import RECORDS, Directory
from tests.faults.wire import Wire
from tests.storage.logs import NOW, append, contents, open_log

CORRUPT = CorruptMessage.code


def flip(path: pathlib.Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_a_tail_that_is_torn_anywhere_is_cut_there(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(tmp_path)
    append(log, "one")
    good = log.size
    append(log, "two", "three")
    log.flush()
    path = pathlib.Path(log.segments[0].path)
    whole = path.read_bytes()
    for size in range(good + 1, len(whole)):
        path.write_bytes(whole[:size])
        caplog.clear()
        log = open_log(tmp_path)
        assert contents(log) == [(0, "one")]
        assert path.read_bytes() == whole[:good]
        (said,) = caplog.records
        assert said.levelno == logging.WARNING
        assert said.getMessage() == (
            f"{path}: {size - good} bytes from position {good} on are no whole batch: cut, the log"
            " ends at offset 1"
        )
    assert not list(tmp_path.glob("**/*.cut"))


def test_a_flipped_byte_in_any_place_keeps_what_follows_aside(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(tmp_path)
    append(log, "one")
    first = log.size
    append(log, "two")
    second = log.size
    append(log, "three")
    log.flush()
    path = pathlib.Path(log.segments[0].path)
    whole = path.read_bytes()
    kept = path.with_name(f"{path.name}.{first}.cut")
    not_seen = range(first + 12, first + 16)  # the leader epoch, which no CRC covers
    for at in sorted(set(range(first, second)) - set(not_seen)):
        path.write_bytes(whole)
        flip(path, at)
        damaged = path.read_bytes()
        caplog.clear()
        log = open_log(tmp_path)
        assert contents(log) == [(0, "one")], at
        assert path.read_bytes() + kept.read_bytes() == damaged
        (said,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert said.getMessage() == (
            f"{path}: the batch at position {first}, offset 1, is damaged, and good ones follow at"
            f" {second}: the log ends there now, the {len(whole) - first} bytes cut are kept in"
            f" {kept}"
        )
        append(log, "four")
        assert contents(log) == [(0, "one"), (1, "four")]
        log.flush()


def test_segments_behind_a_flipped_byte_are_kept_too(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = TopicConfig(segment_bytes=200)
    log = open_log(tmp_path, config)
    for value in "abcdef":
        append(log, value * 20)
    log.flush()
    first, second, third = (pathlib.Path(one.path) for one in log.segments)
    before = {path: path.read_bytes() for path in (first, second, third)}
    flip(first, log.segments[0].size - 1)
    log = open_log(tmp_path, config)
    assert contents(log) == [(0, "a" * 20)]
    for path in (second, third):
        assert pathlib.Path(f"{path}.0.cut").read_bytes() == before[path]
        assert f"are kept in {path}.0.cut" in caplog.text
    log.close()
    assert contents(open_log(tmp_path, config, is_clean=True)) == [(0, "a" * 20)]


def test_only_so_many_are_kept(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        log = open_log(tmp_path)
        append(log, f"good-{number}")
        position = log.size
        append(log, "damaged")
        append(log, "good")
        log.flush()
        flip(pathlib.Path(log.segments[0].path), position + 70)
    open_log(tmp_path)
    assert len(list(tmp_path.glob("**/*.cut"))) == 10
    assert "is removed: 10 newer ones are kept" in caplog.text


def test_a_flipped_byte_of_what_was_durable_is_found_by_who_reads(tmp_path: pathlib.Path) -> None:
    """Nothing is cut: what is behind it can still be read."""
    directory = Directory(tmp_path / "d", is_clean=True)
    path = directory.segments()[1]
    flip(path, path.stat().st_size - 3)
    last = int(directory.segments()[2].stem) - 1
    before = directory.content()
    log_dir, log = directory._open()
    try:
        with pytest.raises(CorruptMessage, match=rf"{path}, position \d+: the CRC of the batch"):
            log.offset_for_timestamp(NOW + last)
        with pytest.raises(CorruptMessage, match=rf"{path}, position \d+: the CRC of the batch"):
            list(log.batches(last, 1 << 20, log.log_end_offset))
        assert contents(log, last + 1) == RECORDS[last + 1 :]
    finally:
        directory._abandon(log_dir)
    after = directory.content()
    assert [after[name] for name in before if name.endswith(".log")] == [
        data for name, data in before.items() if name.endswith(".log")
    ]


@pytest.mark.crash
def test_a_coordinator_s_log_that_is_damaged_is_not_served(tmp_path: pathlib.Path) -> None:
    """As on Kafka: half of its groups would be forgotten, so nobody is served from it. The worker
    and everything else go on."""
    settings = ["offsets.topic.num.partitions=1"]
    with BrokerProcess(tmp_path, workers=1, settings=settings) as broker:
        with Wire(broker) as wire:
            wire.create("t")
            assert wire.produce("t", b"v").error_code == 0
            wait_until(lambda: wire.find_coordinator("g") == 0, 10, "a coordinator")
            wait_until(lambda: wire.commit("g", "t", 0) == 0, 10, "a first commit")
            assert wire.commit("g", "t", 1) == 0
        assert broker.stop() == 0
        path = tmp_path / "broker-1" / "__consumer_offsets-0" / f"{0:020d}.log"
        whole = path.read_bytes()
        for at, what in (
            (70, r", position 0: the CRC of the batch at 0 is wrong"),
            (9, r": there is no batch at position 0, offset 0, and there was one when"),
        ):
            path.write_bytes(whole)
            flip(path, at)
            seen = len(broker.lines)
            broker.start()
            pids = broker.roles()
            with Wire(broker) as wire:
                wait_until(lambda: wire.end_offset("t") == 1, 10, "the leader")
                assert wire.commit("g", "t", 1) == 16  # NOT_COORDINATOR
                assert wire.values("t") == [b"v"]
            said = [line for line in broker.lines[seen:] if "ERROR" in line]
            assert re.search(
                rf"__consumer_offsets-0: not served, its log cannot be read: .*{path}{what}",
                said[-1],
            ), said  # fmt: skip
            assert broker.roles() == pids
            assert broker.stop() == 0
        path.write_bytes(whole)
        broker.start()
        with Wire(broker) as wire:
            wait_until(lambda: wire.commit("g", "t", 1) == 0, 10, "the group")


@pytest.mark.crash
def test_a_metadata_log_that_is_damaged_ends_the_start(tmp_path: pathlib.Path) -> None:
    """What is cut off it would be topics that are forgotten, with all that they have."""
    with BrokerProcess(tmp_path, workers=1) as broker:
        with Wire(broker) as wire:
            for topic in ("t", "u", "v"):
                wire.create(topic)
        assert broker.stop() == 0
        (path,) = (tmp_path / "controller-1" / "__cluster_metadata-0").glob("*.log")
        whole = path.read_bytes()
        middle = whole.index(b"\x02u")  # the second topic's record
        for at, what in (
            (middle, r"metadata log is damaged, .*\.log, position \d+: the CRC"),
            (8, r"\.log: there is no batch at position 0, offset 0, and there was one when"),
        ):
            path.write_bytes(whole)
            flip(path, at)
            damaged = path.read_bytes()
            with pytest.raises(AssertionError, match=rf"controller cannot start: .*{what}"):
                broker.start()
            assert broker.stop() == 2
            assert path.read_bytes() == damaged
        path.write_bytes(whole)
        broker.start()
        with Wire(broker) as wire:
            for topic in ("t", "u", "v"):
                wait_until(lambda t=topic: wire.end_offset(t) == 0, 10, topic)  # type: ignore[misc]
