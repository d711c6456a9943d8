"""fastbroker as installed on a host in a container: asked and changed as an operator would."""
from __future__ import annotations

import json
import pathlib
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.broker_process import free_ports, wait_until
from tests.deploy.containers import Container
from tests.deploy.wheels import ROOT, VERSIONS, wheels

CONFIG = "/etc/fastbroker/server.properties"
UNIT = "fastbroker.service"
WORKERS = 2
DEADLINE_S = 30.0


class Service:
    """The broker of a host, on `port` and those after it of this one."""

    def __init__(self, host: Container, port: int) -> None:
        self.host, self.port = host, port
        self.bootstrap = f"127.0.0.1:{port}"
        self.metrics_port = port + WORKERS

    def install(self, verb: str = "install", *, version: str = VERSIONS[0], args: str = "") -> str:
        """What the installer prints."""
        return self.host.run(
            f"sh /deploy/install.sh {verb} --package /wheels/fastbroker-{version}-*.whl {args}"
        )

    def configure(self, *lines: str) -> None:
        """The packaged configuration, on our ports, with `lines` behind it."""
        text = (ROOT / "deploy" / "systemd" / "server.properties").read_text()
        text = re.sub(r"(?m)^(listeners=.*):\d+$", rf"\1:{self.port}", text)
        metrics = f"127.0.0.1:{self.metrics_port}"
        text = re.sub(r"(?m)^(fastbroker\.metrics\.listener)=.*$", rf"\1={metrics}", text)
        own = (f"fastbroker.workers={WORKERS}", *lines)
        self.host.write(CONFIG, text + "".join(f"{line}\n" for line in own))

    def drop_in(self, text: str) -> None:
        self.host.run(f"mkdir -p /etc/systemd/system/{UNIT}.d")
        self.host.write(f"/etc/systemd/system/{UNIT}.d/test.conf", text)
        self.host.run("systemctl daemon-reload")

    def show(self, name: str) -> str:
        """A property of the unit, as systemd has it."""
        return self.host.run(f"systemctl show -P {name} {UNIT}").strip()

    def pid(self, process: str) -> int:
        """As the container has it; 0: there is none, as of now."""
        found = self.host.run(f"pgrep -o -x fb-{process}", status=None).split()
        return int(found[0]) if found else 0

    def kill(self, process: str, number: str) -> int:
        """Send a signal; the process id."""
        pid = self.pid(process)
        assert pid, f"{process} does not run"
        self.host.run(f"kill -{number} {pid}")
        return pid

    def journal(self, *args: str) -> list[dict[str, Any]]:
        """Entries of the unit."""
        said = self.host.run(f"journalctl -u {UNIT} -o json --no-pager {' '.join(args)}")
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def messages(self, *args: str) -> str:
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.journal(*args))

    def cursor(self) -> str:
        """An argument for journal(): what comes from now on."""
        self.host.run("journalctl --sync")
        said = self.host.run(f"journalctl -u {UNIT} -n 0 --show-cursor --no-pager")
        found = re.search(r"-- cursor: (\S+)", said)
        assert found, said
        return f"--after-cursor='{found[1]}'"

    def wait_for_journal(self, text: str, cursor: str) -> None:
        wait_until(lambda: text in self.messages(cursor), DEADLINE_S, f"{text!r} in the journal")

    def wait_until_active(self) -> None:
        wait_until(lambda: self.show("ActiveState") == "active", DEADLINE_S, "an active unit")


@contextmanager
def service() -> Iterator[Service]:
    """Debian, booted, with the installer and wheels at hand and nothing installed."""
    deploy: pathlib.Path = ROOT / "deploy"
    with Container({"/wheels": wheels(), "/deploy": deploy}) as host:
        yield Service(host, free_ports(WORKERS + 1))


def seconds_since(begun: float) -> float:
    return time.monotonic() - begun
