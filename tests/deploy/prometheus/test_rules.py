"""deploy/prometheus as promtool sees it: valid, and every alert fires when it should, only then."""
from __future__ import annotations

import pathlib
import re
import shutil

import pytest

from tests.deploy.prometheus.queries import RULES
from tests.deploy.prometheus.server import promtool

FOLDER = RULES.parent
UNIT_TESTS = "alerts_test.yml"
EXPRESSION = re.compile(r"expr: .*?(?=\n        (?:for|labels):)", re.S)


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", RULES.read_text())


def described() -> list[tuple[str, str]]:
    """Name and text of each rule."""
    blocks = re.split(r"\n\s+- alert: ", RULES.read_text())[1:]
    return [(block.split()[0], block + "\n") for block in blocks]


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml")],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    checked = promtool(*arguments, cwd=FOLDER)
    assert checked.returncode == 0, checked.stdout
    assert "SUCCESS" in checked.stdout


def test_the_unit_tests_of_the_rules_pass() -> None:
    tested = promtool("test", "rules", UNIT_TESTS, cwd=FOLDER)
    assert tested.returncode == 0, tested.stdout


@pytest.mark.parametrize("instead", ["vector(1) > 2", "vector(1)"], ids=["never", "always"])
def test_an_alert_that_never_or_always_fires_would_be_found_out(
    tmp_path: pathlib.Path, instead: str
) -> None:
    """Each alert has a unit test in which it fires, and one in which it does not."""
    shutil.copy(FOLDER / UNIT_TESTS, tmp_path)
    broken = EXPRESSION.sub(f"expr: {instead}", RULES.read_text())
    broken = re.sub(r"\n        for: .*", "", broken)
    (tmp_path / "alerts.yml").write_text(broken)
    tested = promtool("test", "rules", UNIT_TESTS, cwd=tmp_path)
    assert tested.returncode == 1, tested.stdout
    found_out = {name for name in alerts() if f'alertname="{name}"' in tested.stdout}
    assert found_out == set(alerts())


def test_an_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for name, text in described():
        assert re.search(r"severity: (critical|warning)\n", text), name
        assert re.search(r'summary: "(.+)"', text), f"{name}: one line that a pager shows"
        assert re.search(r"description: >-\n(\s+\S.*\n){2,}", text), f"{name}: cause and remedy"


def test_the_readme_has_each_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| (Fastbroker\w+) \| (\w+) \|", (FOLDER / "README.md").read_text(), re.M)
    severities = [re.findall(r"severity: (\w+)", text)[0] for _, text in described()]
    assert rows == list(zip(alerts(), severities, strict=True))
