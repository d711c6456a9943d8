"""From faults to findings: what the next start does about each, and how bad it is then."""
from __future__ import annotations

import os.path
from typing import NamedTuple

from fastbroker.storage.disk import Disk
from fastbroker.storage.segment_files import INDEX, LOG, SNAPSHOT, TIME_INDEX, TXN_INDEX
from fastbroker.storage.verify.finding import Fault, Finding, Severity
from fastbroker.storage.verify.opening import Opened, Rehearsal
from fastbroker.storage.verify.partition import (
    EPOCHS,
    Checked,
    Circumstances,
    PartitionCheck,
    Step,
    Tally,
)
from fastbroker.storage.verify.rehearsal import RehearsalDisk

_INDEXES = (INDEX, TIME_INDEX, TXN_INDEX)


class Verdict(NamedTuple):
    """A partition's findings; opened: how the next start opens it, None: not asked, all is well."""

    findings: list[Finding]
    tally: Tally
    end: int
    opened: Opened | None = None


def verify_partition(
    disk: Disk, directory: str, known: Circumstances, step: Step = lambda _: None,
    rehearsal: Rehearsal | None = None,
) -> Verdict:  # fmt: skip
    """Check the partition in `directory`; rehearse its opening when something is wrong.

    rehearsal: of its log directory; None: one of its own. What is gone after that would be
    repaired. Raises OSError.
    """
    checked = PartitionCheck(disk, directory, known, step).run()
    if not checked.faults:
        return Verdict([], checked.tally, checked.good_end)
    shared = rehearsal or Rehearsal(disk, os.path.dirname(directory))
    try:
        opened = shared.open(directory, known)
        left: list[Fault] = []
        if not opened.failure:
            left = PartitionCheck(shared.stage, directory, known).run().faults
        judge = _Judge(shared.stage, directory, checked, opened, left, known)
        findings = [judge.finding(fault) for fault in checked.faults]
    finally:
        shared.forget()
        if rehearsal is None:
            shared.close()
    return Verdict(findings, checked.tally, checked.good_end, opened)


class _Judge:
    def __init__(
        self, stage: RehearsalDisk, directory: str, checked: Checked, opened: Opened,
        left: list[Fault], known: Circumstances,
    ) -> None:  # fmt: skip
        self.stage, self.directory = stage, directory
        self.checked, self.opened = checked, opened
        self.known = known
        self.left = {fault[:3] for fault in left}
        self.others = {fault.path: fault for fault in reversed(left)}

    def finding(self, fault: Fault) -> Finding:
        """What becomes of `fault`."""
        if self.opened.failure:
            return Finding(fault, Severity.DAMAGE, self.opened.failure)
        if fault.remedy:
            return Finding(fault, fault.if_left, fault.remedy)
        fate = self.stage.fate(fault.path)
        if fault[:3] in self.left and fate != "removed":
            return Finding(fault, fault.if_left, self._nothing(fault))
        if fault.path == self.directory and self.opened.log_start_offset > self.checked.good_end:
            remedy = f"begins the log anew at offset {self.opened.log_start_offset}: all of it goes"
            return Finding(fault, Severity.DAMAGE, remedy)
        if fault.path.endswith(LOG):
            whole = self._lost(self.checked.good_end)
            severity = Severity.DAMAGE if whole else Severity.REPAIR
            return Finding(fault, severity, self._cut(fault, fate))
        if fate in ("changed", "new") and fault.path in self.others:
            rest = self.others[fault.path].what
            return Finding(fault, fault.if_left, f"{self._change(fault, fate)}; then {rest}")
        return Finding(fault, min(fault.if_left, Severity.REPAIR), self._change(fault, fate))

    def _lost(self, end: int) -> str:
        """The offsets up to `end` that are not there any more."""
        first = self.opened.log_end_offset
        return f"offsets {first}..{end - 1}" if first < end else ""

    def _cut(self, fault: Fault, fate: str) -> str:
        gone = self._lost(self.checked.claimed_end)
        gone = f": {gone} go" if gone else ""
        if fate == "removed":
            return f"removes the file{gone}"
        if fate == "cut":
            size = self.stage.size(fault.path)
            number = self.stage.real.size(fault.path) - size
            return f"cuts {number} bytes from position {size}{gone}"
        if fate == "changed":
            return "writes it anew from the commit journal"
        return f"is mended by what happens to other files{gone}"

    def _change(self, fault: Fault, fate: str) -> str:
        name = os.path.basename(fault.path)
        if fate == "removed":
            if name.endswith(SNAPSHOT):
                return "removes it; an older one and the batches tell of producers"
            return "removes it"
        if fate in ("changed", "cut", "new"):
            if name.endswith(_INDEXES):
                return "makes it anew from the batches"
            if name == EPOCHS:
                return "makes it anew from the batches"
            return "writes it anew"
        return "nothing is left of it when the log is open"

    def _nothing(self, fault: Fault) -> str:
        """Why a fault stays."""
        if fault.if_left is Severity.NOTE:
            return "nothing; it does no harm"
        name = os.path.basename(fault.path)
        if fault.is_unreadable:
            return f"nothing: {self._unchecked()}; readers of it get CORRUPT_MESSAGE"
        return f"nothing: {self._unchecked()}" if name.endswith(_INDEXES) else "nothing"

    def _unchecked(self) -> str:
        if self.known.is_clean:
            return "the broker was stopped cleanly, and its logs are not checked"
        return f"what lies below the recovery point, {self.known.recovery_point}, is not checked"
