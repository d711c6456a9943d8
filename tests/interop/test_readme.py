"""The README's client examples do what it says, run as printed.

They ask a broker at 127.0.0.1:9092; so does this test, with a fresh one on that port, or the one at
$FASTBROKER_TEST_BOOTSTRAP if that is its address.
"""
from __future__ import annotations

import fcntl
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from fastbroker.cli.start import DATA_DIR
from tests.broker_process import BrokerProcess
from tests.interop import installs
from tests.interop.starts.programs import started

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

ROOT = pathlib.Path(__file__).parents[2]
ADDRESS = "127.0.0.1:9092"
STARTS = ROOT / "tests" / "interop" / "starts"
SUFFIX = {"node": "js", "python": "py"}
TOPICS = ["orders-node", "orders-python", "clicks"]
# The command of this checkout, whether it is installed or not.
COMMAND = f"{shlex.quote(sys.executable)} -m fastbroker"
PRELUDE = f'set -e -o pipefail; fastbroker() {{ {COMMAND} "$@"; }}\n'
EXAMPLE_TIMEOUT_S = 60


def blocks(language: str) -> list[str]:
    """The fenced blocks of `language` in the README."""
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.fixture(scope="module")
def broker_of_the_readme(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[pathlib.Path | None]:
    """A broker at ADDRESS, without the topics that the examples use; one test process at a time.

    Gives the directory that it was started in; None: it was not started here.
    """
    if os.environ.get("FASTBROKER_TEST_BOOTSTRAP"):
        if os.environ["FASTBROKER_TEST_BOOTSTRAP"] != ADDRESS:
            pytest.skip(f"the README's examples need a broker at {ADDRESS}")
        for gone in AdminClient({"bootstrap.servers": ADDRESS}).delete_topics(TOPICS).values():
            gone.exception(30)
        yield None
        return
    directory = tmp_path_factory.mktemp("readme")
    installs.INTEROP.mkdir(exist_ok=True)
    with open(installs.INTEROP / "port-9092.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with BrokerProcess(directory / DATA_DIR, workers=2, port=9092):
            yield directory


def run(command: list[str], cwd: pathlib.Path) -> list[str]:
    """The lines that `command` prints; AssertionError with all it said when it fails."""
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=EXAMPLE_TIMEOUT_S, cwd=cwd,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("language", "folder"), [("js", "node"), ("python", "python")])
def test_the_readme_prints_starting_points(language: str, folder: str) -> None:
    """A producer and a consumer, byte for byte; what is printed here is run there."""
    printed = [f"producer.{SUFFIX[folder]}", f"consumer.{SUFFIX[folder]}"]
    assert blocks(language) == [(STARTS / folder / name).read_text() for name in printed]


@pytest.mark.parametrize("folder", ["node", "python"])
def test_the_readme_lists_every_starting_point(folder: str) -> None:
    here = (STARTS / folder).relative_to(ROOT)
    text = (ROOT / "README.md").read_text()
    rows = re.findall(rf"^\| \[(\w+\.\w+)\]\({here}/(\w+\.\w+)\) \|", text, re.M)
    files = sorted(file.name for file in (STARTS / folder).glob(f"*.{SUFFIX[folder]}"))
    assert sorted(rows) == [(name, name) for name in files]


@pytest.mark.parametrize("folder", ["node", "python"])
def test_the_printed_programs_find_the_broker(broker_of_the_readme: object, folder: str) -> None:
    topic = f"orders-{folder}"
    with started(f"{folder}/producer.{SUFFIX[folder]}", None, topic, "100") as producer:
        assert producer.end()[0] == 0
    with started(f"{folder}/consumer.{SUFFIX[folder]}", None, topic) as consumer:
        assert len(consumer.lines(100)) == 100
        consumer.stop()


def test_the_shell_examples(broker_of_the_readme: pathlib.Path | None) -> None:
    """All blocks of "From the shell", one after the other, where the broker was started."""
    text = (ROOT / "README.md").read_text()
    _, _, section = text.partition("\n## From the shell\n")
    blocks = re.findall(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], re.M | re.S)
    if broker_of_the_readme is None:  # its files are elsewhere
        blocks = [block for block in blocks if DATA_DIR not in block]
    lines = run(["bash", "-c", PRELUDE + "".join(blocks)], cwd=broker_of_the_readme or ROOT)
    assert lines.count("hello") == 2, lines
    assert "deleted group 'shop'" in lines
    if broker_of_the_readme is not None:
        assert lines[-1] == "nothing is wrong"
