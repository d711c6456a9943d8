"""Bugs to be planted: each breaks one promise about time, and the simulated day has to find it."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastbroker.config.topic import TopicConfig
from fastbroker.model import TopicPartition
from fastbroker.storage import log, recovery, retention, segment
from fastbroker.storage.leader_epochs import LeaderEpochs
from fastbroker.storage.log import Log
from fastbroker.storage.log_dir import LogDir
from fastbroker.storage.offset_checkpoints import OffsetCheckpoints
from fastbroker.storage.producer_state import ProducerState
from fastbroker.storage.segment import Segment
from fastbroker.worker.log_starts import LogStarts
from fastbroker.worker.removal import Removal

Plant = Callable[[pytest.MonkeyPatch], None]


def nothing(*_: Any, **__: Any) -> None:
    """In the place of a step that is forgotten."""


def a_descriptor_leaks_at_each_roll(patch: pytest.MonkeyPatch) -> None:
    kept, roll = [], Log.roll

    def leaky(self: Log, now_ms: int) -> Segment:
        kept.append(self.segments[-1].file)
        return roll(self, now_ms)

    patch.setattr(Log, "roll", leaky)


def deleted_files_are_never_removed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Removal, "_remove", nothing)


def removals_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Removal, "__call__", nothing)


def leftovers_stay_at_an_opening(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "LEFTOVERS", (".swap",))


def the_smallest_timestamp_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Segment, "latest_ms", property(lambda self: self.first_timestamp))


def what_has_no_timestamp_is_as_old_as_can_be(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Segment, "latest_ms", property(lambda self: self.max_timestamp))


def snapshots_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment, "SNAPSHOT", ".none")


def transaction_indexes_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segment, "TXN_INDEX", ".none")


def the_start_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "advance_start", lambda *_: False)


def epochs_are_not_cut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LeaderEpochs, "cut_before", nothing)


def retention_is_a_segment_late(patch: pytest.MonkeyPatch) -> None:
    real = retention.expired
    patch.setattr(log, "expired", lambda *given, **how: max(real(*given, **how) - 1, 0))


def the_active_segment_never_goes(patch: pytest.MonkeyPatch) -> None:
    real = retention.expired
    patch.setattr(
        log, "expired", lambda all_, **how: min(real(all_, **how), len(all_) - 1)
    )


def compacted_logs_are_deleted_from(patch: pytest.MonkeyPatch) -> None:
    resolve = TopicConfig.resolve

    def wrong(overrides: Any, broker: Any) -> TopicConfig:
        config = resolve(overrides, broker)
        config.cleanup_policy = ("delete",)
        config.retention_ms = max(config.retention_ms, 3_600_000)
        return config

    patch.setattr(TopicConfig, "resolve", staticmethod(wrong))


def compaction_lag_rolls_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TopicConfig, "roll_ms", property(lambda self: self.segment_ms))


def changed_configs_wait_for_a_restart(patch: pytest.MonkeyPatch) -> None:
    from fastbroker.worker.replicas import Replicas

    patch.setattr(Replicas, "_configure", nothing)


def silent_producers_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ProducerState, "expire", nothing)


def producers_with_open_transactions_expire(patch: pytest.MonkeyPatch) -> None:
    def expire(self: ProducerState, before_ms: int) -> None:
        self.producers = {
            pid: one for pid, one in self.producers.items() if one.last_timestamp > before_ms
        }

    patch.setattr(ProducerState, "expire", expire)


def a_start_is_not_on_disk_when_it_is_promised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OffsetCheckpoints, "write_log_starts", nothing)
    patch.setattr(LogStarts, "_begin", nothing)


def a_deleted_log_is_not_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OffsetCheckpoints, "begin_anew", nothing)


def a_deleted_log_lives_on(patch: pytest.MonkeyPatch) -> None:
    kept, forget = [], LogDir.forget_log

    def leaky(self: LogDir, partition: TopicPartition) -> str | None:
        kept.append(self.logs.get(partition))
        return forget(self, partition)

    patch.setattr(LogDir, "forget_log", leaky)


PLANTED: tuple[Plant, ...] = (
    a_descriptor_leaks_at_each_roll,
    deleted_files_are_never_removed,
    removals_are_forgotten,
    leftovers_stay_at_an_opening,
    the_smallest_timestamp_counts,
    what_has_no_timestamp_is_as_old_as_can_be,
    snapshots_are_kept,
    transaction_indexes_are_kept,
    the_start_stays,
    epochs_are_not_cut,
    retention_is_a_segment_late,
    the_active_segment_never_goes,
    compacted_logs_are_deleted_from,
    compaction_lag_rolls_nothing,
    changed_configs_wait_for_a_restart,
    silent_producers_stay,
    producers_with_open_transactions_expire,
    a_start_is_not_on_disk_when_it_is_promised,
    a_deleted_log_is_not_forgotten,
    a_deleted_log_lives_on,
)
