"""Compiles server.c and load.c."""
from __future__ import annotations

import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
WIRE = HERE.parents[1] / "cext"  # wire.h


def compiled(name: str, folder: pathlib.Path) -> pathlib.Path:
    """The program made from `name`.c, in `folder`. SystemExit with the compiler's words."""
    program = folder / name
    # The second level of x86-64 has SSE4.2, that is the crc32 instruction.
    command = ["cc", "-O2", "-march=x86-64-v2", "-Wall", "-Wextra", "-pthread", f"-I{WIRE}"]
    try:
        subprocess.run(
            [*command, "-o", str(program), str(HERE / f"{name}.c")],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise SystemExit("no C compiler: install one that answers to `cc`") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{name}.c does not compile:\n{error.stderr}") from None
    return program
