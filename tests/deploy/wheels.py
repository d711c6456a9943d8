"""What the installer installs: two versions of this checkout as wheels, and what they depend on."""
from __future__ import annotations

import functools
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib

from tests.interop.installs import INTEROP, _once, _run

ROOT = pathlib.Path(__file__).parents[2]
VERSIONS = ("0.1.0", "0.2.0")
SOURCES = ("fastbroker", "cext", "setup.py", "pyproject.toml", "README.md", "LICENSE")
KEPT = 4  # folders of wheels, of as many states of the sources
_IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info")


@functools.cache
def wheels() -> pathlib.Path:
    """A folder with fastbroker's wheels of VERSIONS and with those of its dependencies."""
    sources = _sources()
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    _forget_old()
    return _once(f"wheels-{digest.hexdigest()[:8]}", sources, _build, extra=sys.version)


def _sources() -> list[pathlib.Path]:
    listing = subprocess.run(
        ["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [path for name in listing.stdout.splitlines() if (path := ROOT / name).exists()]


def _build(folder: pathlib.Path) -> None:
    tree = folder / "tree"
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=_IGNORED)
        else:
            shutil.copy2(ROOT / name, tree / name)
    # What is compiled in the checkout is compiled again only where it is older than its source.
    platform = f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    compiled = tree / "build" / platform / "fastbroker" / "_c"
    compiled.mkdir(parents=True)
    for module in (tree / "fastbroker" / "_c").glob("*.so"):
        module.rename(compiled / module.name)
    for version in VERSIONS:
        for name in ("pyproject.toml", "fastbroker/__init__.py"):
            text = (tree / name).read_text()
            (tree / name).write_text(
                re.sub(r'(?m)^(version|__version__) = ".*"', rf'\1 = "{version}"', text)
            )
        _run([*_pip("wheel"), "--no-deps", "--no-build-isolation", "-w", str(folder), str(tree)],
             cwd=folder)  # fmt: skip
    shutil.rmtree(tree)
    needed = _once("wheels.needed", [ROOT / "pyproject.toml"], _fetch, extra=sys.version)
    for wheel in needed.glob("*.whl"):
        shutil.copy(wheel, folder)


def _fetch(folder: pathlib.Path) -> None:
    """The dependencies, from the index that pip uses."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    _run([*_pip("wheel"), "-w", str(folder), *needs], cwd=folder)


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", command, "-q", "--disable-pip-version-check"]


def _forget_old() -> None:
    """Wheels of earlier states of the sources, but for the last few."""
    found = sorted(INTEROP.glob("wheels-*[!k]"), key=lambda path: path.stat().st_mtime)
    for folder in found[: -KEPT + 1]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
