"""What the installer installs: two versions of this checkout as wheels, and what they depend on."""
from __future__ import annotations

import functools
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

from tests.interop.installs import INTEROP, _alone, _once, _run

ROOT = pathlib.Path(__file__).parents[2]
VERSIONS = ("0.1.0", "0.2.0")
SOURCES = ("fastbroker", "cext", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@functools.cache
def wheels() -> pathlib.Path:
    """A folder with fastbroker's wheels of VERSIONS and with those of its dependencies."""
    files = [
        ROOT / name
        for name in subprocess.run(
            ["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]
    dependencies = _once("wheels-needed", [ROOT / "pyproject.toml"], _fetch, extra=sys.version)

    def build(folder: pathlib.Path) -> None:
        tree = INTEROP / "wheels.tree"
        shutil.rmtree(tree, ignore_errors=True)
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
            command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
            command += ["--no-build-isolation", "--disable-pip-version-check", "-w", str(folder)]
            _run([*command, str(tree)], cwd=folder)
        shutil.rmtree(tree)
        for wheel in dependencies.glob("*.whl"):
            shutil.copy(wheel, folder)

    return _once("wheels", [file for file in files if file.exists()], build, extra=sys.version)


_IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info")


def _fetch(folder: pathlib.Path) -> None:
    """The dependencies, from the index that pip uses."""
    import tomllib

    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check"]
    _run([*command, "-w", str(folder), *needs], cwd=folder)
