"""Where the time of a test run went: by folder, and the files that took longest.

`pytest --durations=25` tells it, before the slowest tests: set-up and end of tests included; tests
that ran side by side count each.
"""
from __future__ import annotations

from collections import Counter

import pytest

LONGEST = 15  # files: the longest ones are what a run in parallel waits for


def tell(terminal: pytest.TerminalReporter) -> None:
    """Print the tables; nothing without --durations."""
    if terminal.config.option.durations is None:
        return
    reports = [
        report for name, told in terminal.stats.items() if name != "deselected"
        for report in told if isinstance(report, pytest.TestReport)
    ]  # fmt: skip
    if not reports:
        return
    folders, files, tests = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        file = report.nodeid.partition("::")[0]
        folder = folder_of(file)
        folders[folder] += report.duration
        files[file] += report.duration
        tests[folder] += report.when == "call"
    total = sum(folders.values())
    terminal.section(f"time by folder: {total:.0f} s")
    for folder, seconds in folders.most_common():
        terminal.write_line(f"{seconds:7.1f}s {seconds / total:5.1%} {tests[folder]:5} {folder}")
    terminal.section(f"longest {LONGEST} files")
    for file, seconds in files.most_common(LONGEST):
        terminal.write_line(f"{seconds:7.1f}s {file}")


def folder_of(file: str) -> str:
    """Its folder below tests/."""
    return "/".join(file.split("/")[:-1][:2])
