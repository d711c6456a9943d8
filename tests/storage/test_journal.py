"""The commit journal: its format, what of it is replayed, and what never is."""
from __future__ import annotations

import os
import pathlib
import shutil
import struct
from typing import Any

import pytest

from fastbroker._c.checksum import crc32c
from fastbroker._c.sync_thread import FRAME_ALIGN
from fastbroker._c.sync_thread import crc32c as frame_crc
from fastbroker.model import TopicPartition
from fastbroker.storage.checkpoints import write_properties
from fastbroker.storage.disk import Disk
from fastbroker.storage.journal import CRC_END, ENTRY, FILES, FRAME_BYTES, HALF_BYTES, HEAD
from fastbroker.storage.journal_frames import NewerJournal, read_frames
from fastbroker.storage.journal_replay import JournalReplay
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import META, LogDir, LogDirError
from tests.storage.journals import Journaled, lose
from tests.storage.logs import TP, append, contents

RUN = b"r" * 16


@pytest.fixture
def journaled(tmp_path: pathlib.Path) -> Journaled:
    return Journaled(tmp_path)


def text(log: Log) -> bytes:
    return pathlib.Path(log.segments[-1].path).read_bytes()


def frame(
    *entries: tuple[str, bytes, int, int, int, bytes], sequence: int = 1, run: bytes = RUN,
    version: int = 1, count: int | None = None, size: int | None = None,
) -> bytes:  # fmt: skip
    """Any frame, with a right CRC. entries: (name, topic id, base, position, end, bytes)."""
    table = b"".join(
        ENTRY.pack(topic_id, base, at, end, len(data), len(name.encode())) + name.encode()
        for name, topic_id, base, at, end, data in entries
    )
    body = table + b"".join(data for *_, data in entries)
    head = HEAD.pack(
        b"FBCJ", 0, version, 0, len(entries) if count is None else count,
        HEAD.size + len(body) if size is None else size, sequence, run,
    )  # fmt: skip
    whole = bytearray(head + body)
    whole[4:8] = struct.pack(">I", crc32c(bytes(whole[CRC_END:])))
    return bytes(whole) + bytes(-len(whole) % FRAME_ALIGN)


# ---- format


def test_the_grammar(journaled: Journaled) -> None:
    log, other = journaled.log(), journaled.log("other.topic-12", b"o" * 16)
    append(log, "a")
    append(other, "b", "c")
    journaled.flush(log, other)
    data = journaled.half().read_bytes()
    magic, crc, version, reserved, count, size, sequence, run = struct.unpack_from(
        ">4sIHHIQQ16s", data
    )
    assert (magic, version, reserved, count, sequence) == (b"FBCJ", 1, 0, 2, 1)
    assert crc == crc32c(data[8:size])
    assert any(run)
    assert len(data) == FRAME_ALIGN
    assert not any(data[size:])
    first, second = text(log), text(other)
    entry = ENTRY.unpack_from(data, HEAD.size)
    assert entry == (b"i" * 16, 0, 0, 1, len(first), 3)
    at = HEAD.size + ENTRY.size
    assert data[at : at + 3] == b"t-0"
    entry = ENTRY.unpack_from(data, at + 3)
    assert entry == (b"o" * 16, 0, 0, 2, len(second), 14)
    assert data[:size].endswith(b"other.topic-12" + first + second)


def test_both_ways_to_a_crc_are_the_packages() -> None:
    for size in (0, 1, 7, 8, 9, 100, 4097):
        data = os.urandom(size)
        assert frame_crc(data, True) == frame_crc(data, False) == crc32c(data)


def test_a_round_larger_than_a_frame_is_several(tmp_path: pathlib.Path) -> None:
    journaled = Journaled(tmp_path, half_bytes=HALF_BYTES)
    logs = [journaled.log(f"t-{n}") for n in range(100)]
    for log in logs:
        log.config = log.config.__class__(segment_bytes=1 << 20)
        append(log, "x" * 60_000)
    journaled.flush(*logs)
    frames = list(read_frames(Disk(), str(journaled.half())))
    assert [one.sequence for one in frames] == [1, 2]
    assert sum(len(one.entries) for one in frames) == 100
    assert max(one.size for one in frames) <= FRAME_BYTES
    wanted = [lose(log) for log in logs]
    assert journaled.replay().frames == 2
    assert [text(log) for log in logs] == wanted


def test_halves_take_turns(tmp_path: pathlib.Path) -> None:
    journaled = Journaled(tmp_path, half_bytes=2 * FRAME_ALIGN)
    log = journaled.log()
    for n in range(4):
        append(log, str(n))
        journaled.flush(log)
    assert log.save_when_due()
    log.epochs.synced()
    append(log, "4")
    job = log.begin_flush()
    assert job is not None
    assert journaled.journal.prepare([job]) is None, "no half is free"
    full = journaled.journal.full()
    assert full is not None
    assert list(full.logs) == [log.unflushed]
    log.unflushed.synced(log.unflushed.mark())
    assert log.recovery_point == log.flushed_offset == 4
    journaled.journal.freed(full)
    assert journaled.journal.full() is None
    assert journaled.journal.prepare([job]) is not None
    assert [journaled.half(n).stat().st_size for n in (0, 1)] == [2 * FRAME_ALIGN] * 2


def test_nothing_is_there_before_it_is_used(journaled: Journaled) -> None:
    journaled.log()
    assert not journaled.half(0).exists()
    assert journaled.replay().frames == 0


# ---- what is replayed


def test_what_segments_lack_is_put_back(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    append(log, "b", "c")
    append(log, "d")
    journaled.flush(log)
    wanted = lose(log)
    replay = journaled.replay()
    assert (replay.frames, replay.written) == (2, len(wanted))
    assert text(log) == wanted
    again = journaled.log()
    assert contents(again) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_it_is_empty_afterwards(journaled: Journaled, caplog: pytest.LogCaptureFixture) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    with caplog.at_level("INFO"):
        journaled.replay()
    assert "1 frames of the commit journal were replayed" in caplog.text
    assert journaled.half().stat().st_size == 0
    assert journaled.replay().frames == 0


def test_both_halves_in_order(tmp_path: pathlib.Path) -> None:
    journaled = Journaled(tmp_path, half_bytes=2 * FRAME_ALIGN)
    log = journaled.log()
    for n in range(7):
        append(log, str(n))
        journaled.flush(log)
        full = journaled.journal.full()
        if full is not None:
            journaled.journal.freed(full)
    wanted = lose(log, len(text(log)) * 4 // 7)  # the first four were freed
    sequences = [
        [one.sequence for one in read_frames(Disk(), str(journaled.half(n)))] for n in (0, 1)
    ]
    assert sequences == [[5, 6], [7]], "behind 7 lies 4, of the pass before"
    journaled.replay()
    assert text(log) == wanted


def test_below_the_recovery_point_nothing_is_written(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    append(log, "b")
    journaled.flush(log)
    lose(log)
    assert journaled.replay({TP: 2}).written == 0
    assert text(log) == b""


def test_what_ends_above_it_is(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    middle = len(text(log))
    append(log, "b")
    journaled.flush(log)
    wanted = lose(log, middle)
    assert journaled.replay({TP: 1}).written == len(wanted) - middle
    assert text(log) == wanted


@pytest.mark.parametrize("metadata", [None, b"", b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA\n"])
def test_a_directory_of_another_topic_is_left_alone(
    journaled: Journaled, metadata: bytes | None
) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    lose(log)
    path = pathlib.Path(log.directory) / "partition.metadata"
    path.unlink()
    if metadata is not None:
        path.write_bytes(metadata)
    assert journaled.replay().written == 0
    assert text(log) == b""


def test_a_directory_that_is_gone_is_not_made(journaled: Journaled) -> None:
    log, other = journaled.log(), journaled.log("t-1")
    append(log, "a")
    append(other, "b")
    journaled.flush(log, other)
    shutil.rmtree(log.directory)
    wanted = lose(other)
    journaled.replay()
    assert not os.path.exists(log.directory)
    assert text(other) == wanted


def test_a_segment_that_is_gone_is_not_made(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    log.roll(0)
    append(log, "b")
    journaled.flush(log)
    retired = log.segments[0].path
    os.rename(retired, retired + ".deleted")
    wanted = lose(log)
    journaled.replay()
    assert not os.path.exists(retired)
    assert text(log) == wanted


def test_no_hole_is_made(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    log.flush()  # the segment has it, the journal does not
    append(log, "b")
    journaled.flush(log)
    lose(log)
    assert journaled.replay().written == 0
    assert text(log) == b""


def test_what_was_cut_and_written_otherwise_stays_cut(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a", epoch=1)
    append(log, "old", epoch=1)
    append(log, "older", epoch=2)
    journaled.flush(log)
    log.truncate_to(1)
    append(log, "new", "newer", epoch=3)
    job = log.begin_flush()
    assert job is not None
    assert not job.may_be_journaled, "a cut is for the segment itself"
    job.run()
    log.end_flush(job)
    wanted = text(log)
    journaled.replay()
    assert text(log) == wanted
    assert contents(journaled.log()) == [(0, "a"), (1, "new"), (2, "newer")]


def test_epochs_are_synced_with_the_first_flush_behind_a_cut(journaled: Journaled) -> None:
    """Saved or not, as long as nobody has synced them."""
    log = journaled.log()
    append(log, "a", "b", epoch=1)
    log.flush()
    for epoch in (2, 3):
        log.truncate_to(1)
        append(log, "c", epoch=epoch)
        if epoch == 3:
            assert log.save_when_due()
        job = log.begin_flush()
        assert job is not None
        assert log.epochs.path in job.paths
        job.run()
        log.end_flush(job)
    assert log.recovery_point < 2, "nobody has told of the sync"
    assert log.save_when_due()
    log.epochs.synced()
    assert log.recovery_point == 2
    assert not log.save_when_due()


def test_without_any_epochs_all_is_taken(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a", epoch=1)
    journaled.flush(log)
    pathlib.Path(log.epochs.path).write_bytes(b"")
    wanted = lose(log)
    journaled.replay()
    assert text(log) == wanted


def test_epochs_that_their_file_does_not_have_yet_are_taken(journaled: Journaled) -> None:
    """It is written some time after the first batch of an epoch was acknowledged."""
    log = journaled.log()
    append(log, "a", epoch=1)
    journaled.flush(log)
    assert log.save_when_due()
    append(log, "b", epoch=1)
    append(log, "c", epoch=2)
    append(log, "d", epoch=3)
    journaled.flush(log)
    assert log.flushed_offset == 4
    wanted = lose(log)
    journaled.replay()
    assert text(log) == wanted
    assert journaled.log().epochs.entries == [(1, 0), (2, 2), (3, 3)]


# ---- torn, damaged, stale


def test_torn_at_every_sector(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a" * 700)
    journaled.flush(log)
    first = len(text(log))
    append(log, "b" * 2500)
    journaled.flush(log)
    whole, wanted = journaled.half().read_bytes(), text(log)
    ends = HEAD.unpack_from(whole)[5], FRAME_ALIGN + HEAD.unpack_from(whole, FRAME_ALIGN)[5]
    assert ends[1] > FRAME_ALIGN + 5 * 512
    for kept in range(0, 2 * FRAME_ALIGN + 1, 512):
        os.truncate(log.segments[-1].path, 0)
        journaled.half().write_bytes(whole[:kept])
        frames = sum(kept >= end for end in ends)
        assert journaled.replay().frames == frames
        assert text(log) == (b"", wanted[:first], wanted)[frames]
    for lost in range(FRAME_ALIGN, ends[1], 512):  # one sector, not those behind it
        os.truncate(log.segments[-1].path, 0)
        torn = bytearray(whole)
        torn[lost : lost + 512] = bytes(512)
        journaled.half().write_bytes(torn)
        assert journaled.replay().frames == 1
        assert text(log) == wanted[:first]


def test_every_flipped_bit_ends_it(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    whole = journaled.half().read_bytes()
    size = HEAD.unpack_from(whole)[5]
    for at in range(size):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            journaled.half().write_bytes(damaged)
            assert list(read_frames(Disk(), str(journaled.half()))) == [], (at, bit)


def test_damage_in_front_of_later_frames_is_told(
    journaled: Journaled, caplog: pytest.LogCaptureFixture
) -> None:
    log = journaled.log()
    for n in range(4):
        append(log, str(n))
        journaled.flush(log)
    data = bytearray(journaled.half().read_bytes())
    data[FRAME_ALIGN + 100] ^= 1
    journaled.half().write_bytes(data)
    assert journaled.replay().frames == 1
    assert f"position {FRAME_ALIGN}: 2 frames behind it" in caplog.text


def test_a_gap_between_the_halves_is_told(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    journaled = Journaled(tmp_path, half_bytes=2 * FRAME_ALIGN)
    log = journaled.log()
    for n in range(3):
        append(log, str(n))
        journaled.flush(log)
    data = bytearray(journaled.half(0).read_bytes())
    data[FRAME_ALIGN + 100] ^= 1
    journaled.half(0).write_bytes(data)
    assert journaled.replay().frames == 2
    assert "frames 2 to 2 of the commit journal are damaged" in caplog.text


@pytest.mark.parametrize("how", [{"sequence": 3}, {"sequence": 1}, {"run": b"s" * 16}])
def test_a_frame_that_does_not_follow_ends_it(journaled: Journaled, how: dict[str, Any]) -> None:
    how = {"sequence": 2, **how}
    journaled.half().write_bytes(frame() + frame(**how) + frame(sequence=3))
    assert journaled.replay().frames == 1


def test_a_frame_inside_a_record_is_none(journaled: Journaled) -> None:
    """What a client has written, where older bytes lie behind the last frame."""
    log, victim = journaled.log(), journaled.log("v-0", b"v" * 16)
    append(victim, "precious")
    victim.flush()
    wanted = text(victim)
    forged = frame(("v-0", b"v" * 16, 0, 0, 1, b"\0" * 100), sequence=2)
    append(log, "x" * 100)
    journaled.flush(log)
    journaled.half().write_bytes(journaled.half().read_bytes() + forged)
    assert journaled.replay().frames == 1
    assert text(victim) == wanted


# ---- hostile


NAMES = ("../t-0", "/t-0", "..", ".", "", "t-0/../../x-0", "t-0\0", "t-0-delete", "a/b-0", "x")


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_directory(tmp_path: pathlib.Path, name: str) -> None:
    inside = tmp_path / "broker-1"
    inside.mkdir()
    outside = Journaled(tmp_path).log()
    append(outside, "a")
    outside.flush()
    wanted = text(outside)
    data = bytearray(wanted)
    journaled = Journaled(inside)
    journaled.half().write_bytes(frame((name, b"i" * 16, 0, len(data), 9, bytes(data))))
    before = sorted(path for path in tmp_path.rglob("*"))
    assert journaled.replay().written == 0
    assert text(outside) == wanted
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "data",
    [
        frame(count=2**32 - 1),
        frame(size=2**63),
        frame(("t-0", b"i" * 16, 0, 0, 1, b"x"), count=2),
        frame(("t-0", b"i" * 16, 0, 0, 1, b"x"), count=0),
        frame(("t-0", b"i" * 16, -1, 0, 1, b"x" * 100)),
        frame(("t-0", b"i" * 16, 0, -1, 1, b"x" * 100)),
        frame(("t-0", b"i" * 16, 0, 2**62, 1, b"x" * 100)),
        frame(("t-0", b"i" * 16, 0, 0, 2**62, b"\xff" * 100)),
        b"FBCJ",
        bytes(FRAME_ALIGN),
        b"\xff" * FRAME_ALIGN,
    ],
)
def test_nonsense_writes_nothing(journaled: Journaled, data: bytes) -> None:
    log = journaled.log()
    append(log, "a")
    log.flush()
    wanted = text(log)
    journaled.half().write_bytes(data)
    assert journaled.replay().written == 0
    assert text(log) == wanted


# ---- the log directory


def opened(path: pathlib.Path) -> LogDir:
    if not (path / META).exists():
        identity = {"version": 1, "cluster.id": "c" * 22, "node.id": 1}
        write_properties(Disk(), str(path / META), identity)
    log_dir = LogDir(str(path), disk=Disk(), node_id=1)
    log_dir.open()
    return log_dir


def test_a_later_versions_journal_is_refused_and_not_touched(journaled: Journaled) -> None:
    opened(journaled.path).close(3)
    journaled.half(1).write_bytes(frame(sequence=1))
    journaled.half(0).write_bytes(frame(sequence=2, version=2))
    before = {path: path.read_bytes() for path in journaled.path.iterdir()}
    with pytest.raises(LogDirError, match=r"of version 2.*start the version that wrote it"):
        opened(journaled.path)
    assert {path: path.read_bytes() for path in journaled.path.iterdir()} == before
    with pytest.raises(NewerJournal):
        journaled.replay()


def test_a_directory_is_opened_with_its_journal(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    wanted = lose(log)
    log_dir = opened(journaled.path)
    assert text(log) == wanted
    log_dir.close(1)


def test_a_clean_end_leaves_nothing_to_replay(journaled: Journaled) -> None:
    log_dir = opened(journaled.path)
    journaled.journal = log_dir.journal
    log = log_dir.open_log(TP, b"i" * 16, journaled.log().config, 0)
    append(log, "a")
    journaled.flush(log)
    assert (log.flushed_offset, log.recovery_point) == (1, 0)
    log_dir.close(1)
    assert log.recovery_point == 1
    assert [(journaled.path / name).stat().st_size for name in FILES[:1]] == [0]


def test_a_topic_that_comes_again_does_not_inherit_a_point(journaled: Journaled) -> None:
    """Its first records would be passed over by the replay."""
    log_dir = opened(journaled.path)
    config = journaled.log("u-0").config
    log = log_dir.open_log(TP, b"i" * 16, config, 0)
    append(log, "a", "b")
    log.flush()
    log_dir.write_recovery_points()
    log_dir.disk.close(log_dir.fd)
    shutil.rmtree(log.directory)  # the topic was deleted while this broker was down
    log_dir = opened(journaled.path)
    journaled.journal = log_dir.journal
    log = log_dir.open_log(TP, b"j" * 16, config, 0)
    log.flush()
    append(log, "c")
    journaled.flush(log)
    wanted = lose(log)
    log_dir.disk.close(log_dir.fd)
    opened(journaled.path)
    assert text(log) == wanted


class FailingDisk(Disk):
    """Syncs fail."""

    def sync(self, fd: int) -> None:
        raise OSError(5, "Input/output error")


def test_a_journal_is_kept_until_what_was_replayed_is_synced(journaled: Journaled) -> None:
    log = journaled.log()
    append(log, "a")
    journaled.flush(log)
    lose(log)
    with pytest.raises(OSError, match="Input/output"):
        JournalReplay(FailingDisk(), str(journaled.path), {}).run()
    assert journaled.replay({TopicPartition("other", 0): 9}).frames == 1


def test_many_segments_are_synced_at_once(tmp_path: pathlib.Path) -> None:
    journaled = Journaled(tmp_path)
    logs = [journaled.log(f"t-{n}") for n in range(300)]
    for log in logs:
        append(log, "a")
    journaled.flush(*logs)
    wanted = [lose(log) for log in logs]
    journaled.replay()
    assert [text(log) for log in logs] == wanted
