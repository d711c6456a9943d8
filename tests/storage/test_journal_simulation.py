"""Thousands of random power cuts with the commit journal; and planted bugs, which they find."""
from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fastbroker.errors import KafkaError
from fastbroker.model import TopicPartition
from fastbroker.storage import journal_frames, journal_replay
from fastbroker.storage.disk import Disk
from fastbroker.storage.flush_job import FlushJob
from fastbroker.storage.journal import Journal, JournalWrite
from fastbroker.storage.journal_frames import Entry, JournalFrame
from fastbroker.storage.journal_replay import JournalReplay
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.unflushed import Mark, Unflushed
from fastbroker.uuids import uuid_text
from fastbroker.worker import flush_round
from fastbroker.worker.checkpoint import Checkpoint
from tests.sim import schedules
from tests.storage.journal_power_cuts import JournalSchedule, SteppedThread

SCHEDULES = 600
BUG_SCHEDULES = 4_000


@pytest.fixture(autouse=True)
def _journals_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most rounds go to the journal, and some of what they have does not."""
    monkeypatch.setattr(flush_round, "JOURNAL_FROM", 1)
    monkeypatch.setattr(flush_round, "RANGE_BYTES", 1500)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_random_schedules(pytestconfig: pytest.Config) -> None:
    schedules.run(JournalSchedule, schedules.seeds(pytestconfig, SCHEDULES))


class YoungTopics(JournalSchedule):
    """Topics live shortly: most cuts hit a log before or during its first flush."""

    calls = 60
    weights = (40, 15, 50, 1, 1, 4, 12, 4, 2, 1, 1)


@pytest.mark.timeout(900)
def test_random_lives_of_young_topics(pytestconfig: pytest.Config) -> None:
    schedules.run(YoungTopics, schedules.seeds(pytestconfig, SCHEDULES))


def acknowledges_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SteppedThread, "_sync_journal", lambda self, journal: None)


def frees_a_half_before_its_segments_are_synced(patch: pytest.MonkeyPatch) -> None:
    right = Checkpoint.look

    def look(self: Checkpoint) -> None:
        full = self._log_dir.journal.full()
        right(self)
        if full is not None:
            full.is_free = True

    patch.setattr(Checkpoint, "look", look)


def moves_recovery_points_too_early(patch: pytest.MonkeyPatch) -> None:
    right = Unflushed.end

    def end(self: Unflushed, job: FlushJob, *, is_journaled: bool = False) -> None:
        right(self, job)

    patch.setattr(Unflushed, "end", end)


def moves_recovery_points_to_the_end_of_the_checkpoint(patch: pytest.MonkeyPatch) -> None:
    right = Unflushed.synced
    patch.setattr(Unflushed, "synced", lambda self, mark: right(self, Mark(self.flushed_offset,
                                                                           mark.jobs)))  # fmt: skip


def forgets_segments_of_the_journal(patch: pytest.MonkeyPatch) -> None:
    right = Unflushed.end

    def end(self: Unflushed, job: FlushJob, *, is_journaled: bool = False) -> None:
        right(self, job, is_journaled=is_journaled)
        self._unsynced.clear()

    patch.setattr(Unflushed, "end", end)


def replays_into_any_topic(patch: pytest.MonkeyPatch) -> None:
    right = JournalReplay._apply

    def apply(self: JournalReplay, entry: Entry) -> None:
        directory = os.path.join(self.directory, entry.directory)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(
                journal_replay, "topic_id_text", lambda *_: uuid_text(entry.topic_id)
            )
            if self.disk.exists(directory):
                right(self, entry)

    patch.setattr(JournalReplay, "_apply", apply)


def accepts_stale_frames(patch: pytest.MonkeyPatch) -> None:
    def follows(frame: JournalFrame, last: JournalFrame) -> bool:
        return frame.run == last.run

    patch.setattr(journal_frames, "_follows", follows)


def replays_what_was_cut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal_replay, "_good_bytes", lambda entry, epochs: [(0, len(entry.data))])


def replays_old_epochs(patch: pytest.MonkeyPatch) -> None:
    right = journal_replay._good_bytes

    def good_bytes(entry: Entry, epochs: LeaderEpochs) -> list[tuple[int, int]]:
        patched = LeaderEpochs(_Nowhere(), "")
        return right(entry, patched)

    patch.setattr(journal_replay, "_good_bytes", good_bytes)


class _Nowhere(Disk):
    def exists(self, path: str) -> bool:
        return False


def believes_points_of_a_deleted_topic(patch: pytest.MonkeyPatch) -> None:
    right = JournalReplay.__init__
    highest: dict[TopicPartition, int] = {}

    def init(self: Any, disk: Disk, path: str, points: Mapping[TopicPartition, int]) -> None:
        for name, point in points.items():
            highest[name] = max(point, highest.get(name, 0))
        right(self, disk, path, {name: highest[name] for name in points})

    patch.setattr(JournalReplay, "__init__", init)


def empties_the_journal_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(JournalReplay, "_sync", lambda self, file_system: None)


def leaves_names_to_the_journal(patch: pytest.MonkeyPatch) -> None:
    right = FlushJob.open_names

    def open_names(self: FlushJob) -> list[tuple[int, bool]]:
        self.paths = self.directories = ()
        return right(self)

    patch.setattr(FlushJob, "open_names", open_names)


def writes_the_next_frame_over_the_last(patch: pytest.MonkeyPatch) -> None:
    right = Journal.written

    def written(self: Journal, write: JournalWrite) -> None:
        end = self._half.end
        right(self, write)
        self._half.end = end if end else write.end

    patch.setattr(Journal, "written", written)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "plant",
    [
        acknowledges_before_the_sync,
        frees_a_half_before_its_segments_are_synced,
        moves_recovery_points_too_early,
        moves_recovery_points_to_the_end_of_the_checkpoint,
        forgets_segments_of_the_journal,
        replays_into_any_topic,
        accepts_stale_frames,
        replays_what_was_cut,
        replays_old_epochs,
        believes_points_of_a_deleted_topic,
        empties_the_journal_before_the_sync,
        leaves_names_to_the_journal,
        writes_the_next_frame_over_the_last,
    ],
)
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((schedules.Broken, KafkaError)):
        schedules.run(JournalSchedule, range(BUG_SCHEDULES))
