"""Damages to a partition's files, chosen by a seed; and what can be told apart by who opens it."""
from __future__ import annotations

import pathlib
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fastbroker._c.record_batch import LENGTH_END, read_header
from fastbroker.config.topic import TopicConfig
from fastbroker.errors import KafkaError
from fastbroker.storage import opening
from fastbroker.storage.disk import Disk
from fastbroker.storage.log import Log
from fastbroker.storage.verify.partition import Circumstances
from tests.storage.logs import NOW, TP, batch, open_log
from tests.storage.transactions import Chaos, batches_of

CONFIG = TopicConfig(segment_bytes=3000, index_interval_bytes=150)
SECTOR = 512
WIDTHS = {".index": 8, ".timeindex": 12, ".txnindex": 34}


class _Eras:
    """A log whose batches are of ever later leader epochs, and some of them compressed."""

    def __init__(self, log: Log, dice: random.Random) -> None:
        self._log, self._dice, self.epoch = log, dice, 0
        self.producers = log.producers

    def _next(self) -> int:
        if self._dice.random() < 0.05:
            self.epoch += self._dice.randint(1, 3)
        return self.epoch

    def append(self, data: memoryview, **how: Any) -> Any:
        how["leader_epoch"] = self._next()
        return self._log.append(data, **how)

    def append_marker(self, marker: Any, **how: Any) -> Any:
        how["leader_epoch"] = self._next()
        return self._log.append_marker(marker, **how)


class Sample(NamedTuple):
    """A log on disk. known: what its broker's checkpoints say."""

    directory: pathlib.Path
    known: Circumstances


def make_sample(path: pathlib.Path, seed: int, *, is_clean: bool, batches: int = 120) -> Sample:
    """A log of several segments, epochs, producers, transactions and codecs.

    When it is not closed cleanly, the recovery point is at a segment's beginning, or at its end.
    """
    dice = random.Random(seed)
    path.mkdir(parents=True, exist_ok=True)
    log = open_log(path, CONFIG, topic_id=bytes(range(16)))
    eras = _Eras(log, dice)
    chaos = Chaos(eras, dice)  # type: ignore[arg-type]
    for number in range(batches):
        chaos.step()
        if number % 10 == 9:
            codec = dice.choice(("gzip", "snappy", "lz4", "zstd"))
            at = NOW + chaos.count
            eras.append(
                batch("packed" * 9, "x", at=at, compression=codec), now_ms=at, produce_version=9
            )
    log.flush()
    log.save_when_due()
    end = log.log_end_offset
    point = dice.choice([one.base_offset for one in log.segments] + [end])
    if is_clean:
        log.close()
        point = end
    known = Circumstances(is_clean=is_clean, recovery_point=point)
    return Sample(pathlib.Path(log.directory), known)


def batch_bounds(data: bytes) -> list[tuple[int, int]]:
    """(position, size) of the batches of a good .log file."""
    out, at = [], 0
    while len(data) - at > LENGTH_END:
        size = read_header(data, at).size
        out.append((at, size))
        at += size
    return out


def _units(path: pathlib.Path, data: bytes) -> list[tuple[int, int]]:
    """(position, size) of what a file consists of: batches, entries, lines."""
    if path.suffix == ".log":
        return batch_bounds(data)
    if path.suffix in WIDTHS:
        width = WIDTHS[path.suffix]
        return [(at, width) for at in range(0, len(data) - width + 1, width)]
    units, at = [], 0
    for line in data.splitlines(keepends=True):
        units.append((at, len(line)))
        at += len(line)
    return units


def flip_bit(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def cut(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def zero_sector(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(0, len(data), SECTOR)
    end = min(at + SECTOR, len(data))
    return data[:at] + bytes(end - at) + data[end:]


def drop(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes:
    at, size = dice.choice(_units(path, data) or [(0, 1)])
    return data[:at] + data[at + size :]


def duplicate(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes:
    at, size = dice.choice(_units(path, data) or [(0, 1)])
    return data[: at + size] + data[at:]


def swap(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes:
    units = _units(path, data)
    if len(units) < 2:
        return data
    one, other = sorted(dice.sample(units, 2))
    (a, m), (b, n) = one, other
    return data[:a] + data[b : b + n] + data[a + m : b] + data[a : a + m] + data[b + n :]


def remove(path: pathlib.Path, data: bytes, dice: random.Random) -> bytes | None:
    return None


Damage = Callable[[pathlib.Path, bytes, random.Random], bytes | None]
DAMAGES: tuple[Damage, ...] = (flip_bit, flip_bit, cut, zero_sector, drop, duplicate, swap, remove)


def do_damage(directory: pathlib.Path, dice: random.Random) -> str:
    """Damage one file; what was done to which. Kinds of files are equally likely."""
    while True:
        files = [one for one in directory.iterdir() if one.stat().st_size]
        kind = dice.choice(sorted({one.suffix or one.name for one in files}))
        file = dice.choice(sorted(one for one in files if (one.suffix or one.name) == kind))
        damage = dice.choice(DAMAGES)
        before = file.read_bytes()
        after = damage(file, before, dice)
        if after == before:
            continue
        if after is None:
            file.unlink()
        else:
            file.write_bytes(after)
        return f"{damage.__name__} {file.name}"


def reopen(sample: Sample, directory: pathlib.Path) -> Log:
    """As its broker would."""
    known = sample.known
    return opening.open_log(
        str(directory), disk=Disk(), partition=TP, config=CONFIG, now_ms=NOW,
        is_clean=known.is_clean, recovery_point=known.recovery_point,
        log_start_offset=known.log_start,
    )  # fmt: skip


def meaning(log: Log) -> Iterator[tuple[str, Any]]:
    """All that clients and other brokers can learn from a log, part by part."""
    found = batches_of(log)
    yield "end", (log.log_start_offset, log.log_end_offset)
    yield "batches", [(one.header.base_offset, bytes(one.data)) for one in found]
    yield "aborted", log.aborted_transactions(0, log.log_end_offset)
    yield "epochs", [log.epochs.end_of(epoch, log.log_end_offset) for epoch in range(30)]
    yield "producers", sorted(
        (pid, one.epoch, one.last_sequence, one.last_timestamp, one.coordinator_epoch,
         one.txn_first_offset, [kept[:4] for kept in one.batches][-1:])
        for pid, one in log.producers.producers.items()
    )  # fmt: skip
    yield "times", [segment.max_timestamp for segment in log.segments]
    stamps = sorted({one.header.max_timestamp for one in found} | {0, NOW * 2})
    yield "by time", [log.offset_for_timestamp(at + d) for at in stamps for d in (0, 1)]
    yield "by offset", [_first(log, offset) for offset in range(0, log.log_end_offset, 7)]


def _first(log: Log, offset: int) -> Any:
    try:
        data = log.read(
            offset, max_bytes=1, max_offset=log.log_end_offset, at_least_one=True
        ).read_bytes()
        return read_header(data).base_offset
    except (KafkaError, ValueError) as error:
        return str(error)



