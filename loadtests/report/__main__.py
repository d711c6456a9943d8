"""The command line of loadtests.report (see the package's guide)."""
from __future__ import annotations

import argparse
import pathlib
import sys

from loadtests.report import table, write

MOST = 4  # more lines than that nobody tells apart


def main(args: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="loadtests.report")
    parser.add_argument("runs", nargs="+", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--out", type=pathlib.Path, help="where report.md and report.png go")
    chosen = parser.parse_args(args)
    if len(chosen.runs) > MOST:
        parser.error(f"at most {MOST} runs side by side")
    try:
        runs = [write.read(directory) for directory in chosen.runs]
    except FileNotFoundError as error:
        parser.error(f"no run there: {error.filename}")
    out = chosen.out or (chosen.runs[0] if len(runs) == 1 else None)
    print(table.report(runs), end="")
    if out is not None:
        write.draw(out, runs)


if __name__ == "__main__":
    main(sys.argv[1:])
