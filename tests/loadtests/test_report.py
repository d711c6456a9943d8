"""Tables say what was counted, pictures are pictures, and two runs stand side by side."""
from __future__ import annotations

import json
import pathlib
import struct
from typing import Any

import pytest

from loadtests.report import table, write
from loadtests.report.__main__ import main
from loadtests.report.figures import DELAY, Figures
from loadtests.report.picture import compared, operations_of
from loadtests.tally.series import Series

BEGAN_S = 1_800_000_000.25
PRODUCED, READ = "produce record", "end-to-end read"


def run(label: str = "ours", *, seconds: int = 10, scale: int = 1, **more: Any) -> dict[str, Any]:
    """A run in which every second 1,000 records take `scale` ms, and one fails."""
    series = Series()
    for second in range(int(BEGAN_S), int(BEGAN_S) + seconds):
        slot = series.at(second)
        for name, count in ((PRODUCED, 1000), (READ, 10), ("admin create-topic", 1)):
            done = slot.cell(name)
            done.count, done.bytes = count, count * 1024 if "admin" not in name else 0
            done.latencies.add([1000 * scale] * count)
        slot.cell(PRODUCED).errors["REQUEST_TIMED_OUT"] = 1
        slot.cell(DELAY).latencies.add([500])
        for gauge, value in (("users", 4.0), ("process", 0.5), ("main thread", 0.2)):
            slot.read(gauge, value)
        slot.read("machine", 0.75)
        slot.read("broker", 1.5)
        slot.read("thread waiting", 0.1)
    options = {
        "size": 1024, "acks": "all", "compression": "none", "linger_ms": 5.0, "partitions": 8,
        "keys": 0, "rate": 0.0, "in_flight": 2000, "transactional": False, "txn_records": 1000,
        "shape": "none", "users": 4, "user_classes": ["ProducerUser"],
    }  # fmt: skip
    told = {
        "label": label, "began": "2027-01-15 08:00:00 UTC", "began_s": BEGAN_S,
        "ended_s": BEGAN_S + seconds - 0.5, "warm_up_s": 0.0, "options": options,
        "machine": {"cores": 2}, "series": series.as_json(),
    }  # fmt: skip
    return json.loads(json.dumps({**told, **more}))


def cells(text: str) -> dict[str, list[str]]:
    """The rows of the Markdown tables by their first cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in split}


def is_picture(path: pathlib.Path) -> bool:
    head = path.read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:])
    return head.startswith(b"\x89PNG\r\n\x1a\n") and width > 1000 and height > 500


def test_the_table_of_a_run() -> None:
    text = table.report([Figures(run())])
    rows = cells(text)
    assert rows[PRODUCED] == [
        "1,053", "1.08", "1.00", "1.00", "1.00", "1.00", "1.00", "10,000", "10",
    ]  # fmt: skip
    assert rows["admin create-topic"][1] == "-"
    assert rows["ours"] == [PRODUCED, "REQUEST_TIMED_OUT", "10"]
    assert len({len(line) for line in text.splitlines() if line.startswith("| p")}) == 1
    assert "4 users (ProducerUser); values of 1,024 bytes; acks=all" in text
    assert "0.50 cores, its Python thread 20% of one, and 10% of the time waiting" in text
    assert "had no time left" not in text
    assert "the broker: 1.50 cores, 1,425 µs for each record that was produced" in text


def test_a_generator_without_time_left_is_told_of() -> None:
    busy = run()
    for slot in busy["series"]["slots"].values():
        slot["gauges"]["main thread"] = [0.95, 1.0]
    assert "The generator had no time left" in table.report([Figures(busy)])
    for slot in busy["series"]["slots"].values():
        slot["gauges"].update({"main thread": [0.5, 1.0], "thread waiting": [0.45, 1.0]})
    assert "It waited for a core most of the time" in table.report([Figures(busy)])


def test_the_warm_up_is_left_out() -> None:
    figures = Figures(run(warm_up_s=5.0))
    row = figures.rows()[0]
    assert (row.count, figures.seconds) == (4000, 3.75)
    assert len(list(figures.points(PRODUCED))) == 10, "the picture has all of it"


def test_rates_of_parts_of_seconds() -> None:
    rates = [round(point.per_s) for point in Figures(run()).points(PRODUCED)]
    assert rates == [1333, *[1000] * 8, 1333]
    short = Figures(run(ended_s=BEGAN_S + 9.0))
    assert len(list(short.points(PRODUCED))) == 9, "a rate of a quarter of a second says nothing"


def test_a_run_that_did_nothing(tmp_path: pathlib.Path) -> None:
    nothing = run(series=Series().as_json())
    write.into(tmp_path, nothing)
    assert "nothing is known of the load generator" in (tmp_path / write.TABLE).read_text()
    assert is_picture(tmp_path / write.PICTURE)


def test_two_runs_side_by_side(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write.into(tmp_path / "a", run())
    write.into(tmp_path / "b", run("theirs", scale=3, seconds=12))
    out = tmp_path / "both"
    main([str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out)])
    text = capsys.readouterr().out
    assert text == (out / write.TABLE).read_text()
    assert text.startswith("# Load test: ours and theirs")
    rows = [line for line in text.splitlines() if line.startswith("| ") and PRODUCED in line]
    assert [row.split("|")[1].strip() for row in rows[:2]] == ["ours", "theirs"]
    assert all(is_picture(folder / write.PICTURE) for folder in (out, tmp_path / "a"))


def test_what_a_picture_shows() -> None:
    figures = [Figures(run()), Figures(run("theirs"))]
    assert operations_of(figures[0]) == [[PRODUCED, READ], ["admin create-topic"]]
    assert compared(figures) == [PRODUCED, READ]


def test_no_run_there(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "no run there" in capsys.readouterr().err
