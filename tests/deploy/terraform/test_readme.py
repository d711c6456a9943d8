"""The tables of deploy/terraform/README.md say what the modules' files say.

`python -m tests.deploy.terraform.test_readme` writes them.
"""
from __future__ import annotations

import re

import pytest

from tests.deploy.terraform.tool import DEPLOY

README = DEPLOY / "terraform" / "README.md"
MODULES = ("hcloud", "host")
KINDS = {"inputs": "variable", "outputs": "output"}
TEXT = re.compile(r'^  description = "((?:[^"\\]|\\.)*)"$', re.MULTILINE)
DEFAULT = re.compile(r"^  default += (.*)$", re.MULTILINE)


def table(kind: str, module: str) -> str:
    """The table of a module's inputs or outputs, from its file; required inputs come first."""
    text = (DEPLOY / "terraform" / "modules" / module / f"{KINDS[kind]}s.tf").read_text()
    rows = []
    for name, body in re.findall(rf'^{KINDS[kind]} "(\w+)" {{\n(.*?)^}}$', text, re.M | re.S):
        found = TEXT.search(body)
        assert found, f"{name} of {module} has no description on one line"
        told = re.sub(r"\\(.)", r"\1", found[1]).replace("|", "\\|")
        default = DEFAULT.search(body)
        given = f"`{default[1]}`" if default else "required"
        cells = [f"`{name}`", given, told] if kind == "inputs" else [f"`{name}`", told]
        rows.append(f"| {' | '.join(cells)} |")
    rows.sort(key=lambda row: "| required |" not in row)
    head = "| name | default | |\n| --- | --- | --- |"
    return "\n".join([head if kind == "inputs" else "| name | |\n| --- | --- |", *rows])


def written(text: str) -> str:
    """README's text with the tables as they should be."""
    for kind in KINDS:
        for module in MODULES:
            mark = f"<!-- {kind} of modules/{module} -->\n"
            assert mark in text
            whole = re.compile(re.escape(mark) + r"(?:\n\|[^\n]*(?:\n\|[^\n]*)*\n)?")
            new = f"{mark}\n{table(kind, module)}\n"
            text = whole.sub(lambda _, new=new: new, text)
    return text


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_a_module_has_rows(module: str) -> None:
    for kind, word in KINDS.items():
        text = (DEPLOY / "terraform" / "modules" / module / f"{word}s.tf").read_text()
        assert table(kind, module).count("\n") == 1 + len(re.findall(rf'(?m)^{word} "', text))


def test_the_tables_are_up_to_date() -> None:
    assert README.read_text() == written(README.read_text()), "write them: see this file's head"


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
