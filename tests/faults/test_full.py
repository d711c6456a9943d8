"""A disk without any space left: what cannot be written is refused, and nothing is lost."""
from __future__ import annotations

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

import pytest

from fastbroker.errors import NotEnoughReplicas
from tests.broker_process import BrokerProcess, wait_until
from tests.faults.mounts import MIB, Mount, small_disk
from tests.faults.wire import Wire

pytestmark = pytest.mark.crash
UNGUARDED = ("log.dir.min.free.bytes=0", f"log.segment.bytes={MIB}")
RESUME_S = 10.0


@contextlib.contextmanager
def broker_on(path: pathlib.Path, *settings: str) -> Iterator[tuple[Mount, BrokerProcess]]:
    """A broker that is not warned before the disk is full."""
    with small_disk(path / "disk", 48 * MIB) as mount:
        broker = BrokerProcess(mount.path / "data", workers=1, settings=[*UNGUARDED, *settings])
        with broker:
            yield mount, broker


def told(broker: BrokerProcess, what: str) -> bool:
    return any(what in line for line in broker.lines)


def test_appends_are_refused_and_the_log_stays_as_it_is(tmp_path: pathlib.Path) -> None:
    with broker_on(tmp_path) as (mount, broker):
        with Wire(broker) as wire:
            wire.create("t")
            wire.create("other")
            wait_until(lambda: wire.find_coordinator("g") == 0, 10, "a coordinator")
            wait_until(lambda: wire.commit("g", "t", 0) == 0, 10, "a first commit")
            acked = [b"first"]
            assert wire.produce("t", b"first").error_code == 0
            pids = broker.roles()
            mount.fill(leave=300_000)
            # Pieces that end at the limit in different places: a write is torn, a roll fails.
            refusals = []
            for number in range(40):
                value = bytes([number]) * 31_007
                told = wire.produce("t", value)
                if told.error_code == 0:
                    acked.append(value)
                else:
                    refusals.append(told)
            assert len(acked) >= 8
            assert len(refusals) >= 20
            assert {told.error_code for told in refusals} == {NotEnoughReplicas.code}
            assert re.search(
                r"broker-1/t-0: writing failed: No space left on device: nothing was written;"
                r" free space there", refusals[-1].error_message,
            ), refusals[-1].error_message  # fmt: skip
            assert wire.produce("t", b"", acks=1).error_code in (0, NotEnoughReplicas.code)
            mount.fill()
            # What is left of the last page takes a few commits yet.
            assert 15 in {wire.commit("g", "t", 1) for _ in range(100)}
            assert wire.values("t")[: len(acked)] == acked
            mount.relieve()
            assert wire.produce("t", b"last").error_code == 0
            wait_until(lambda: wire.commit("g", "t", 1) == 0, RESUME_S, "commits")
            seen = wire.values("t")
            assert [seen[: len(acked)], seen[-1]] == [acked, b"last"]
            assert broker.roles() == pids, broker.lines
            assert not [line for line in broker.lines if "offline" in line]
        broker.kill_all()
        broker.start()
        with Wire(broker) as wire:
            wait_until(lambda: wire.end_offset("t") >= 0, 10, "the leader")
            assert wire.values("t") == seen


def test_a_roll_on_a_full_disk_is_tried_again(tmp_path: pathlib.Path) -> None:
    """The segment is full and the next cannot be begun, with any part of it."""
    with broker_on(tmp_path) as (mount, broker), Wire(broker) as wire:
        wire.create("t")
        piece = bytes(260_000)
        for _ in range(4):
            assert wire.produce("t", piece).error_code == 0
        page = os.sysconf("SC_PAGE_SIZE")
        for pages in range(6):  # index, time index, snapshot and log want one each
            mount.fill(leave=pages * page)
            assert wire.produce("t", piece).error_code == NotEnoughReplicas.code
        mount.relieve()
        assert wire.produce("t", piece).error_code == 0
        assert wire.values("t") == [piece] * 5
        directory = mount.path / "data" / "broker-1" / "t-0"
        assert sorted(path.name for path in directory.glob("*.log")) == [
            f"{0:020d}.log", f"{4:020d}.log",
        ]  # fmt: skip


def test_the_controller_waits_for_space(tmp_path: pathlib.Path) -> None:
    with broker_on(tmp_path) as (mount, broker), Wire(broker) as wire:
        wire.create("t")
        wire.create("useless")
        pids = broker.roles()
        mount.fill()
        # Its reserve takes changes for a while: topics can be deleted.
        assert wire.configure("t", 1) == 0
        wait_until(lambda: told(broker, "the last of its space is used now"), 5, "the line")
        assert wire.delete("useless") == 0
        mount.fill()
        assert wire.configure("t", 2) == NotEnoughReplicas.code
        assert wire.values("t") == []
        mount.relieve()
        wait_until(lambda: wire.try_to_create("after") == 0, RESUME_S, "a topic to be made")
        wait_until(lambda: wire.end_offset("after") == 0, RESUME_S, "its leader")
        assert broker.roles() == pids, broker.lines


def test_a_stop_on_a_full_disk_loses_nothing(tmp_path: pathlib.Path) -> None:
    with broker_on(tmp_path) as (mount, broker):
        with Wire(broker) as wire:
            wire.create("t")
            assert wire.produce("t", b"kept").error_code == 0
        mount.fill()
        assert broker.stop() == 0, broker.lines
        assert any("closed as after a crash" in line for line in broker.lines), broker.lines
        # It starts on the full disk, too, and serves what is there.
        broker.start()
        with Wire(broker) as wire:
            wait_until(lambda: wire.end_offset("t") >= 0, 10, "the leader")
            assert wire.values("t") == [b"kept"]
