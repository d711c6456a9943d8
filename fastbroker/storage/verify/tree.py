"""Verify whatever is at a path: a partition, a log directory, a data directory."""
from __future__ import annotations

import os.path
from collections.abc import Iterator
from typing import NamedTuple

from fastbroker.model import METADATA_TOPIC, TopicPartition
from fastbroker.storage.disk import Disk
from fastbroker.storage.log_dir import LOCK, META
from fastbroker.storage.offset_checkpoints import HIGH_WATERMARKS
from fastbroker.storage.verify.checkpoint_files import KNOWN, DirectoryFiles, read_directory
from fastbroker.storage.verify.finding import Faults, Finding, Severity
from fastbroker.storage.verify.journal_file import FILES as JOURNAL
from fastbroker.storage.verify.journal_file import check_journal
from fastbroker.storage.verify.judgement import Verdict, verify_partition
from fastbroker.storage.verify.layout import Kind, kind_of, log_dirs, partitions
from fastbroker.storage.verify.names import GONE
from fastbroker.storage.verify.opening import Rehearsal
from fastbroker.storage.verify.partition import Circumstances, Step, Tally
from fastbroker.storage.verify.topic_ids import topic_ids

METADATA_LOG = f"{METADATA_TOPIC}-0"
NOTHING = Tally()


class Place(NamedTuple):
    """A log directory. ids: of topics by the metadata log; None: not known."""

    path: str
    files: DirectoryFiles
    is_running: bool
    ids: dict[str, str] | None

    def circumstances(self, name: str) -> Circumstances:
        """What is known of the partition in the directory `name`."""
        topic, _, number = name.rpartition("-")
        one = TopicPartition(topic, int(number) if number.isdigit() else 0)
        if topic == METADATA_TOPIC and os.path.basename(self.path).startswith("controller-"):
            point = self.files.recovery_points.get(one, 0)
            return Circumstances(is_running=self.is_running, recovery_point=point)
        return Circumstances(
            is_clean=self.files.is_clean,
            is_running=self.is_running,
            recovery_point=self.files.recovery_points.get(one, 0),
            log_start=self.files.log_starts.get(one, 0),
            compacted_to=self.files.cleaned.get(one, 0),
            topic_id=(self.ids or {}).get(topic),
        )


def running_in(disk: Disk, path: str) -> list[str]:
    """The log directories at or above `path` or in it that a broker holds."""
    path = os.path.abspath(path)
    around = [path, os.path.dirname(path)]
    if kind_of(disk, path) is Kind.DATA:
        around += log_dirs(disk, path)
    elif os.path.basename(path) != METADATA_LOG or not disk.exists(os.path.join(path, META)):
        # A controller has no lock of its own: a broker beside it tells.
        for one in (path, os.path.dirname(path)):
            if os.path.basename(one).startswith("controller-"):
                around += log_dirs(disk, os.path.dirname(one))
    return [one for one in around if disk.is_locked(os.path.join(one, LOCK))]


def verify(disk: Disk, path: str, step: Step = lambda _: None) -> Iterator[tuple[str, Verdict]]:
    """(directory, what is found in it), one after the other. Nothing is written.

    step(bytes): called as bytes are read. Raises OSError.
    """
    path = os.path.abspath(path)
    kind = kind_of(disk, path)
    is_running = bool(running_in(disk, path))
    if kind is Kind.DATA:
        yield from _verify_data(disk, path, is_running, step)
    elif kind is Kind.LOG_DIR:
        yield from _verify_log_dir(disk, path, is_running, _ids_near(disk, path), step)
    else:
        parent = os.path.dirname(path)
        place = Place(parent, read_directory(disk, parent, Faults()), is_running,
                      _ids_near(disk, parent))  # fmt: skip
        known = place.circumstances(os.path.basename(path))
        yield path, verify_partition(disk, path, known, step)


def _ids_near(disk: Disk, log_dir: str) -> dict[str, str] | None:
    """From the metadata log in a log directory, or in the controller's beside it."""
    data = os.path.dirname(log_dir)
    for one in (log_dir, *log_dirs(disk, data)):
        found = topic_ids(disk, os.path.join(one, METADATA_LOG))
        if found is not None:
            return found
    return None


def _verify_data(
    disk: Disk, path: str, is_running: bool, step: Step
) -> Iterator[tuple[str, Verdict]]:
    homes = log_dirs(disk, path)
    ids = None
    clusters: dict[str, str] = {}
    for home in homes:
        ids = ids or topic_ids(disk, os.path.join(home, METADATA_LOG))
    for home in homes:
        yield from _verify_log_dir(disk, home, is_running, ids, step)
        cluster = read_directory(disk, home, Faults()).identity.get("cluster.id")
        if cluster is not None:
            clusters[home] = cluster
    if len(set(clusters.values())) > 1:
        faults = Faults()
        names = ", ".join(f"{os.path.basename(home)} {one}" for home, one in clusters.items())
        faults.add(path, f"cluster ids differ: {names}", remedy="a broker of another cluster ends")
        yield path, Verdict(_as_they_are(faults), NOTHING, 0)


def _verify_log_dir(
    disk: Disk, path: str, is_running: bool, ids: dict[str, str] | None, step: Step
) -> Iterator[tuple[str, Verdict]]:
    faults = Faults()
    files = read_directory(disk, path, faults)
    place = Place(path, files, is_running, ids)
    names = partitions(disk, path)
    ends: dict[str, int] = {}
    rehearsal = Rehearsal(disk, path)
    # While a broker goes on writing, each partition has one of its own, which knows all of it.
    shared = None if is_running else rehearsal
    for name in names:
        directory = os.path.join(path, name)
        try:
            known = place.circumstances(name)
            verdict = verify_partition(disk, directory, known, step, shared)
        except FileNotFoundError:
            if not is_running:
                raise
            continue  # its topic was deleted meanwhile
        ends[name] = verdict.end
        yield directory, verdict
        topic = name.rpartition("-")[0]
        if ids is not None and topic not in ids and topic != METADATA_TOPIC:
            what = "no topic of that name is in the metadata log"
            remedy = "keeps the directory as a stray one"
            faults.add(directory, what, if_left=Severity.REPAIR, remedy=remedy)
    _check_others(disk, path, names, faults)
    if not is_running:
        check_journal(disk, path, is_clean=files.is_clean, faults=faults)
    if not is_running:
        _check_high_watermarks(path, files, ends, faults)
    found = _as_they_are(faults)
    if found:
        failure = rehearsal.failure()
        if failure:
            found = [
                Finding(one.fault, Severity.DAMAGE, f"the broker does not start: {failure}")
                for one in found
            ]
        yield path, Verdict(found, NOTHING, 0)
    rehearsal.close()


def _check_others(disk: Disk, path: str, names: list[str], faults: Faults) -> None:
    known = set(names)
    for name in disk.list(path):
        full = os.path.join(path, name)
        if name in known or name in KNOWN or name in JOURNAL:
            continue
        if GONE.fullmatch(name):
            kind = name.rpartition("-")[2]
            what, remedy = "a stray partition, kept aside", "nothing"
            if kind == "delete":
                what, remedy = "a deleted partition", "removes it"
            faults.add(full, what, if_left=Severity.NOTE, remedy=remedy)
        elif not disk.is_directory(full) or disk.list(full):
            remedy = "writes over it" if name.endswith(".tmp") else "nothing"
            if disk.is_directory(full):
                remedy = "keeps it as a stray one"
            faults.add(full, "not a broker's", if_left=Severity.NOTE, remedy=remedy)


def _check_high_watermarks(
    path: str, files: DirectoryFiles, ends: dict[str, int], faults: Faults
) -> None:
    for one, offset in files.high_watermarks.items():
        end = ends.get(str(one))
        if end is not None and offset > end:
            what = f"{one} has the high watermark {offset}, its log ends at {end}"
            full = os.path.join(path, HIGH_WATERMARKS)
            faults.add(full, what, if_left=Severity.NOTE, remedy="nothing; it is written anew")


def _as_they_are(faults: Faults) -> list[Finding]:
    return [Finding(fault, fault.if_left, fault.remedy or "nothing") for fault in faults.all()]


def bytes_in(disk: Disk, path: str) -> int:
    """Of all .log files that `verify` is going to read. Raises OSError."""
    kind = kind_of(disk, path)
    if kind is Kind.DATA:
        return sum(bytes_in(disk, one) for one in log_dirs(disk, path))
    if kind is Kind.LOG_DIR:
        return sum(bytes_in(disk, os.path.join(path, one)) for one in partitions(disk, path))
    if kind is not Kind.PARTITION:
        return 0
    files = [os.path.join(path, one) for one in disk.list(path) if one.endswith(".log")]
    return sum(disk.size(one) for one in files if disk.exists(one))
