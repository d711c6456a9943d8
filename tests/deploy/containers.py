"""A Debian that a real systemd has booted, in a container (systemd-nspawn) on this host's network.

    with Container({"/wheels": wheels}) as debian:
        debian.run("systemctl is-system-running")

The root is made once from Debian's packages, into .interop/; each container writes into a layer of
its own above it. What a container mounts is seen by it alone and goes with it; an interrupted test
leaves a folder behind, which the next one removes. Needs root and the control groups of systemd.
"""
from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import IO

import pytest

from tests.interop.installs import INTEROP, _once, _run, debs, require

SUITE = "bookworm"
TOOLS = ("mmdebstrap", "systemd-container", "libsystemd-shared")
PACKAGES = "systemd,systemd-sysv,dbus,python3-venv,procps"
STOP_DEADLINE_S = 30.0
RUN_TIMEOUT_S = 110.0
CGROUPS = pathlib.Path("/sys/fs/cgroup")
LAYERS = INTEROP / "containers"


@functools.cache
def root() -> pathlib.Path:
    """Debian with systemd and Python, which nothing writes into."""
    require("apt-get", "dpkg", "perl")
    if os.geteuid() != 0:
        pytest.fail("systemd in a container needs root", pytrace=False)
    mmdebstrap = debs("nspawn", TOOLS) / "usr" / "bin" / "mmdebstrap"

    def install(folder: pathlib.Path) -> None:
        command = ["perl", str(mmdebstrap), "--mode=root", "--variant=minbase", "--quiet"]
        command += [f"--include={PACKAGES}", SUITE, str(folder / "root")]
        _run(command, cwd=folder)

    return _once("debian", [], install, extra=f"{SUITE} {PACKAGES}") / "root"


def nspawn() -> tuple[list[str], dict[str, str]]:
    """systemd-nspawn and its environment."""
    tools = debs("nspawn", TOOLS)
    libraries = tools / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    found = f"{libraries / 'systemd'}:{libraries}"
    return [str(tools / "usr" / "bin" / "systemd-nspawn")], {"LD_LIBRARY_PATH": found}


class Container:
    """A context manager. mounts: paths in the container, and what of this host they show; they
    cannot be written to."""

    boot_deadline_s = 60.0

    def __init__(self, mounts: Mapping[str, pathlib.Path]) -> None:
        self.mounts = mounts
        self.leader = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def below(self) -> str:
        """What the container's own layer lies on, as overlay's lowerdir."""
        return str(root())

    def options(self) -> list[str]:
        """More options of systemd-nspawn."""
        return []

    def prepare(self, upper: pathlib.Path) -> None:
        """Puts files into the container's own layer before the first boot."""

    def while_booting(self, leader: int) -> None:
        """Called again and again until everything is started; leader: the container's systemd."""

    def __enter__(self) -> Container:
        _remove_abandoned()
        self.name = f"fastbroker-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self.layer = LAYERS / self.name
        for part in ("upper", "work", "merged"):
            (self.layer / part).mkdir(parents=True)
        self._log = open(self.layer / "console", "wb")
        try:
            self.prepare(self.layer / "upper")
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def boot(self) -> None:
        """Returns once systemd has started everything."""
        merged = self.layer / "merged"
        overlay = f"lowerdir={self.below()},upperdir={self.layer / 'upper'}"
        overlay += f",workdir={self.layer / 'work'}"
        command, env = nspawn()
        command += ["--quiet", "-D", str(merged), "--boot", "--register=no", "--keep-unit"]
        command += [f"--machine={self.name}", "--console=pipe", "--link-journal=no"]
        command += [f"--bind-ro={path}:{at}" for at, path in self.mounts.items()]
        command += self.options()
        script = f'mount -t overlay overlay -o {overlay} {merged} && exec "$@"'
        # All of it ends with the test, however that ends: systemd-nspawn is the first process of a
        # namespace, is killed with its starter, and takes all processes and mounts with it.
        whole = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
        whole += ["--pid", "--fork", "--kill-child", "--mount-proc"]
        self._cgroups = [*_make_cgroups(self.name)]
        self._process = subprocess.Popen(
            [*whole, "sh", "-c", script, "sh", *command], env={**os.environ, **env},
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            preexec_fn=self._join_cgroups,
        )  # fmt: skip
        self._wait_for_boot()

    def _join_cgroups(self) -> None:
        for group in self._cgroups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _wait_for_boot(self) -> None:
        assert self._process is not None
        end = time.monotonic() + self.boot_deadline_s
        while True:
            assert self._process.poll() is None, self.console()
            assert time.monotonic() < end, self.console()
            leader = _child(_child(self._process.pid))
            if leader:
                self.while_booting(leader)
            if leader and self._is_booted(leader):
                self.leader = leader
                return
            time.sleep(0.05)

    def _is_booted(self, leader: int) -> bool:
        try:
            if pathlib.Path(f"/proc/{leader}/comm").read_text().strip() != "systemd":
                return False
        except OSError:
            return False
        said = self._nsenter(leader, "systemctl is-system-running", 10.0).stdout.strip()
        return said in ("running", "degraded")

    def console(self) -> str:
        """What was printed while it booted."""
        return (self.layer / "console").read_text(errors="replace")[-3000:]

    def _nsenter(
        self, leader: int, command: str, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-p", "-C", "sh", "-c", command],
            env=env, cwd="/", timeout=timeout_s, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command: str, *, status: int | None = 0, timeout_s: float = RUN_TIMEOUT_S) -> str:
        """What a shell command prints, as root; it ends with `status`, None: any."""
        done = self._nsenter(self.leader, command, timeout_s)
        assert status is None or done.returncode == status, (
            f"{command}: exit status {done.returncode}\n{done.stdout[-3000:]}"
        )
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """A file in the container, with the owner and mode that it has already."""
        assert "EOT" not in text
        self.run(f"cat > {path} <<'EOT'\n{text}EOT\n")

    def halt(self) -> None:
        """Shuts it down; what it has written stays for the next boot."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                # systemd-nspawn has systemd shut down.
                os.kill(_child(self._process.pid) or self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_DEADLINE_S)
        self._process = None

    def __exit__(self, *_: object) -> None:
        self.halt()
        if self._log is not None:
            self._log.close()
        _remove(self.layer)


def _child(pid: int) -> int:
    """The first child of a process, as this host has it; 0: it has none."""
    try:
        found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(found[0]) if pid and found else 0


def _hierarchies() -> list[pathlib.Path]:
    """Where systemd keeps its groups: in the one hierarchy, or in its own and the new one."""
    found = [CGROUPS / name for name in ("systemd", "unified")]
    found = [one for one in found if (one / "cgroup.procs").exists()]
    return found or [CGROUPS]


def _make_cgroups(name: str) -> list[pathlib.Path]:
    groups = [one / name for one in _hierarchies()]
    for group in groups:
        group.mkdir(exist_ok=True)
    return groups


def _remove_abandoned() -> None:
    """Layers and groups of tests that were killed."""
    LAYERS.mkdir(parents=True, exist_ok=True)
    for layer in LAYERS.glob("fastbroker-*"):
        if not pathlib.Path(f"/proc/{layer.name.split('-')[1]}").exists():
            _remove(layer)


def _remove(layer: pathlib.Path) -> None:
    shutil.rmtree(layer, ignore_errors=True)
    for one in _hierarchies():
        for folder, _, _ in os.walk(one / layer.name, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
