"""A disk that fails to read, write or sync: its directory goes offline, and stays so."""
from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest

from fastbroker.errors import KafkaStorageError
from fastbroker.records.builder import build_batch
from fastbroker.records.reader import iter_records
from tests.broker_process import BrokerProcess, wait_until
from tests.faults.injection import Trace, failing
from tests.faults.mounts import MIB, failing_disk
from tests.faults.wire import Wire

pytestmark = pytest.mark.crash
NOTICE_S = 5.0
PAGE = 4096
STORAGE = KafkaStorageError.code


def offline_lines(broker: BrokerProcess) -> list[str]:
    return [line for line in broker.lines if re.search(r"CRITICAL .*broker-1 is offline", line)]


def check_offline(broker: BrokerProcess, wire: Wire, path: str) -> None:
    """Everything in the directory is refused, it is said once and seen from outside, and the worker
    lives."""
    wait_until(lambda: offline_lines(broker), NOTICE_S, "the line")
    (line,) = offline_lines(broker)
    assert re.search(
        rf"\[Errno 5\] Input/output error: '[^']*{path}'\. Nothing in it is served or"
        r" acknowledged any more; .*Check the disk .*, then restart the broker", line,
    ), line  # fmt: skip
    for topic in ("t", "bystander"):
        told = wire.produce(topic, b"never")
        assert told.error_code == STORAGE
        assert "its log directory is offline: [Errno 5]" in told.error_message
        assert wire.fetch(topic).error_code == STORAGE
        assert wire.listed(topic).error_code == STORAGE
    assert wire.commit("g", "t", 1) == 16  # NOT_COORDINATOR
    assert wire.log_dir().error_code == STORAGE
    assert wire.try_to_create("late") == 0
    wait_until(lambda: wire.produce("late", b"never").error_code == STORAGE, NOTICE_S, "its error")
    assert len(offline_lines(broker)) == 1


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_a_write_or_sync_that_fails(tmp_path: pathlib.Path, call: str) -> None:
    with BrokerProcess(tmp_path, workers=1) as broker:
        with Wire(broker) as wire, Wire(broker) as other:
            _prepare(wire)
            pids = broker.roles()
            log = tmp_path / "broker-1" / "t-0" / f"{0:020d}.log"
            with failing(pids["fb-worker-0"], f"{call}:error=EIO:when=1", paths=(log,)) as trace:
                told = wire.produce("t", b"lost", acks=1)
                assert told.error_code == STORAGE
                check_offline(broker, other, "t-0" if call == "fdatasync" else f"t-0/{log.name}")
                _check_no_second_try(trace)
            assert broker.roles() == pids
            # What was acknowledged before is there again once somebody has looked after it.
        assert broker.stop() == 0, broker.lines
        assert not (tmp_path / "broker-1" / ".kafka_cleanshutdown").exists()
        broker.start()
        with Wire(broker) as wire:
            wait_until(lambda: wire.end_offset("t") >= 0, 10, "the leader")
            assert wire.values("t")[0] == b"acked"
            assert wire.produce("t", b"again").error_code == 0


def _prepare(wire: Wire) -> None:
    for topic in ("t", "bystander"):
        wire.create(topic)
        assert wire.produce(topic, b"acked").error_code == 0
    wait_until(lambda: wire.find_coordinator("g") == 0, 10, "a coordinator")
    wait_until(lambda: wire.commit("g", "t", 0) == 0, 10, "a first commit")


def _check_no_second_try(trace: Trace) -> None:
    wait_until(lambda: trace.injected, NOTICE_S, "the injection to be seen")
    first = trace.lines.index(trace.injected[0])
    assert len(trace.injected) == 1
    later = [line for line in trace.lines[first + 1 :] if re.search(r"(sync|pwrite\w*)\(", line)]
    assert not later, later


def test_a_read_that_fails(tmp_path: pathlib.Path) -> None:
    with BrokerProcess(tmp_path, workers=1) as broker, Wire(broker) as wire:
        _prepare(wire)
        log = tmp_path / "broker-1" / "t-0" / f"{0:020d}.log"
        injection = "pread64:error=EIO:when=1"
        with failing(broker.roles()["fb-worker-0"], injection, paths=(log,)):
            assert wire.fetch("t").error_code == STORAGE
        check_offline(broker, wire, "t-0")


def test_a_controller_whose_disk_fails_is_not_started_again(tmp_path: pathlib.Path) -> None:
    with BrokerProcess(tmp_path, workers=1) as broker, Wire(broker) as wire:
        _prepare(wire)
        worker = broker.roles()["fb-worker-0"]
        with failing(broker.roles()["fb-controller"], "fdatasync:error=EIO:when=1"):
            wire.configure("t", 1)
            wait_until(lambda: "fb-controller" not in broker.roles(), NOTICE_S, "its end")
        (line,) = [line for line in broker.lines if "CRITICAL" in line]
        assert re.search(
            r"controller has ended: .*Input/output error: '.*/__cluster_metadata-0'\. It is not"
            r" started again: check the disk", line,
        ), line  # fmt: skip
        # What needs no controller goes on, in the same worker.
        assert wire.produce("t", b"on").error_code == 0
        assert wire.commit("g", "t", 2) == 0
        assert wire.values("t") == [b"acked", b"on"]
        assert broker.roles() == {"fb-worker-0": worker}
        assert broker.stop() == 1
        broker.start()
        with Wire(broker) as after:
            wait_until(lambda: after.end_offset("t") == 2, 10, "the leader")


def test_what_the_disk_never_got_is_not_served_after_a_restart(tmp_path: pathlib.Path) -> None:
    """After a failed sync the page cache has what the disk has not, and the next sync succeeds."""
    with failing_disk(tmp_path, 32 * MIB) as (disk, below):
        settings = ["log.dir.min.free.bytes=0"]
        log = disk / "data" / "broker-1" / "t-0" / f"{0:020d}.log"
        with BrokerProcess(disk / "data", workers=1, settings=settings) as broker:
            with Wire(broker) as wire:
                wire.create("t")
                # It ends where a page ends: loop calls a write done that gets on by a byte.
                rest = len(build_batch([(b"k", bytes(PAGE // 2), (), 1)])) - PAGE // 2
                acked = bytes(PAGE - rest)
                assert wire.produce("t", acked).error_code == 0
                assert log.stat().st_size == PAGE
                os.sync()
                below.fill()
                assert wire.produce("t", bytes(4 * PAGE)).error_code == STORAGE
                below.relieve()
            broker.kill_all()
            broker.start()
            with Wire(broker) as wire:
                wait_until(lambda: wire.end_offset("t") >= 0, 10, "the leader")
                assert wire.values("t") == [acked]
                assert wire.produce("t", b"again").error_code == 0
            assert broker.stop() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with open(log, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert [record.value for record in iter_records(file.read())] == [acked, b"again"]
