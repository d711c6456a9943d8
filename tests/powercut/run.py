"""One run: a broker under load on a disk that is recorded, then many power cuts of that disk.

    unshare -m -p -f --mount-proc --kill-child python -m tests.powercut.run FOLDER OPTIONS

FOLDER is empty; OPTIONS is JSON, see Options. The last line printed is JSON, see Outcome. It runs
in name spaces of its own for mounts and processes, so that nothing is left behind, however it ends.
"""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.broker_process import ROOT, BrokerProcess, free_ports
from tests.powercut import fuse, loop
from tests.powercut.block_log import Images, Position, Recorder, flushes
from tests.powercut.clients import read_broker
from tests.powercut.journal import Journal
from tests.powercut.logs import read_image
from tests.powercut.promises import Found, Verdict, judge

DISK_BYTES = 512 << 20
INODES = 32_768
WORKERS = 2
LOAD_DEADLINE_S, IMAGE_DEADLINE_S = 240.0, 120
START_BOUND_S = 30.0
EARLY = 0.1  # share of cuts before the load began
# What is done now and then is done often, so that cuts come in the middle of it.
SETTINGS = {
    "log.retention.check.interval.ms": 300,
    "log.flush.offset.checkpoint.interval.ms": 250,
    "log.flush.start.offset.checkpoint.interval.ms": 250,
    "replica.high.watermark.checkpoint.interval.ms": 500,
    "offsets.topic.num.partitions": 3,
    "log.roll.ms": 400,
    "transaction.state.log.num.partitions": 3,
}

# While an image is read little is dropped.
UNTOUCHED = {"log.retention.check.interval.ms": 3_600_000}


@dataclass
class Options:
    """kinds: of producers. starts: every so many images, a broker is started on one. main: the
    module that is run as the broker. settings: of the broker, besides SETTINGS. lies: see Recorder.
    """

    partitions: int
    cuts: int
    seed: int
    seconds: float = 2.0
    kinds: list[str] = field(default_factory=lambda: ["plain", "idempotent", "transactional"])
    starts: int = 10
    main: str = "fastbroker"
    settings: dict[str, Any] = field(default_factory=dict)
    lies: float = 0.0


@dataclass
class Outcome:
    """acked: records in the load. checked: acknowledgements held against images. failed: images
    that broke a promise; lost, invented: records and more of all of them. told: the first ones."""

    acked: int = 0
    entries: int = 0
    flushes: int = 0
    checked: int = 0
    cuts: int = 0
    started: int = 0
    failed: int = 0
    lost: int = 0
    invented: int = 0
    wrong: int = 0
    ms_an_image: float = 0.0
    ms_a_start: float = 0.0
    told: list[str] = field(default_factory=list)


class Run:
    """Owned by the process that leads the name spaces: it has one thread when it forks."""

    def __init__(self, folder: pathlib.Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.outcome = Outcome()
        for name in ("disks", "images", "mnt", "ram"):
            (folder / name).mkdir()
        loop.mount_ram(str(folder / "ram"))
        self.ram = folder / "ram"

    def go(self) -> Outcome:
        loop.make_file_system(str(self.ram / "image"), DISK_BYTES, inodes=INODES)
        copy = ["cp", "--sparse=always", str(self.ram / "image"), str(self.ram / "before")]
        subprocess.run(copy, check=True)
        journal = self._record()
        (self.ram / "image").unlink()
        assert not journal.failures, journal.failures[:5]
        self._cut_power(journal)
        return self.outcome

    # ---- the load

    def _record(self) -> Journal:
        position = Position.create(self.ram / "position")
        mount = self.folder / "disks"
        fd = fuse.mount(str(mount))

        def recorder() -> Recorder:
            return Recorder(
                self.ram / "image", self.ram / "log", position, lies=self.options.lies
            )

        with self._served(fd, mount, recorder):
            with loop.mounted(str(mount / "0"), str(self.folder / "mnt")):
                broker = Broker(self.folder / "mnt" / "data", self.options)
                broker.start()
                try:
                    self._load(broker)
                    journal = Journal.load(self.ram / "journal")
                    journal.topic_ids = topic_ids(broker.bootstrap)
                finally:
                    broker.kill_all()
            loop.unmount(str(mount))
        self.outcome.acked = len(journal.acks)
        return journal

    def _load(self, broker: BrokerProcess) -> None:
        options = self.options
        command = [
            sys.executable, "-m", "tests.powercut.load", broker.bootstrap,
            str(self.ram / "position"), str(self.ram / "journal"), str(options.partitions),
            str(options.seconds), str(options.seed), ",".join(options.kinds),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, timeout=LOAD_DEADLINE_S, capture_output=True, text=True
        )
        words = "\n".join(broker.lines[-20:])
        assert done.returncode == 0, f"the load failed:\n{done.stderr[-3000:]}\n{words}"

    @contextlib.contextmanager
    def _served(
        self, fd: int, mount: pathlib.Path, make: Callable[[], fuse.Device]
    ) -> Iterator[None]:
        """A process that serves a device until it is unmounted."""
        pid = os.fork()
        if pid == 0:
            with _last_words():
                # When all of us are killed, whoever goes last unmounts, and waits for what is then
                # written: that must not be the one that would have to write it.
                loop.own_mounts()
                loop.unmount(str(mount))
                fuse.serve(fd, make())
        os.close(fd)
        yield
        _, status = os.waitpid(pid, 0)
        assert status == 0, "the process that served the disks has failed"

    # ---- the cuts

    def _cut_power(self, journal: Journal) -> None:
        options, dice = self.options, random.Random(self.options.seed)
        end = Position(self.ram / "position").now()
        early = round(options.cuts * EARLY)
        cuts = sorted(
            [dice.randint(1, journal.begun) for _ in range(early)]
            + [dice.randint(journal.begun, journal.over) for _ in range(options.cuts - early)]
        )
        self.outcome.entries, self.outcome.flushes = end, flushes(self.ram / "log")
        mount = self.folder / "images"
        fd = fuse.mount(str(mount))
        took, starts = 0.0, 0.0

        def images() -> Images:
            return Images(
                self.ram / "before", self.ram / "log", cuts=cuts, seed=options.seed
            )

        with self._served(fd, mount, images):
            for number, cut in enumerate(cuts):
                is_start = number % options.starts == options.starts - 1
                begun = time.monotonic()
                try:
                    verdict = self._check(mount / str(number), cut, journal, is_start=is_start)
                except loop.Unmountable as error:
                    if not options.lies:
                        raise
                    # What a disk that lies leaves of a file system.
                    verdict = Verdict(lost=[f"everything: {error}"])
                if is_start:
                    starts += time.monotonic() - begun
                    self.outcome.started += 1
                else:
                    took += time.monotonic() - begun
                self._count(verdict, f"image {number} (cut at {cut}, seed {options.seed})")
            loop.unmount(str(mount))
        self.outcome.ms_an_image = 1000 * took / max(1, len(cuts) - self.outcome.started)
        self.outcome.ms_a_start = 1000 * starts / max(1, self.outcome.started)

    def _check(
        self, image: pathlib.Path, cut: int, journal: Journal, *, is_start: bool
    ) -> Verdict:
        """In a process of its own: what it has opened is closed, and mapped, with it."""
        target = self.folder / "mnt"
        with loop.mounted(str(image), str(target)):
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                with _last_words(), open(writer, "wb") as out:
                    signal.alarm(IMAGE_DEADLINE_S)
                    verdict = judge(self._found(target, journal, cut, is_start), journal, cut)
                    pickle.dump(verdict, out)
            os.close(writer)
            with open(reader, "rb") as answer:
                said = answer.read()
            os.waitpid(pid, 0)
        if not said:
            return Verdict(wrong=["the check of this image has died"])
        found = pickle.loads(said)
        assert isinstance(found, Verdict)
        return found

    def _found(
        self, target: pathlib.Path, journal: Journal, cut: int, is_start: bool
    ) -> Found:
        if not is_start:
            return read_image(target / "data", journal, random.Random(cut))
        broker = Broker(target / "data", self.options, UNTOUCHED)
        try:
            took = broker.start()
            assert took < START_BOUND_S, f"it started in {took} s"
            return read_broker(broker.bootstrap, journal, cut)
        except Exception as error:
            return Found(wrong=[f"{error!r}"[-1500:], *broker.lines[-15:]])
        finally:
            broker.kill_all()

    def _count(self, verdict: Verdict, name: str) -> None:
        outcome = self.outcome
        outcome.cuts += 1
        outcome.checked += verdict.acked
        outcome.lost += len(verdict.lost)
        outcome.invented += len(verdict.invented)
        outcome.wrong += len(verdict.wrong)
        if not verdict.is_right:
            outcome.failed += 1
            if len(outcome.told) < 5:
                outcome.told.append(f"{name}:\n    {verdict}")


class Broker(BrokerProcess):
    """One whose main module may be another."""

    def __init__(
        self, data_dir: pathlib.Path, options: Options, more: Mapping[str, int] | None = None
    ) -> None:
        settings = {**SETTINGS, **options.settings, **(more or {})}
        super().__init__(
            data_dir, workers=WORKERS, port=free_ports(WORKERS), main=options.main,
            settings=[f"{key}={value}" for key, value in settings.items()],
        )  # fmt: skip


def topic_ids(bootstrap: str) -> dict[str, bytes]:
    """Of all topics."""
    from fastbroker.protocol.messages.metadata import MetadataRequest
    from tests.interop.batches import Connection

    host, _, port = bootstrap.rpartition(":")
    asked: Any = MetadataRequest
    with Connection(host, int(port)) as connection:
        told = connection.ask(asked(topics=None, allow_auto_topic_creation=False), 12)
    return {one.name: one.topic_id for one in told.topics}


@contextlib.contextmanager
def _last_words() -> Iterator[None]:
    """The end of a forked process, with the reason when there is one."""
    try:
        yield
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    folder, options = sys.argv[1:]
    outcome = Run(pathlib.Path(folder), Options(**json.loads(options))).go()
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
