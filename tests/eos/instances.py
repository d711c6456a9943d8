"""Copies of one program that are killed, frozen and started again, each life with its own journal.

    exit 0       it was asked to end
    exit FENCED  its transactional id is another's by now: right for a zombie, and for the one that
                 a zombie fenced; it is started again unless it was a zombie
    exit STUCK   its client library is stuck; it is started again
    others       a failure of the test
"""
from __future__ import annotations

import os
import pathlib
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.broker_process import wait_until

FENCED, STUCK = 3, 4
GONE_S, END_S, LAST_WORDS = 10.0, 20.0, 3000
ROOT = pathlib.Path(__file__).parents[2]


@dataclass
class Life:
    """One process. `name` is that of its journal, too."""

    name: str
    process: subprocess.Popen[bytes]
    said: pathlib.Path
    frozen: bool = False

    def last_words(self) -> str:
        return self.said.read_text(errors="replace")[-LAST_WORDS:]


# The command line of a life: its name, the instance's name and the journal are filled in.
CommandLine = Callable[[str, str, pathlib.Path], tuple[Sequence[str], Mapping[str, str]]]


@dataclass
class Instance:
    """One of the copies of a program."""

    name: str
    folder: pathlib.Path
    command: CommandLine
    lives: int = 0
    life: Life | None = None
    zombies: list[Life] = field(default_factory=list)
    fenced: int = 0
    stuck: int = 0

    def start(self) -> None:
        name = f"{self.name}.{self.lives}"
        self.lives += 1
        command, env = self.command(name, self.name, self.folder / f"{name}.jsonl")
        said = self.folder / f"{name}.stderr"
        with open(said, "wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out,
            )  # fmt: skip
        self.life = Life(name, process, said)

    def kill(self) -> str:
        """kill -9, and see that it is gone; for the log."""
        assert self.life is not None
        _kill(self.life)
        return f"{self.life.process.pid} is gone"

    def freeze(self) -> Life:
        """SIGSTOP, and see that it stands still. It is `life` until somebody else is started."""
        assert self.life is not None
        life, self.life = self.life, None
        life.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _state(life.process.pid) in "TZX", GONE_S, "a frozen process")
        life.frozen = True
        self.zombies.append(life)
        return life

    def thaw(self, zombie: Life, *, take_back: bool) -> None:
        """SIGCONT; with `take_back` it is the instance again, otherwise it goes on as it can."""
        zombie.process.send_signal(signal.SIGCONT)
        zombie.frozen = False
        if take_back:
            self.zombies.remove(zombie)
            self.life = zombie

    def look(self) -> None:
        """Start it again if it was fenced; AssertionError if it ended in another way."""
        for zombie in list(self.zombies):
            if zombie.process.poll() is not None:
                assert zombie.process.returncode in (FENCED, STUCK), _ended(zombie)
                self.zombies.remove(zombie)
                self.fenced += zombie.process.returncode == FENCED
        if self.life is not None and self.life.process.poll() is not None:
            status = self.life.process.returncode
            assert status in (FENCED, STUCK), _ended(self.life)
            self.fenced += status == FENCED
            self.stuck += status == STUCK
            self.start()

    def bury(self) -> int:
        """kill -9 zombies that are still there; how many."""
        count = len(self.zombies)
        for zombie in self.zombies:
            _kill(zombie)
        self.zombies.clear()
        return count

    def end(self, *, kindly: bool) -> None:
        """SIGTERM and wait, or kill -9."""
        self.bury()
        if self.life is None:
            return
        if kindly and self.life.process.poll() is None:
            self.life.process.send_signal(signal.SIGTERM)
            end = time.monotonic() + END_S
            while self.life.process.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
        _kill(self.life)
        self.life = None


def _kill(life: Life) -> None:
    if life.process.poll() is not None:
        return
    handle = os.pidfd_open(life.process.pid)
    life.process.kill()
    gone, _, _ = select.select([handle], [], [], GONE_S)
    os.close(handle)
    assert gone, f"{life.name} outlives kill -9"
    life.process.wait(GONE_S)


def _state(pid: int) -> str:
    """One letter, as in ps; X when there is no such process."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return "X"
    return stat.rpartition(")")[2].split()[0]


def _ended(life: Life) -> str:
    return f"{life.name} ended with {life.process.returncode}:\n{life.last_words()}"
