"""A real Prometheus of Debian's for tests: a folder and a port of its own, ended by its pid."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.broker_process import free_ports, wait_until
from tests.interop import installs

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0
Series = dict[str, Any]  # {"metric": labels, "value": [time, text]} or with "values"


def program(name: str) -> str:
    """The path of prometheus or promtool: the one on PATH, or Debian's, unpacked."""
    found = shutil.which(name)
    if found:
        return found
    return str(installs.debs("prometheus", ("prometheus",)) / "usr" / "bin" / name)


def promtool(
    *arguments: str, cwd: pathlib.Path, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run promtool; its output is stdout and stderr together."""
    return subprocess.run(
        [program("promtool"), *arguments],
        cwd=cwd,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )


def asking(url: str) -> Callable[..., Any]:
    """A function that asks the Prometheus at `url`: path below /api/v1, parameters -> `data`."""

    def ask(path: str, **parameters: str) -> Any:
        whole = f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(whole, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{whole}: {error.read().decode()}") from None

    return ask


class Prometheus:
    """One server; a context manager. Scrapes `targets` and evaluates the rules of `rules`."""

    def __init__(
        self, folder: pathlib.Path, *, targets: list[str], rules: pathlib.Path, every: str
    ) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_ports(1)}"
        self._log = folder / "prometheus.log"
        self._process: subprocess.Popen[bytes] | None = None
        config = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {"job_name": "fastbroker", "static_configs": [{"targets": targets}]}
            ],
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def __enter__(self) -> Prometheus:
        command = [
            program("prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, "GOGC": "50"}
            )
        wait_until(self._is_ready, START_DEADLINE_S, "Prometheus")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE_S)
        finally:
            self._process.kill()

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """`data` of an answer of /api/v1/PATH; AssertionError with its message otherwise."""
        return asking(self.url)(path, **parameters)

    def query(self, expression: str) -> list[Series]:
        """The series of `expression` as they are now."""
        found: list[Series] = self.ask("query", query=expression)["result"]
        return found

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of `expression` by these labels."""
        return {
            tuple(series["metric"].get(label, "") for label in labels): float(series["value"][1])
            for series in self.query(expression)
        }
