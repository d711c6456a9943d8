"""What is wrong with a file, and what becomes of it."""
from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import NamedTuple

FAULTS_MAX = 50  # of one file that are told one by one


class Severity(IntEnum):
    """note: harmless. repair: the next start mends it, and nothing whole is lost. damage: it stays,
    or whole records are lost."""

    NOTE = 0
    REPAIR = 1
    DAMAGE = 2


class Fault(NamedTuple):
    """Something that is not as it should be.

    place: where in the file, as in "position 4096", "entry 12", "line 3"; "" for all of it.
    if_left: what it is when the next start does nothing about it. remedy: what it does, if that
    is the same for all faults of the kind; "" when a rehearsal tells. is_unreadable: whoever reads
    there gets an error.
    """

    path: str
    place: str
    what: str
    if_left: Severity = Severity.DAMAGE
    remedy: str = ""
    is_unreadable: bool = False


class Finding(NamedTuple):
    """A fault, how bad it is, and what the next start does about it."""

    fault: Fault
    severity: Severity
    remedy: str


class Faults:
    """Faults as they are found; of one file at most FAULTS_MAX are kept, the others counted."""

    def __init__(self) -> None:
        self._found: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._worst: dict[str, Severity] = {}

    def add(
        self, path: str, what: str, *, place: str = "", if_left: Severity = Severity.DAMAGE,
        remedy: str = "", is_unreadable: bool = False,
    ) -> None:  # fmt: skip
        """Keep a fault."""
        self._counts[path] += 1
        if self._counts[path] <= FAULTS_MAX:
            self._found.append(Fault(path, place, what, if_left, remedy, is_unreadable))
        else:
            self._worst[path] = max(self._worst.get(path, Severity.NOTE), if_left)

    def all(self) -> list[Fault]:
        """Those kept, and one for the others of each file."""
        return self._found + [
            Fault(path, "", f"and {self._counts[path] - FAULTS_MAX:,} more like these", worst)
            for path, worst in self._worst.items()
        ]
