"""The house rules, as tests: floors, pure packages, docstrings, words, and a README that is true.

A package imports the floors below it and itself, nothing else. The order of FLOORS is the
architecture; changing it is a design decision, not a fix.
"""
from __future__ import annotations

import ast
import pathlib
import re
import subprocess
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FLOORS = [  # lower index = lower floor
    {"errors", "model", "uuids", "log_rate", "shared"},
    {"config", "_c"},
    {"protocol", "records", "metrics"},
    {"storage", "raft"},
    {"metadata", "partition", "coordination"},
    {"group", "txn", "security"},
    {"handlers", "net"},
    {"worker", "controller", "gateway"},
    {"supervisor"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {name: n for n, names in enumerate(FLOORS) for name in names}
# Packages that decide and never act: no sockets, clocks, files or chance inside.
PURE = {
    "protocol", "records", "raft", "partition", "metadata", "coordination", "group", "txn",
    "security", "metrics",
}  # fmt: skip
IO_MODULES = {"asyncio", "socket", "ssl", "threading", "time", "random", "os", "select", "uvloop"}
# Storage reaches files through disk.py, the one door that tests can put a faulty disk behind.
STORAGE_DOORS = {"disk.py"}
TOP_LEVEL = {
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "fastbroker",
    "cext",
    "tests",
    "loadtests",
    "deploy",
}
# Names that say nothing: a class is called after what it is.
EMPTY_WORDS = re.compile(r"(Manager|Helper|Util|Utils|Support|Impl)$")

FILES = sorted(ROOT.glob("fastbroker/**/*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    return listing.stdout.splitlines()


def package_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT / "fastbroker").parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            if node.module == "fastbroker":
                yield from (f"fastbroker.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_keeps_to_its_floor(path: pathlib.Path) -> None:
    here = package_of(path)
    if here == "__init__":
        return
    assert here in FLOOR_OF, f"{here} stands on no floor"
    for name in imports(TREES[path]):
        root, _, rest = name.partition(".")
        if root == "fastbroker" and rest and rest.split(".")[0] != "__version__":
            to = rest.split(".")[0]
            assert to == here or FLOOR_OF[to] < FLOOR_OF[here], f"{here} may not import {to}"
        assert not (here in PURE and root in IO_MODULES), f"{here} does no I/O: {root}"
        if here == "storage":
            assert root not in {"asyncio", "random", "uvloop", "socket"}, f"storage: {root}"
            is_file_access = root == "os" and name != "os.path"  # paths are words
            assert not is_file_access or path.name in STORAGE_DOORS, "files: through disk.py"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_says_what_it_is(path: pathlib.Path) -> None:
    assert ast.get_docstring(TREES[path]), "a module says what it is"
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ClassDef):
            assert not EMPTY_WORDS.search(node.name), f"{node.name}: name it after what it is"
    lines = path.read_text().splitlines()
    assert max((len(line) for line in lines), default=0) <= 100, "100 columns"


def test_the_top_level_holds_what_was_agreed() -> None:
    top = {name.split("/")[0] for name in tracked()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_every_package_has_a_guide() -> None:
    for init in ROOT.glob("fastbroker/**/__init__.py"):
        text = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert text, f"{init.relative_to(ROOT)} is a guide"
        assert text.count("\n") < 60, f"{init.relative_to(ROOT)}: a guide is under 60 lines"


def test_the_readme_lists_exactly_the_served_apis() -> None:
    from fastbroker.handlers.served import SERVED
    from fastbroker.protocol.api import api

    rows = dict(
        re.findall(r"^\| (\d+) \| \w+ \| ([\d-]+) \|", (ROOT / "README.md").read_text(), re.M)
    )
    served = {
        str(key): f"{h.first}-{h.last}" if h.first != h.last else f"{h.first}"
        for key, h in SERVED.items()
    }
    table = "\n".join(
        f"| {key} | {api(int(key)).name} | {versions} |" for key, versions in served.items()
    )
    assert rows == served, f"the README's table should hold:\n{table}"
