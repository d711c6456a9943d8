"""Single parts of compaction: the map, the filter, what is due, and what goes together."""
from __future__ import annotations

import os
import pathlib
import random
import re
import subprocess
from typing import Any

import pytest

from fastbroker._c.checksum import crc32c
from fastbroker._c.cleaner import (
    ASK,
    FULL,
    MORE,
    BatchFilter,
    DamagedBatch,
    OffsetMap,
    crc_of,
    hash_of,
)
from fastbroker._c.record_batch import CorruptBatch
from fastbroker.config.topic import TopicConfig
from fastbroker.records.builder import build_batch
from fastbroker.records.compression import NAMES
from fastbroker.records.reader import iter_batches
from fastbroker.storage.compaction.candidates import candidate
from fastbroker.storage.compaction.grouping import GROUP_MAX, groups
from fastbroker.storage.compaction.offset_map import MapSize
from fastbroker.storage.compaction.source import Source
from fastbroker.storage.damage import Damaged
from fastbroker.storage.log import Log
from tests.apache_kafka import tools
from tests.storage.compaction.cleanings import SEED, batches_of, clean, records_of
from tests.storage.compaction.scribe import Scribe, changed
from tests.storage.compaction.test_against_model import some_steps
from tests.storage.logs import NOW, append, open_log

COMPACT = TopicConfig(cleanup_policy=("compact",))


# ---- the map

# By `openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16 SIPHASH`, of the
# bytes 0, 1, 2, ...
VECTORS = {
    0: "a3817f04ba25a8e66df67214c7550293",
    1: "da87c1d86b99af44347659119b22fc45",
    7: "a1f1ebbed8dbc153c0b84aa61ff08239",
    8: "3b62a9ba6258f5610f83e264f31497b4",
    15: "5493e99933b0a8117e08ec0f97cfc3d9",
    16: "6ee2a4ca67b054bbfd3315bf85230577",
    63: "5150d1772f50834a503e069a973fbd7c",
}


@pytest.mark.parametrize("size", VECTORS)
def test_the_hash_is_siphash(size: int) -> None:
    assert hash_of(SEED, bytes(range(size))).hex() == VECTORS[size]


def test_the_crc_is_that_of_the_package() -> None:
    for size in range(100):
        data = os.urandom(size)
        assert crc_of(data) == crc32c(data)


def test_a_map_is_a_dict(tmp_path: pathlib.Path) -> None:
    dice = random.Random(1)
    keys = OffsetMap(slots=1001, limit=1000, seed=os.urandom(16))
    wanted: dict[bytes, int] = {}
    offset = 0
    for _ in range(300):
        some = [b"%d" % dice.randrange(1200) for _ in range(dice.randint(1, 9))]
        data = build_batch([(key, b"v", (), NOW) for key in some], base_offset=offset)
        at, how = keys.add(data, 0, 0)
        if how == FULL:
            break
        assert (at, how) == (len(data), MORE)
        wanted.update({key: offset + n for n, key in enumerate(some)})
        offset += len(some)
    assert keys.latest_offset == offset - 1
    assert keys.size == len(wanted)
    for number in range(1200):
        key = b"%d" % number
        assert keys.get(key) == wanted.get(key, -1)


def test_a_map_takes_no_more_memory_than_it_may() -> None:
    size = MapSize(24 * 1000, 0.9)
    assert (size.new_map(10**9, SEED).slots, size.new_map(10**9, SEED).limit) == (1000, 900)
    few = size.new_map(10, SEED)
    assert few.slots <= 14
    assert few.limit >= 10, "ten offsets have no more than ten keys"
    assert size.new_map(0, SEED).limit >= 1


def a_filter(keys: OffsetMap, **how: Any) -> BatchFilter:
    return BatchFilter(
        keys,
        **{
            "now_ms": NOW, "horizon_ms": NOW + 1, "kept": [], "recodes": False, "base_offset": 0,
            "index_interval_bytes": 100, **how,
        },
    )  # fmt: skip


def test_bytes_that_are_no_batches_are_told_and_harm_nothing() -> None:
    dice = random.Random(2)
    good = b"".join(
        bytes(build_batch([(b"k%d" % n, None, (), NOW)] * 3, base_offset=3 * n)) for n in range(6)
    )
    refused = 0
    for _ in range(4000):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        if dice.random() < 0.5:  # a CRC that is right lets more of it be looked at
            bad = reseal(bad)
        data = bytes(bad[: dice.randint(0, len(bad))])
        keys = OffsetMap(slots=100, limit=90, seed=SEED)
        for run in (lambda data, at, keys=keys: keys.add(data, at, 0), a_filter(keys).run):
            try:
                at, how = run(data, 0)
            except DamagedBatch as error:
                at, how = error.at, MORE
                refused += 1
            assert 0 <= at <= len(data)
            assert how in (MORE, ASK)
    assert refused > 500


def reseal(data: bytearray) -> bytearray:
    at = 0
    while len(data) - at >= 61:
        size = int.from_bytes(data[at + 8 : at + 12], "big", signed=True) + 12
        if size < 61 or at + size > len(data):
            break
        data[at + 17 : at + 21] = crc32c(data[at + 21 : at + size]).to_bytes(4, "big")
        at += size
    return data


def test_a_timestamp_delta_of_any_size_survives_the_horizon() -> None:
    for time in (0, 1, NOW, 2**62, -(2**61)):
        records = [(b"k", None, (), time), (b"l", b"v", (("h", b"x"),), time + 1)]
        data = build_batch(records)
        keys = OffsetMap(slots=10, limit=9, seed=SEED)
        keys.add(data, 0, 0)
        made = a_filter(keys, horizon_ms=2**62 + 5)
        made.run(data, 0)
        (batch,) = iter_batches(bytes(made.output()))
        assert batch.header.has_delete_horizon
        assert batch.header.base_timestamp == 2**62 + 5
        assert [tuple(row)[1:] for row in batch.records()] == [
            (time, b"k", None, []), (time + 1, b"l", b"v", [("h", b"x")]),
        ]  # fmt: skip


# ---- what is due


def dirty_log(path: pathlib.Path, segments: int = 4) -> Log:
    log = open_log(path, COMPACT)
    for number in range(segments):
        append(log, "a", "b", now=NOW + number)
        log.roll(NOW + number)
    append(log, "active", now=NOW + segments)
    log.flush()
    return log


def due(log: Log, *, config: TopicConfig = COMPACT, limit: int = 10**9, **how: Any) -> Any:
    given = {"cleaned": 0, "log_start_offset": log.log_start_offset, "now_ms": NOW + 10, **how}
    return candidate(
        log.segments, log_end_offset=log.log_end_offset, limit=limit, config=config, **given
    )


def test_the_active_segment_and_what_is_unstable_are_left_alone(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    assert due(log).end == 8
    assert due(log, limit=5).end == 4, "the segment that holds the limit stays"
    assert due(log, limit=0).dirty_bytes == 0
    lagging = changed(COMPACT, min_compaction_lag_ms=8)
    assert due(log, config=lagging).end == 4, "a segment with a record of 8 ms ago or later stays"


def test_a_ratio_is_of_bytes(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    assert due(log).dirty_ratio == 1
    half = due(log, cleaned=4)
    assert (half.first_dirty, half.dirty_ratio) == (4, 0.5)
    assert not half.is_due(COMPACT), "it has to be above the ratio"
    assert half.is_due(changed(COMPACT, min_cleanable_dirty_ratio=0.4))
    clean_one = due(log, cleaned=8)
    assert (clean_one.dirty_bytes, clean_one.dirty_ratio) == (0, 0)
    assert not clean_one.is_due(changed(COMPACT, min_cleanable_dirty_ratio=0.0))


def test_an_old_record_makes_a_log_due(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    config = changed(COMPACT, max_compaction_lag_ms=5, min_cleanable_dirty_ratio=0.9)
    assert due(log, config=config, cleaned=4).is_due(config)
    assert not due(log, config=config, cleaned=4, now_ms=NOW + 6).is_due(config)
    assert not due(log, config=config, cleaned=8).is_due(config), "nothing is dirty"
    assert config.roll_ms == 5, "what waits in the active segment would come too late"


def test_a_checkpoint_outside_the_log_is_not_believed(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    assert due(log, cleaned=10**6).first_dirty == 0
    assert due(log, cleaned=1, log_start_offset=4).first_dirty == 4


def test_the_dirty_ratio_makes_it_due(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    all_dirty, half = due(log), due(log, cleaned=4)
    assert all_dirty.dirty_ratio == 1 > half.dirty_ratio == 0.5
    assert not half.is_due(COMPACT)
    assert half.is_due(changed(COMPACT, min_cleanable_dirty_ratio=0.1))


# ---- what goes together


def source(base: int, end: int, size: int, **how: int) -> Source:
    return Source("d", base, end, "p", size, False, **how)


def test_neighbours_go_together_as_long_as_they_fit() -> None:
    config = TopicConfig(segment_bytes=100, segment_index_bytes=80)
    small = [source(n, n + 1, 40) for n in range(5)]
    assert [len(group) for group in groups(small, config)] == [2, 2, 1]
    many = [source(n, n + 1, 0) for n in range(GROUP_MAX + 1)]
    assert [len(group) for group in groups(many, config)] == [GROUP_MAX, 1]
    indexed = [source(n, n + 1, 1, index_bytes=50) for n in range(2)]
    assert [len(group) for group in groups(indexed, config)] == [1, 1]
    far = [source(0, 10, 1), source(10, 2**31 + 1, 1)]
    assert [len(group) for group in groups(far, config)] == [1, 1]
    near = [source(0, 10, 1), source(10, 2**31, 1)]
    assert [len(group) for group in groups(near, config)] == [2]
    assert groups([], config) == []


# ---- whole cleanings


def test_what_does_not_change_is_not_replaced(tmp_path: pathlib.Path) -> None:
    log = open_log(tmp_path, COMPACT)
    for key in (b"a", b"b"):
        append(log, "v" * 100, key=key)
    log.roll(NOW)
    append(log, "active")
    log.flush()
    before = log.segments[0]
    assert clean(log) == 2
    assert log.segments[0] is before


def test_a_reader_in_the_middle_goes_on(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    piece = log.read(0, max_bytes=1 << 20, max_offset=8, at_least_one=True)
    range_, before = piece.range(), piece.read_bytes()
    again = log.read(0, max_bytes=1 << 20, max_offset=8, at_least_one=True)
    clean(log)
    assert os.pread(range_.fd, range_.length, range_.offset) == before
    assert again.read_bytes() == before
    assert log.read(0, max_bytes=1 << 20, max_offset=8, at_least_one=True).size < len(before) * 4


def test_compressed_batches_are_compressed_as_the_topic_says(tmp_path: pathlib.Path) -> None:
    for codec in ("zstd", "uncompressed", "producer"):
        log = open_log(tmp_path / codec, changed(COMPACT, compression_type="producer"))
        scribe = Scribe(log)
        rows = [(b"%d" % n, b"v" * 50) for n in range(50)]
        scribe.write(rows, codec="lz4")
        scribe.write(rows[:10], codec="none")
        scribe.roll()
        append(log, "active")
        log.flush()
        log.config = changed(COMPACT, compression_type=codec)
        clean(log)
        first, second = batches_of(log)[:2]
        assert (first.header.count, second.header.count) == (40, 10)
        # Without compression the first would be larger than it was: it stays as it is.
        assert NAMES[first.header.codec] == ("zstd" if codec == "zstd" else "lz4")
        assert NAMES[second.header.codec] == "none", "nothing was taken out of it"


def test_a_log_with_a_damaged_batch_is_told_with_its_place(tmp_path: pathlib.Path) -> None:
    log = dirty_log(tmp_path)
    segment = log.segments[2]
    log.disk.pwrite(segment.fd, b"\xff", segment.size - 3)
    before = records_in(log, 2)
    with pytest.raises(Damaged, match=re.escape(f"{segment.path}, the batch at 0: its CRC")):
        clean(log)
    assert records_in(log, 2) == before
    with pytest.raises(CorruptBatch):
        raise DamagedBatch("", 0)


def records_in(log: Log, count: int) -> list[bytes]:
    return [one.read(0, one.size) for one in log.segments[:count]]


@pytest.mark.kafka
def test_kafkas_dump_reads_what_is_left(tmp_path: pathlib.Path) -> None:
    log = open_log(
        tmp_path, changed(COMPACT, segment_bytes=3000, index_interval_bytes=150)
    )
    scribe = Scribe(log)
    for step in some_steps(random.Random(3), 250):
        match step:
            case ("plain" | "idempotent" as kind, codec, pairs):
                scribe.write(pairs, codec=codec, pid=100 if kind == "idempotent" else -1)
            case ("txn", pid, codec, pairs):
                scribe.write(pairs, codec=codec, pid=pid, in_txn=True)
            case ("end", pid, commit, bumps):
                scribe.end(pid, commit=commit, bumps=bumps)
            case ("roll",):
                scribe.roll()
    for pid in range(3):
        scribe.end(pid, commit=pid != 1)
    scribe.roll()
    append(log, "active")
    log.flush()
    cleaned = clean(log, now=scribe.now)
    assert cleaned == log.segments[-1].base_offset
    codecs = {one.header.codec for one in batches_of(log)}
    assert codecs == set(range(5))
    wanted = records_of(log)
    log.close()
    folder = pathlib.Path(log.directory)
    names = sorted(
        str(file)
        for kind in ("log", "index", "timeindex", "txnindex")
        for file in folder.glob(f"*.{kind}")
    )
    args = ["--deep-iteration", "--print-data-log", "--files", ",".join(names)]
    done = tools.run("kafka-dump-log", args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    told = done.stdout
    for complaint in ("isvalid: false", "Mismatches in", "out of order", "Exception"):
        assert complaint not in told + done.stderr
    # A batch without records has the time of what it held, in the index as well as in its header.
    times = re.findall(r"Index timestamp: \d+, log timestamp: (-?\d+)", told)
    assert set(times) <= {"-1"}
    offsets = [int(one) for one in re.findall(r"^\| offset: (\d+) ", told, re.M)]
    assert offsets == [one.offset for one in wanted]
