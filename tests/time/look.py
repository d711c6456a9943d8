"""A look at everything: the broker's files, logs, descriptors and objects, and what the model says.
"""
from __future__ import annotations

import collections
import gc
import os
import weakref

from fastbroker.model import TopicPartition
from fastbroker.records.reader import iter_batches
from fastbroker.storage.checkpoints import read_offsets
from fastbroker.storage.log import Log
from fastbroker.storage.segment import Segment
from fastbroker.storage.snapshots import SAVED_KEPT
from tests.time.model import ModelLog, Row, Value, value_of
from tests.time.state import Difference, State

OPEN_ALWAYS = 2  # the lock, and the directory


class Look:
    """At the broker in `state`; everything that is wrong raises Difference.

    held: descriptors and open logs at the last look. found: objects then.
    """

    def __init__(self, state: State) -> None:
        self.state, self.world = state, state.world
        self.held = 0, 0
        self.found: dict[str, int] = {"segments": 0, "logs": 0}
        self._timers = 0  # of what is done from time to time
        self._sure_at = 0.0  # until then not every removal is known
        # The log that was open when producers last expired: it knows none but those of the model.
        self._expired_in: dict[TopicPartition, weakref.ref[Log]] = {}

    def started(self) -> None:
        """The broker has started."""
        self._expired_in.clear()
        if self.world.epoch == 1:
            self._timers = self.world.bench.timers.waiting

    def is_unsure_for(self, ms: int) -> None:
        """What was renamed in the middle of something went with the restart, without a timer."""
        self._sure_at = self.state.started_at + ms

    def expired(self) -> None:
        """Producers that were silent are forgotten by the logs that are open."""
        for name in self.state.model:
            opened = self.world.partition(name).opened
            if opened is not None:
                self._expired_in[name] = weakref.ref(opened)

    def at_everything(self) -> None:
        self._at_process()
        for name, log in self.state.model.items():
            self._at_log(name, log)
        self._at_checkpoint()
        self.at_directory()

    # ---- the process

    def _at_process(self) -> None:
        world, state = self.world, self.state
        unanswered = [one for one in state.waiting if not one.done]
        state.waiting.clear()
        if unanswered:
            raise Difference(f"{len(unanswered)} fetches wait for ever")
        gc.collect()
        in_use = {
            name: log for name, log in state.model.items()
            if world.partition(name).opened is not None
        }  # fmt: skip
        active = {f"{world.directory}/{name}/{log.pieces[-1].base:020d}.log"
                  for name, log in in_use.items()}  # fmt: skip
        # The directory itself: by it the file system is synced.
        allowed = active | {f"{world.directory}/.lock", str(world.directory)}
        files = world.open_files()
        self.held = len(files), len(in_use)
        if len(files) > len(set(files)) or not set(files) <= allowed:
            raise Difference(f"open: {sorted(set(files) - allowed) or files}")
        indexes = {
            f"{world.directory}/{name}/{piece.base:020d}{suffix}"
            for name, log in in_use.items()
            for piece in log.pieces
            for suffix in (".index", ".timeindex", ".txnindex")
        }
        maps = world.mapped_files()
        if not set(maps) <= indexes:
            raise Difference(f"mapped: {sorted(set(maps) - indexes)}")
        self.found = found = self.objects()
        wanted = {"segments": sum(len(log.pieces) for log in in_use.values()),
                  "logs": len(in_use)}  # fmt: skip
        if found != wanted:
            raise Difference(f"in memory: {found}, {wanted} are in use")
        self._at_timers()

    def _at_timers(self) -> None:
        state, timers = self.state, self.world.bench.timers
        removals = sum(len(log.deleted) for log in state.model.values()) + len(state.orphans)
        removals += sum(len(due) for due in state.directories.values())
        waiting = timers.waiting - self._timers
        is_sure = timers.at_ms >= self._sure_at
        if waiting != removals if is_sure else waiting > removals:
            told = {str(name): log.deleted for name, log in state.model.items() if log.deleted}
            raise Difference(f"{waiting} timers wait, {removals} files do: {told}")

    def objects(self) -> dict[str, int]:
        """How many of this broker's are alive."""
        root = str(self.world.directory)
        found = {"segments": 0, "logs": 0}
        for one in gc.get_objects():
            if isinstance(one, Segment) and one.directory.startswith(root):
                found["segments"] += 1
            elif isinstance(one, Log) and one.directory.startswith(root):
                found["logs"] += 1
        return found

    def counted(self) -> dict[str, int]:
        """Files in the directory, and segments in memory at the last look."""
        files = sum(len(names) for _, _, names in os.walk(self.world.directory))
        return {"files": files, "segments": self.found["segments"]}

    def at_morning(self) -> None:
        """Nobody has used anything for long."""
        self.at_directory()
        gc.collect()
        self.found, files = self.objects(), self.world.open_files()
        if any(self.found.values()) or len(files) > OPEN_ALWAYS:
            raise Difference(f"{self.found} are in memory, {files} are open")

    # ---- logs

    def _at_log(self, name: TopicPartition, log: ModelLog) -> None:
        partition = self.world.partition(name)
        was_open = partition.opened
        real = partition.log
        ours = {
            "start": log.start, "end": log.end, "committed": log.end, "stable": log.stable,
            "epochs": log.epochs, "segments": [(one.base, one.size) for one in log.pieces],
        }  # fmt: skip
        theirs = {
            "start": real.log_start_offset, "end": real.log_end_offset,
            "committed": partition.high_watermark, "stable": partition.last_stable_offset,
            "epochs": _seen_from(log.start, real.epochs.entries),
            "segments": [(one.base_offset, one.size) for one in real.segments],
        }  # fmt: skip
        if ours != theirs:
            raise Difference(f"{name}: {theirs}\n expected: {ours}")
        known, live = set(real.producers.producers), set(log.producers)
        # One that was closed may remember what has expired meanwhile, until the next look.
        expired_in = self._expired_in.get(name)
        is_exact = was_open is not None and expired_in is not None and expired_in() is was_open
        if not live <= known or not known - live <= (set() if is_exact else log.forgotten.keys()):
            raise Difference(f"{name}: producers {known}, expected {live}")
        rows = _contents(real)
        if rows != log.rows():
            lost, more = set(log.rows()) - set(rows), set(rows) - set(log.rows())
            raise Difference(f"{name}: lost {sorted(lost)}, more than there were {sorted(more)}")
        if log.policy.cleanup == "compact":
            self._at_promise(name, log, real)

    def _at_promise(self, name: TopicPartition, log: ModelLog, real: Log) -> None:
        """Whatever the model of cleanings says: of what is committed the last of each key is there,
        and below what was cleaned nothing else is."""
        aborted = real.aborted_transactions(0, log.end)
        last: dict[str, Row] = {}
        for row, producer_id in _with_producers(real):
            if row.offset in log.uncommitted or any(
                one.producer_id == producer_id and one.first_offset <= row.offset < one.last_offset
                for one in aborted
            ):
                continue
            if row.key in last and row.offset < (log.cleaned or 0):
                raise Difference(f"{name}: {last[row.key]} and {row} are left")
            last[row.key] = row
        wanted = {row for row in log.promised.values() if row.value is not None}
        found = {row for row in last.values() if row.value is not None}
        if found != wanted:
            raise Difference(f"{name}: lost {wanted - found}, came back {found - wanted}")

    def _at_checkpoint(self) -> None:
        """All logs are open: the file tells of each how far it was cleaned."""
        path = str(self.world.directory / "cleaner-offset-checkpoint")
        found = read_offsets(self.world.disk, path)
        wanted = {
            name: log.cleaned for name, log in self.state.model.items() if log.cleaned is not None
        }
        if found != wanted:
            raise Difference(f"cleaned: {found}, expected {wanted}")

    # ---- files

    def at_directory(self) -> None:
        """Raises Difference."""
        left: collections.Counter[str] = collections.Counter()
        with os.scandir(self.world.directory) as found:
            entries = list(found)
        names = {str(name): log for name, log in self.state.model.items()}
        for entry in entries:
            if not entry.is_dir():
                if entry.name.endswith(".tmp"):
                    raise Difference(f"left over: {entry.name}")
            elif entry.name in names:
                self._at_files(entry, names[entry.name])
            elif entry.name.endswith("-delete"):
                left[entry.name.rpartition(".")[0] + "."] += 1
            else:
                raise Difference(f"whose is {entry.name}?")
        wanted = {name: len(due) for name, due in self.state.directories.items() if due}
        if dict(left) != wanted:
            raise Difference(f"deleted directories: {dict(left)}, expected {wanted}")

    def _at_files(self, entry: os.DirEntry[str], log: ModelLog) -> None:
        must, may = log.files()
        with os.scandir(entry.path) as found:
            sizes = {one.name: one.stat().st_size for one in found}
        saved = {
            name for name in sizes
            if name.endswith(".snapshot") and int(name[:-9]) not in log.snapshots
        }  # fmt: skip
        if len(saved) > SAVED_KEPT or any(int(name[:-9]) > log.end for name in saved):
            raise Difference(f"{entry.name}: snapshots {sorted(saved)}")
        may |= saved
        missing, odd = must.keys() - sizes.keys(), sizes.keys() - must.keys() - may
        if self.state.minutes_up == 0:
            missing.discard("leader-epoch-checkpoint")  # it is written when it is saved
        if missing or odd:
            raise Difference(f"{entry.name}: missing {sorted(missing)}, odd {sorted(odd)}")
        for name, size in must.items():
            if size is not None and sizes[name] != size:
                raise Difference(f"{entry.name}/{name}: {sizes[name]} bytes, expected {size}")


def _seen_from(start: int, epochs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """An epoch that was not on disk yet when the start moved into it keeps where it began."""
    if len(epochs) == 1 and epochs[0][1] < start:
        return [(epochs[0][0], start)]
    return epochs


def _contents(log: Log) -> list[Row]:
    return [row for row, _ in _with_producers(log)]


def _with_producers(log: Log) -> list[tuple[Row, int]]:
    """Every record from the start on with its producer, markers aside, by reading on."""
    found = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        piece = log.read(
            offset, max_bytes=1 << 20, max_offset=log.log_end_offset, at_least_one=True
        )
        before = offset
        for each in iter_batches(piece.read_bytes()):
            if not each.header.is_control:
                found += [
                    (Row(one.offset, (one.key or b"").decode(), _value(one.value)),
                     each.header.producer_id)
                    for one in each.records()
                    if one.offset >= offset
                ]  # fmt: skip
            offset = each.header.last_offset + 1
        if offset == before:
            raise Difference(f"{log.partition}: nothing can be read at {offset}")
    return found


def _value(value: bytes | None) -> Value | None:
    return None if value is None else value_of(bytes(value))
