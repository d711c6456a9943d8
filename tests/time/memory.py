"""What a process holds: its objects counted, and whether a series of numbers goes up.

At the same state of the model the counts have to be the same, to the last object; what is no
object, and what an allocator makes of it all, is judged by the slope of a long series.
"""
from __future__ import annotations

import collections
import ctypes
import gc
import logging
import sys
import types
from array import array
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any, NamedTuple

# Not counted: how many there are goes with the numbers themselves, small ones are shared. What
# holds them is.
NUMBERS = (int, float)
NOT_OURS = (types.CodeType, types.FrameType, types.ModuleType, logging.Logger, logging.Manager)
SIZED = (dict, list, set, frozenset, tuple, collections.deque, str, bytes, bytearray)
RESIDENT = "resident KiB"
ROOM = 4096  # samples
# A step of nine hours: some bytes an hour are the test's own.
ALLOWED = {"blocks": 10.0, "malloc bytes": 500.0}


class Held(NamedTuple):
    """Of one type: how many objects there are, and the sum of their lengths. Not their bytes: a
    dict has room for what it once had."""

    count: int
    length: int


Inventory = dict[str, Held]


def inventory(roots: Iterable[object], stop: Iterable[object] = ()) -> Inventory:
    """All that can be reached from `roots` but not by way of `stop`, of modules other than
    fastbroker's and of code."""
    seen = {id(one) for one in (*_others(), *stop)}
    found: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    todo = list(roots)
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, NOT_OURS):
            continue
        seen.add(id(one))
        if isinstance(one, type) and not one.__module__.startswith("fastbroker"):
            continue
        if type(one) not in NUMBERS:
            held = found[f"{type(one).__module__}.{type(one).__qualname__}"]
            held[0] += 1
            held[1] += len(one) if isinstance(one, SIZED) else 0
        todo.extend(gc.get_referents(one))
    return {name: Held(*held) for name, held in found.items()}


def _others() -> list[object]:
    """Other modules, and what is in them."""
    return [
        part
        for name, module in list(sys.modules.items())
        if not name.startswith("fastbroker")
        for part in (module, getattr(module, "__dict__", None))
    ]


def modules() -> list[dict[str, Any]]:
    """The contents of fastbroker's."""
    return [vars(one) for name, one in list(sys.modules.items()) if name.startswith("fastbroker")]


def more_than(after: Inventory, before: Inventory) -> dict[str, tuple[Held, Held]]:
    """What there is more of: (before, after) by type."""
    nothing = Held(0, 0)
    return {
        name: (before.get(name, nothing), held)
        for name, held in after.items()
        if held.count > before.get(name, nothing).count
        or held.length > before.get(name, nothing).length
    }


# ---- series


class Slope(NamedTuple):
    """Of a straight line through a series, a step; half: half of its 99 % confidence interval."""

    slope: float
    half: float

    def rises(self, allowed: float = 0.0) -> bool:
        """Whether chance does not explain that it goes up by more than is `allowed` a step."""
        return self.slope - self.half > allowed

    def __str__(self) -> str:
        return f"{self.slope:.0f} +- {self.half:.0f}"


# Student's t, two-sided 99 %, by degrees of freedom; the last stands for all behind it, too.
T_99 = (63.66, 9.92, 5.84, 4.60, 4.03, 3.71, 3.50, 3.36, 3.25, 3.17, 3.11, 3.05, 3.01, 2.98, 2.95)


def slope(samples: Sequence[float]) -> Slope:
    """Least squares; three samples at least."""
    count = len(samples)
    mean, middle = sum(samples) / count, (count - 1) / 2
    spread = sum((n - middle) ** 2 for n in range(count))
    rise = sum((n - middle) * one for n, one in enumerate(samples)) / spread
    rest = sum((one - mean - rise * (n - middle)) ** 2 for n, one in enumerate(samples))
    free = count - 2
    half = T_99[min(free, len(T_99)) - 1] * sqrt(rest / free / spread)
    return Slope(rise, half)


class Series:
    """Samples of several quantities of this process, taken together; ROOM of them at most, which
    is there from the beginning: the series itself takes no more memory as it grows."""

    def __init__(self) -> None:
        self.count = 0
        self._samples: dict[str, array[float]] = {}

    def add(self, **quantities: float) -> None:
        """With them comes the memory of the whole process; garbage was collected before."""
        quantities |= {
            "blocks": python_blocks(), "malloc bytes": malloc_bytes(), RESIDENT: resident_kib(),
        }  # fmt: skip
        for name, value in quantities.items():
            self._samples.setdefault(name, array("d", [0.0]) * ROOM)[self.count] = value
        self.count += 1

    def last(self) -> str:
        """The last sample."""
        return ", ".join(
            f"{values[self.count - 1]:.0f} {name}" for name, values in self._samples.items()
        )

    def slopes(self, begin: int) -> dict[str, Slope]:
        """From sample number `begin` on."""
        return {name: slope(all_[begin : self.count]) for name, all_ in self._samples.items()}

    def rising(self, begin: int) -> dict[str, str]:
        """What goes up, and how fast; but what is resident goes up and down in steps of some
        pages, which is no noise around a line: that is to be read, in a long series."""
        slopes = self.slopes(begin)
        return {
            name: str(one)
            for name, one in slopes.items()
            if name != RESIDENT and one.rises(ALLOWED.get(name, 0.0))
        }

    def told(self, begin: int) -> str:
        """All of it, for a reader."""
        told = []
        for name, one in self.slopes(begin).items():
            values = self._samples[name][: self.count]
            told.append(f"{name}: {one} a step; {min(values):.0f} to {max(values):.0f}")
        return "\n".join(told)


# ---- of the whole process


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


def malloc_bytes() -> int:
    """In use, by whatever calls malloc: buffers of compiled code, and Python's objects above 512
    bytes."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo2
    found = libc.mallinfo2()
    return int(found.uordblks + found.hblkhd)


def python_blocks() -> int:
    """Python's objects of up to 512 bytes, and parts of larger ones."""
    return sys.getallocatedblocks()


def resident_kib() -> int:
    """What the kernel says."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
