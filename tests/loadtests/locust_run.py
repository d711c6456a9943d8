"""A load test as a user starts it: locust, headless or with its web page, in a process of its own.

It is not imported: locust patches Python's sockets and threads for the process that does.
"""
from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

from tests.broker_process import ROOT

DEADLINE_S = 90.0


class LocustRun:
    """One locust; `options` are its command line, users and shape included."""

    def __init__(self, folder: pathlib.Path, bootstrap: str, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.report = folder / "report"
        self._statistics = folder / "statistics"
        self._said = folder / "said"
        command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py"]
        command += ["--bootstrap", bootstrap, "--report", str(self.report), "--only-summary"]
        self.web_port = None
        if "--web-port" in options:
            self.web_port = int(options[options.index("--web-port") + 1])
        else:
            command += ["--headless", "--json-file", str(self._statistics)]
        with open(self._said, "w") as said:
            self._process = subprocess.Popen(
                [*command, *options], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def wait(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self._process.wait(DEADLINE_S)

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        self._process.terminate()
        return self.wait()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        """What it printed."""
        return self._said.read_text()

    def told(self) -> dict[str, Any]:
        """The run.json of its report."""
        return json.loads((self.report / "run.json").read_text())

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Locust's own statistics by operation, `produce record` and so on."""
        entries = json.loads(self._statistics.with_suffix(".json").read_text())
        return {f"{entry['method']} {entry['name']}": entry for entry in entries}
