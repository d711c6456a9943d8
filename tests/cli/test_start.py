"""`fastbroker start`: which setting wins, and how a wrong one is refused."""
from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from fastbroker.cli.start import DATA_DIR, load
from fastbroker.config.broker import ConfigError
from tests.cli.conftest import CommandLine


@pytest.fixture
def file(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "server.properties"
    path.write_text(
        "log.dirs=/from/file\nnum.partitions=3\nfastbroker.workers=5\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
        "listeners=CONTROLLER://127.0.0.1:7000,PLAINTEXT://0.0.0.0:7001\n"
    )
    return str(path)


def test_without_settings_data_lies_in_the_current_directory() -> None:
    config = load()
    assert config.data_dir == str(pathlib.Path(DATA_DIR).absolute())
    assert [one.port for one in config.listeners()] == [9092]


def test_a_directory_from_the_file_or_set_is_kept(file: str) -> None:
    assert load(config=file).data_dir == "/from/file"
    assert load(settings=["log.dir=/x"]).data_dir == "/x"


def test_flags_win_over_set_and_set_over_the_file(file: str) -> None:
    config = load(config=file, settings=["num.partitions=4", "fastbroker.workers=6"])
    assert (config["num.partitions"], config["fastbroker.workers"]) == (4, 6)
    config = load(config=file, settings=["fastbroker.workers=6"], workers=2, data_dir="/flag")
    assert (config["num.partitions"], config["fastbroker.workers"]) == (3, 2)
    assert config.data_dir == "/flag"


def test_port_changes_the_first_listener_for_clients_only(file: str) -> None:
    assert load(config=file, port=9999)["listeners"] == (
        "CONTROLLER://127.0.0.1:7000",
        "PLAINTEXT://0.0.0.0:9999",
    )
    (only,) = load(port=9999).listeners()
    assert (only.host, only.port) == ("127.0.0.1", 9999)


def test_a_wrong_key_names_file_and_line(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "server.properties"
    path.write_text("\nnum.partition=3\n")
    with pytest.raises(ConfigError, match=r"server\.properties:2: .*num\.partitions"):
        load(config=str(path))


def test_a_data_directory_that_cannot_be_is_refused() -> None:
    assert CommandLine("").error("start", "--data-dir", "/dev/null/x", status=2) == (
        "cannot use /dev/null/x for data: not a directory; name another with --data-dir"
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--set", "num.partition=3"], "did you mean num.partitions?"),
        (["--set", "num.partitions"], "expected key=value"),
        (["--config", "/not/there"], "/not/there: No such file"),
        (["--port", "70000"], "--port"),
        (["--wrkers", "1"], "Did you mean '--workers'?"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(args: list[str], says: str) -> None:
    assert says in CommandLine("").error("start", *args, status=2)


def test_start_imports_no_client_and_no_protocol() -> None:
    code = (
        "import sys, fastbroker.cli.main, fastbroker.cli.start as s; s.load(port=1);"
        "print(*(n for n in sys.modules if n.startswith(('fastbroker.', 'rich', 'socket'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = ("fastbroker.cli", "fastbroker.config", "fastbroker.errors")
    assert [one for one in done.stdout.split() if not one.startswith(allowed)] == []
    assert "fastbroker.cli.client" not in done.stdout
