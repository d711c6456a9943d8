"""Random logs, cleaned again and again while time goes on: each cleaning is as the model says."""
from __future__ import annotations

import pathlib
import random
import tempfile
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fastbroker.config.topic import TopicConfig
from fastbroker.records.compression import NAMES
from fastbroker.records.reader import Batch, iter_batches
from fastbroker.storage.compaction.candidates import candidate
from fastbroker.storage.compaction.offset_map import MapSize
from fastbroker.storage.log import Log
from tests.storage.compaction.cleanings import (
    LARGE,
    batches_of,
    clean,
    leftovers,
    records_of,
    stable_end,
)
from tests.storage.compaction.crashing_disk import QuickDisk
from tests.storage.compaction.model import cleaned, compare, final_values, read_committed
from tests.storage.compaction.scribe import Scribe
from tests.storage.logs import open_log

RETENTION_MS = 50
TINY = MapSize(24 * 5, 0.9)  # four keys

keys = st.sampled_from([b"", b"a", b"b", b"c" * 40, b"d", None])
values = st.one_of(st.none(), st.binary(max_size=30))
pairs = st.lists(st.tuples(keys, values), min_size=1, max_size=5)
codecs = st.sampled_from(NAMES)
ids = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("plain"), codecs, pairs),
    st.tuples(st.just("idempotent"), codecs, pairs),
    st.tuples(st.just("txn"), ids, codecs, pairs),
    st.tuples(st.just("txn"), ids, codecs, pairs),
    st.tuples(st.just("end"), ids, st.booleans(), st.booleans()),
    st.tuples(st.just("end"), ids, st.booleans(), st.booleans()),
    st.tuples(st.just("roll")),
    st.tuples(st.just("roll")),
    st.tuples(st.just("expire")),
    st.tuples(st.just("clean"), st.sampled_from([0, 1, RETENTION_MS - 1, RETENTION_MS, 500])),
)
configs = st.builds(
    dict,
    message_timestamp_type=st.sampled_from(["CreateTime", "CreateTime", "LogAppendTime"]),
    compression_type=st.sampled_from(["producer", "producer", "zstd", "lz4", "uncompressed"]),
    segment_bytes=st.sampled_from([300, 700, 5000]),
)


class Story:
    """A log and its history. map_size, chunk_bytes: of its cleanings."""

    def __init__(self, path: pathlib.Path, config: dict[str, Any], map_size: MapSize) -> None:
        self.log = open_log(
            path, TopicConfig(
                cleanup_policy=("compact",), delete_retention_ms=RETENTION_MS,
                index_interval_bytes=100, **config,
            ),
            disk=QuickDisk(),
        )  # fmt: skip
        self.path, self.map_size = path, map_size
        self.scribe = Scribe(self.log)
        self.cleaned = 0
        self.seen: set[str] = set()
        self.everything: dict[int, bytes] = {}  # base offset -> batch as it was written

    def step(self, step: tuple[Any, ...]) -> None:
        scribe = self.scribe
        match step:
            case ("plain", codec, some):
                scribe.write(some, codec=codec)
            case ("idempotent", codec, some):
                scribe.write(some, codec=codec, pid=100)
            case ("txn", pid, codec, some):
                scribe.write(some, codec=codec, pid=pid, in_txn=True)
            case ("end", pid, commit, bumps):
                scribe.end(pid, commit=commit, bumps=bumps)
            case ("roll",):
                scribe.roll()
            case ("expire",):
                self.log.producers.expire(scribe.now - 3)
            case ("clean", later):
                scribe.now += later
                self.clean()
        for batch in batches_of(self.log):
            self.everything.setdefault(batch.header.base_offset, bytes(batch.data))

    def end(self) -> None:
        """What was begun is ended, and everything cleaned, several times: each needs new data."""
        for pid in range(3):
            if self.scribe.is_open(pid):
                self.step(("end", pid, pid != 1, False))
        for later in (1, RETENTION_MS, 500):
            for step in (("plain", "none", [(b"z", b"z")]), ("roll",), ("clean", later)):
                self.step(step)
        assert self.cleaned > 0

    def clean(self) -> None:
        log, scribe = self.log, self.scribe
        log.flush()
        before, bases = batches_of(log), [one.base_offset for one in log.segments]
        found = candidate(
            log.segments, cleaned=self.cleaned, log_start_offset=0,
            log_end_offset=log.log_end_offset, limit=stable_end(log), config=log.config,
            now_ms=scribe.now,
        )  # fmt: skip
        assert found.end <= stable_end(log)
        now = scribe.now
        reached = clean(
            log, cleaned=self.cleaned, now=now, map_size=self.map_size, chunk_bytes=150
        )
        if not found.dirty_bytes:
            return
        self.seen.add("full" if reached < found.end else "cleaned")
        assert self.cleaned < reached <= found.end
        # A segment is rewritten as a whole: what was aborted behind `reached` goes as well.
        wanted = cleaned(
            before, scribe, first_dirty=self.cleaned,
            end=min(one for one in bases if one >= reached), reached=reached, now=now,
            retention_ms=RETENTION_MS,
        )  # fmt: skip
        compare(batches_of(log), wanted, {one.next_offset() - 1 for one in log.segments})
        self.cleaned = reached
        self.check()

    def check(self) -> None:
        """What must always be true of a log."""
        log, scribe = self.log, self.scribe
        assert not leftovers(log)
        batches = batches_of(log)
        everything = [
            next(iter_batches(data)) for _, data in sorted(self.everything.items())
        ]
        assert read_committed(scribe, batches, stable_end(log)) == final_values(scribe, [
            one for one in everything if one.header.base_offset < stable_end(log)
        ])
        check_reads(log, batches)


def some_steps(dice: random.Random, count: int) -> list[tuple[Any, ...]]:
    """What Hypothesis draws, in the plain way: longer, and with more of each thing."""

    def some_pairs() -> list[tuple[bytes | None, bytes | None]]:
        return [
            (
                None if dice.random() < 0.05 else b"k%d" % dice.randrange(12),
                None if dice.random() < 0.2 else b"v%d" % dice.randrange(1000),
            )
            for _ in range(dice.randint(1, 6))
        ]

    script: list[tuple[Any, ...]] = []
    for _ in range(count):
        codec = dice.choice(("none", *NAMES))
        what = dice.choices(
            ("plain", "idempotent", "txn", "end", "roll", "expire", "clean"), (4, 3, 6, 4, 3, 1, 2)
        )[0]
        if what in ("plain", "idempotent"):
            script.append((what, codec, some_pairs()))
        elif what == "txn":
            script.append((what, dice.randrange(3), codec, some_pairs()))
        elif what == "end":
            script.append((what, dice.randrange(3), dice.random() < 0.5, dice.random() < 0.3))
        elif what == "clean":
            script.append((what, dice.choice((0, 1, RETENTION_MS - 1, RETENTION_MS, 500))))
        else:
            script.append((what,))
    return script


@pytest.mark.parametrize("map_size", [LARGE, TINY], ids=["large", "tiny"])
@pytest.mark.parametrize("seed", range(4))
def test_long_histories(tmp_path: pathlib.Path, seed: int, map_size: MapSize) -> None:
    dice = random.Random(seed)
    config = {"segment_bytes": dice.choice((700, 3000))}
    if seed % 2:
        config["message_timestamp_type"] = "LogAppendTime"
    story = Story(tmp_path, config, map_size)
    for step in some_steps(dice, 250):
        story.step(step)
    story.end()
    known = states(story.log)
    story.log.close()
    for snapshot in pathlib.Path(story.log.directory).glob("*.snapshot"):
        snapshot.unlink()
    again = open_log(tmp_path, story.log.config, recovery_point=0)
    assert states(again).items() >= known.items(), "a producer cannot be known by its batches"
    assert records_of(again) == records_of(story.log)


def check_reads(log: Log, batches: list[Batch]) -> None:
    """Every offset and time is found, and segments follow each other without a gap."""
    for segment, after in zip(log.segments, log.segments[1:], strict=False):
        assert segment.next_offset() == after.base_offset
    for offset in range(log.log_start_offset, log.log_end_offset):
        piece = log.read(
            offset, max_bytes=1 << 20, max_offset=log.log_end_offset, at_least_one=True
        )
        first = next(iter_batches(piece.read_bytes()))
        wanted = next(one for one in batches if one.header.last_offset >= offset)
        assert first.header.base_offset == wanted.header.base_offset
    records = [record for one in batches for record in one.records()]
    for time in {record.timestamp for record in records}:
        found = log.offset_for_timestamp(time)
        assert found is not None
        assert found.offset == next(one.offset for one in records if one.timestamp >= time)


def states(log: Log) -> dict[int, tuple[int, int, int]]:
    """What must be known of producers again after everything was lost but the batches."""
    return {
        pid: (one.epoch, one.last_sequence, one.txn_first_offset)
        for pid, one in log.producers.producers.items()
    }


@settings(
    max_examples=120, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(
    config=configs,
    map_size=st.sampled_from([LARGE, LARGE, TINY]),
    script=st.lists(steps, min_size=10, max_size=50),
)
def test_cleanings_do_what_the_model_says(
    config: dict[str, Any], map_size: MapSize, script: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as path:
        story = Story(pathlib.Path(path), config, map_size)
        for step in script:
            story.step(step)
        story.end()
        for one in story.seen:
            event(one)
